"""One word, one DVC stage, one script: read params, call the library, write files."""

import hashlib
import os
import re
import sys
import time
from importlib.metadata import distributions
from pathlib import Path

from ruamel.yaml import YAML

from pipeline import Refusal, params, store

ROOT = params.ROOT
TIMES = store.SCRATCH / "times"  # a line per stage that finished: its name, and its seconds
IMPORTED = time.monotonic()


def run(stage, *arguments: str) -> None:
    """Call `stage` with the command line's names; what the user can mend becomes one line and exit code 2.

    DVC hashes a stage's dependencies after it has run. An edit in the meantime would be recorded as what the outputs were
    made from, so a stage during which one changed fails. What a stage took is noted for `make time`.
    """
    names = sys.argv[1:]
    began = time.monotonic() - age()
    try:
        if len(names) != len(arguments):
            raise Refusal(f"usage: python -m stages.{stage.__name__} {' '.join(f'<{name}>' for name in arguments)}".strip())
        before = dependencies(dvc_stage())
        stage(*names)
        after = dependencies(dvc_stage())
        changed = sorted(name for name in before | after if before.get(name) != after.get(name))
        if changed:
            raise Refusal(
                f"{changed[0]}: changed while {os.environ['DVC_STAGE']} ran, so its outputs are not recorded: run it again"
            )
        note(stage_name(), time.monotonic() - began)
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)


def age() -> float:
    """Seconds since this process began: importing a framework is part of what a stage takes.

    Where the system does not tell, as only Linux does, seconds since this file was imported.
    """
    try:
        ticks = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.monotonic() - IMPORTED


def dvc_stage() -> str | None:
    """The stage that DVC is running in this project; none outside DVC."""
    return os.environ["DVC_STAGE"] if "DVC_STAGE" in os.environ and Path(os.environ.get("DVC_ROOT", "")) == ROOT else None


def stage_name() -> str | None:
    """DVC's, also where a stage is run by hand; none where something else than a stage is run."""
    script = Path(sys.argv[0]).resolve()
    return dvc_stage() or ("@".join([script.stem, *sys.argv[1:]]) if script.parent == ROOT / "stages" else None)


def fingerprint() -> str | None:
    """Of all that the outputs of this stage depend on: files, parameters and versions; none where no stage is run."""
    if stage_name() is None:
        return None
    known = dependencies(stage_name()) | {each.name: each.version for each in distributions()}
    return hashlib.md5(repr([sys.version, *sorted(known.items())]).encode(), usedforsecurity=False).hexdigest()


def note(name: str | None, seconds: float) -> None:
    """In one write, since stages that end at the same time must not break each other's lines."""
    if name:
        TIMES.parent.mkdir(exist_ok=True)
        with TIMES.open("ab", buffering=0) as file:
            file.write(f"{name} {seconds:.2f}\n".encode())


def dependencies(stage: str | None) -> dict[str, str]:
    """A digest of each file and parameter that dvc.yaml names for a stage."""
    if stage is None:
        return {}
    name, _, key = stage.partition("@")
    settings = params.read()
    block = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]
    item = {}
    if "foreach" in block:
        item, block = settings[re.sub(r"\W", "", block["foreach"])][key], block["do"]
    values = settings | {"key": key, "item": item}

    def filled(entry: str) -> str:
        return re.sub(r"\$\{(.*?)\}", lambda match: str(lookup(values, match[1])), entry)

    found = {}
    for entry in block["deps"]:
        found |= {str(file.relative_to(ROOT)): digest(file) for file in files(ROOT / filled(entry))}
    for entry in block.get("params", []):  # a mapping means all of params.yaml
        dotted = "" if isinstance(entry, dict) else filled(entry)
        found[f"params.yaml: {dotted}"] = repr(lookup(settings, dotted))
    return found


def files(path: Path) -> list[Path]:
    """Without what .dvcignore leaves out."""
    if path.is_file():
        return [path]
    inside = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    return [path / file for file in inside if "__pycache__" not in file.parts and not file.name.startswith(".")]


def digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "md5").hexdigest()


def lookup(settings: dict, dotted: str):
    for part in filter(None, dotted.split(".")):
        settings = settings[part]
    return settings

"""One word, one DVC stage, one script: read params, call the library, write files."""

import hashlib
import os
import re
import sys
import time
from collections.abc import Callable
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from pipeline import Refusal, params, store
from stages.watch import STOPPED, age, dvc_stage, end, end_as_orphan, end_in_time, interrupted

ROOT = params.ROOT
TIMES = store.SCRATCH / "times"  # a line per stage that finished: its name, and its seconds


def run(stage, *arguments: str) -> None:
    """Call `stage` with the command line's names; what the user can mend becomes one line and exit code 2.

    DVC hashes a stage's dependencies after it has run. An edit in the meantime would be recorded as what the outputs were
    made from, so a stage during which one changed fails, and puts no output in its place after that. What a stage took is
    noted for `make time`.
    """
    global made_from
    names = sys.argv[1:]
    began = time.monotonic() - age()
    if stage_name() and not dvc_stage():
        end_in_time()
    try:
        if len(names) != len(arguments):
            raise Refusal(f"usage: python -m stages.{stage.__name__} {' '.join(f'<{name}>' for name in arguments)}".strip())
        made_from = dependencies(stage_name())
        sound(stage_name())
        tidy(stage_name())
        store.confirm = unchanged
        stage(*names)
        unchanged()
        note(stage_name(), time.monotonic() - began)
    except Refusal as refusal:
        leave(str(refusal), 2)
    except OSError as error:  # a disk that is full, a folder that may not be written to
        where, why = error.filename or stage_name(), error.strerror or str(error) or type(error).__name__
        back = "; `dvc checkout` brings back what DVC removed before" if dvc_stage() else ""
        leave(f"{f'{where}: ' if where else ''}{why.splitlines()[0]}{back}", 2)
    leave("", 0)


def leave(said: str, code: int) -> None:
    """A framework's own end takes a second, and breaks down over files that it could not write."""
    if code and interrupted:
        end(STOPPED, 130)
    if stage_name() and "keras" in sys.modules:
        end(said, code)
    if code:
        print(said, file=sys.stderr)
        sys.exit(code)


def unchanged() -> None:
    """Refuse to go on if something that this stage depends on is no longer what it was, or if nobody waits for it any more."""
    end_as_orphan()
    after = dependencies(dvc_stage())
    changed = sorted(name for name in made_from | after if made_from.get(name) != after.get(name))
    if changed and dvc_stage():
        raise Refusal(f"{changed[0]}: changed while {dvc_stage()} ran, so its outputs are not recorded: run it again")


made_from: dict[str, str] = {}  # what this stage depends on, as it was before the stage read any of it


def stage_name() -> str | None:
    """DVC's, also where a stage is run by hand; none where something else than a stage is run."""
    script = Path(sys.argv[0]).resolve()
    return dvc_stage() or ("@".join([script.stem, *sys.argv[1:]]) if script.parent == ROOT / "stages" else None)


def fingerprint() -> str | None:
    """Of all that the outputs of this stage depend on: files, parameters, versions, machine; none where no stage is run."""
    if not made_from:
        return None
    known = made_from | {each.name: each.version for each in distributions()}
    known |= {name: value for name, value in os.environ.items() if name.startswith(("TF_", "XLA_", "CUDA_", "JAX_"))}
    cpu = Path("/proc/cpuinfo")
    model = re.search("model name.*", cpu.read_text(encoding="utf-8")) if cpu.exists() else None
    told = repr([sys.version, model and model[0], *sorted(known.items())])
    return hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()


def note(name: str | None, seconds: float) -> None:
    """In one write, since stages that end at the same time must not break each other's lines."""
    if name:
        TIMES.parent.mkdir(exist_ok=True)
        with TIMES.open("ab", buffering=0) as file:
            file.write(f"{name} {seconds:.2f}\n".encode())


def declared(stage: str) -> tuple[dict, Callable[[str], str], dict]:
    """The stage's block of dvc.yaml, what fills in its ${...}, and all parameters."""
    name, _, key = stage.partition("@")
    settings = params.read()
    block = params.read(ROOT / "dvc.yaml")["stages"][name]
    item = {}
    if "foreach" in block:
        item, block = params.block(settings, re.sub(r"\W", "", block["foreach"]), key), block["do"]
    values = settings | {"key": key, "item": item}
    return block, lambda entry: re.sub(r"\$\{(.*?)\}", lambda match: str(lookup(values, match[1])), entry), settings


def dependencies(stage: str | None) -> dict[str, str]:
    """A digest of each file and parameter that dvc.yaml names for a stage."""
    if stage is None:
        return {}
    block, filled, settings = declared(stage)
    found = {}
    for entry in block["deps"]:
        path = ROOT / filled(entry)
        inside = [path / name for name in store.files(path)] if path.is_dir() else [path] * path.is_file()
        found |= {file.relative_to(ROOT).as_posix(): digest(file) for file in inside}
    for entry in block.get("params", []):  # a mapping means all of params.yaml
        dotted = "" if isinstance(entry, dict) else filled(entry)
        found[f"params.yaml: {dotted}"] = repr(lookup(settings, dotted))
    return found


def digest(file: Path) -> str:
    """The MD5, computed anew only where the file is not what it was when it was read before."""
    now = file.stat()
    if time.time() - now.st_ctime < 1:  # an edit that follows within a tick of the clock would look the same
        return store.md5(file)
    return read_once(file, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@cache
def read_once(file: Path, *stat: int) -> str:
    return store.md5(file)


def sound(stage: str | None) -> None:
    """Refuse an input that differs from what dvc.lock has although all that it was made from is the same.

    A bit has flipped then, or a file was cut short.
    """
    if stage is None:
        return
    block, filled, _ = declared(stage)
    needed = [Path(filled(entry)) for entry in block["deps"]]
    for path, recorded in outputs().items():
        if (ROOT / path).exists() and any(Path(path).is_relative_to(dep) for dep in needed):
            (expected, maker), found = recorded, store.md5(ROOT / path)
            if found == expected:
                continue
            time.sleep(1)  # a DVC beside this one writes dvc.lock in place, and may just be at it
            if outputs().get(path) == recorded and not remade(maker):
                tool = "git" if path.startswith(("results/", "reports/plots/", "reports/gates.csv")) else "dvc"
                raise Refusal(
                    f"{path}: expected md5 {expected} as in dvc.lock, found {found}: "
                    f"`{tool} checkout {path}` brings it back, `dvc repro {maker}` makes it again"
                )


def outputs() -> dict[str, tuple[str, str]]:
    """By path, of what dvc.lock has: the MD5 and the stage that makes it. None while it is being written."""
    try:
        stages = params.read(ROOT / "dvc.lock")["stages"].items()
        return {out["path"]: (out["md5"], name) for name, entry in stages for out in entry.get("outs", ())}
    except (Refusal, KeyError, TypeError, AttributeError):
        return {}


def remade(stage: str) -> bool:
    """Whether a stage was changed since dvc.lock was written, or is none any more: then its outputs may be new."""
    try:
        block, filled, settings = declared(stage)
        before = params.read(ROOT / "dvc.lock")["stages"][stage]
        known = before.get("params", {}).get("params.yaml", {})
        wanted = [filled(entry) for entry in block.get("params", []) if not isinstance(entry, dict)]
        same = before["cmd"] == filled(block["cmd"]) and all(known[entry] == lookup(settings, entry) for entry in wanted)
        same &= {dep["path"] for dep in before["deps"]} == {filled(entry) for entry in block["deps"]}
        return not same or any(store.md5(ROOT / dep["path"]) != dep["md5"] for dep in before["deps"])
    except (Refusal, KeyError, FileNotFoundError):
        return True


def tidy(stage: str | None) -> None:
    """Remove what a start of this stage that was killed had not finished writing."""
    if stage is not None:
        block, filled, _ = declared(stage)
        for entry in [*block["outs"], *block.get("metrics", []), *block.get("plots", [])]:
            store.tidy(ROOT / filled(next(iter(entry)) if isinstance(entry, dict) else entry))


def lookup(settings: dict, dotted: str):
    for part in filter(None, dotted.split(".")):
        if not isinstance(settings, dict) or part not in settings:
            raise Refusal(f"params.yaml: {dotted} is not there")
        settings = settings[part]
    return settings


if dvc_stage():  # from the first moment on, while frameworks are still being imported
    end_in_time()

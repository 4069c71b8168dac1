"""One word, one DVC stage, one script: read params, call the library, write files."""

import hashlib
import os
import re
import sys
from pathlib import Path

from ruamel.yaml import YAML

from pipeline import Refusal, params

ROOT = params.ROOT


def run(stage, *arguments: str) -> None:
    """Call `stage` with the command line's names; what the user can mend becomes one line and exit code 2.

    DVC hashes a stage's dependencies after it has run. An edit in the meantime would be recorded as what the outputs were
    made from, so a stage during which one changed fails.
    """
    names = sys.argv[1:]
    try:
        if len(names) != len(arguments):
            raise Refusal(f"usage: python -m stages.{stage.__name__} {' '.join(f'<{name}>' for name in arguments)}".strip())
        before = dependencies()
        stage(*names)
        after = dependencies()
        changed = sorted(name for name in before | after if before.get(name) != after.get(name))
        if changed:
            raise Refusal(
                f"{changed[0]}: changed while {os.environ['DVC_STAGE']} ran, so its outputs are not recorded: run it again"
            )
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)


def dependencies() -> dict[str, str]:
    """A digest of each file and parameter that dvc.yaml names for the stage which DVC is running; none outside DVC."""
    name, _, key = os.environ.get("DVC_STAGE", "").partition("@")
    if not name or Path(os.environ.get("DVC_ROOT", "")) != ROOT:
        return {}
    settings = params.read()
    stage = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]
    item = {}
    if "foreach" in stage:
        item, stage = settings[re.sub(r"\W", "", stage["foreach"])][key], stage["do"]
    values = {"key": key} | {f"item.{field}": value for field, value in item.items()}

    def filled(entry: str) -> str:
        return re.sub(r"\$\{(.*?)\}", lambda match: str(values[match[1]]), entry)

    found = {}
    for entry in stage["deps"]:
        found |= {str(file.relative_to(ROOT)): digest(file) for file in files(ROOT / filled(entry))}
    for entry in stage.get("params", []):  # a mapping means all of params.yaml
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

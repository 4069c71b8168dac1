"""Stands in for `python -m stages.<stage> [<key>]` where a test asks what DVC runs, not what a model learns.

Every output of the stage is a hash of the contents of its deps and of the parameters it tracks, so that it changes exactly
when a real one might; the call goes to the file $STUB_LOG. The outputs that real stages keep constant are constant here.
"""

import hashlib
import json
import os
import re
import sys
from pathlib import Path

from ruamel.yaml import YAML

CONSTANT = ("artifacts/checked", "artifacts/verdict")


def load(path: Path) -> dict:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def lookup(scope: dict, dotted: str):
    for key in dotted.split("."):
        scope = scope[key]
    return scope


def filled(template: dict, scope: dict) -> dict:
    """With `${...}` filled in as DVC does."""
    return json.loads(re.sub(r"\$\{([^}]+)\}", lambda match: str(lookup(scope, match[1])), json.dumps(template)))


def stages(pipeline: dict, params: dict) -> dict[str, dict]:
    """The stages of dvc.yaml by their DVC names."""
    found = {}
    for name, body in pipeline["stages"].items():
        if "foreach" in body:
            for key, item in lookup(params, body["foreach"].strip("${}")).items():
                found[f"{name}@{key}"] = filled(body["do"], params | {"key": key, "item": item})
        else:
            found[name] = filled(body, params)
    return found


def paths(entries: list) -> dict[str, dict]:
    """Entries of deps, outs, metrics or plots with what is said about each."""
    return {path: said for entry in entries for path, said in (entry if isinstance(entry, dict) else {entry: {}}).items()}


def outputs(stage: dict) -> dict[str, dict]:
    return paths([*stage["outs"], *stage.get("metrics", []), *stage.get("plots", [])])


def read(path: Path) -> bytes:
    if path.is_dir():
        return b"".join(str(file).encode() + file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file())
    return path.read_bytes()


def write(path: Path, said: dict, digest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if str(path) in CONSTANT:
        path.write_text("fine\n")
    elif path.suffix == ".json":
        path.write_text(json.dumps({"nll_nats": int(digest[:6], 16) / 1e6}))
    elif path.suffix == ".csv":
        path.write_text(f"{said.get('x', 'x')},{said.get('y', 'y')}\n1,{int(digest[:6], 16)}\n")
    elif path.suffix:
        path.write_text(digest)
    else:
        path.mkdir(exist_ok=True)
        (path / "content").write_text(digest)


def main() -> None:
    if sys.argv[1] != "-m" or not sys.argv[2].startswith("stages."):
        sys.exit(f"this python runs stages only, not {sys.argv[1:]}")
    name = "@".join([sys.argv[2].removeprefix("stages."), *sys.argv[3:]])
    with Path(os.environ["STUB_LOG"]).open("a") as log:
        log.write(f"{name}\n")
    if name == os.environ.get("STUB_FAILS"):
        sys.exit(f"{name}: told to fail")
    params = load(Path("params.yaml"))
    stage = stages(load(Path("dvc.yaml")), params)[name]
    tracked = [params if isinstance(key, dict) else lookup(params, key) for key in stage.get("params", [])]
    content = hashlib.sha256(json.dumps(tracked, sort_keys=True).encode())
    for dep in paths(stage["deps"]):
        content.update(dep.encode() + read(Path(dep)))
    for path, said in outputs(stage).items():
        write(Path(path), said or {}, hashlib.sha256(path.encode() + content.digest()).hexdigest())


if __name__ == "__main__":
    main()

"""Refuses a params.yaml that makes no sense, before anything is deleted or run."""

import json
import sys
import time
from abc import ABCMeta
from pathlib import Path

import stages
from pipeline import Refusal, backend, params, schema, store


class Anything(ABCMeta):
    """A class with every attribute, each another such class."""

    def __getattr__(cls, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {})


def mend() -> None:
    """DVC writes dvc.lock and its list of locks in place, and refuses to start with half of either.

    Without a dvc.lock it finds in its cache again what was finished here.
    """
    if stages.dvc_stage() is not None:
        return
    lock, held = params.ROOT / "dvc.lock", params.ROOT / ".dvc" / "tmp" / "rwlock"
    for path, whole in ((lock, is_lock), (held, is_json)):
        before = path.read_bytes() if path.exists() else b""
        if path.exists() and not whole(path):
            time.sleep(3)  # another DVC may just be writing it
            if path.exists() and path.read_bytes() == before:
                store.SCRATCH.mkdir(exist_ok=True)
                path.replace(store.SCRATCH / path.name)
                back = "what was finished here comes back from DVC's cache, `git checkout dvc.lock` brings the committed one"
                print(
                    f"{path.name} was cut short, by a kill it seems: moved to .scratch" + (f"; {back}" if path == lock else "")
                )


def is_lock(path: Path) -> bool:
    try:
        entries = params.read(path)["stages"].values()
        return path.read_bytes().endswith(b"\n") and all({"cmd", "outs"} <= set(entry) for entry in entries)
    except (Refusal, KeyError, TypeError, AttributeError):
        return False


def is_json(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except ValueError:
        return False


def check() -> None:
    mend()
    settings = params.read()
    schema.check(settings)
    backend.agree(settings["compute"]["backend"])
    with store.writing(store.ROOT / "artifacts" / "checked") as temporary:
        temporary.write_text("params.yaml makes sense\n", encoding="utf-8")


if __name__ == "__main__":
    # The signatures of the models are read, no model is built: a stand-in spares the seconds that importing Keras takes.
    sys.modules["keras"] = Anything("keras", (), {})
    stages.run(check)

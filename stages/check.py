"""Refuses a params.yaml that makes no sense, before anything is deleted or run."""

import sys
from abc import ABCMeta

import stages
from pipeline import Refusal, backend, params, schema, store


class Anything(ABCMeta):
    """A class with every attribute, each another such class."""

    def __getattr__(cls, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {})


def mend() -> None:
    """DVC writes dvc.lock in place, and refuses to start with half of one. Without any, it finds all in its cache again."""
    path = params.ROOT / "dvc.lock"
    if path.exists() and stages.dvc_stage() is None:
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            whole = text.endswith("\n") and all({"cmd", "outs"} <= set(entry) for entry in params.read(path)["stages"].values())
        except (Refusal, KeyError, TypeError, AttributeError):
            whole = False
        if not whole:
            store.SCRATCH.mkdir(exist_ok=True)
            path.replace(store.SCRATCH / "dvc.lock")
            print("dvc.lock was cut short, by a kill it seems: moved to .scratch; what is finished comes back from DVC's cache")


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

"""One word, one DVC stage, one script: read params, call the library, write files."""

import hashlib
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path

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
    if stage_name() and not dvc_stage():
        end_in_time()
    try:
        if len(names) != len(arguments):
            raise Refusal(f"usage: python -m stages.{stage.__name__} {' '.join(f'<{name}>' for name in arguments)}".strip())
        before = dependencies(dvc_stage())
        sound(stage_name())
        tidy(stage_name())
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
    except OSError as error:  # a disk that is full, a folder that may not be written to
        where, why = error.filename or stage_name(), error.strerror or str(error).splitlines()[0]
        print(f"{where}: {why}; `dvc checkout` and `git checkout results` bring back the last outputs", file=sys.stderr)
        sys.exit(2)


STOPPED = "stopped; the same command goes on from here"


def end(said: str, code: int) -> None:
    """At once: what frameworks do at Python's leisurely end takes seconds, or complains of an iterator that was left."""
    sys.stdout.flush()
    print(said, file=sys.stderr, flush=True)
    os._exit(code)


def end_in_time() -> None:
    """Watches over this process from a thread of its own.

    After Ctrl-C, Python waits for whatever a framework is computing; not longer than a while. And when a DVC that was killed
    waits no more, its stage must not write over what a newer run makes.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    waiting, otherwise = waiters(), sys.excepthook
    sys.excepthook = lambda kind, *about: end(STOPPED, 130) if kind is KeyboardInterrupt else otherwise(kind, *about)

    def watch() -> None:
        while True:
            if select.select([heard], [], [], 0.25)[0] and signal.SIGINT in os.read(heard, 64):
                time.sleep(1.5)
                end(STOPPED, 130)
            if waiting != waiters() or waiting[-1:] == [1]:
                end(f"{dvc_stage()}: the DVC that started this was killed, so it ends, too", 2)

    threading.Thread(target=watch, daemon=True).start()


def waiters() -> list[int]:
    """The processes that wait for this stage, its shell and then DVC, which alone has no DVC_STAGE; none outside DVC.

    Where the system does not tell, as only Linux does, the one above this one.
    """
    found, process = [], os.getppid()
    try:
        while dvc_stage():
            found.append(process)
            if b"DVC_STAGE=" not in Path(f"/proc/{process}/environ").read_bytes():
                break
            process = int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        pass
    return found


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
        found |= {str(file.relative_to(ROOT)): store.md5(file) for file in files(ROOT / filled(entry))}
    for entry in block.get("params", []):  # a mapping means all of params.yaml
        dotted = "" if isinstance(entry, dict) else filled(entry)
        found[f"params.yaml: {dotted}"] = repr(lookup(settings, dotted))
    return found


def sound(stage: str | None) -> None:
    """Refuse an input that is not what the stage that made it left, by dvc.lock: a bit that has flipped, a file cut short."""
    try:
        made = params.read(ROOT / "dvc.lock")["stages"] if stage else {}
    except (Refusal, KeyError):  # nothing has run yet, or a DVC beside this one is just writing it
        return
    if made:
        block, filled, _ = declared(stage)
        needed = [Path(filled(entry)) for entry in block["deps"]]
        for name, entry in made.items():
            for out in entry.get("outs", ()):
                path = Path(out["path"])
                if any(path.is_relative_to(dep) for dep in needed) and (ROOT / path).exists():
                    found = store.md5(ROOT / path)
                    if found != out["md5"]:
                        tool = "git" if path.parts[0] in ("results", "reports") else "dvc"
                        raise Refusal(
                            f"{path}: expected md5 {out['md5']} as in dvc.lock, found {found}: "
                            f"`{tool} checkout {path}` brings it back, `dvc repro {name}` makes it again"
                        )


def tidy(stage: str | None) -> None:
    """Remove what a start of this stage that was killed had not finished writing."""
    if stage is not None:
        block, filled, _ = declared(stage)
        for entry in [*block["outs"], *block.get("metrics", []), *block.get("plots", [])]:
            store.tidy(ROOT / filled(next(iter(entry)) if isinstance(entry, dict) else entry))


def files(path: Path) -> list[Path]:
    """Without what .dvcignore leaves out."""
    if path.is_file():
        return [path]
    inside = [file.relative_to(path) for file in path.rglob("*") if file.is_file()]
    return [path / file for file in inside if "__pycache__" not in file.parts and not file.name.startswith(".")]


def lookup(settings: dict, dotted: str):
    for part in filter(None, dotted.split(".")):
        settings = settings[part]
    return settings


if dvc_stage():  # from the first moment on, while frameworks are still being imported
    end_in_time()

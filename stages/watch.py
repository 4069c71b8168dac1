"""Watches over the process of a stage: after Ctrl-C it ends in time, and with the DVC that started it."""

import os
import select
import signal
import sys
import threading
import time
from pathlib import Path

from pipeline.params import ROOT

IMPORTED = time.monotonic()
began_under: list[int] = []  # the `waiters` when this process began
interrupted: list[bool] = []  # once Ctrl-C came; an Event has a lock, which a second Ctrl-C would find taken
STOPPED = "stopped; `dvc repro` goes on with what is unfinished"


def dvc_stage() -> str | None:
    """The stage that DVC is running in this project or in a copy that it made inside, as for experiments; none outside DVC."""
    root = os.environ.get("DVC_ROOT")
    return os.environ.get("DVC_STAGE") if root and ROOT.is_relative_to(root) else None


def end(said: str, code: int) -> None:
    """At once: what frameworks do at Python's leisurely end takes a second. Also where nobody is left to hear of it."""
    try:
        sys.stdout.flush()
        print(said, end="\n" if said else "", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def interrupt(*_) -> None:
    """Ctrl-C. What a framework that is being imported or compiled makes of the exception may be another one."""
    interrupted.append(True)
    raise KeyboardInterrupt


def end_in_time() -> None:
    """Watches over this process from a thread of its own.

    After Ctrl-C, Python waits for whatever a framework is computing; not longer than a while. And when a DVC that was killed
    waits no more, its stage must not write over what a newer run makes.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    otherwise = sys.excepthook
    began_under[:] = waiters(dvc_stage())
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)

    def said(kind, *about) -> None:
        if interrupted or kind is KeyboardInterrupt:
            end(STOPPED, 130)
        otherwise(kind, *about)

    sys.excepthook = said

    def watch() -> None:
        while True:
            if select.select([heard], [], [], 0.25)[0] and signal.SIGINT in os.read(heard, 64):
                time.sleep(1.5)
                end(STOPPED, 130)
            end_as_orphan()

    threading.Thread(target=watch, daemon=True).start()


def end_as_orphan() -> None:
    """If the DVC that started this stage is no more."""
    if began_under and (inherits(began_under[-1]) or began_under != waiters(dvc_stage())):
        end(f"{dvc_stage()}: the DVC that started this was killed, so it ends, too", 2)


def waiters(stage: str | None) -> list[int]:
    """The processes that wait for this stage, its shell and then DVC, which alone has no DVC_STAGE; none outside DVC.

    Where the system does not tell, as only Linux does, the one above this one.
    """
    found, process = [], os.getppid()
    try:
        while stage:
            found.append(process)
            if b"DVC_STAGE=" not in Path(f"/proc/{process}/environ").read_bytes():
                break
            process = int(Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        pass
    return found


def inherits(process: int) -> bool:
    """Whether it is init or the like, which gets every process whose parent has died: the first one, or at home in /."""
    try:
        folder = Path(f"/proc/{process}")
        if b"dvc" in (folder / "cmdline").read_bytes():  # in a container DVC may be the first one itself
            return False
        return process == 1 or str((folder / "cwd").readlink()) == "/"
    except OSError:  # no Linux, or not ours to look at
        return process == 1


def age() -> float:
    """Seconds since this process began: importing a framework is part of what a stage takes.

    Where the system does not tell, as only Linux does, seconds since this file was imported.
    """
    try:
        ticks = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        return time.monotonic() - IMPORTED

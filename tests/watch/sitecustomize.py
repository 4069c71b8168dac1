"""On the PYTHONPATH of a DVC stage: notes in $WATCH_LOG which files of the project it opens to read and which folders it lists.

Python imports this module by its name before anything else, in the kernel of a notebook too. Not seen: what a C library
opens by itself (h5py), and the folders that an import or shutil.rmtree lists.
"""

# ruff: noqa: PTH100

import os
import sys


def by_the_lookout(frame) -> bool:
    """Whether stages/__init__.py is looking at all that is declared, whether the stage needs it or not."""
    while frame:
        if frame.f_code.co_name in ("dependencies", "tidy", "sound") and frame.f_code.co_filename.endswith(
            "stages/__init__.py"
        ):
            return True
        frame = frame.f_back
    return False


def watch() -> None:
    root = os.environ["DVC_ROOT"] + os.sep
    log = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    stage, seen = os.environ["DVC_STAGE"], set()

    def note(event: str, arguments: tuple) -> None:
        if event == "open":
            path, mode, flags = arguments
            reads = "r" in mode or "+" in mode if mode else flags & os.O_ACCMODE != os.O_WRONLY
        elif event in ("os.listdir", "os.scandir"):
            path, reads = arguments[0] or ".", not sys._getframe(1).f_code.co_filename.startswith("<frozen importlib")
        else:
            return
        if not reads or isinstance(path, int) or by_the_lookout(sys._getframe()):
            return
        path, is_there = os.path.abspath(os.fsdecode(path)), os.path.isfile if event == "open" else os.path.isdir
        if path.startswith(root) and (event, path) not in seen and is_there(path):
            seen.add((event, path))
            os.write(log, f"{stage}\t{event}\t{path.removeprefix(root)}\n".encode())

    sys.addaudithook(note)


if "DVC_STAGE" in os.environ and "WATCH_LOG" in os.environ:
    watch()

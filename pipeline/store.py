"""Where outputs live, and how they are written: whole or not at all."""

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import uuid
import zipfile
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

from pipeline import Refusal
from pipeline.params import ROOT

SCRATCH = ROOT / ".scratch"  # ignored by git and by DVC: checkpoints, half-run notebooks, wall times
CALIBRATION = ROOT / "artifacts" / "calibration.npz"
CALIBRATION_RESULT = ROOT / "results" / "calibration.json"
IGNORED, IGNORED_NAME = {"__pycache__", ".ipynb_checkpoints"}, re.compile(r"\.pyc$|^\..*\.\d")  # as in .dvcignore
GAINS, SYSTEMS = ROOT / "reports" / "gates.csv", ROOT / "docs" / "systems.csv"
VERDICT = ROOT / "artifacts" / "verdict"


def data(name: str) -> Path:
    return ROOT / "data" / name


def weights(run: str) -> Path:
    """One folder per seed inside."""
    return ROOT / "artifacts" / "weights" / run


def gallery(run: str) -> Path:
    return ROOT / "artifacts" / "gallery" / f"{run}.npz"


def likelihood(run: str) -> Path:
    return ROOT / "artifacts" / "likelihood" / f"{run}.csv"


def claims(name: str) -> Path:
    return ROOT / "artifacts" / "claims" / f"{name}.npz"


def claims_result(name: str) -> Path:
    return ROOT / "results" / f"claims-{name}.json"


def result(run: str, file: str) -> Path:
    return ROOT / "results" / run / file


def page(name: str) -> Path:
    return ROOT / "reports" / "html" / f"{name}.html"


def confirm() -> None:
    """Called before an output is put in its place; stages have it refuse when their inputs have changed."""


@contextmanager
def writing(path: Path):
    """A temporary path beside `path` to write a file or a folder to; renamed to `path` only if all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        if not path.is_relative_to(SCRATCH):
            confirm()
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def tidy(path: Path) -> None:
    """Remove what processes that were killed had been writing beside `path`."""
    for left in path.parent.glob(f".{path.name}.*"):
        process = left.name.removeprefix(f".{path.name}.").removesuffix(path.suffix)
        try:
            os.kill(int(process), 0)  # asks only whether it is there
        except ProcessLookupError:
            remove(left)
        except (ValueError, OSError):
            pass


class Finished(MutableMapping):
    """Dicts of arrays by name in a folder: parts of a stage's work that need not be done again if the stage is killed."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __setitem__(self, name: str, arrays: dict) -> None:
        with writing(self.folder / f"{name}.npz") as path, path.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())  # else a loss of power may leave the new name with nothing in it

    def __getitem__(self, name: str) -> dict:
        try:
            with np.load(self.folder / f"{name}.npz", allow_pickle=False) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):  # not there, or cut off by a loss of power: not finished
            raise KeyError(name) from None

    def __delitem__(self, name: str) -> None:
        (self.folder / f"{name}.npz").unlink()

    def __iter__(self) -> Iterator[str]:
        return (path.stem for path in sorted(self.folder.glob("[!.]*.npz")))

    def __len__(self) -> int:
        return len(list(iter(self)))


@contextmanager
def unfinished(stage: str, run: str, fingerprint: str | None):
    """A folder for what is finished of a stage, found again by the next start whose inputs are the same; gone in the end.

    `fingerprint`: of all inputs; None where they are not known, and then nothing is found again.
    """
    whole = SCRATCH / stage / run
    folder = whole / (fingerprint or f"unknown-{uuid.uuid4()}")
    for other in whole.glob("*"):
        if other != folder:
            shutil.rmtree(other)
    yield folder
    shutil.rmtree(whole, ignore_errors=True)


def write_json(path: Path, content: dict) -> None:
    with writing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(f"{path}: cannot be read ({error})") from None


def write_csv(path: Path, table) -> None:
    """`table`: a pandas DataFrame. Nine digits keep every float32."""
    with writing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g", lineterminator="\n")


def save(model, folder: Path, config: dict) -> None:
    """`config` is all that `load` needs to build the model again: family, model, spec, network, seed."""
    folder.mkdir(parents=True)
    room(folder / "model.weights.h5", sum(4096 + np.asarray(each).nbytes for each in model.variables) + 2**16)
    model.save_weights(folder / "model.weights.h5")
    found = {"weights_md5": md5(folder / "model.weights.h5"), "versions": versions()}
    (folder / "config.json").write_text(json.dumps(config | found, indent=2) + "\n", encoding="utf-8")


def room(path: Path, size: int) -> None:
    """Where a disk is full HDF5 takes the whole process down: an OSError comes first."""
    some = os.urandom(2**20)  # which no file system stores in less
    with path.open("wb") as file:
        for first in range(0, size, len(some)):
            file.write(some[: size - first])
    path.unlink()


def versions() -> dict[str, str]:
    """Of what shapes the numbers of a model."""
    import keras

    used = ("keras", keras.backend.backend(), "numpy")
    return {"python": ".".join(platform.python_version_tuple()[:2])} | {name: version(name) for name in used}


def md5(path: Path) -> str:
    """As in dvc.lock: of a file its MD5; of a folder that of DVC's list of the files inside, marked `.dir`."""
    if path.is_dir():
        return listing([{"md5": md5(path / name), "relpath": name} for name in files(path)])
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def listing(entries: list[dict]) -> str:
    return hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest() + ".dir"


def files(folder: Path) -> list[str]:
    """All inside that DVC counts, which is without what .dvcignore leaves out."""
    inside = [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()]
    return sorted(file.as_posix() for file in inside if not (IGNORED & {*file.parts} or IGNORED_NAME.search(file.name)))


def seeds(run: str) -> list[int]:
    """The seeds that were trained, in the order of their numbers."""
    found = sorted(int(folder.name) for folder in weights(run).glob("*") if folder.name.isdigit())
    if not found:
        raise Refusal(f"{weights(run)}: no trained weights; run `dvc repro train@{run}` or `dvc pull`")
    return found


def load(run: str, seed: int | None = None):
    """The trained model of a run, of its first seed unless told."""
    from pipeline import backend, params

    compute = params.read()["compute"]
    folder = weights(run) / str(seeds(run)[0] if seed is None else seed)
    config = read_json(folder / "config.json")
    backend.start(**compute)
    from pipeline import models

    path, back = folder / "model.weights.h5", f"`dvc checkout artifacts/weights/{run}` brings them back"
    try:
        found = md5(path)
        if found != config["weights_md5"]:
            raise Refusal(
                f"{path}: these are not the weights that were saved, md5 {found} and not {config['weights_md5']}; {back}"
            )
        model = models.build(config["family"], config["model"], config["spec"], config["network"], config["seed"])
        model.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refusal(f"{path}: cannot be loaded ({(str(error) or type(error).__name__).splitlines()[0]}); {back}") from None
    others = [f"{name} {made}" for name, made in config["versions"].items() if versions().get(name) != made]
    if others:
        print(
            f"{run} was trained with {', '.join(others)}: with other versions its numbers may differ a little", file=sys.stderr
        )
    return model

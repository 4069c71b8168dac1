"""What is not images is refused in one line that names it, with exit code 2, and leaves nothing behind."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from own_images import GREY, folder, picture
from PIL import Image

from pipeline import params, store
from pipeline.data import file
from pipeline.data import store as data_store
from stages import prepare, run

ROOT = Path(__file__).resolve().parents[1]
BLOCK = {"source": "file", "reads": "mine.npy", "levels": 4, "valid": 0.2, "test": 0.2, "seed": 0}


def array(x, **settings):
    """A maker of bad input: an array as mine.npy."""
    return lambda root: np.save(root / "mine.npy", x) or settings


def archive(cut: int | None = None, **arrays):
    def make(root):
        np.savez_compressed(root / "mine.npz", **arrays)
        (root / "mine.npz").write_bytes((root / "mine.npz").read_bytes()[:cut])
        return {"reads": "mine.npz"}

    return make


def cut(root):
    np.save(root / "mine.npy", GREY)
    (root / "mine.npy").write_bytes((root / "mine.npy").read_bytes()[:-7])


def gigantic(root):
    with (root / "mine.npy").open("wb") as f:
        np.lib.format.write_array_header_1_0(f, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 9, 9)})


def no_arrays(root):
    with zipfile.ZipFile(root / "mine.npz", "w") as z:
        z.writestr("readme.txt", "hello")
    return {"reads": "mine.npz"}


def pictures(change=None, **settings):
    """A maker of bad input: a folder in which `change` spoils something."""

    def make(root):
        path = folder(root)
        if change:
            change(path)
        return {"reads": "mine", "levels": 256} | settings

    return make


def half(path):
    (path / "dogs" / "07.png").write_bytes((path / "dogs" / "07.png").read_bytes()[:-25])


def bomb(path):
    Image.new("1", (10000, 8000)).save(path / "cats" / "02.png")


def empty(root):
    (root / "mine").mkdir()
    return {"reads": "mine"}


BAD = {
    "missing": (lambda root: None, "mine.npy: there is no such file"),
    "other suffix": (lambda root: (root / "mine.csv").write_text("1,2") and {"reads": "mine.csv"}, "mine.csv: expected a .npy"),
    "no array": (lambda root: (root / "mine.npy").write_text("1,2") and None, "mine.npy: cannot be read as an array"),
    "cut short": (cut, "mine.npy: cannot be read as an array"),
    "promises too much": (gigantic, "mine.npy: cannot be read as an array"),
    "objects": (array(np.array([{}] * 20)), "mine.npy: cannot be read as an array"),
    "text": (array(np.full((20, 3, 3), "a")), "mine.npy: found <U1"),
    "complex": (array(GREY.astype(complex)), "mine.npy: found complex128"),
    "rank": (array(GREY[0]), "mine.npy: an array of shape (3, 5)"),
    "no pixels": (array(GREY[:, :0]), "mine.npy: an array of shape (20, 0, 5)"),
    "too high": (
        array(np.where(np.arange(20)[:, None, None] == 7, 4, GREY)),
        "mine.npy: image 7 holds the value 4, expected 0..3",
    ),
    "negative": (array(GREY - 1), "mine.npy: image 0 holds the value -1, expected 0..3"),
    "real, but levels": (array(GREY / 2), "mine.npy: found float64, but levels: 4"),
    "whole, but no levels": (array(GREY, levels=None), "mine.npy: found int64, but levels: null"),
    "not a number": (array(np.where(GREY == 2, np.nan, 1.0), levels=None), "holds the value nan"),
    "beyond float32": (array(np.full((20, 3, 5), 1e300), levels=None), "holds the value inf"),
    "no test images": (array(GREY, test=0.01), "20 images with valid: 0.2 and test: 0.01 leave the test split empty"),
    "no training images": (array(GREY, test=0.8), "leave the train split empty"),
    "array resized": (array(GREY, resize=[2, 2]), "resize: only the images of a folder are resized, and mine.npy is none"),
    "archive cut short": (archive(cut=-40, x=GREY), "mine.npz: cannot be read as an array"),
    "archive of objects": (archive(x=np.array([{}] * 20)), "mine.npz: cannot be read as an array"),
    "archive of text": (no_arrays, "mine.npz: an array of shape ()"),
    "archive of others": (archive(x=GREY, z=GREY), "mine.npz: holds x, z, expected one array, or x and y"),
    "labels too few": (archive(x=GREY, y=np.arange(19)), "mine.npz: y must hold one whole number per image"),
    "labels of reals": (archive(x=GREY, y=np.arange(20) / 2), "mine.npz: y must hold one whole number per image"),
    "labels below 0": (archive(x=GREY, y=np.arange(20) - 1), "mine.npz: y must hold one whole number per image"),
    "empty folder": (empty, "mine: there are no images in this folder"),
    "folder of reals": (pictures(levels=None), "levels: null is for arrays of real numbers"),
    "image cut short": (pictures(half), "mine/dogs/07.png: cannot be read as an image"),
    "image too large": (pictures(bomb), "mine/cats/02.png: 10000x8000 is more than 67108864 pixels"),
    "other size": (
        pictures(lambda p: picture(p / "dogs" / "03.png", np.zeros((6, 5)))),
        "mine/dogs/03.png: 6x5x1, but cats/00.png is 6x4x1",
    ),
    "colour among grey": (
        pictures(lambda p: picture(p / "dogs" / "03.png", np.zeros((6, 4, 3)))),
        "mine/dogs/03.png: 6x4x3, but",
    ),
    "transparent": (
        pictures(lambda p: picture(p / "dogs" / "03.png", np.zeros((6, 4, 4)))),
        "mine/dogs/03.png: its mode is RGBA",
    ),
    "no image": (
        pictures(lambda p: (p / "cats" / "notes.txt").write_text("hello")),
        "mine/cats/notes.txt: expected PNG and JPEG",
    ),
    "loose image": (pictures(lambda p: picture(p / "12.png", np.zeros((6, 4)))), "mine/12.png: stands beside class folders"),
    "too deep": (
        pictures(lambda p: picture(p / "cats" / "old" / "1.png", np.zeros((6, 4)))),
        "mine/cats/old/1.png: lies deeper",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line_and_leaves_nothing(case, tmp_path, monkeypatch, capsys):
    make, message = BAD[case]
    block = BLOCK | (make(tmp_path) or {})
    before = sorted(tmp_path.rglob("*"))
    for module in (params, store):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(params, "read", lambda: {"data": {"mine": block}})
    monkeypatch.setattr(sys, "argv", ["prepare", "mine"])
    with pytest.raises(SystemExit) as ended:
        run(prepare.prepare, "data")
    said = capsys.readouterr()
    assert ended.value.code == 2 and said.out == "" and said.err.count("\n") == 1
    assert said.err.startswith("data.mine: ") and message in said.err
    assert sorted(tmp_path.rglob("*")) == before


def project(root: Path, block: dict) -> Path:
    """The code in a folder of its own, with one data set, `mine`."""
    for name in ("pipeline", "stages"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", root)
    (root / "params.yaml").write_text(json.dumps({"data": {"mine": block}}))
    return root


def stage(root: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "stages.prepare", "mine"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)


def test_the_stage_itself_prepares_and_refuses(tmp_path):
    root = project(tmp_path / "copy", BLOCK | {"seed": 3})
    refused = stage(root)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1) and not (root / "data").exists()
    np.save(root / "mine.npy", GREY)
    done = stage(root)
    assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("mine: 12/4/4 images 3x5x1, 4 levels; ")
    assert [path.name for path in (root / "data").iterdir()] == ["mine"]
    images = file.images(path=root / "mine.npy", levels=4, valid=0.2, test=0.2, seed=3)
    np.testing.assert_array_equal(data_store.read(root / "data" / "mine").test.x, images.test.x)

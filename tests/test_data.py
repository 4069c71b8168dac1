"""The generated data sets, and what `prepare` writes of them."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline import Refusal, params, store
from pipeline.data import digits, sprites
from pipeline.data import store as data_store
from stages.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]
SPRITES = {"train": 300, "valid": 60, "test": 60, "size": 16, "noise": 0.02, "seed": 5}
X, Y = load_digits(return_X_y=True)


def where(x: np.ndarray) -> np.ndarray:
    """The positions of 8x8 digits in scikit-learn's array, no two of which are the same."""
    known = {row.tobytes(): i for i, row in enumerate(X.astype(np.uint8))}
    assert len(known) == len(X)
    return np.array([known[row.tobytes()] for row in x])


@pytest.mark.parametrize("seed", [0, 7])
def test_digits_are_split_without_overlap_and_by_class(seed):
    images = digits.images(binarised="none", seed=seed)
    places = {name: where(split.x) for name, split in images.splits.items()}
    assert [len(rows) for rows in places.values()] == [1257, 180, 360]
    assert sorted(np.concatenate(list(places.values()))) == list(range(1797))
    for name, split in images.splits.items():
        np.testing.assert_array_equal(split.y, Y[places[name]])
        expected = np.bincount(Y) * len(split.y) / len(Y)
        assert (np.abs(np.bincount(split.y) - expected) <= 1).all()
    assert (images.levels, images.classes, images.redraw) == (17, 10, None) and images.train.x.max() == 16


def test_the_seed_decides_the_split_of_digits():
    first, other = (digits.images(binarised="none", seed=seed) for seed in (0, 1))
    assert set(where(first.test.x)) != set(where(other.test.x))


def test_binary_digits_are_of_the_same_images():
    grey, static, dynamic = (digits.images(binarised=how, seed=3) for how in ("none", "static", "dynamic"))
    for name, split in grey.splits.items():
        np.testing.assert_array_equal(static.splits[name].x, split.x >= 8)
        np.testing.assert_array_equal(dynamic.splits[name].y, split.y)
    np.testing.assert_array_equal(dynamic.train.x, grey.train.x)
    assert (static.levels, static.redraw) == (2, None) and (dynamic.levels, dynamic.redraw) == (2, 16)


def test_dynamic_digits_are_drawn_once_with_the_right_probability():
    grey = digits.images(binarised="none", seed=3)
    drawn, again = (digits.images(binarised="dynamic", seed=3) for _ in range(2))
    for name in ("valid", "test"):
        x, p = drawn.splits[name].x, grey.splits[name].x / 16
        np.testing.assert_array_equal(x, again.splits[name].x)
        assert x.dtype == np.uint8 and (x[p == 0] == 0).all() and (x[p == 1] == 1).all()
        for level in range(1, 16):
            found = x[p == level / 16]
            assert abs(found.mean() - level / 16) < 4 * np.sqrt(level / 16 * (1 - level / 16) / len(found))


@pytest.mark.parametrize("size", [14, 15, 16, 28, 31, 64])
def test_templates_are_576_images_that_differ_and_fit(size):
    pictures, factors = sprites.templates(size)
    assert pictures.shape == (576, size, size) and len(np.unique(pictures.reshape(576, -1), axis=0)) == 576
    assert len(np.unique(factors, axis=0)) == 576 and factors.max(0).tolist() == [2, 2, 7, 7]
    for shape, scale in np.ndindex(3, 3):  # none is cut off at the edge: wherever it lies, it has as many pixels
        assert len({p.sum() for p, f in zip(pictures, factors, strict=True) if (f[:2] == (shape, scale)).all()}) == 1
    step = size // 14
    for before, after in ((0, 8), (8, 16)):  # x counts columns, y rows
        np.testing.assert_array_equal(np.roll(pictures[before], step, 1), pictures[after])
        np.testing.assert_array_equal(np.roll(pictures[before], step, 0), pictures[before + 1])
    assert factors[8].tolist() == [0, 0, 1, 0] and factors[1].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.3, 0.5])
def test_the_density_of_sprites_sums_to_one(noise):
    every = (np.arange(512)[:, None] >> np.arange(9)) % 2
    some = every[[3, 77, 77, 130, 511]].reshape(-1, 3, 3)  # one of them twice as likely
    log_p = sprites.log_density(every.reshape(-1, 3, 3), some, noise)
    assert abs(np.exp(log_p).sum() - 1) < 1e-12
    brute = [np.mean([noise ** (x != t).sum() * (1 - noise) ** (x == t).sum() for t in some.reshape(-1, 9)]) for x in every]
    np.testing.assert_allclose(np.exp(log_p), brute, rtol=1e-12)


@pytest.mark.parametrize(("noise", "most"), [(0.0, np.log(576)), (0.01, 20.692), (0.02, 31.454), (0.5, 256 * np.log(2))])
def test_sprites_come_from_the_density_that_is_kept_with_them(noise, most):
    """Their mean NLL is the entropy: just below ln 576 + 256 H(noise), since templates are hard to mistake."""
    images = sprites.images(**SPRITES | {"noise": noise, "test": 4000})
    nll = -images.test.log_prob
    assert nll.dtype == np.float64 and abs(nll.mean() - most) <= 4 * nll.std() / np.sqrt(4000) + 1e-9
    pictures, factors = sprites.templates(16)
    code = {tuple(f): p for f, p in zip(factors, pictures, strict=True)}
    clean = np.stack([code[tuple(f)] for f in images.test.factors])
    flipped = (images.test.x[..., 0] != clean).mean()
    assert abs(flipped - noise) <= 4 * np.sqrt(noise * (1 - noise) / clean.size)
    np.testing.assert_array_equal(images.test.y, images.test.factors[:, 0])
    assert images.factors == ("shape", "size", "x", "y") and images.classes == 3
    drawn = np.bincount(images.test.factors @ [192, 64, 8, 1], minlength=576)
    assert ((drawn - 4000 / 576) ** 2).sum() * 576 / 4000 < 575 + 5 * np.sqrt(2 * 575)  # chi-squared: all equally likely


def test_more_training_sprites_leave_the_others_as_they_are():
    short, long = (sprites.images(**SPRITES | {"train": n}) for n in (10, 300))
    for name in ("valid", "test"):
        np.testing.assert_array_equal(short.splits[name].x, long.splits[name].x)
    assert not np.array_equal(long.valid.x, long.test.x)


def test_prepared_data_are_the_same_bytes_again_and_hashed(tmp_path):
    """By two processes, with as many threads as they like, and without a framework."""
    source = {"source": "sprites", "reads": "pipeline/data/sprites.py", **SPRITES}
    written = []
    for threads in ("1", "2"):
        root = tmp_path / threads
        for name in ("pipeline", "stages"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        (root / "params.yaml").write_text(json.dumps({"data": {"toys": source}}))
        env = dict(os.environ, OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads, PYTHONPATH="")
        code = "import sys; from stages.prepare import prepare; prepare('toys'); assert 'keras' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], cwd=root, env=env, check=True)
        written.append({path.name: path.read_bytes() for path in (root / "data" / "toys").iterdir()})
    assert written[0] == written[1] and {"meta.json", "baselines.json", "test_log_prob.npy"} < set(written[0])
    meta, images = data_store.read_meta(root / "data" / "toys"), data_store.read(root / "data" / "toys")
    assert meta["counts"] == {"train": 300, "valid": 60, "test": 60} and len(meta["sha256"]) == 12
    for name, split in images.splits.items():
        for part in data_store.PARTS:
            array = getattr(split, part)
            assert isinstance(array, np.memmap) and meta["sha256"][f"{name}_{part}"] == hashlib.sha256(array).hexdigest()
    made = sprites.images(**SPRITES)
    np.testing.assert_array_equal(images.train.x, made.train.x)
    np.testing.assert_array_equal(images.test.log_prob, made.test.log_prob)
    assert (images.levels, images.classes, images.factors, images.redraw) == (2, 3, made.factors, None)


def test_preparing_again_replaces_what_was_there(tmp_path, monkeypatch):
    block = {"source": "sprites", "reads": "", **SPRITES}
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(params, "read", lambda: {"data": {"toys": block}})
    (tmp_path / "data" / "toys").mkdir(parents=True)
    (tmp_path / "data" / "toys" / "old.npy").touch()
    prepare("toys")
    assert not (tmp_path / "data" / "toys" / "old.npy").exists() and [p.name for p in (tmp_path / "data").iterdir()] == ["toys"]


BLOCKS = {
    "toys": ({"source": "sprite", "reads": "", **SPRITES}, "data.toys: source: there is no 'sprite' in pipeline/data"),
    "path": ({"source": "../store", "reads": ""}, "data.path: source: there is no '../store' in pipeline/data"),
    "store": ({"source": "store", "reads": ""}, "data.store: source: pipeline/data/store.py is no source"),
    "short": ({"source": "digits", "reads": "", "seed": 0}, "data.short: missing a required argument: 'binarised'"),
    "long": ({"source": "digits", "reads": "", "seed": 0, "k": 1}, "data.long: "),
    "..": ({"source": "sprites", "reads": "", **SPRITES}, "params.yaml: there is no data set named '..'"),
    "none": (None, "params.yaml: there is no data set named 'none'"),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_what_is_no_data_set_is_refused(name, tmp_path, monkeypatch):
    block, message = BLOCKS[name]
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(params, "read", lambda: {"data": {name: block} if block else {}})
    with pytest.raises(Refusal) as refused:
        prepare(name)
    assert message in str(refused.value) and "\n" not in str(refused.value) and not list(tmp_path.iterdir())

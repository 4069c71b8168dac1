"""The user's own images: what is accepted, and what becomes of it."""

from pathlib import Path

import numpy as np
import pytest
from own_images import GREY, folder, picture
from PIL import Image

from pipeline.data import file
from pipeline.data.store import Images


def read(path: Path, **settings) -> Images:
    return file.images(path=path, **{"levels": 4, "valid": 0.2, "test": 0.2, "seed": 0} | settings)


def everything(images: Images) -> np.ndarray:
    """All images in an order that does not depend on the split."""
    x = np.concatenate([split.x for split in images.splits.values()])
    return np.unique(x.reshape(len(x), -1), axis=0)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", ">i4", "uint64"])
def test_whole_numbers_of_any_type_become_uint8(tmp_path, dtype):
    x = (GREY % 2 if dtype == "bool" else GREY).astype(dtype)
    np.save(tmp_path / "mine.npy", np.asfortranarray(x))
    images = read(tmp_path / "mine.npy")
    assert images.train.x.dtype == np.uint8 and [len(s.x) for s in images.splits.values()] == [12, 4, 4]
    assert images.train.x.shape[1:] == (3, 5, 1) and images.classes is None
    np.testing.assert_array_equal(everything(images), np.unique(x.astype(np.uint8).reshape(20, -1), axis=0))


def test_labels_stay_with_their_images(tmp_path):
    y = np.arange(20) % 4
    np.savez(tmp_path / "mine.npz", x=np.broadcast_to(y[:, None, None, None], (20, 2, 2, 3)), y=y)
    images = read(tmp_path / "mine.npz")
    assert images.classes == 4 and images.train.x.shape[1:] == (2, 2, 3)
    for split in images.splits.values():
        np.testing.assert_array_equal(split.x[:, 0, 0, 0], split.y)


def test_an_archive_may_hold_one_array_of_any_name(tmp_path):
    np.savez(tmp_path / "mine.npz", faces=GREY)
    np.save(tmp_path / "mine.npy", GREY)
    np.testing.assert_array_equal(read(tmp_path / "mine.npz").test.x, read(tmp_path / "mine.npy").test.x)


def test_real_values_are_kept_as_float32(tmp_path):
    x = np.random.default_rng(0).normal(size=(20, 3, 5, 2))
    np.save(tmp_path / "mine.npy", x)
    images = read(tmp_path / "mine.npy", levels=None)
    assert images.train.x.dtype == np.float32 and images.levels is None
    np.testing.assert_array_equal(everything(images), np.unique(x.astype(np.float32).reshape(20, -1), axis=0))


def test_the_seed_decides_the_split_and_nothing_else(tmp_path):
    np.save(tmp_path / "mine.npy", GREY)
    first, again, other = (read(tmp_path / "mine.npy", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.test.x, again.test.x)
    assert not np.array_equal(first.test.x, other.test.x)
    np.testing.assert_array_equal(everything(first), everything(other))


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_a_folder_is_quantised_to_levels_of_equal_width(tmp_path, levels):
    for name in "abc":
        picture(tmp_path / "mine" / f"{name}.png", np.arange(256).reshape(16, 16))
    x = read(tmp_path / "mine", levels=levels, valid=0.3, test=0.3).train.x[0].ravel()
    width = np.bincount(x)
    assert len(width) == levels and width.max() - width.min() <= 1 and (np.diff(x.astype(int)) >= 0).all()


def test_a_folder_has_classes_and_is_read_in_the_order_of_names(tmp_path, monkeypatch):
    path = folder(tmp_path)
    (path / ".DS_Store").write_text("hidden files are passed over")
    images = read(path, levels=256)
    for split in images.splits.values():
        np.testing.assert_array_equal(split.x[:, 0, 0, 0] % 2, split.y)
    listing = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: sorted(listing(self, pattern), reverse=True))
    np.testing.assert_array_equal(read(path, levels=256).test.x, images.test.x)


def test_images_are_resized_to_rows_by_columns(tmp_path):
    picture(tmp_path / "mine" / "a.png", np.repeat([[0], [200]], 10, 0) * np.ones((20, 30)))
    picture(tmp_path / "mine" / "b.jpg", np.full((7, 9), 100))
    Image.fromarray(np.tile(np.arange(8) > 3, (8, 1))).save(tmp_path / "mine" / "c.PNG")
    images = read(tmp_path / "mine", levels=256, resize=[4, 6], valid=0.3, test=0.3)
    assert images.train.x.shape == (1, 4, 6, 1) and sorted(everything(images).max(1)) == [100, 200, 255]
    assert [0] * 6 + [200] * 6 in [list(row[[0, 3]].ravel()) for row in everything(images).reshape(3, 4, 6)]

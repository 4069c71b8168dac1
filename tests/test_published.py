"""The published sets, read from small files in their own forms: every image in its place, with its label."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import published_files as files
import pytest
from scipy.io import savemat

from pipeline import Refusal
from pipeline.data import celeba, cifar10, dsprites, fashion, kmnist, mnist, omniglot, published, store, svhn
from pipeline.data.store import Images

ROOT = Path(__file__).resolve().parents[1]
SETS = (mnist, fashion, kmnist)


def rows(x: np.ndarray) -> list[bytes]:
    return [image.tobytes() for image in x]


def split_of(images: Images, x: np.ndarray, y: np.ndarray, valid: int) -> None:
    """Training and validation images are these images, each once, with their labels and in their old order."""
    known = {image.tobytes(): (i, label) for i, (image, label) in enumerate(zip(x, y, strict=True))}
    assert len(known) == len(x) and len(images.valid.x) == valid
    places = []
    for split in (images.train, images.valid):
        found = [known[image] for image in rows(split.x)]
        assert [label for _, label in found] == split.y.tolist()
        assert sorted(found) == found
        places += [i for i, _ in found]
    assert sorted(places) == list(range(len(x)))


@pytest.mark.parametrize("source", SETS, ids=lambda each: each.__name__.rpartition(".")[2])
@pytest.mark.parametrize("suffix", [".gz", ""])
def test_idx_files(tmp_path, source, suffix):
    made = files.mnist(tmp_path, suffix=suffix)
    images = source.images(path=tmp_path, binarised="none", valid=7, seed=3)
    split_of(images, made["train-images-idx3-ubyte"][..., None], made["train-labels-idx1-ubyte"], valid=7)
    np.testing.assert_array_equal(images.test.x[..., 0], made["t10k-images-idx3-ubyte"])
    np.testing.assert_array_equal(images.test.y, made["t10k-labels-idx1-ubyte"])
    assert (images.levels, images.classes, images.binarised, images.redraw) == (256, 10, "no", None)
    store.check(images, "images")


def test_the_seed_decides_which_images_are_for_validation(tmp_path):
    files.mnist(tmp_path)
    first, again, other = (mnist.images(path=tmp_path, binarised="none", valid=7, seed=seed) for seed in (0, 0, 1))
    assert rows(first.valid.x) == rows(again.valid.x) and set(rows(first.valid.x)) != set(rows(other.valid.x))
    assert rows(first.test.x) == rows(other.test.x)


def test_binary_images_are_drawn_with_the_right_probability_and_say_how(tmp_path):
    files.mnist(tmp_path, train=1500, test=300)
    grey, static, dynamic = (
        mnist.images(path=tmp_path, binarised=how, valid=200, seed=3) for how in ("none", "static", "dynamic")
    )
    again, other = (mnist.images(path=tmp_path, binarised="static", valid=200, seed=seed) for seed in (3, 4))
    for images in (static, dynamic):
        store.check(images, "images")
        assert images.levels == 2
    drawn = [(static, name) for name in store.SPLITS] + [(dynamic, "valid"), (dynamic, "test")]
    for images, name in drawn:
        x, p = images.splits[name].x, grey.splits[name].x / 255
        assert x.dtype == np.uint8 and set(np.unique(x)) == {0, 1}
        assert (x[p == 0] == 0).all() and (x[p == 1] == 1).all()
        excess = (x - p).sum() / np.sqrt((p * (1 - p)).sum())
        assert abs(excess) < 4
        for low in np.arange(0, 1, 0.1):
            some = (p >= low) & (p < low + 0.1)
            assert abs((x[some] - p[some]).sum()) < 4.5 * np.sqrt((p[some] * (1 - p[some])).sum())
        np.testing.assert_array_equal(images.splits[name].y, grey.splits[name].y)
    np.testing.assert_array_equal(dynamic.train.x, grey.train.x)
    assert (static.redraw, dynamic.redraw) == (None, 255)
    for name in store.SPLITS:
        np.testing.assert_array_equal(static.splits[name].x, again.splits[name].x)
    assert not np.array_equal(static.test.x, other.test.x)
    assert static.binarised == "drawn once with probability x / 255, by seed 3 of this project"
    assert dynamic.binarised == "drawn with probability x / 255, training images anew in every epoch"


@pytest.mark.parametrize("compressed", [True, False])
def test_omniglot_stands_upright(tmp_path, compressed):
    made = files.omniglot(tmp_path / "chardata.mat", compressed=compressed)
    for path in (tmp_path, tmp_path / "chardata.mat"):
        images = omniglot.images(path=path, binarised="none", valid=5, seed=0)
        levels = np.rint(made["pictures"] * 255).astype(np.uint8)[..., None]
        split_of(images, levels, made["alphabet"], valid=5)
        np.testing.assert_array_equal(images.test.x[..., 0], np.rint(made["testpictures"] * 255))
        assert images.classes == 50 and images.test.y.tolist() == made["testalphabet"].tolist()
    dynamic = omniglot.images(path=tmp_path, binarised="dynamic", valid=5, seed=0)
    np.testing.assert_array_equal(dynamic.train.x, images.train.x)
    assert dynamic.redraw == 255 and dynamic.levels == 2


def test_svhn_counts_its_classes_from_0(tmp_path):
    made = files.svhn(tmp_path)
    images = svhn.images(path=tmp_path, valid=4, seed=0)
    x, y = made["train"]
    split_of(images, x, y % 10, valid=4)
    np.testing.assert_array_equal(images.test.x, made["test"][0])
    assert images.test.y.tolist() == [1, 2, 3, 4, 5, 6] and (images.levels, images.classes) == (256, 10)
    assert 0 in images.train.y and 10 not in images.train.y


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_numbers_of_matlab_files_are_what_was_saved(tmp_path, dtype, compressed):
    for shape in ((1, 1), (1, 3), (2, 3), (2, 3, 4, 5)):
        x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        saved = {"before": [["text"]], "wanted": x, "a_name_of_more_than_eight_letters": x[:1], "struct": {"x": x}}
        savemat(tmp_path / "a.mat", saved, do_compression=compressed)
        (found,) = published.mat(tmp_path / "a.mat", wanted=len(shape))
        assert found.dtype == x.dtype
        np.testing.assert_array_equal(found, x)
    (found,) = published.mat(tmp_path / "a.mat", a_name_of_more_than_eight_letters=4)
    np.testing.assert_array_equal(found, x[:1])


@pytest.mark.parametrize("how", ["archive", "folder of the archive", "unpacked"])
def test_cifar_has_its_channels_last(tmp_path, how):
    content, made = files.cifar()
    if how == "unpacked":
        for name, batch in content.items():
            (tmp_path / name).write_bytes(batch)
    else:
        files.tar(tmp_path / "cifar-10-binary.tar.gz", {"readme.html": b"hello", **content})
    path = tmp_path / "cifar-10-binary.tar.gz" if how == "archive" else tmp_path
    images = cifar10.images(path=path, valid=6, seed=0)
    known = [pair for name, batch in made.items() if name != "test_batch.bin" for pair in batch]
    split_of(images, np.stack([x for x, _ in known]), np.array([y for _, y in known]), valid=6)
    for x, y, (wanted, label) in zip(images.test.x, images.test.y, made["test_batch.bin"], strict=True):
        np.testing.assert_array_equal(x, wanted)
        assert y == label


NUMBERS = {"000001.jpg": 10, "162770.jpg": 40, "162771.jpg": 70, "182637.jpg": 100, "182638.jpg": 130, "202599.jpg": 160}


@pytest.mark.parametrize("crop", [140, 148])
def test_celeba_keeps_the_middle_and_splits_by_number(tmp_path, crop):
    files.celeba(tmp_path / "img_align_celeba.zip", NUMBERS)
    for path in (tmp_path, tmp_path / "img_align_celeba.zip"):
        images = celeba.images(path=path, crop=crop)
        assert [part.x.shape for part in images.splits.values()] == [(2, 64, 64, 3)] * 3 and images.train.y is None
        middles = [part.x[:, 32, 32].mean(-1).round().astype(int).tolist() for part in images.splits.values()]
        np.testing.assert_allclose(middles, [[10, 40], [70, 100], [130, 160]], atol=2)
        edges = images.train.x[0, :, [0, -1]].mean((1, 2))
        assert (abs(edges - 10) < 8).all() if crop == 140 else edges[0] < 8 and edges[1] > 150


def test_celeba_splits_as_its_list_says(tmp_path):
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    for name, shade in zip(("a.jpg", "b.jpg", "c.jpg", "d.jpg"), (20, 60, 120, 200), strict=True):
        (folder / name).write_bytes(files.jpeg(files.face(shade)))
    (tmp_path / "list_eval_partition.txt").write_text("a.jpg 2\nb.jpg 0\nc.jpg 1\nd.jpg 0\nmissing.jpg 0\n")
    for path in (tmp_path, folder):
        images = celeba.images(path=path, crop=148)
        shades = [part.x[:, 32, 32, 0].tolist() for part in images.splits.values()]
        np.testing.assert_allclose(np.concatenate(shades), [60, 200, 120, 20], atol=2)
        assert [len(each) for each in shades] == [2, 1, 1]


def test_dsprites_are_drawn_without_repetition_and_keep_their_factors(tmp_path):
    made = files.dsprites(tmp_path / dsprites.NAME)
    images = dsprites.images(path=tmp_path, train=40, valid=8, test=12, seed=1)
    known = {image.tobytes(): i for i, image in enumerate(made["imgs"])}
    places = {name: [known[image] for image in rows(split.x)] for name, split in images.splits.items()}
    assert sorted(np.concatenate(list(places.values()))) == list(range(60)) and [len(each) for each in places.values()] == [
        40,
        8,
        12,
    ]
    for name, split in images.splits.items():
        np.testing.assert_array_equal(split.factors, made["latents_classes"][places[name], 1:])
        np.testing.assert_array_equal(split.y, split.factors[:, 0])
    assert (images.levels, images.classes, len(images.factors)) == (2, 3, 5)
    few = dsprites.images(path=tmp_path, train=2, valid=1, test=2, seed=1)
    assert rows(few.train.x) == rows(images.train.x)[:2]
    store.check(few, "images")


@pytest.mark.parametrize("together", [1, 7, 60, 61])
def test_dsprites_are_read_in_parts(tmp_path, monkeypatch, together):
    monkeypatch.setattr(dsprites, "TOGETHER", together)
    made = files.dsprites(tmp_path / dsprites.NAME)
    images = dsprites.images(path=tmp_path, train=20, valid=3, test=3, seed=2)
    places = np.random.default_rng(2).permutation(60)[:20]
    np.testing.assert_array_equal(images.train.x[..., 0], made["imgs"][places])
    np.testing.assert_array_equal(images.train.factors, made["latents_classes"][places, 1:])


def test_the_stage_reads_the_users_copy_without_a_framework(tmp_path):
    for name in ("pipeline", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "copy").mkdir()
    files.mnist(tmp_path / "copy", train=60, test=20)
    block = {"source": "mnist", "reads": "copy", "binarised": "static", "valid": 10, "seed": 0}
    (tmp_path / "params.yaml").write_text(json.dumps({"data": {"digits": block}}))
    env = dict(os.environ, PYTHONPATH="", WORKBENCH_DATA=str(tmp_path / "nowhere"))
    code = "import sys; from stages.prepare import prepare; prepare('digits'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, capture_output=True, text=True)
    assert not {"keras", "tensorflow", "urllib.request", "PIL", "tarfile", "scipy.io"} & set(done.stdout.split())
    meta = store.read_meta(tmp_path / "data" / "digits")
    assert meta["counts"] == {"train": 50, "valid": 10, "test": 20} and meta["binarised"].startswith("drawn once")
    assert not (tmp_path / "nowhere").exists()


def test_more_images_for_validation_than_there_are(tmp_path):
    files.mnist(tmp_path)
    with pytest.raises(Refusal, match=r"^valid: 40 of the 40 training images would leave none to train on$"):
        mnist.images(path=tmp_path, binarised="none", valid=40, seed=0)

"""Files of the published sets that are not what they should be are refused in one line, and quickly."""

import gzip
import struct
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import published_files as files
import pytest
from scipy.io import savemat

from pipeline import Refusal
from pipeline.data import celeba, cifar10, dsprites, mnist, omniglot, published, svhn
from pipeline.data.store import Images

TRAIN = "train-images-idx3-ubyte.gz"
COUNTS = {"train": 6, "valid": 2, "test": 2, "seed": 0}
NUMBERS = {f"{i:06}.jpg": 50 for i in (1, 2, 162771, 162772, 182638, 182639)}


def read(source: str, path: Path) -> Images:
    wishes = {
        "mnist": (mnist.images, {"binarised": "none", "valid": 2, "seed": 0}),
        "omniglot": (omniglot.images, {"binarised": "static", "valid": 2, "seed": 0}),
        "svhn": (svhn.images, {"valid": 2, "seed": 0}),
        "cifar10": (cifar10.images, {"valid": 2, "seed": 0}),
        "celeba": (celeba.images, {"crop": 148}),
        "dsprites": (dsprites.images, COUNTS),
    }
    images, arguments = wishes[source]
    return images(path=path, **arguments)


def write(source: str, folder: Path) -> Path:
    """The set's files; the one that is then harmed."""
    folder.mkdir(parents=True, exist_ok=True)
    if source == "mnist":
        files.mnist(folder, train=6, test=4)
        return folder / TRAIN
    if source == "omniglot":
        files.omniglot(folder / "chardata.mat", train=6, test=4)
        return folder / "chardata.mat"
    if source == "svhn":
        files.svhn(folder, train=6, test=4)
        return folder / "train_32x32.mat"
    if source == "cifar10":
        files.tar(folder / cifar10.ARCHIVE, files.cifar(count=1)[0])
        return folder / cifar10.ARCHIVE
    if source == "celeba":
        files.celeba(folder / celeba.ARCHIVE, NUMBERS)
        return folder / celeba.ARCHIVE
    files.dsprites(folder / dsprites.NAME, count=12)
    return folder / dsprites.NAME


SOURCES = ("mnist", "omniglot", "svhn", "cifar10", "celeba", "dsprites")


def refused(source: str, path: Path) -> str:
    with pytest.raises(Refusal) as found:
        read(source, path)
    said = str(found.value)
    assert "\n" not in said and len(said) < 500
    return said


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_missing_is_named(tmp_path, source):
    file = write(source, tmp_path / "copy")
    read(source, tmp_path / "copy")
    file.unlink()
    assert refused(source, tmp_path / "copy").startswith("copy: there is no ")
    assert file.name in refused(source, tmp_path / "copy")
    assert refused(source, tmp_path / "other") == f"other: there is no such file or folder in {tmp_path}"


@pytest.mark.parametrize("source", ["mnist", "svhn"])
def test_one_file_is_not_taken_for_several(tmp_path, source):
    """Or test images could be training images."""
    file = write(source, tmp_path)
    assert refused(source, file).startswith(f"{file.name}: expected the folder that holds ")


@pytest.mark.parametrize("source", SOURCES)
def test_any_harm_to_a_file(tmp_path, source, rng):
    """Bits that flip anywhere or at the front, bytes that are gone or more: read, or refused."""
    file = write(source, tmp_path)
    good = file.read_bytes()
    for _ in range(60):
        content = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            harm, at = rng.choice(["flip", "front", "cut", "put", "drop"]), int(rng.integers(max(len(content), 1)))
            if harm in ("flip", "front") and content:
                content[at % 400 % len(content) if harm == "front" else at] ^= 1 << rng.integers(8)
            elif harm == "cut":
                del content[at:]
            elif harm == "put":
                content[at:at] = rng.bytes(9)
            else:
                del content[at : at + 9]
        file.write_bytes(bytes(content))
        try:
            read(source, tmp_path)
        except Refusal as refusal:
            assert str(refusal).strip() and "\n" not in str(refusal) and len(str(refusal)) < 500


def idx(folder: Path, content: bytes, name: str = TRAIN) -> None:
    (folder / name).write_bytes(gzip.compress(content))


def header(*shape: int, magic: bytes = b"\0\0\x08") -> bytes:
    return magic + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


WRONG_IDX = {
    "of floats": (header(2, 28, 28, magic=b"\0\0\x0d") + bytes(6272), "is no IDX file of bytes with 3 axes, it begins with"),
    "labels": (header(6) + bytes(6), "is no IDX file of bytes with 3 axes, it begins with 00 00 08 01"),
    "short": (header(6, 28, 28) + bytes(4703), "cannot be read (4,703 bytes where 4,704 are promised)"),
    "long": (header(6, 28, 28) + bytes(4705), "goes on after the 4,704 bytes that it promises"),
    "other size": (header(6, 32, 32) + bytes(6144), "images of (32, 32, 1) and uint8, 6 of them; expected (28, 28, 1)"),
    "other count": (header(5, 28, 28) + bytes(3920), "5 images need as many labels, 0..9; found (6,)"),
    "none": (header(0, 28, 28), "0 of them"),
    "huge": (header(2**32 - 1, 28, 28), "promises 3,367,254,359,280 bytes, more than 1,073,741,824"),
    "empty": (b"", "cannot be read (0 bytes where 4 are promised)"),
}


@pytest.mark.parametrize("what", WRONG_IDX)
def test_idx_files_that_lie(tmp_path, what):
    write("mnist", tmp_path)
    content, said = WRONG_IDX[what]
    idx(tmp_path, content)
    assert refused("mnist", tmp_path).startswith(f"{TRAIN}: ") and said in refused("mnist", tmp_path)


def test_a_label_beyond_the_classes(tmp_path):
    write("mnist", tmp_path)
    idx(tmp_path, header(6) + bytes([0, 1, 2, 3, 4, 10]), "train-labels-idx1-ubyte.gz")
    assert "6 images need as many labels, 0..9" in refused("mnist", tmp_path)


def test_nothing_makes_room_for_what_is_only_promised(tmp_path, monkeypatch):
    """A gigabyte in a header, and as much that a small archive becomes."""
    monkeypatch.setattr(published, "LARGEST", 2**27)
    write("mnist", tmp_path)
    idx(tmp_path, header(160000, 28, 28) + bytes(1000))
    files.tar(tmp_path / cifar10.ARCHIVE, {"more.bin": bytes(2**28), **files.cifar(count=1)[0]})
    with zipfile.ZipFile(tmp_path / celeba.ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("000001.jpg", bytes(2**28))
    tracemalloc.start()
    began = time.monotonic()
    assert "1,000 bytes where 125,440,000 are promised" in refused("mnist", tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    assert "holds more than 134,217,728 bytes" in refused("cifar10", tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**29
    tracemalloc.reset_peak()
    assert "000001.jpg has more than 1,048,576 bytes" in refused("celeba", tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()
    assert time.monotonic() - began < 20


class Harm:
    def __reduce__(self):
        return sys.exit, ("a pickle was opened",)


def test_no_pickle_is_opened(tmp_path):
    """Beside the arrays, and in the place of one."""
    made = files.dsprites(tmp_path / dsprites.NAME, count=12)
    made["metadata"] = np.array(Harm(), dtype=object)
    np.savez_compressed(tmp_path / dsprites.NAME, **made)
    read("dsprites", tmp_path)
    made["imgs"] = np.array([Harm()] * 12, dtype=object)
    np.savez_compressed(tmp_path / dsprites.NAME, **made)
    assert "imgs: (12,) and object, expected whole numbers" in refused("dsprites", tmp_path)


def test_dsprites_that_are_not_enough_or_something_else(tmp_path):
    made = files.dsprites(tmp_path / dsprites.NAME, count=9)
    assert "6 + 2 + 2 images are asked for, it has 9 and the factors of 9" in refused("dsprites", tmp_path)
    for name, array in {"imgs": made["imgs"][:, :32], "latents_classes": made["latents_values"]}.items():
        np.savez(tmp_path / dsprites.NAME, **made | {name: array})
        assert f"{name}: " in refused("dsprites", tmp_path)
    np.savez(tmp_path / dsprites.NAME, imgs=made["imgs"])
    assert "latents_classes.npy" in refused("dsprites", tmp_path)


def test_matlab_files_with_something_else(tmp_path):
    made = files.svhn(tmp_path, train=6, test=4)
    x = np.ascontiguousarray(made["train"][0].transpose(1, 2, 3, 0))
    wrong = {
        "there is no X in it": {"y": made["train"][1][:, None]},
        "cannot be read (X of shape (1, 2), expected 4 axes)": {"X": np.array([[1, "a"]], dtype=object), "y": np.ones((6, 1))},
        "cannot be read (X holds something else than real numbers)": {"X": 1j * x, "y": np.ones((6, 1))},
        "images of (32, 32, 3) and float64": {"X": x / 1.0, "y": np.ones((6, 1))},
        "6 images need as many labels": {"X": x, "y": np.ones((5, 1))},
    }
    for said, content in wrong.items():
        savemat(tmp_path / "train_32x32.mat", content)
        assert refused("svhn", tmp_path).startswith(f"train_32x32.mat: {said}")
    (tmp_path / "train_32x32.mat").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    assert refused("svhn", tmp_path) == "train_32x32.mat: is no MATLAB 5 file"


def test_faces_that_are_none(tmp_path):
    files.celeba(tmp_path / celeba.ARCHIVE, NUMBERS)
    with zipfile.ZipFile(tmp_path / celeba.ARCHIVE, "a") as archive:
        archive.writestr("img_align_celeba/000003.jpg", files.jpeg(np.zeros((64, 64, 3), np.uint8)))
    assert refused("celeba", tmp_path) == f"{celeba.ARCHIVE}: 000003.jpg is 64x64 RGB, expected 178x218 RGB"
    (tmp_path / celeba.PARTITION).write_text("000001.jpg 3\n")
    assert refused("celeba", tmp_path) == f"{celeba.PARTITION}: expected lines like `000001.jpg 0`, found '000001.jpg 3'"
    (tmp_path / celeba.PARTITION).write_text("000001.jpg 0\n")
    assert refused("celeba", tmp_path) == f"{celeba.ARCHIVE}: 000002.jpg is not in {celeba.PARTITION}"


def test_a_batch_that_is_missing_or_cut(tmp_path):
    content, _ = files.cifar(count=1)
    files.tar(tmp_path / cifar10.ARCHIVE, {name: batch for name, batch in content.items() if name != "data_batch_4.bin"})
    assert refused("cifar10", tmp_path) == f"{cifar10.ARCHIVE}: there is no data_batch_4.bin in it"
    files.tar(tmp_path / cifar10.ARCHIVE, content | {"test_batch.bin": bytes(3072)})
    assert refused("cifar10", tmp_path) == f"{cifar10.ARCHIVE}: batches of 3,072 bytes, expected records of 3073"

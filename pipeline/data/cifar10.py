"""CIFAR-10: photographs of ten kinds of things, 32x32 in colour, 256 levels (A. Krizhevsky, 2009).

https://www.cs.toronto.edu/~kriz/cifar.html, the binary version: a record is a byte for the class and 3072 for the image, one
channel after the other. The archive is read as it is, or unpacked.
"""

import gzip
from pathlib import Path

import numpy as np

from pipeline import Refusal
from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import Count, Images, Seed, Split

ARCHIVE = "cifar-10-binary.tar.gz"
# SHA-256 of https://github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/cifar10.txt.
DIGEST = "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
FILES = (File(ARCHIVE, DIGEST, ("https://www.cs.toronto.edu/~kriz/",)),)
TRAIN, TEST = tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",)
RECORD = 1 + 3 * 32 * 32


def images(*, path: Path, valid: Count, seed: Seed) -> Images:
    """50,000 training images, of which `valid` are for validation, and 10,000 test images, in their old order.

    valid: training images that are kept for validation
    seed: decides which these are
    """
    place = path if path.is_dir() and (path / TEST[0]).exists() else published.single(path, ARCHIVE)
    batches = unpacked(place) if place.is_dir() else packed(place)
    for name in (*TRAIN, *TEST):
        if name not in batches:
            raise Refusal(f"{place.name}: there is no {name} in it")
    train, test = (split(place, b"".join(batches[name] for name in names)) for names in (TRAIN, TEST))
    return Images(*published.held_out(train, valid, seed), test, levels=256, classes=10)


def unpacked(folder: Path) -> dict[str, bytes]:
    found = [folder / name for name in (*TRAIN, *TEST) if (folder / name).exists()]
    if sum(file.stat().st_size for file in found) > published.LARGEST:
        raise Refusal(f"{folder.name}: holds more than {published.LARGEST:,} bytes")
    return {file.name: file.read_bytes() for file in found}


def packed(archive: Path) -> dict[str, bytes]:
    """The batches of the archive by name, whatever folder they are in."""
    import tarfile

    found = {}
    try:
        with gzip.open(archive) as stream:
            limited = published.Limited(stream, published.LARGEST, archive.name)
            with tarfile.open(fileobj=limited, mode="r|") as tar:  # from front to end: `limited` sees every byte
                for member in tar:
                    name = member.name.rpartition("/")[2]
                    if member.isreg() and name in (*TRAIN, *TEST):
                        found[name] = bytes(published.exactly(tar.extractfile(member), member.size))
    except (*published.DAMAGED, tarfile.TarError) as error:
        raise published.damaged(archive, error) from None
    return found


def split(place: Path, content: bytes) -> Split:
    if not content or len(content) % RECORD:
        raise Refusal(f"{place.name}: batches of {len(content):,} bytes, expected records of {RECORD}")
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
    x = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return published.labelled(place, x, records[:, 0], classes=10, shape=(32, 32, 3))

"""CelebA, 64x64: aligned faces of celebrities in colour, 256 levels (Z. Liu, P. Luo, X. Wang and X. Tang, 2015).

https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, img_align_celeba.zip, as it is or unpacked. Of the 178x218 pixels a square
in the middle is kept and resampled to 64x64 (bilinear, with the filter as wide as the reduction asks for). Papers keep 148
or 140 pixels, some of them 5 rows further down: numbers for one are not those for another. The split is that of
list_eval_partition.txt, or where that is not beside the images, what it says: up to 162770 for training, up to 182637 for
validation, the rest for the test.
"""

import io
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline import Refusal
from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import SPLITS, Images, Split

ARCHIVE, FOLDER, PARTITION = "img_align_celeba.zip", "img_align_celeba", "list_eval_partition.txt"
# SHA-256 of https://github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/celeb_a.txt.
DIGEST = "sha256:46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74"
FILES = (File(ARCHIVE, DIGEST, page="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),)
WIDTH, HEIGHT, SIDE = 178, 218, 64
HEAVIEST = 2**20  # bytes of one compressed image, which have some 10,000
LAST = (162770, 182637)  # of training, of validation


def images(*, path: Path, crop: Literal[140, 148]) -> Images:
    """162,770 training, 19,867 validation and 19,962 test images, without labels.

    crop: side of the square in the middle that is kept
    """
    place = path if path.is_dir() and any(path.glob("*.jpg")) else published.single(path, ARCHIVE, FOLDER)
    beside = [folder / PARTITION for folder in (path, place.parent) if (folder / PARTITION).is_file()]
    said = partition(beside[0]) if beside else None
    try:
        if place.is_dir():
            return gather(place, {file.name: partial(file.open, "rb") for file in place.glob("*.jpg")}, said, crop)
        with zipfile.ZipFile(place) as archive:
            inside = {info.filename.rpartition("/")[2]: info for info in archive.infolist()}
            jpegs = {name: partial(archive.open, info) for name, info in inside.items() if name.endswith(".jpg")}
            return gather(place, jpegs, said, crop)
    except published.DAMAGED as error:
        raise published.damaged(place, error) from None


def partition(file: Path) -> dict[str, int]:
    """By name 0, 1 or 2: the split, in the order of SPLITS."""
    text = file.read_text(encoding="utf-8", errors="replace")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for line in lines:
        if len(line) != 2 or line[1] not in ("0", "1", "2"):
            raise Refusal(f"{file.name}: expected lines like `000001.jpg 0`, found {' '.join(line)[:80]!r}")
    return {name: int(split) for name, split in lines}


def gather(place: Path, jpegs: dict[str, Callable], said: dict[str, int] | None, crop: int) -> Images:
    """jpegs: what opens each image, by its name."""
    chosen = {split: [] for split in range(len(SPLITS))}
    for name in sorted(jpegs):  # a file system lists in any order it likes
        if said is not None and name not in said:
            raise Refusal(f"{place.name}: {name} is not in {PARTITION}")
        if said is None and not re.fullmatch(r"\d{6}\.jpg", name):
            raise Refusal(f"{place.name}: {name} has no number like 000001.jpg, and {PARTITION} is not there")
        chosen[int(np.searchsorted(LAST, int(name[:6]))) if said is None else said[name]].append(name)
    splits = [np.empty((len(names), SIDE, SIDE, 3), np.uint8) for names in chosen.values()]
    for x, names in zip(splits, chosen.values(), strict=True):
        for i, name in enumerate(names):
            with jpegs[name]() as stream:
                content = stream.read(HEAVIEST + 1)
            x[i] = decode(content, f"{place.name}: {name}", crop)
    return Images(*(Split(x=x) for x in splits), levels=256)


def decode(content: bytes, shown: str, crop: int) -> np.ndarray:
    """The square in the middle of one image, resampled [64, 64, 3]."""
    from PIL import Image

    if len(content) > HEAVIEST:
        raise Refusal(f"{shown} has more than {HEAVIEST:,} bytes")
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if (image.width, image.height, image.mode) != (WIDTH, HEIGHT, "RGB"):
                raise Refusal(f"{shown} is {image.width}x{image.height} {image.mode}, expected {WIDTH}x{HEIGHT} RGB")
            left, top = (WIDTH - crop) // 2, (HEIGHT - crop) // 2
            square = image.crop((left, top, left + crop, top + crop))
            return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    except published.DAMAGED as error:
        raise published.damaged(Path(shown), error) from None

"""dSprites: white shapes on black, 64x64, every combination of five factors once (L. Matthey et al., 2017).

https://github.com/google-deepmind/dsprites-dataset. 737,280 binary images: 3 shapes x 6 scales x 40 orientations x 32x32
positions. The set has no split of its own: the images of all three are drawn from it, none of them twice. As nothing is
noisy, images that hardly differ lie on either side of a split. The archive also holds a pickle, which is not opened.
"""

import zipfile
from pathlib import Path

import numpy as np

from pipeline import Refusal
from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import SPLITS, Count, Images, Seed, Split

NAME = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
AT = (
    "https://github.com/google-deepmind/dsprites-dataset/raw/master/",
    "https://raw.githubusercontent.com/google-deepmind/dsprites-dataset/master/",
)
# MD5 as in github.com/BoevaLab/latte, latte/dataset/dsprites.py, and github.com/ganmodokix/vaetc, vaetc/data/dsprites.py.
FILES = (File(NAME, "md5:7da33b31b13a06f4b04a70402ce90c2e", AT),)
TOGETHER = 4096  # images that are unpacked at a time
FACTORS = ("shape", "scale", "orientation", "x", "y")  # after the first of the file, a colour that is always white


def images(*, path: Path, train: Count, valid: Count, test: Count, seed: Seed) -> Images:
    """As many images as are asked for, drawn from all; y is the shape: square, ellipse, heart.

    train: number of training images
    valid: number of validation images
    test: number of test images
    seed: decides which images are drawn for which split
    """
    file, counts = published.single(path, NAME), (train, valid, test)
    try:
        with zipfile.ZipFile(file) as archive:
            x = Member(archive, "imgs", (64, 64))
            y = Member(archive, "latents_classes", (1 + len(FACTORS),))
            if x.count != y.count or sum(counts) > y.count:
                wanted = " + ".join(map(str, counts))
                raise Refusal(f"{file.name}: {wanted} images are asked for, it has {x.count} and the factors of {y.count}")
            rows = np.random.default_rng(seed).permutation(y.count)[: sum(counts)]
            pixels, factors = x.rows(rows), y.rows(rows)[:, 1:].astype(np.int64)
    except (KeyError, *published.DAMAGED) as error:
        raise published.damaged(file, error) from None
    if pixels.max() > 1 or factors.min() < 0 or factors[:, 0].max() > 2:
        raise Refusal(f"{file.name}: expected pixels 0 and 1, factors counted from 0 and three shapes")
    parts = zip(*(np.split(array, np.cumsum(counts)[:-1]) for array in (pixels[..., None], factors)), strict=True)
    splits = [Split(x=each.astype(np.uint8), y=code[:, 0], factors=code) for each, code in parts]
    return Images(**dict(zip(SPLITS, splits, strict=True)), levels=2, classes=3, factors=FACTORS)


class Member:
    """An array [count, *shape] of whole numbers in an .npz. Rows are read without room for all of it: the images have 3 GB."""

    def __init__(self, archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]):
        self.archive, self.name = archive, f"{name}.npy"
        with archive.open(self.name) as stream:
            found, self.dtype = self.header(stream)
        if found[1:] != shape or not found or self.dtype.kind not in "biu":
            raise ValueError(f"{name}: {found} and {self.dtype}, expected whole numbers of {shape} each")
        self.count, self.shape = found[0], shape

    def header(self, stream) -> tuple[tuple[int, ...], np.dtype]:
        """Pickles, which need a type with objects, are refused with all that is no whole number."""
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, columns_first, dtype = read(stream)
        if columns_first:
            raise ValueError(f"{self.name}: its columns come first")
        return shape, dtype

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Those rows, in that order."""
        found = np.empty((len(chosen), *self.shape), self.dtype)
        order = np.argsort(chosen)
        size = int(np.prod(self.shape)) * self.dtype.itemsize
        with self.archive.open(self.name) as stream:
            self.header(stream)
            for first in range(0, int(chosen.max()) + 1, TOGETHER):
                count = min(TOGETHER, self.count - first)
                part = np.frombuffer(published.exactly(stream, count * size), self.dtype).reshape(count, *self.shape)
                low, high = np.searchsorted(chosen, (first, first + count), sorter=order)
                found[order[low:high]] = part[chosen[order[low:high]] - first]
        return found

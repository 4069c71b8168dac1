"""What the published sets share: their files opened without trust, validation images taken off training, binary draws.

No pickle is opened, nothing is extracted to disk, and no room is made for more than LARGEST bytes, whatever a header promises.
"""

import gzip
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from pipeline import Refusal
from pipeline.data.store import Images, Split

LARGEST = 2**30  # bytes of an array, or of an archive once decompressed
BLOCK = 2**20
TOP = 255
# What gzip, zipfile and numpy raise, between them, on files that are cut short or overwritten.
DAMAGED = (OSError, ValueError, EOFError, MemoryError, OverflowError, RuntimeError, SyntaxError)
DAMAGED += (struct.error, zlib.error, tokenize.TokenError, zipfile.BadZipFile)


def find(path: Path, *names: str) -> Path:
    """The first of these files that the folder `path` holds; a file is taken for what is looked for."""
    if not path.exists():
        raise Refusal(f"{path.name}: there is no such file or folder in {path.parent}")
    for found in [path] if path.is_file() else [path / name for name in names]:
        if found.exists():
            return found
    raise Refusal(f"{path.name}: there is no {' or '.join(names)} in this folder")


def damaged(path: Path, error) -> Refusal:
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return Refusal(f"{path.name}: cannot be read ({said})")


class Limited:
    """A stream that ends in a Refusal where more than `left` bytes come out of it."""

    def __init__(self, stream, left: int, name: str):
        self.stream, self.left, self.name = stream, left, name

    def read(self, size: int) -> bytes:
        found = self.stream.read(min(size, self.left + 1))
        self.left -= len(found)
        if self.left < 0:
            raise Refusal(f"{self.name}: holds more than {LARGEST:,} bytes")
        return found


def exactly(stream, size: int) -> bytearray:
    """The next bytes of a stream. Block by block, since a header may promise more than there is."""
    found = bytearray()
    while len(found) < size:
        block = stream.read(min(BLOCK, size - len(found)))
        if not block:
            raise EOFError(f"{len(found):,} bytes where {size:,} are promised")
        found += block
    return found


def idx(path: Path, axes: int) -> np.ndarray:
    """An IDX file of bytes, plain or compressed by gzip: 0, 0, 8, the number of axes, their lengths (big-endian), the data."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as stream:
            magic = bytes(exactly(stream, 4))
            if magic != bytes((0, 0, 8, axes)):
                raise Refusal(f"{path.name}: is no IDX file of bytes with {axes} axes, it begins with {magic.hex(' ')}")
            shape = struct.unpack(f">{axes}I", exactly(stream, 4 * axes))
            size = int(np.prod(shape, dtype=object))
            if size > LARGEST:
                raise Refusal(f"{path.name}: promises {size:,} bytes, more than {LARGEST:,}")
            content = exactly(stream, size)
            if stream.read(1):
                raise Refusal(f"{path.name}: goes on after the {size:,} bytes that it promises")
    except DAMAGED as error:
        raise damaged(path, error) from None
    return np.frombuffer(content, np.uint8).reshape(shape)


def mat(path: Path, **axes: int) -> list[np.ndarray]:
    """These arrays of a MATLAB 5 file, each with so many axes."""
    from scipy.io import loadmat, whosmat

    try:
        held = {name: (shape, kind) for name, shape, kind in whosmat(path)}
        for name, count in axes.items():
            shape, kind = held.get(name, ((), "nothing"))
            if len(shape) != count:
                raise Refusal(f"{path.name}: expected {name} with {count} axes, found {kind} of {len(shape)}")
            if np.prod(shape, dtype=object) * np.dtype(kind).itemsize > LARGEST:
                raise Refusal(f"{path.name}: promises {name} of {shape}, more than {LARGEST:,} bytes")
        found = loadmat(path, variable_names=list(axes))
        arrays = [np.asarray(found[name]) for name in axes]
    except Refusal:
        raise
    except Exception as error:  # whatever a damaged file leads scipy to
        raise damaged(path, error) from None
    if any(array.dtype.kind not in "biuf" for array in arrays):
        raise Refusal(f"{path.name}: holds something else than numbers in {', '.join(axes)}")
    return arrays


def labelled(path: Path, x: np.ndarray, y: np.ndarray, classes: int, shape: tuple[int, ...]) -> Split:
    """Images [N, H, W, C] of this shape, and their classes [N] from 0; refused if they do not fit together."""
    if x.shape[1:] != shape or x.dtype != np.uint8 or not len(x):
        raise Refusal(f"{path.name}: images of {x.shape[1:]} and {x.dtype}, {len(x)} of them; expected {shape}, uint8")
    if y.shape != x.shape[:1] or y.min() < 0 or y.max() >= classes:
        raise Refusal(f"{path.name}: {len(x)} images need as many labels, 0..{classes - 1}; found {y.shape}")
    return Split(x=x, y=y.astype(np.int64))


def held_out(known: Split, valid: int, seed: int) -> tuple[Split, Split]:
    """Training and validation images, both in their old order; no test image is ever among them."""
    n = len(known.x)
    if valid >= n:
        raise Refusal(f"valid: {valid} of the {n} training images would leave none to train on")
    order = np.random.default_rng([seed, 0]).permutation(n)
    rows = np.sort(order[valid:]), np.sort(order[:valid])
    return tuple(Split(x=known.x[chosen], y=known.y[chosen]) for chosen in rows)


def drawn(split: Split, seed: int, stream: int) -> Split:
    """Each pixel black or white with probability x / 255, by a stream of random numbers that is the split's own."""
    rng, x = np.random.default_rng([seed, stream]), np.empty_like(split.x)
    for first in range(0, len(x), 1000):  # a float for every pixel would take gigabytes
        part = split.x[first : first + 1000]
        x[first : first + 1000] = rng.random(part.shape) * TOP < part
    return Split(x=x, y=split.y)


def grey(known: Split, test: Split, *, binarised: str, valid: int, seed: int, classes: int) -> Images:
    """Grey images 0..255 or binary ones, drawn once and for all or, for training, anew in every epoch."""
    train, kept = held_out(known, valid, seed)
    levels, words, redraw = TOP + 1, "no", None
    if binarised != "none":
        kept, test, levels = drawn(kept, seed, 1), drawn(test, seed, 2), 2
    if binarised == "static":
        train, words = drawn(train, seed, 3), f"drawn once with probability x / 255, by seed {seed} of this project"
    if binarised == "dynamic":
        words, redraw = "drawn with probability x / 255, training images anew in every epoch", TOP
    return Images(train, kept, test, levels=levels, classes=classes, binarised=words, redraw=redraw)


def from_idx(path: Path, **wishes) -> Images:
    """MNIST and what was made in its form: four files, 28x28, ten classes."""
    splits = []
    for part in ("train", "t10k"):
        x, y = (find(path, f"{part}-{kind}-ubyte.gz", f"{part}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
        splits.append(labelled(x, idx(x, axes=3)[..., None], idx(y, axes=1), classes=10, shape=(28, 28, 1)))
    return grey(*splits, **wishes, classes=10)

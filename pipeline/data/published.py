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


def find(folder: Path, *names: str) -> Path:
    """The first of these files that there is in the folder."""
    if not folder.exists():
        raise Refusal(f"{folder.name}: there is no such file or folder in {folder.parent}")
    if not folder.is_dir():
        raise Refusal(f"{folder.name}: expected the folder that holds {' or '.join(names)}")
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise Refusal(f"{folder.name}: there is no {' or '.join(names)} in this folder")


def single(path: Path, *names: str) -> Path:
    """Of a set that is one file: that file, whatever it is called, or the first of these in the folder."""
    return path if path.is_file() else find(path, *names)


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


class Inflated:
    """What a file's next `left` bytes are once zlib has unpacked them, a block at a time."""

    def __init__(self, file, left: int):
        self.file, self.left, self.engine = file, left, zlib.decompressobj()

    def read(self, size: int) -> bytes:
        while size and not self.engine.eof:
            packed = self.engine.unconsumed_tail
            if not packed:
                packed = self.file.read(min(BLOCK, self.left))
                self.left -= len(packed)
            found = self.engine.decompress(packed, size)
            if found or not packed:
                return found
        return b""


def mat(path: Path, **axes: int) -> list[np.ndarray]:
    """These arrays of a MATLAB 5 file, each with so many axes; read here, since scipy crashes on files that are damaged.

    https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf: 128 bytes, then elements, which are a type, a length
    and so many bytes. 15 is another element, compressed; 14 an array: flags, lengths of its axes, name and numbers.
    """
    found = {}
    try:
        with path.open("rb") as file:
            if bytes(exactly(file, 128)[124:]) != b"\0\1IM":
                raise Refusal(f"{path.name}: is no MATLAB 5 file")
            while tag := file.read(8):
                kind, size = struct.unpack("<2I", tag)
                end, stream = file.tell() + size, Inflated(file, size) if kind == 15 else file
                if kind == 15:
                    kind, _ = struct.unpack("<2I", exactly(stream, 8))
                if kind == 14:
                    name, array = matrix(stream, axes)
                    found |= {} if array is None else {name: array}
                    if array is not None and stream is not file and stream.read(8):
                        raise ValueError(f"{name} goes on after its last number")
                file.seek(end)
        return [found[name] for name in axes]
    except KeyError as error:
        raise Refusal(f"{path.name}: there is no {error.args[0]} in it") from None
    except DAMAGED as error:
        raise damaged(path, error) from None


NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}  # as stored
CLASSES = dict(zip(range(6, 16), ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), strict=True))  # as meant


def matrix(stream, axes: dict[str, int]) -> tuple[str, np.ndarray | None]:
    """The name of an array, and the array if it is one of those that are looked for."""
    flags, lengths, name = (element(stream, 256)[1] for _ in range(3))
    name, shape = name.decode("latin-1"), struct.unpack(f"<{len(lengths) // 4}i", lengths)
    if name not in axes:
        return name, None
    if len(shape) != axes[name] or min(shape) < 0:
        raise ValueError(f"{name} of shape {shape}, expected {axes[name]} axes")
    if flags[0] not in CLASSES or flags[1] & 8:
        raise ValueError(f"{name} holds something else than real numbers")
    kind, content = element(stream, LARGEST)
    numbers = np.frombuffer(content, NUMBERS.get(kind, "V1"))
    if numbers.size != np.prod(shape, dtype=object) or numbers.dtype.kind == "V":
        raise ValueError(f"{name} of shape {shape} has {numbers.size} numbers of type {kind}")
    return name, numbers.reshape(shape, order="F").astype(CLASSES[flags[0]], copy=False)


def element(stream, most: int) -> tuple[int, bytearray]:
    """Type and bytes; a short one has both lengths in four bytes, and its own four after them."""
    tag = exactly(stream, 8)
    kind, size = struct.unpack("<2I", tag)
    if kind >> 16:
        return kind & 0xFFFF, tag[4 : 4 + (kind >> 16)]
    if size > most:
        raise ValueError(f"an element promises {size:,} bytes, more than {most:,}")
    content = exactly(stream, size)
    stream.read(-size % 8)
    return kind, content


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

"""The user's own images: an array in a `.npy` or `.npz` file, or a folder of PNG and JPEG images.

An array is [N, H, W] or [N, H, W, C]: boolean or whole numbers 0..levels-1, or real numbers where levels is null. An
`.npz` holds one array, or `x` and the labels `y`, whole numbers from 0. A folder holds the images themselves, all grey
or all RGB, or one subfolder per class. Its 8-bit values v become levels of equal width, v * levels // 256.
"""

import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Len, Lt
from PIL import Image

from pipeline import Refusal
from pipeline.data.store import Images, Seed, Split

LONGEST = 200  # characters of what a library complains of, which may quote a file
PIXELS = 1 << 26  # in one image of a folder: a larger one is refused before it is decoded
# What numpy, zipfile and Pillow raise, between them, on files that are cut short or overwritten.
DAMAGED = (OSError, ValueError, EOFError, IndexError, MemoryError, OverflowError, RuntimeError, SyntaxError)
DAMAGED += (struct.error, zlib.error, tokenize.TokenError, zipfile.BadZipFile, Image.DecompressionBombError)


def images(
    *,
    path: Path,
    levels: Annotated[int, Ge(2), Le(256)] | None,
    valid: Annotated[float, Gt(0), Lt(1)],
    test: Annotated[float, Gt(0), Lt(1)],
    seed: Seed,
    resize: Annotated[list[Annotated[int, Ge(1), Le(4096)]], Len(2, 2)] | None = None,
) -> Images:
    """All images of the file or folder, shuffled and split.

    levels: values per channel, 0..levels-1; null for real values
    valid: fraction of the images that is kept for validation
    test: fraction of the images that is kept for the test
    seed: decides which image belongs to which split
    resize: [rows, columns] that the images of a folder are resampled to
    """
    if path.is_dir():
        x, y = from_folder(path, levels, resize)
    elif resize is not None:
        raise Refusal(f"resize: only the images of a folder are resized, and {path.name} is none")
    else:
        x, y = from_array(path, levels)

    y = None if y is None or y.max() == 0 else y  # one class is none
    n, held_out = len(x), {"test": round(test * len(x)), "valid": round(valid * len(x))}
    for name, count in (*held_out.items(), ("train", n - sum(held_out.values()))):
        if count < 1:
            raise Refusal(f"{path.name}: {n} images with valid: {valid} and test: {test} leave the {name} split empty")
    order = np.random.default_rng(seed).permutation(n)
    rows = dict(zip(("test", "valid", "train"), np.split(order, np.cumsum(list(held_out.values()))), strict=True))
    splits = {name: Split(x=x[chosen], y=None if y is None else y[chosen]) for name, chosen in rows.items()}
    return Images(**splits, levels=levels, classes=None if y is None else int(y.max()) + 1)


def from_array(path: Path, levels: int | None) -> tuple[np.ndarray, np.ndarray | None]:
    x, y = load(path)
    if x.ndim not in (3, 4) or 0 in x.shape:
        raise Refusal(f"{path.name}: an array of shape {x.shape}, expected [N, H, W] or [N, H, W, C], none of them 0")
    x = x[..., None] if x.ndim == 3 else x
    if y is not None and (y.shape != x.shape[:1] or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= len(y)):
        raise Refusal(f"{path.name}: y must hold one whole number per image, the classes counted from 0")
    y = None if y is None else y.astype(np.int64)
    kinds, wanted = ("f", "real numbers") if levels is None else ("biu", f"boolean or whole numbers 0..{levels - 1}")
    if x.dtype.kind not in kinds:
        raise Refusal(f"{path.name}: found {x.dtype}, but levels: {'null' if levels is None else levels} is for {wanted}")
    if levels is None:
        with np.errstate(over="ignore"):
            x = x.astype(np.float32)
        bad = ~np.isfinite(x)
    else:
        bad = (x < 0) | (x >= levels)
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        wanted = "finite 32-bit numbers" if levels is None else f"0..{levels - 1}"
        raise Refusal(f"{path.name}: image {where[0]} holds the value {x[where]}, expected {wanted}")
    return (x if levels is None else x.astype(np.uint8)), y


def load(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """x and, where there are labels, y, as they stand in the file. Python objects (pickles) are never read."""
    if not path.is_file():
        raise Refusal(f"{path.name}: there is no such file or folder in {path.parent}")
    try:
        if path.suffix == ".npy":
            # Mapped, a header that promises more than the file holds is an error instead of a gigantic allocation.
            return np.asarray(np.lib.format.open_memmap(path, mode="r")), None
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                names = sorted(archive.files)
                if len(names) == 1:
                    return np.asarray(archive[names[0]]), None
                if names == ["x", "y"]:
                    return np.asarray(archive["x"]), np.asarray(archive["y"])
                raise Refusal(f"{path.name}: holds {', '.join(names) or 'nothing'}, expected one array, or x and y")
    except DAMAGED as error:
        raise Refusal(f"{path.name}: cannot be read as an array ({one_line(error)})") from None
    raise Refusal(f"{path.name}: expected a .npy or .npz file, or a folder of images")


def from_folder(folder: Path, levels: int | None, resize: list[int] | None) -> tuple[np.ndarray, np.ndarray | None]:
    if levels is None:
        raise Refusal(f"levels: null is for arrays of real numbers, and {folder.name} is a folder of images")
    # Sorted by name, since a file system lists in any order it likes.
    found = sorted(p.relative_to(folder) for p in folder.rglob("*") if not p.is_dir())
    names = [name for name in found if not any(part.startswith(".") for part in name.parts)]
    if not names:
        raise Refusal(f"{folder.name}: there are no images in this folder")
    classes = sorted({name.parent for name in names})
    if len(classes) > 1 and Path() in classes:
        loose = next(name for name in names if name.parent == Path())
        raise Refusal(f"{folder.name}/{loose}: stands beside class folders, so its class is unknown")
    pictures = []
    for name in names:
        if len(name.parts) > 2:
            raise Refusal(f"{folder.name}/{name.as_posix()}: lies deeper than one class folder")
        pictures.append(decode(folder / name, f"{folder.name}/{name.as_posix()}", resize))
        if pictures[-1].shape != pictures[0].shape:
            shapes = ["x".join(map(str, p.shape)) for p in (pictures[-1], pictures[0])]
            raise Refusal(f"{folder.name}/{name.as_posix()}: {shapes[0]}, but {names[0].as_posix()} is {shapes[1]}")
    x = (np.stack(pictures).astype(np.uint16) * levels // 256).astype(np.uint8)
    return x, np.array([classes.index(name.parent) for name in names])


def decode(path: Path, shown: str, resize: list[int] | None) -> np.ndarray:
    """One image [H, W, C], uint8, C = 1 or 3."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise Refusal(f"{shown}: expected PNG and JPEG images only")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > PIXELS:
                raise Refusal(f"{shown}: {image.width}x{image.height} is more than {PIXELS} pixels")
            if image.mode not in ("1", "L", "RGB"):
                raise Refusal(f"{shown}: its mode is {image.mode}, expected 8-bit grey (L) or RGB")
            image = image.convert("L") if image.mode == "1" else image
            if resize:
                image = image.resize((resize[1], resize[0]), Image.Resampling.BILINEAR)
            return np.asarray(image).reshape(image.height, image.width, -1)
    except DAMAGED as error:
        raise Refusal(f"{shown}: cannot be read as an image ({one_line(error)})") from None


def one_line(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}..."

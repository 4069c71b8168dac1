"""What prepared data look like on disk: `.npy` arrays, so that they can be memory-mapped, and a `meta.json`."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from pipeline import Refusal

# What the arguments of several sources may be.
Count = Annotated[int, Ge(1), Le(10_000_000)]
Seed = Annotated[int, Ge(0), Le(2**32 - 1)]

SPLITS = ("train", "valid", "test")
PARTS = ("x", "y", "factors", "log_prob")
META = {"shape", "levels", "classes", "counts", "binarised", "redraw", "factors", "sha256"}


@dataclass(frozen=True)
class Split:
    """Images of one split and what is known of each.

    x [N, H, W, C]: uint8 in {0..levels-1}, or float32 where the data are real-valued; y [N]: the class;
    factors [N, F]: what the image was made from; log_prob [N]: its exact log-probability in nats.
    """

    x: np.ndarray
    y: np.ndarray | None = None
    factors: np.ndarray | None = None
    log_prob: np.ndarray | None = None


@dataclass(frozen=True)
class Images:
    """What a source returns and `read` gives back.

    levels: grey levels per channel, None for real values. redraw: None, or r where the training images are
    intensities 0..r of which every epoch draws a binary image anew, pixel ~ Bernoulli(x / r).
    """

    train: Split
    valid: Split
    test: Split
    levels: int | None
    classes: int | None = None
    factors: tuple[str, ...] = ()
    binarised: str = "no"  # in words, for people: "no", "x >= 8", ...
    redraw: int | None = None

    @property
    def splits(self) -> dict[str, Split]:
        return {name: getattr(self, name) for name in SPLITS}


def training_images(images: Images) -> np.ndarray:
    """Training images as a model sees them: where every epoch redraws them, one fixed draw."""
    if images.redraw is None:
        return images.train.x
    rng, drawn = np.random.default_rng(0), np.empty(images.train.x.shape, np.uint8)
    for first in range(0, len(drawn), 1000):  # at once, the random numbers would take eight times the images' memory
        x = images.train.x[first : first + 1000]
        drawn[first : first + 1000] = rng.random(x.shape) * images.redraw < x
    return drawn


def check(images: Images, name: str) -> None:
    """Refuse arrays that do not fit together before anything is written."""
    shapes = set()
    for split, part in images.splits.items():
        x = part.x
        if x.ndim != 4:
            raise Refusal(f"{name}: {split} images have {x.ndim} axes, expected 4 (image, row, column, channel)")
        if len(x) == 0:
            raise Refusal(f"{name}: the {split} split is empty")
        if split == "test" and len(x) == 1:
            raise Refusal(f"{name}: the test split has one image, and a mean of one has no standard error")
        shapes.add(x.shape[1:])
        if images.levels is None:
            if x.dtype != np.float32 or not np.isfinite(x).all():
                raise Refusal(f"{name}: real-valued {split} images must be finite float32, found {x.dtype}")
        else:
            top = images.redraw if images.redraw and split == "train" else images.levels - 1
            if x.dtype != np.uint8 or x.max() > top:
                raise Refusal(f"{name}: {split} images must be uint8 in 0..{top}, found {x.dtype} up to {x.max()}")
        for other in (part.y, part.factors, part.log_prob):
            if other is not None and len(other) != len(x):
                raise Refusal(f"{name}: {split} has {len(x)} images but {len(other)} labels, factors or densities")
    if len(shapes) > 1:
        raise Refusal(f"{name}: the splits have images of different shapes: {sorted(shapes)}")


def write(folder: Path, images: Images, baselines: dict) -> None:
    """Arrays as `<split>_<part>.npy`, `baselines.json`, and `meta.json` with the sha256 of every array's bytes."""
    folder.mkdir(parents=True)
    hashes = {}
    for split, content in images.splits.items():
        for part in PARTS:
            array = getattr(content, part)
            if array is not None:
                array = np.ascontiguousarray(array)
                np.save(folder / f"{split}_{part}.npy", array, allow_pickle=False)
                hashes[f"{split}_{part}"] = hashlib.sha256(array).hexdigest()
    meta = {
        "shape": list(images.train.x.shape[1:]),
        "levels": images.levels,
        "classes": images.classes,
        "counts": {split: len(content.x) for split, content in images.splits.items()},
        "binarised": images.binarised,
        "redraw": images.redraw,
        "factors": list(images.factors),
        "sha256": hashes,
    }
    for name, content in (("meta.json", meta), ("baselines.json", baselines)):
        (folder / name).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_meta(folder: Path) -> dict:
    path = folder / "meta.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        missing = META - set(meta)
    except (OSError, ValueError, TypeError) as error:
        missing = error
    if missing:
        why = missing if isinstance(missing, Exception) else f"without {', '.join(sorted(missing))}"
        raise Refusal(f"{path}: cannot be read ({why}); `dvc checkout data/{folder.name}` brings it back")
    return meta


def read(folder: Path) -> Images:
    """The prepared arrays, memory-mapped."""
    meta = read_meta(folder)

    def split(name: str) -> Split:
        parts = {}
        for part in PARTS:
            path = folder / f"{name}_{part}.npy"
            if path.stem in meta["sha256"]:
                try:
                    parts[part] = np.load(path, mmap_mode="r", allow_pickle=False)
                except (OSError, ValueError, EOFError) as error:
                    back = f"`dvc checkout data/{folder.name}` brings it back"
                    raise Refusal(f"{path}: cannot be read ({error}); {back}") from None
        return Split(**parts)

    return Images(
        **{name: split(name) for name in SPLITS},
        levels=meta["levels"],
        classes=meta["classes"],
        factors=tuple(meta["factors"]),
        binarised=meta["binarised"],
        redraw=meta["redraw"],
    )

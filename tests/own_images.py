"""Images as a user might have them, for the tests of the source `file`."""

from pathlib import Path

import numpy as np
from PIL import Image

GREY = np.random.default_rng(0).integers(0, 4, (20, 3, 5))


def picture(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


def folder(root: Path) -> Path:
    """Twelve grey images of 6x4, six in each of two classes."""
    for i in range(12):
        picture(root / "mine" / ("cats", "dogs")[i % 2] / f"{i:02}.png", np.arange(24).reshape(6, 4) * 10 + i)
    return root / "mine"

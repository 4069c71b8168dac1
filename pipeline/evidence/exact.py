"""Models that can say log p(x) outright: one pass, no estimator noise."""

import numpy as np

from pipeline import backend
from pipeline.base import Exact
from pipeline.evidence.tiles import Kept, silent, tiles

TILE = 100


def log_prob(model: Exact, x: np.ndarray, y: np.ndarray | None = None, kept: Kept | None = None, progress=silent) -> np.ndarray:
    """log p(x) of each image, or log p(x | y), in float64."""
    arrays, fast = (x,) if y is None else (x, y), backend.compiled(model.log_prob)

    def compute(index: np.ndarray) -> dict[str, np.ndarray]:
        return {"log_prob": fast(*(np.asarray(array[index]) for array in arrays)).astype("float64")}

    name = "exact" if y is None else "exact-given-class"
    return tiles(name, len(x), TILE, compute, {} if kept is None else kept, progress)["log_prob"]

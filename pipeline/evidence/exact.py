"""Models that can say log p(x) outright: one pass, no estimator noise."""

import numpy as np

from pipeline import backend
from pipeline.base import Exact

CHUNK = 100


def log_prob(model: Exact, x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """log p(x) of each image, or log p(x | y), in float64."""
    arrays = (x,) if y is None else (x, y)
    return backend.batched(model.log_prob, CHUNK)(*arrays).astype("float64")

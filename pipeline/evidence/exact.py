"""Models that can say log p(x) outright: one pass, no estimator noise."""

import numpy as np

from pipeline import backend
from pipeline.base import Exact

CHUNK = 100


def log_prob(model: Exact, x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    """log p(x) of each image, or log p(x | y), in float64."""
    return in_chunks(model.log_prob, x) if y is None else in_chunks(model.log_prob, x, y)


def in_chunks(function, *arrays: np.ndarray) -> np.ndarray:
    """A number per image, in chunks of one size so that `function` is compiled once; the last one repeats its last image."""
    one, n = backend.compiled(function), len(arrays[0])
    index = np.minimum(np.arange(-(-n // CHUNK) * CHUNK), n - 1).reshape(-1, CHUNK)
    parts = [one(*(np.asarray(array[rows]) for array in arrays)) for rows in index]
    return np.concatenate(parts)[:n].astype("float64")

"""A ring of normal distributions: points of the plane, as images of one row and two columns, of which the density is known.

Mode c of K lies at m_c = r (cos 2 pi c / K, sin 2 pi c / K); a mode is drawn, all equally likely, and x ~ N(m_c, s^2 I):

    log p(x) = logsumexp_c log N(x; m_c, s^2 I) - log K,   y = c

Nothing lies between modes and the mean of all is the least likely place, so that it shows whether a model leaves modes out or
fills the gaps. Where modes are far apart the floor is log K + log(2 pi e s^2) nats of a density: 2.51 for K = 8, s = 0.3.
"""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le
from scipy.special import logsumexp

from pipeline.data.store import SPLITS, Count, Images, Seed, Split


def centres(modes: int, radius: float) -> np.ndarray:
    """m_c [K, 2]."""
    angles = 2 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def log_density(x: np.ndarray, modes: int, radius: float, noise: float) -> np.ndarray:
    """log p(x) [N], float64, of points [N, 2]."""
    squared = np.square(x.astype(float)[:, None] - centres(modes, radius)).sum(axis=-1)
    return logsumexp(-0.5 * squared / noise**2, axis=-1) - np.log(modes * 2 * np.pi * noise**2)


def images(
    *,
    train: Count,
    valid: Count,
    test: Count,
    modes: Annotated[int, Ge(2), Le(100)],
    radius: Annotated[float, Gt(0), Le(100)],
    noise: Annotated[float, Gt(0), Le(100)],
    seed: Seed,
) -> Images:
    """Each split has a stream of random numbers of its own: a longer training set leaves the test images as they are.

    train: number of training images
    valid: number of validation images
    test: number of test images
    modes: how many normal distributions there are
    radius: how far from 0 their means are
    noise: standard deviation of each, along either axis
    seed: decides which modes and points are drawn
    """
    splits = {}
    for i, (name, count) in enumerate(zip(SPLITS, (train, valid, test), strict=True)):
        rng = np.random.default_rng([seed, i])
        y = rng.integers(modes, size=count)
        x = (centres(modes, radius)[y] + noise * rng.standard_normal((count, 2))).astype(np.float32)
        splits[name] = Split(x=x.reshape(-1, 1, 2, 1), y=y, log_prob=log_density(x, modes, radius, noise))
    return Images(**splits, levels=None, classes=modes)

"""Noisy sprites: binary images of which the exact probability is known.

One of 576 templates (3 shapes x 3 sizes x 8x8 positions, all equally likely) is drawn, then each of its D pixels flips
with probability e. With h_t(x) the number of pixels in which x differs from template t,

    log p(x) = logsumexp_t [h_t(x) log e + (D - h_t(x)) log(1 - e)] - log 576.

So no model can beat a known floor: ln 576 + D H(e) nats at most, a little less as templates resemble each other.
"""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from scipy.special import logsumexp, xlog1py, xlogy

from pipeline.data.store import SPLITS, Count, Images, Seed, Split

FACTORS = ("shape", "size", "x", "y")
STEPS = 8  # positions along either axis


def drawing(shape: int, side: int) -> np.ndarray:
    """A square, a triangle or a cross that touches all four sides of its box; [side, side], boolean."""
    if shape == 0:
        return np.ones((side, side), bool)
    if shape == 1:
        return np.tri(side, dtype=bool)
    bar = np.abs(2 * np.arange(side) - (side - 1)) < side / 3
    return bar[:, None] | bar[None, :]


def templates(size: int) -> tuple[np.ndarray, np.ndarray]:
    """All noiseless images [576, size, size] and the factors they were made from [576, 4]."""
    step = size // 14
    largest = size - (STEPS - 1) * step
    pictures, factors = [], []
    for shape, scale, column, row in np.ndindex(3, 3, STEPS, STEPS):
        side = round(largest * (5 + 2 * scale) / 9)
        picture = np.zeros((size, size), bool)
        picture[row * step :, column * step :][:side, :side] = drawing(shape, side)
        pictures.append(picture)
        factors.append((shape, scale, column, row))
    return np.stack(pictures), np.array(factors)


def log_density(x: np.ndarray, templates: np.ndarray, noise: float) -> np.ndarray:
    """log p(x) [N], float64, of binary images [N, ...] under equally likely binary templates [T, ...]."""
    t = templates.reshape(len(templates), -1).astype(float)
    found = np.empty(len(x))
    for start in range(0, len(x), 1024):  # [1024, T] at a time
        part = x[start : start + 1024].reshape(-1, t.shape[1]).astype(float)
        flips = part.sum(1)[:, None] + t.sum(1) - 2 * part @ t.T  # whole numbers, so exact in any order of summation
        log_joint = xlogy(flips, noise) + xlog1py(t.shape[1] - flips, -noise)
        found[start : start + 1024] = logsumexp(log_joint, axis=1) - np.log(len(t))
    return found


def images(
    *,
    train: Count,
    valid: Count,
    test: Count,
    size: Annotated[int, Ge(14), Le(256)],
    noise: Annotated[float, Ge(0), Le(0.5)],
    seed: Seed,
) -> Images:
    """Each split has a stream of random numbers of its own: a longer training set leaves the test images as they are.

    train: number of training images
    valid: number of validation images
    test: number of test images
    size: rows and columns of an image
    noise: probability that a pixel is flipped
    seed: decides which templates and flips are drawn
    """
    pictures, factors = templates(size)

    def draw(index: int, count: int) -> Split:
        rng = np.random.default_rng([seed, index])
        chosen = rng.integers(len(pictures), size=count)
        x = pictures[chosen] ^ (rng.random((count, size, size)) < noise)
        return Split(
            x=x[..., None].astype(np.uint8),
            y=factors[chosen, 0],
            factors=factors[chosen],
            log_prob=log_density(x, pictures, noise),
        )

    splits = {name: draw(i, count) for i, (name, count) in enumerate(zip(SPLITS, (train, valid, test), strict=True))}
    return Images(**splits, levels=2, classes=3, factors=FACTORS)

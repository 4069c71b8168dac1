"""The blind-spot field: binary images that a masked convolution with a blind spot takes for noise.

A pixel repeats the one a row above and four columns to its right, flipped with probability e; where that one lies outside
the image, the pixel is a fair coin. With n pixels that repeat another, f(x) of them flipped, and D pixels in all,

    x[i,j] = x[i-1,j+4] xor Bernoulli(e),   log p(x) = f(x) log e + (n - f(x)) log(1 - e) - (D - n) log 2,

so that the floor is n H(e) + (D - n) ln 2 nats, 56.29 for 12x12 and e = 0.05.

A masked convolution of 7x7 sees the row above up to column +3. Masked ones of 3x3 after it take a step up and right at
most, so that k rows above the view ends at column k + 2, at every depth. The diagonal (-k, +4k), all that tells anything
of a pixel, stays beyond it: the images cost such a network D ln 2 nats at least, 99.81 for 12x12.
"""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from scipy.special import xlog1py, xlogy

from pipeline.data.store import SPLITS, Count, Images, Seed, Split

SHIFT = 4  # the least that is out of sight


def log_density(x: np.ndarray, noise: float) -> np.ndarray:
    """log p(x) [N], float64, of binary images [N, H, W] at least SHIFT + 1 wide."""
    flipped = x[:, 1:, :-SHIFT] != x[:, :-1, SHIFT:]
    repeated, flips = flipped[0].size, flipped.sum((1, 2))
    coins = x[0].size - repeated
    return xlogy(flips, noise) + xlog1py(repeated - flips, -noise) - coins * np.log(2)


def draw(rng: np.random.Generator, shape: tuple[int, int, int], noise: float) -> np.ndarray:
    """Binary images [N, H, W], boolean."""
    x = rng.random(shape) < 0.5
    flipped = rng.random(shape) < noise
    for row in range(1, shape[1]):
        x[:, row, :-SHIFT] = x[:, row - 1, SHIFT:] ^ flipped[:, row, :-SHIFT]
    return x


def images(
    *,
    train: Count,
    valid: Count,
    test: Count,
    size: Annotated[int, Ge(SHIFT + 1), Le(256)],
    noise: Annotated[float, Ge(0), Le(0.5)],
    seed: Seed,
) -> Images:
    """Each split has a stream of random numbers of its own: a longer training set leaves the test images as they are.

    train: number of training images
    valid: number of validation images
    test: number of test images
    size: rows and columns of an image
    noise: probability that a pixel is flipped
    seed: decides which coins and flips are drawn
    """
    splits = {}
    for i, (name, count) in enumerate(zip(SPLITS, (train, valid, test), strict=True)):
        x = draw(np.random.default_rng([seed, i]), (count, size, size), noise)
        splits[name] = Split(x=x[..., None].astype(np.uint8), log_prob=log_density(x, noise))
    return Images(**splits, levels=2)

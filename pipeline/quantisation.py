"""Codes as compression: scalar and vector quantisers to compare with, use of a codebook, bits that a code map costs.

A quantiser replaces x by the representative of its cell. For a small cell of width s the error is s^2 / 12 with the centre as
representative and s^2 / 3, four times as much, with an end (A. Gersho and R. Gray, Vector Quantization and Signal
Compression, 1992, chapter 5); k-means looks for the best cells and representatives in many dimensions.
"""

from typing import Literal

import numpy as np
from sklearn.cluster import KMeans

PATCHES = 20_000  # of training images that k-means is fitted to at most


def scalar(x: np.ndarray, step: float, representative: Literal["centre", "left"]) -> np.ndarray:
    """x by the representative of its cell [n step, (n + 1) step)."""
    return (np.floor(x / step) + (0.5 if representative == "centre" else 0.0)) * step


def patches(x: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """[N, H, W, C] cut into grid[0] x grid[1] pieces: [N * sites, pixels of a piece]."""
    n, height, width, channels = x.shape
    a, b = height // grid[0], width // grid[1]
    pieces = x.reshape(n, grid[0], a, grid[1], b, channels).transpose(0, 1, 3, 2, 4, 5)
    return pieces.reshape(-1, a * b * channels).astype("float64")


def k_means_error(train: np.ndarray, test: np.ndarray, grid: tuple[int, int], codes: int, rng: np.random.Generator) -> float:
    """Mean squared error per pixel of test images whose patches become the nearest of `codes` centroids of training patches."""
    seen = patches(train, grid)
    seen = seen[rng.permutation(len(seen))[:PATCHES]]
    codes = min(codes, len(np.unique(seen, axis=0)))
    centroids = KMeans(codes, n_init=1, random_state=int(rng.integers(2**31))).fit(seen).cluster_centers_
    held_out = patches(test, grid)
    nearest = np.concatenate(
        [((held_out[i : i + 1000, None] - centroids) ** 2).sum(axis=-1).argmin(axis=1) for i in range(0, len(held_out), 1000)]
    )
    return float(np.mean((held_out - centroids[nearest]) ** 2))


def usage(maps: np.ndarray, codes: int) -> tuple[np.ndarray, float]:
    """How often each code stands in a whole set of maps, and the perplexity exp(entropy) of these shares."""
    counts = np.bincount(maps.ravel(), minlength=codes)
    shares = counts[counts > 0] / counts.sum()
    return counts, float(np.exp(-(shares * np.log(shares)).sum()))


def independent_bits(train: np.ndarray, test: np.ndarray, codes: int) -> float:
    """Bits per map [N, sites] when each site has its own table of code frequencies and knows nothing of the others."""
    bits = 0.0
    for site in range(train.shape[1]):
        counts = np.bincount(train[:, site], minlength=codes) + 1.0
        bits -= np.log2(counts / counts.sum())[test[:, site]].mean()
    return float(bits)

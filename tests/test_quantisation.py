"""Scalar and vector quantisers against what is known of their errors."""

import numpy as np
import pytest

from pipeline import quantisation


def error(x: np.ndarray, step: float, representative: str) -> float:
    return float(np.mean((x - quantisation.scalar(x, step, representative)) ** 2))


def test_the_centre_of_a_cell_has_a_quarter_of_the_error_of_its_left_end(rng):
    """The notes' example, [0, 1] -> 0 and [1, 2] -> 1, on a uniform source: s^2 / 3 instead of s^2 / 12."""
    x = rng.uniform(0, 8, 400_000)
    for step in (1.0, 0.5):
        assert error(x, step, "centre") == pytest.approx(step**2 / 12, rel=0.02)
        assert error(x, step, "left") == pytest.approx(4 * error(x, step, "centre"), rel=0.02)


def test_a_tie_belongs_to_the_cell_that_begins_there():
    np.testing.assert_array_equal(quantisation.scalar(np.array([0.0, 1.0, 1.999, 2.0]), 1.0, "left"), [0, 1, 1, 2])


def test_k_means_finds_the_best_one_bit_quantiser_of_a_gaussian(rng):
    """Lloyd and Max: means at +-sqrt(2 / pi), error 1 - 2 / pi."""
    x = rng.standard_normal((40_000, 1, 1, 1))
    assert quantisation.k_means_error(x, x[::2], (1, 1), 2, rng) == pytest.approx(1 - 2 / np.pi, rel=0.02)


def test_patches_are_cut_where_the_map_says(rng):
    x = rng.random((3, 4, 6, 2))
    cut = quantisation.patches(x, (2, 3)).reshape(3, 2, 3, 2, 2, 2)
    np.testing.assert_array_equal(cut[1, 1, 2], x[1, 2:4, 4:6])
    assert quantisation.k_means_error(x, x, (2, 3), 10_000, rng) == 0  # a centroid for every patch


def test_perplexity_and_independent_bits(rng):
    codes = rng.integers(0, 4, (500, 3))
    counts, perplexity = quantisation.usage(codes, 8)
    p = np.bincount(codes.ravel(), minlength=8) / codes.size
    assert counts.sum() == 1500
    assert perplexity == pytest.approx(2 ** -np.sum(p[:4] * np.log2(p[:4])), abs=1e-6)
    assert quantisation.usage(np.zeros((5, 2), int), 8)[1] == pytest.approx(1.0)
    assert quantisation.independent_bits(codes, codes, 4) == pytest.approx(6, abs=0.05)

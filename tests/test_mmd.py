"""The distance of two sets of draws, and the test whether they are from one distribution."""

import numpy as np
import pytest
from pairs import by_pairs
from scipy.stats import kstest

from pipeline.base import generator
from pipeline.distributions import multiquadratics, squared_mmd
from pipeline.models.implicit import blocks

pytestmark = pytest.mark.backend


def distances(shift: float, n: int, count: int, d: int = 2) -> np.ndarray:
    rng = np.random.default_rng(0)
    pairs = rng.standard_normal((count, 2, n, d)).astype("float32")
    pairs[:, 1, :, 0] += shift
    return np.array([float(squared_mmd(a, b)) for a, b in pairs])


def test_the_distance_is_its_sum_over_pairs(rng):
    a, b = rng.standard_normal((2, 7, 3)).astype("float32")
    assert float(squared_mmd(a, b)) == pytest.approx(by_pairs(a, b + 0.0), abs=1e-5)
    assert float(squared_mmd(a, b + 2)) == pytest.approx(by_pairs(a, b + 2), rel=1e-4)
    assert by_pairs(a, b + 2) > 1
    assert float(squared_mmd(a[:1], b[:1])) == 0


def test_the_distance_is_unbiased_where_there_is_none_and_sees_a_shift():
    for n in (3, 20):  # a biased one would be larger, the smaller the sets
        found = distances(0.0, n, 150)
        assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    same, shifted = distances(0.0, 50, 60), distances(1.0, 50, 60)
    assert np.mean(shifted > np.quantile(same, 0.95)) > 0.9


def test_the_share_of_permutations_is_uniform_where_codes_are_like_the_prior_and_small_where_not(monkeypatch):
    monkeypatch.setattr(blocks, "PERMUTATIONS", 99)
    rng = np.random.default_rng(0)
    shares = [blocks.share_further(*rng.standard_normal((2, 20, 2)), generator(i)) for i in range(150)]
    assert kstest(shares, "uniform").pvalue > 0.01
    a, b = rng.standard_normal((2, 60, 2))
    assert blocks.share_further(a, b + np.array([0.9, 0.0]), generator(0)) == 0.01
    assert blocks.share_further(a, 0.4 * b, generator(0)) == 0.01


def test_the_permutation_test_asks_for_the_distance_that_is_trained(rng):
    """But for the diagonal of the kernel, which adds the same to every division."""
    a, b = rng.standard_normal((2, 10, 2))
    both = np.concatenate([a, b + 1.0])
    gram = np.asarray(multiquadratics(both.astype("float32"), both.astype("float32")), "float64")
    diagonal = 2 * 10 * gram[0, 0] / (10 * 9)
    for first in (np.arange(20) < 10, np.arange(20) % 2 == 0):
        found = blocks.split_distance(gram, first.astype(float))
        assert found - diagonal == pytest.approx(by_pairs(both[first], both[~first]), abs=1e-4)
    assert blocks.split_distance(gram, (np.arange(20) < 10).astype(float)) > found + 0.5

"""Probes, active units and measures of disentanglement on codes whose worth is known."""

import numpy as np
import pytest

from pipeline import representation
from pipeline.base import generator


def labelled(rng, n=400, classes=4):
    y = rng.integers(0, classes, n)
    return np.eye(classes)[y] * 6 + rng.standard_normal((n, classes)), y


def test_a_code_that_carries_the_label_is_read_and_noise_is_not(rng):
    x, y = labelled(rng)
    good = representation.probe(x[:200], y[:200], x[200:], y[200:], generator(0, "probes"))
    noise = rng.standard_normal(x.shape)
    bad = representation.probe(noise[:200], y[:200], noise[200:], y[200:], generator(0, "probes"))
    assert set(good) == {"20", "20_sd", "50", "50_sd", "100", "100_sd", "all"}
    assert good["20"] > 0.95
    assert good["all"] > 0.98
    assert bad["all"] < 0.45


def test_the_same_generator_gives_the_same_labels(rng):
    x, y = labelled(rng)
    one, other = (representation.probe(x[:200], y[:200], x[200:], y[200:], generator(0, "probes")) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("labels", [4, 20, 50])
def test_few_labels_are_spread_over_the_classes(rng, labels):
    y = np.repeat(np.arange(4), 50)
    chosen = representation.few(y, labels, rng)
    assert len(set(chosen)) == labels
    assert np.ptp(np.bincount(y[chosen], minlength=4)) <= 1
    assert not np.array_equal(chosen, representation.few(y, labels, rng))


def test_active_units_are_those_whose_mean_moves(rng):
    means = rng.standard_normal((500, 5)) * [1.0, 0.5, 0.2, 0.05, 0.0] + [0, 0, 0, 0, 9]
    assert representation.active_units(means) == 3


def test_principal_components_are_uncorrelated_and_ordered(rng):
    x = rng.standard_normal((300, 6)) @ rng.standard_normal((6, 6))
    train, test = representation.principal_components(x[:200], x[200:], 3)
    covariance = np.cov(train.T)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-8
    assert np.all(np.diff(np.diag(covariance)) < 0)
    assert test.shape == (100, 3)
    assert representation.principal_components(x, x, 50)[0].shape == (300, 6)


def test_the_nearest_training_image_is_found_with_its_distance(rng):
    train = rng.integers(0, 17, (50, 4, 4, 1)).astype("uint8")
    x = train[[7, 30]].copy()
    x[1, 0, 0, 0] ^= 8
    index, distance = representation.nearest(x, train)
    assert list(index) == [7, 30]
    assert distance == pytest.approx([0.0, np.sqrt(64 / 16)])


def grid(rng, n=4000) -> np.ndarray:
    """Factors of 3, 4 and 5 values."""
    return np.column_stack([rng.integers(0, values, n) for values in (3, 4, 5)])


def scores(z: np.ndarray, factors: np.ndarray) -> tuple[float, float, float, float]:
    """MIG, disentanglement, completeness and how many factors are told, the last of codes that no forest has seen."""
    half = len(z) // 2
    importance, told = representation.importances(z[:half], factors[:half], z[half:], factors[half:])
    assert importance.shape == (z.shape[1], factors.shape[1])
    d, c = (representation.disentanglement(each) for each in (importance, importance.T))
    return representation.gap(z, factors), d, c, told


def test_a_number_for_each_factor_is_disentangled_whatever_its_scale_order_and_noise_beside_it(rng):
    factors = grid(rng)
    z = (factors - 1) * [-2.0, 0.01, 30.0] + [0.1, 0.0005, 1.5] * rng.standard_normal(factors.shape)
    z = np.column_stack([z[:, 2], rng.standard_normal(len(z)), z[:, 0], z[:, 1]])
    mig, d, c, told = scores(z, factors)
    assert mig > 0.9
    assert min(d, c, told) > 0.97


def test_a_rotated_code_tells_the_same_and_is_not_disentangled(rng):
    factors = grid(rng)
    z = (factors - factors.mean(axis=0)) / factors.std(axis=0) + 0.02 * rng.standard_normal(factors.shape)
    mig, d, c, told = scores(z @ (np.eye(3) - 2 / 3), factors)
    assert mig < 0.15
    assert max(d, c) < 0.6
    assert told > 0.9


def test_a_code_twice_is_disentangled_but_has_no_gap_and_one_number_for_two_factors_is_complete(rng):
    factors = grid(rng)[:, 1:]
    twice = np.repeat(factors, 2, axis=1) + 0.05 * rng.standard_normal((len(factors), 4))
    mig, d, c, _ = scores(twice, factors)
    assert mig < 0.05
    assert d > 0.97
    assert c < 0.9
    both = (factors[:, :1] * 5 + factors[:, 1:]) + 0.05 * rng.standard_normal((len(factors), 1))
    _, d, c, told = scores(both, factors)
    assert d < 0.1
    assert c == 1
    assert told > 0.97


def test_noise_has_no_gap_on_few_images_either(rng):
    """20 bins of 300 images: uncorrected, histograms alone would tell some 0.1 nats of a factor."""
    factors = grid(rng, 300)
    assert representation.gap(rng.standard_normal((300, 1)), factors) < 0.03


def test_importances_are_shares_and_the_entropies_have_the_right_base():
    share = np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5]])
    assert representation.disentanglement(share) == pytest.approx(1)
    assert representation.disentanglement(share.T) == pytest.approx(1 - 0.5 * np.log(2) / np.log(3))
    assert representation.disentanglement(np.full((3, 2), 1 / 3)) == pytest.approx(0)
    assert representation.disentanglement(np.zeros((3, 2))) == 0
    weighted = np.array([[3.0, 0.0], [0.5, 0.5]])
    assert representation.disentanglement(weighted) == pytest.approx(3 / 4)

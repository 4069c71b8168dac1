"""Probes and active units on codes whose worth is known."""

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

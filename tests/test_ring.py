"""The ring: what is drawn has the density that is kept with it, and the floor is where it should be."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pipeline import quality
from pipeline.base import generator
from pipeline.data import ring
from pipeline.data.store import check
from stages.prepare import make

BLOCK = {
    "source": "ring",
    "reads": "",
    "train": 50,
    "valid": 40,
    "test": 4000,
    "modes": 8,
    "radius": 4.0,
    "noise": 0.3,
    "seed": 5,
}
SIZES = {name: value for name, value in BLOCK.items() if name not in ("source", "reads")}


def test_centres_lie_evenly_on_the_unit_circle():
    m = ring.centres(6, 2.0)
    np.testing.assert_allclose(np.linalg.norm(m, axis=1), 2.0)
    np.testing.assert_allclose(np.linalg.norm(m - np.roll(m, 1, axis=0), axis=1), 2.0)  # a hexagon's sides
    np.testing.assert_allclose(m[0], [2, 0])


@pytest.mark.parametrize(("modes", "noise"), [(8, 0.1), (5, 0.8)])
def test_the_density_is_that_of_its_definition_and_integrates_to_one(modes, noise):
    x = np.random.default_rng(0).standard_normal((50, 2))
    parts = [multivariate_normal((2 * np.cos(a), 2 * np.sin(a)), noise**2).pdf(x) for a in 2 * np.pi * np.arange(modes) / modes]
    np.testing.assert_allclose(np.exp(ring.log_density(x, modes, 2.0, noise)), np.mean(parts, axis=0), rtol=1e-9, atol=1e-300)
    side = np.linspace(-8, 8, 801)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    assert np.exp(ring.log_density(grid, modes, 2.0, noise)).sum() * 0.02**2 == pytest.approx(1, abs=1e-6)


def test_points_come_from_the_density_that_is_kept_with_them():
    images = make(**BLOCK)
    check(images, "ring")
    test = images.test
    assert (images.levels, images.classes, test.x.shape, test.x.dtype) == (None, 8, (4000, 1, 2, 1), np.float32)
    points = test.x.reshape(-1, 2).astype(float)
    np.testing.assert_allclose(test.log_prob, ring.log_density(points, 8, 4.0, 0.3))
    floor = np.log(8) + np.log(2 * np.pi * np.e * 0.3**2)
    assert floor == pytest.approx(2.51, abs=0.005)
    assert abs(-test.log_prob.mean() - floor) < 4 * test.log_prob.std() / np.sqrt(4000)
    rest = (points - ring.centres(8, 4.0)[test.y]) / 0.3
    assert np.abs(rest.mean(axis=0)).max() < 4 / np.sqrt(4000)
    np.testing.assert_allclose(np.cov(rest.T), np.eye(2), atol=4 * np.sqrt(2 / 4000))
    counts = np.bincount(test.y, minlength=8)
    assert np.sum((counts - 500) ** 2 / 500) < 7 + 5 * np.sqrt(14)  # chi-squared: all equally likely


def test_splits_have_numbers_of_their_own():
    short, long = (ring.images(**SIZES | {"train": n}) for n in (10, 300))
    for name in ("valid", "test"):
        np.testing.assert_array_equal(short.splits[name].x, long.splits[name].x)
    assert not np.array_equal(long.valid.x, long.test.x[:40])


@pytest.mark.backend
def test_quality_is_measured_of_points_as_of_images():
    images, other = (ring.images(**SIZES | {"train": 900, "test": 300, "seed": seed}) for seed in (0, 2))
    found = {
        name: quality.compared(images, x, generator(0), images.train.x)
        for name, x in {"all": other.train.x, "half": other.train.x[other.train.y < 4]}.items()
    }
    assert found["all"]["features"] == "a classifier's last hidden layer"
    assert found["half"]["coverage"] < 0.6 * found["all"]["coverage"]

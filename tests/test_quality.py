"""The quality of samples: distances of known distributions, what a lost mode costs, and features that know the labels."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pipeline import quality
from pipeline.base import generator
from pipeline.data import digits
from pipeline.data.store import Images, Split


def test_the_distance_of_two_normal_distributions_is_the_closed_form():
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((3, 3))
    a = rng.standard_normal((200_000, 3)) @ mix
    b = 2.0 * rng.standard_normal((200_000, 3)) @ mix + np.array([1.0, 0.0, -1.0])
    # the covariances commute: tr(A + 4 A - 2 (4 A A)^(1/2)) = tr A
    assert quality.frechet(a, b) == pytest.approx(2.0 + np.trace(mix.T @ mix), rel=0.02)
    assert quality.frechet(a, a) == pytest.approx(0.0, abs=1e-8)
    assert quality.frechet(a, b) == pytest.approx(quality.frechet(b, a), rel=1e-6)


def two_modes(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, 4)) + 20.0 * rng.integers(0, 2, (n, 1))


def test_a_lost_mode_lowers_coverage_and_not_density():
    rng = np.random.default_rng(0)
    real, same = two_modes(600, rng), two_modes(600, rng)
    one_mode = rng.standard_normal((600, 4))
    density, coverage = quality.density_and_coverage(real, same)
    assert density == pytest.approx(1.0, abs=0.1)
    assert coverage > 0.9
    density, coverage = quality.density_and_coverage(real, one_mode)
    assert density == pytest.approx(1.0, abs=0.15)
    assert coverage == pytest.approx(0.5, abs=0.06)
    density, coverage = quality.density_and_coverage(real, same + 100.0)
    assert (density, coverage) == (0.0, 0.0)


def test_density_and_coverage_are_what_their_definition_says():
    rng = np.random.default_rng(1)
    real, drawn = rng.standard_normal((30, 2)), rng.standard_normal((20, 2))
    inside = np.zeros((30, 20))
    for i, x in enumerate(real):
        radius = sorted(np.linalg.norm(x - other) for j, other in enumerate(real) if j != i)[quality.NEAREST - 1]
        inside[i] = [np.linalg.norm(x - each) < radius for each in drawn]
    found = quality.density_and_coverage(real, drawn)
    assert found == (pytest.approx(inside.sum() / (5 * 20)), pytest.approx(inside.max(axis=1).mean()))


@pytest.fixture(scope="module")
def images() -> Images:
    return digits.images(binarised="none", seed=0)


def compared(images: Images, drawn: np.ndarray) -> dict:
    with threadpool_limits(limits=1):
        return quality.compared(images, drawn, generator(0, "features"), images.train.x)


def test_worse_samples_are_worse_and_the_same_seed_says_the_same(images):
    rng = np.random.default_rng(0)
    good = images.valid.x
    noisy = np.clip(good + rng.integers(-6, 7, good.shape), 0, 16).astype("uint8")
    zeros = np.repeat(images.train.x[images.train.y == 0], 3, axis=0)[: len(good)]
    found = {name: compared(images, drawn) for name, drawn in {"good": good, "noisy": noisy, "zeros": zeros}.items()}
    assert found["good"]["classifier_accuracy"] > 0.9
    assert found["good"]["frechet"] < 3 * found["good"]["training_frechet"]
    assert found["noisy"]["frechet"] > 2 * found["good"]["frechet"]
    assert found["zeros"]["frechet"] > 2 * found["good"]["frechet"]
    assert found["zeros"]["coverage"] < 0.25 < 0.7 < found["good"]["coverage"]
    assert compared(images, good) == found["good"]


def test_without_labels_the_features_are_principal_components(images):
    bare = Images(*(Split(split.x) for split in (images.train, images.valid, images.test)), levels=17)
    found = compared(bare, images.valid.x)
    assert found["features"] == "principal components"
    assert "classifier_accuracy" not in found
    assert found["coverage"] > 0.7

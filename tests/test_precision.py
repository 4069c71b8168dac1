"""Models compute in float32, which a thousand nats from zero knows four digits behind the point; their sums know more."""

import numpy as np
import pytest
from scipy.special import logsumexp

from pipeline import backend, calibration
from pipeline.evidence import annealing, importance, integral

pytestmark = pytest.mark.backend
MANY, IMAGES = 1000, 64


@pytest.fixture
def weights(rng) -> np.ndarray:
    return (rng.standard_normal((MANY, IMAGES)) - 1000).astype("float32")


def test_importance_sampling_sums_in_float64(gaussian, weights):
    model, x = gaussian
    sampler, blocks = importance.Importance(model, 0), iter(np.split(weights, 10))
    sampler.weigh = lambda *given: next(blocks)
    found, exact = sampler.estimate(x[:IMAGES], MANY), weights.astype("float64")
    np.testing.assert_allclose(found.log_prob, logsumexp(exact, axis=0) - np.log(MANY), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.elbo, exact.mean(axis=0), rtol=0, atol=1e-9)
    for k in (10, 100, 1000):
        groups = logsumexp(exact.reshape(-1, k, IMAGES), axis=1) - np.log(k)
        np.testing.assert_allclose(found.curve[k], groups.mean(axis=0), rtol=0, atol=1e-9)


def test_annealing_sums_in_float64(weights, monkeypatch):
    monkeypatch.setattr(annealing, "SEGMENT", 1)
    model, images = calibration.line(4)
    chains = annealing.Annealing(model, 0, 10)
    parts = iter(weights.reshape(-1, 10, IMAGES)[..., : chains.tile])
    chains.forward = lambda x, q, width, z, betas, sizes, *rest: (z, next(parts), np.zeros((1, chains.tile)), sizes)
    found = chains.estimate(images.test.x, annealing.Steps(annealing.temperatures(100), np.ones(100)))
    exact = weights.astype("float64").reshape(-1, 10, IMAGES).sum(axis=0)
    np.testing.assert_allclose(found.log_prob, (logsumexp(exact, axis=0) - np.log(10))[:4], rtol=0, atol=1e-8)


def test_an_integral_sums_in_float64(gaussian, weights, monkeypatch):
    model, x = gaussian
    monkeypatch.setattr(backend, "compiled", lambda function: lambda x, index: weights[index])
    monkeypatch.setattr(integral, "TILE", IMAGES * 5 * 300)  # three whole chunks and a part
    found = integral.summed(model, x[:IMAGES], lambda index: index, MANY)
    np.testing.assert_allclose(found, logsumexp(weights.astype("float64"), axis=0), rtol=0, atol=1e-9)

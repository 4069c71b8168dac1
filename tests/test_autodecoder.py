"""The auto-decoder: codes that are where the objective is least, and a decoder that only training moves."""

import models as small
import numpy as np
import pytest

from pipeline import backend, models, training
from pipeline.data.store import Images, Split

pytestmark = pytest.mark.backend
NETWORK = {"latent": 2, "body": "dense", "widths": [], "penalty": 0.5, "steps": 120, "rate": 0.3}


def decoder(levels=None, **network):
    spec = {"shape": [2, 3, 1], "levels": levels, "classes": None}
    return small.perturbed(models.build("autoencoder", "autodecoder", spec, NETWORK | network, 0), 0, 0.3)


def ridge(model, x: np.ndarray) -> np.ndarray:
    """argmin_z |x - z W - b|^2 + penalty |z|^2."""
    weights, bias = (np.asarray(each, "float64") for each in model.g.weights)
    inverse = np.linalg.inv(weights @ weights.T + model.penalty * np.eye(model.latent))
    return (x.reshape(len(x), -1) - bias) @ weights.T @ inverse


@pytest.mark.parametrize("penalty", [0.0, 0.5, 5.0])
def test_the_codes_of_a_linear_decoder_are_those_of_ridge_regression(penalty):
    model = decoder(penalty=penalty)
    x = small.images(model, 50)
    found, expected = np.asarray(backend.compiled(model.encode)(x)), ridge(model, x)
    assert np.square(found - expected).sum() < 1e-4 * np.square(expected).sum()
    terms = backend.compiled(model.terms)(x, {})
    error = np.square(x.reshape(50, -1) - expected @ np.asarray(model.g.weights[0]) - np.asarray(model.g.weights[1])).sum(-1)
    assert float(np.mean(terms["distortion"])) == pytest.approx(error.mean(), rel=0.01)
    np.testing.assert_allclose(terms["penalty"], penalty * np.square(expected).sum(axis=-1), rtol=0.02, atol=1e-3)


def test_the_search_ends_in_the_same_error_wherever_it_begins_and_moves_no_weight():
    model = decoder(levels=17, widths=[8])
    x, before = small.images(model, 40), [np.array(weight) for weight in model.weights]
    rng = np.random.default_rng(0)
    starts = [np.zeros((40, 2), "float32"), *rng.standard_normal((4, 40, 2)).astype("float32")]
    fit = backend.compiled(lambda x, start: model.parts(x, model.fitted(x, start))[0])
    errors = [float(np.mean(fit(x, start))) for start in starts]
    assert np.ptp(errors) < 0.05 * min(errors)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))
    assert min(errors) < 0.9 * float(np.mean(model.parts(x, starts[0])[0]))


def test_the_gradient_is_that_of_the_minimum():
    """Along the bias, of a decoder whose code follows: d/db min_z = -2 (x - g(z)), by the envelope theorem."""
    model = decoder(steps=60)
    x = small.images(model, 20)
    bias = model.g.weights[1]
    at, step, found = np.array(bias), 0.01, []
    residual = (x - np.asarray(model.decode(model.encode(x)))).reshape(20, -1)
    for i in range(2):
        ends = []
        for sign in (1, -1):
            bias.assign(at + sign * step * np.eye(6, dtype="float32")[i])
            ends.append(float(np.mean(np.asarray(model.terms(x, {})["loss"], "float64"))))
        found.append((ends[0] - ends[1]) / (2 * step))
    np.testing.assert_allclose(found, -2 * residual.mean(axis=0)[:2], atol=5e-3)


def test_a_trained_linear_decoder_spans_the_principal_subspace():
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((500, 2)) @ rng.standard_normal((2, 6)) + 0.3 * rng.standard_normal((500, 6)) + 1.0
    split = Split(flat.reshape(-1, 2, 3, 1).astype("float32"))
    model = decoder(penalty=1e-3, steps=60)
    training.fit(
        model, Images(split, split, split, levels=None), 0, epochs=60, batch_size=50, learning_rate=0.1, schedule="cosine"
    )
    left = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)[2:]
    error = np.mean(backend.compiled(model.terms)(split.x, {})["distortion"])
    assert error == pytest.approx(np.square(left).sum() / 500, rel=0.01)

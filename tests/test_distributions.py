"""Log-densities against scipy and against sums over everything they could have been."""

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops

from pipeline import Refusal
from pipeline import distributions as d
from pipeline.base import Spec

pytestmark = pytest.mark.backend


def test_normal_is_scipys(rng):
    x, mean, log_var = rng.normal(size=(3, 50)).astype("float32")
    expected = scipy.stats.norm(mean, np.exp(log_var / 2)).logpdf(x)
    np.testing.assert_allclose(d.normal(x, mean, log_var), expected, rtol=1e-4)


def test_standard_normal_keeps_its_constant():
    assert float(d.standard_normal(ops.zeros((64,)))) == pytest.approx(-32 * np.log(2 * np.pi), rel=1e-6)


def test_kl_is_the_mean_log_ratio(rng):
    mean, log_var = np.float32(0.7), np.float32(-1.3)
    z = mean + np.exp(log_var / 2) * rng.standard_normal(200_000)
    ratio = scipy.stats.norm(mean, np.exp(log_var / 2)).logpdf(z) - scipy.stats.norm().logpdf(z)
    error = float(d.kl_to_standard_normal(mean, log_var)) - ratio.mean()
    assert abs(error) < 4 * ratio.std() / np.sqrt(len(z))


def test_log_normal_cdf_in_both_tails():
    x = np.array([-1000, -50, -12, -5, -1, -1e-3, 0, 1e-3, 1, 3, 5], "float32")
    np.testing.assert_allclose(d.log_normal_cdf(x), scipy.stats.norm.logcdf(x.astype(float)), rtol=2e-5, atol=1e-7)


def test_log_normal_mass_does_not_cancel():
    low = np.array([-40.0, -9.0, -0.01, 0.0, 8.0, 30.0, -1e4])
    high = np.array([-39.5, -8.9, 0.01, 0.2, 8.5, 31.0, 1e4])
    exact = [float(mass(a, b)) for a, b in zip(low, high, strict=True)]
    np.testing.assert_allclose(d.log_normal_mass(low.astype("float32"), high.astype("float32")), exact, rtol=1e-4, atol=1e-6)


def mass(low: float, high: float) -> float:
    a, b = (-high, -low) if low + high > 0 else (low, high)
    upper, lower = scipy.stats.norm.logcdf(b), scipy.stats.norm.logcdf(a)
    return upper + np.log1p(-np.exp(lower - upper))


LEVELS = [("bernoulli", 2), ("categorical", 2), ("categorical", 17), ("discretised-normal", 2), ("discretised-normal", 256)]


@pytest.mark.parametrize(("name", "levels"), LEVELS)
@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_a_pixels_probabilities_sum_to_one(name, levels, scale, rng):
    layer = d.likelihood(name, Spec((1, 1, 1), levels))
    for weight in layer.weights:
        weight.assign(-5.0)
    params = scale * rng.standard_normal((1, 1, 1, layer.width)).astype("float32")
    x = np.arange(levels, dtype="uint8").reshape(levels, 1, 1, 1)
    assert float(ops.sum(ops.exp(layer.log_prob(x, params)))) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize(("name", "levels"), [*LEVELS, ("normal", None)])
def test_samples_have_the_mean_and_the_frequencies_they_should(name, levels, rng):
    layer = d.likelihood(name, Spec((1, 1, 1), levels))
    for weight in layer.weights:
        weight.assign(-3.0)
    params = np.broadcast_to(0.2 * rng.standard_normal((1, 1, layer.width)).astype("float32"), (40_000, 1, 1, layer.width))
    drawn = np.asarray(layer.sample(params, d.uniforms((40_000, 1, 1, 1), rng))).ravel().astype(float)
    if levels is not None:
        x = np.arange(levels, dtype="uint8").reshape(levels, 1, 1, 1)
        p = np.exp(np.asarray(layer.log_prob(x, params[:1])))
        counts = np.bincount(drawn.astype(int), minlength=levels)
        assert np.all(np.abs(counts / 40_000 - p) < 5 * np.sqrt(p * (1 - p) / 40_000) + 1e-6)
    assert abs(drawn.mean() - float(layer.mean(params[:1])[0, 0, 0, 0])) < 5 * drawn.std() / 200


def test_log_prob_sums_over_the_image_and_broadcasts_draws(rng):
    layer = d.likelihood("bernoulli", Spec((2, 3, 1), 2))
    x = rng.integers(0, 2, (4, 2, 3, 1)).astype("uint8")
    params = rng.standard_normal((5, 4, 2, 3, 1)).astype("float32")
    p = 1 / (1 + np.exp(-params.astype(float)))
    expected = np.log(np.where(x == 1, p, 1 - p)).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(layer.log_prob(x, params), expected, rtol=1e-5)


@pytest.mark.parametrize(("name", "levels"), [("bernoulli", 17), ("categorical", None), ("normal", 2)])
def test_a_likelihood_that_the_data_cannot_have_is_refused(name, levels):
    with pytest.raises(Refusal, match=f"likelihood: {name}"):
        d.likelihood(name, Spec((8, 8, 1), levels))


def test_the_floor_of_the_variance_holds():
    layer = d.likelihood("normal", Spec((1, 1, 1), None))
    layer.weights[0].assign(-50.0)
    assert float(layer.log_prob(np.zeros((1, 1, 1, 1), "float32"), ops.zeros((1, 1, 1, 1)))[0]) == pytest.approx(
        0.5 * (12 - np.log(2 * np.pi)), rel=1e-5
    )


def test_gradients_are_finite_far_away():
    if keras.backend.backend() == "jax":
        import jax

        gradient = jax.grad(lambda v: ops.sum(d.log_normal_mass(v, v + 0.1)))(np.array([-30.0, 0.0, 30.0], "float32"))
    else:
        import tensorflow as tf

        v = tf.constant([-30.0, 0.0, 30.0])
        with tf.GradientTape() as tape:
            tape.watch(v)
            total = ops.sum(d.log_normal_mass(v, v + 0.1))
        gradient = tape.gradient(total, v)
    np.testing.assert_allclose(gradient, [30.0, -0.05, -30.0], rtol=0.02)

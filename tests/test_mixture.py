"""The logistic mixture: against scipy, summed over all images of a pixel, and at scales where float32 ends."""

import numpy as np
import pytest
import scipy.stats
from gradients import gradient
from keras import ops
from scipy.special import expit, softmax

from pipeline.base import Spec
from pipeline.distributions import uniforms
from pipeline.likelihoods import named

pytestmark = pytest.mark.backend
LOG_SCALES = [-1000.0, -30.0, -7.0, -3.0, 0.0, 10.0, 50.0, 100.0]


def mixture(levels, channels=1, components=3):
    return named("logistic-mixture", Spec((1, 1, channels), levels), components=components)


def with_scale(layer, log_scale, rng):
    """Parameters of one grey pixel: logits, means, log s."""
    logits, means = rng.standard_normal((2, layer.width))
    return np.concatenate([logits, 0.7 * means, np.full(layer.width, log_scale)]).astype("float32").reshape(1, 1, 1, -1)


def every(levels, channels=1):
    """All that one pixel can be [levels ** channels, 1, 1, channels]."""
    return np.stack(np.meshgrid(*[np.arange(levels)] * channels, indexing="ij"), -1).reshape(-1, 1, 1, channels).astype("int32")


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("log_scale", [-5.0, -2.0, 0.0, 2.0])
def test_a_level_has_scipys_probability(levels, log_scale, rng):
    layer = mixture(levels)
    params = with_scale(layer, log_scale, rng)
    logits, means, _ = np.split(params.ravel().astype(float), 3)
    x = np.arange(levels)
    low = np.where(x == 0, -np.inf, (2 * x - 1) / (levels - 1) - 1)
    high = np.where(x == levels - 1, np.inf, (2 * x + 1) / (levels - 1) - 1)
    each = scipy.stats.logistic(means, np.exp(log_scale))
    expected = (each.cdf(high[:, None]) - each.cdf(low[:, None])) @ softmax(logits)
    found = np.exp(np.asarray(layer.log_prob(every(levels), params), float))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("levels", [2, 17, 256])
@pytest.mark.parametrize("log_scale", LOG_SCALES)
def test_at_any_scale_it_sums_to_one_and_its_gradients_are_numbers(levels, log_scale, rng):
    layer = mixture(levels)
    params, x = with_scale(layer, log_scale, rng), every(levels)
    log_p = np.asarray(layer.log_prob(x, params), float)
    assert np.isfinite(log_p).all()
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-4)
    slopes = gradient(lambda p: ops.sum(layer.log_prob(x, p)), params)
    assert np.isfinite(slopes).all()
    assert np.abs(slopes[..., : layer.width]).max() < levels  # of a log-probability by a logit: 1 at most
    assert np.abs(slopes[..., : 2 * layer.width]).max() > 0 or log_scale > 20
    assert 0 <= float(np.asarray(layer.mean(params)).item()) <= levels - 1


def test_far_outside_it_is_finite_and_draws_the_mean_back():
    """A mean far away: p falls like exp(-distance / s), the gradient keeps its direction and its size, 1 / s."""
    layer = mixture(256, components=1)
    params = np.array([0.0, 500.0, -3.0], "float32").reshape(1, 1, 1, 3)
    x = np.full((1, 1, 1, 1), 128, "uint8")
    assert float(layer.log_prob(x, params)[0]) == pytest.approx(-500 * np.exp(3), rel=0.01)
    assert gradient(lambda p: ops.sum(layer.log_prob(x, p)), params)[0, 0, 0, 1] == pytest.approx(-np.exp(3), rel=0.01)


def random_colours(layer, rng, spread=1.5):
    return (spread * rng.standard_normal((1, 1, 1, layer.outputs))).astype("float32")


@pytest.mark.parametrize("seed", range(4))
def test_the_colours_of_a_pixel_sum_to_one(seed):
    layer = mixture(4, channels=3)
    assert layer.outputs == 3 * (1 + 3 + 3 + 3)
    params = random_colours(layer, np.random.default_rng(seed))
    log_p = np.asarray(layer.log_prob(every(4, 3), params), float)
    assert log_p.shape == (64,)
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-4)


def test_the_colours_of_a_pixel_have_the_probabilities_of_the_paper(rng):
    """Formula by formula: components shared by the channels, mu_G = m_G + tanh(a) R, mu_B = m_B + tanh(b) R + tanh(c) G."""
    layer = mixture(4, channels=3)
    params = random_colours(layer, rng)
    logits, *rest = params.reshape(10, 3).astype(float)
    means, log_s, (a, b, c) = rest[:3], rest[3:6], np.tanh(rest[6:])
    x = every(4, 3).reshape(64, 3)
    red, green, _ = (2 * x / 3 - 1).T[..., None]
    mu = [means[0] + 0 * red, means[1] + a * red, means[2] + b * red + c * green]
    total = softmax(logits) * np.ones((64, 1))
    for channel in range(3):
        level = x[:, channel, None]
        upper = np.where(level == 3, 1.0, expit((2 * level / 3 - 1 + 1 / 3 - mu[channel]) / np.exp(log_s[channel])))
        lower = np.where(level == 0, 0.0, expit((2 * level / 3 - 1 - 1 / 3 - mu[channel]) / np.exp(log_s[channel])))
        total = total * (upper - lower)
    np.testing.assert_allclose(np.exp(np.asarray(layer.log_prob(every(4, 3), params))), total.sum(1), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_colours_are_drawn_as_often_as_they_should_jointly(seed):
    rng = np.random.default_rng(seed)
    layer, n = mixture(4, channels=3), 100_000
    params = random_colours(layer, rng)
    drawn = np.asarray(layer.sample(np.repeat(params, n, axis=0), uniforms((n, 1, 1, 3), rng))).reshape(n, 3).astype(int)
    counts = np.bincount(drawn @ [16, 4, 1], minlength=64)
    p = np.exp(np.asarray(layer.log_prob(every(4, 3), params), float))
    assert np.all(np.abs(counts / n - p) < 5 * np.sqrt(p * (1 - p) / n) + 1e-5)
    assert p.max() < 0.9


def test_the_mean_of_the_first_channel_is_exact(rng):
    layer = mixture(17, channels=3)
    params = random_colours(layer, rng, 0.5)
    p = np.exp(np.asarray(layer.log_prob(every(17, 3), params), float))
    mean = np.asarray(layer.mean(params)).ravel()
    assert mean[0] == pytest.approx(p @ every(17, 3)[:, 0, 0, 0], rel=1e-4)
    np.testing.assert_allclose(mean[1:], p @ every(17, 3)[:, 0, 0, 1:], atol=0.5)  # of the others a little off


def test_scales_on_the_floor_are_counted():
    layer = named("logistic-mixture", Spec((2, 2, 3), 17), components=5)
    params = np.zeros((3, 2, 2, layer.outputs), "float32")
    params[0, 0, 0, 4 * 5 : 5 * 5] = -50  # one channel's scales of one pixel
    params[1, ..., 4 * 5 : 7 * 5] = -50
    params[2, ..., : 4 * 5] = -50  # logits and means
    np.testing.assert_allclose(layer.floored(params), [1 / 12, 1, 0], rtol=1e-6)

"""What p(x | h) can be: sums over all that x could be, scipy, and frequencies of samples."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
from keras import ops

from pipeline import Refusal, backend
from pipeline.base import Spec
from pipeline.distributions import uniforms
from pipeline.likelihoods import named

pytestmark = pytest.mark.backend
MANY = [(name, n) for name in ("categorical", "discretised-normal", "logistic-mixture") for n in (2, 17, 256, 300)]
DISCRETE = [("bernoulli", 2, "shared"), *((name, n, "shared") for name, n in MANY), ("discretised-normal", 17, "pixel")]


def one_pixel(name, levels, variance="shared", log_variance=-5.0):
    """The likelihood of a grey pixel, and all that it can be."""
    layer = named(name, Spec((1, 1, 1), levels), variance=variance, components=4)
    for weight in layer.weights:
        weight.assign(log_variance)
    return layer, None if levels is None else np.arange(levels, dtype="int32").reshape(levels, 1, 1, 1)


@pytest.mark.parametrize(("name", "levels", "variance"), [*DISCRETE, ("discretised-normal", 256, "image")])
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_a_pixels_probabilities_sum_to_one(name, levels, variance, scale, rng):
    layer, x = one_pixel(name, levels, variance)
    params = scale * rng.standard_normal((5, 1, 1, 1, layer.outputs)).astype("float32")
    log_p = np.asarray(layer.log_prob(x, params), float)
    assert log_p.shape == (5, levels)
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1.0, atol=1e-4)


@pytest.mark.parametrize(("name", "levels", "variance"), DISCRETE)
def test_the_mean_is_the_sum_over_all_levels(name, levels, variance, rng):
    layer, x = one_pixel(name, levels, variance)
    params = 0.5 * rng.standard_normal((5, 1, 1, 1, layer.outputs)).astype("float32")
    expected = np.exp(np.asarray(layer.log_prob(x, params), float)) @ np.arange(levels)
    np.testing.assert_allclose(np.asarray(layer.mean(params[:, 0])).ravel(), expected, rtol=1e-4)


@pytest.mark.parametrize(("name", "levels", "variance"), [*DISCRETE, ("normal", None, "shared"), ("normal", None, "image")])
def test_samples_have_the_mean_and_the_frequencies_they_should(name, levels, variance, rng):
    layer, x = one_pixel(name, levels, variance, -3.0)
    one = 0.5 * rng.standard_normal((1, 1, 1, layer.outputs)).astype("float32")
    drawn = np.asarray(layer.sample(np.repeat(one, 40_000, axis=0), uniforms((40_000, 1, 1, 1), rng)))
    assert drawn.dtype == ("float32" if levels is None else "uint8" if levels <= 256 else "int32")
    if levels is not None:
        p = np.exp(np.asarray(layer.log_prob(x, one), float))
        counts = np.bincount(drawn.ravel().astype(int), minlength=levels)
        assert np.all(np.abs(counts / 40_000 - p) < 5 * np.sqrt(p * (1 - p) / 40_000) + 1e-4)
    assert abs(drawn.mean() - float(layer.mean(one)[0, 0, 0, 0])) < 5 * drawn.std() / 200


@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 1, 1), (5, 200, 1), (3, 70, 3)])
@pytest.mark.parametrize("scale", [0.01, 5.0, 80.0])
def test_a_whole_image_of_binary_pixels_and_its_gradient(shape, scale, rng):
    """Rows are multiplied, so wide ones and tiny probabilities have to be seen to come out."""
    layer = named("bernoulli", Spec(shape, 2))
    x = rng.integers(0, 2, (2, *shape)).astype("uint8")
    logits = (scale * rng.standard_normal((3, 2, *shape))).astype("float32")
    value, gradient = backend.compiled(
        lambda logits: backend.value_and_gradient(lambda logits: layer.log_prob(x, logits), logits)
    )(logits)
    t = (2.0 * x - 1.0) * logits.astype("float64")
    expected = -np.logaddexp(0.0, -t).sum(axis=(-3, -2, -1))
    np.testing.assert_allclose(value, expected, rtol=4e-7, atol=1e-7 * shape[0])
    np.testing.assert_allclose(
        np.asarray(layer.log_probs(x, logits)).sum(axis=(-2, -1)), expected, rtol=4e-7, atol=1e-7 * shape[0]
    )
    np.testing.assert_allclose(gradient, (2.0 * x - 1.0) * scipy.special.expit(-t), rtol=1e-4, atol=1e-6)


def test_one_uniform_number_is_the_same_quantile_of_whatever_likelihood(rng):
    """x rises with u, so that common noise couples two models; but a Bernoulli pixel is 1 for small u."""
    u = np.linspace(0.001, 0.999, 50, dtype="float32").reshape(50, 1, 1, 1)
    for name, levels in [("bernoulli", 2), *MANY, ("normal", None)]:
        layer, _ = one_pixel(name, levels, log_variance=0.0)
        one = rng.standard_normal((1, 1, 1, layer.outputs)).astype("float32")
        steps = np.diff(np.asarray(layer.sample(np.repeat(one, 50, axis=0), u)).ravel().astype(float))
        assert np.all(steps <= 0 if name == "bernoulli" else steps >= 0)


def test_categorical_draws_any_of_300_levels():
    layer, _ = one_pixel("categorical", 300)
    u = ((np.arange(300) + 0.5) / 300).astype("float32").reshape(300, 1, 1, 1)
    drawn = np.asarray(layer.sample(np.zeros((300, 1, 1, 300), "float32"), u))
    assert drawn.dtype == np.int32
    np.testing.assert_array_equal(drawn.ravel(), np.arange(300))


def test_log_prob_sums_over_the_image_and_broadcasts_draws(rng):
    layer = named("bernoulli", Spec((2, 3, 1), 2))
    x = rng.integers(0, 2, (4, 2, 3, 1)).astype("uint8")
    params = rng.standard_normal((5, 4, 2, 3, 1)).astype("float32")
    p = 1 / (1 + np.exp(-params.astype(float)))
    expected = np.log(np.where(x == 1, p, 1 - p)).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(layer.log_prob(x, params), expected, rtol=1e-5)


@pytest.mark.parametrize(("name", "levels"), [("categorical", 5), ("discretised-normal", 5), ("logistic-mixture", 5)])
def test_every_likelihood_broadcasts_draws_and_keeps_pixels_apart(name, levels, rng):
    layer = named(name, Spec((2, 3, 3), levels), variance="image" if name == "discretised-normal" else "shared")
    x = rng.integers(0, levels, (4, 2, 3, 3)).astype("uint8")
    params = rng.standard_normal((2, 4, 2, 3, layer.outputs)).astype("float32")
    found = np.asarray(layer.log_probs(x, params))
    assert found.shape == (2, 4, 2, 3)
    for k in range(2):
        np.testing.assert_allclose(found[k], layer.log_probs(x, params[k]), rtol=1e-5)
    np.testing.assert_allclose(found.sum((2, 3)), layer.log_prob(x, params), rtol=1e-5)


VARIANCES = pytest.mark.parametrize("variance", ["shared", "pixel", "image"])


def deviations(variance, log_var):
    """Of images [2, 3, 3, 2] as documented: one number, one per pixel and channel, one per image."""
    if variance == "shared":
        return np.full((2, 1, 1, 1), np.exp(-0.35))
    return np.exp(0.5 * (log_var if variance == "pixel" else log_var.mean(axis=(1, 2, 3), keepdims=True)))


def with_variance(name, levels, variance, rng):
    layer = named(name, Spec((3, 3, 2), levels), variance=variance)
    for weight in layer.weights:
        weight.assign(-0.7)
    mean, log_var = rng.standard_normal((2, 2, 3, 3, 2)).astype("float32")
    params = mean if variance == "shared" else np.concatenate([mean, log_var], axis=-1)
    return layer, params, mean.astype(float), deviations(variance, log_var.astype(float))


@VARIANCES
def test_a_normal_density_is_scipys(variance, rng):
    layer, params, mean, deviation = with_variance("normal", None, variance, rng)
    x = rng.standard_normal((2, 3, 3, 2)).astype("float32")
    expected = scipy.stats.norm(mean, deviation).logpdf(x.astype(float))
    np.testing.assert_allclose(layer.log_probs(x, params), expected.sum(-1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.mean(params), mean, rtol=1e-6)
    uniform = uniforms(x.shape, rng)
    drawn = scipy.stats.norm(mean, deviation).ppf(uniform.astype(float))
    np.testing.assert_allclose(layer.sample(params, uniform), drawn, rtol=1e-3, atol=1e-4)


@VARIANCES
@pytest.mark.parametrize("levels", [2, 17])
def test_a_discretised_normal_is_scipys(variance, levels, rng):
    layer, params, mean, deviation = with_variance("discretised-normal", levels, variance, rng)
    x = rng.integers(0, levels, (2, 3, 3, 2))
    x[0, 0, 0], x[1, 2, 2] = (0, levels - 1), (levels - 1, 0)  # the open ends
    expected = between(scipy.stats.norm, x, levels, mean, deviation)
    np.testing.assert_allclose(layer.log_probs(x.astype("uint8"), params), np.log(expected).sum(-1), rtol=1e-3, atol=1e-3)


def between(distribution, x, levels, mean, deviation):
    """The probability of the cell of x, on [-1, 1], the first and the last open."""
    value, half = 2 * x / (levels - 1) - 1, 1 / (levels - 1)
    low = np.where(x == 0, -np.inf, value - half)
    high = np.where(x == levels - 1, np.inf, value + half)
    return distribution.cdf(high, mean, deviation) - distribution.cdf(low, mean, deviation)


@pytest.mark.parametrize(("name", "levels"), [("normal", None), ("discretised-normal", 17)])
def test_the_variance_has_a_floor_and_what_lies_on_it_is_counted(name, levels):
    spec = Spec((2, 2, 1), levels)
    params = np.zeros((3, 2, 2, 2), "float32")
    params[0, 0, 0, 1], params[1, ..., 1] = -50, -50
    np.testing.assert_allclose(named(name, spec, variance="pixel").floored(params), [0.25, 1, 0])
    np.testing.assert_allclose(named(name, spec, variance="image").floored(params), [1, 1, 0])  # the mean is -12.5
    np.testing.assert_allclose(named(name, spec, variance="image").floored(params + 1), [0, 1, 0])
    shared = named(name, spec)
    np.testing.assert_allclose(shared.floored(params[..., :1]), [0, 0, 0])
    shared.weights[0].assign(-50.0)
    np.testing.assert_allclose(shared.floored(params[..., :1]), [1, 1, 1])
    x = np.zeros((3, 2, 2, 1), "uint8" if levels else "float32")
    params[..., 1] = -50
    np.testing.assert_allclose(shared.floor, -12)
    for variance in ("pixel", "image"):
        layer = named(name, spec, variance=variance)
        np.testing.assert_allclose(layer.log_prob(x, params), shared.log_prob(x, params[..., :1]), rtol=1e-5)
    if levels is None:
        at_the_floor = 4 * 0.5 * (12 - np.log(2 * np.pi))
        np.testing.assert_allclose(shared.log_prob(params[..., :1], ops.zeros((3, 2, 2, 1))), at_the_floor, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "levels"), [("bernoulli", 17), ("categorical", None), ("normal", 2), ("logistic-mixture", None)]
)
def test_a_likelihood_that_the_data_cannot_have_is_refused(name, levels):
    with pytest.raises(Refusal, match=f"likelihood: {name}"):
        named(name, Spec((8, 8, 1), levels))


@pytest.mark.parametrize(("name", "levels"), [("bernoulli", 2), ("categorical", 17), ("logistic-mixture", 17)])
@pytest.mark.parametrize("variance", ["pixel", "image"])
def test_a_variance_is_refused_where_there_is_none(name, levels, variance):
    with pytest.raises(Refusal, match=f"network.variance: {variance} is for a normal likelihood; {name} has no variance"):
        named(name, Spec((8, 8, 1), levels), variance=variance)

"""The Concrete distribution, and a VAE that is trained through it: its draws, its gradients, its discrete bound."""

import models as small
import numpy as np
import pytest
import scipy.stats
from gradients import gradient
from keras import ops
from scipy.special import softmax

from pipeline import Refusal, models, training
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.distributions import relaxed, uniforms
from pipeline.evidence import integral
from pipeline.models.categorical.concrete import DRAWS

pytestmark = pytest.mark.backend
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"codes": 3, "widths": [6], "likelihood": "bernoulli", "first": 2.0, "last": 0.5, "cooling": 4}


def concrete(**network):
    return small.perturbed(models.build("categorical", "concrete", BINARY, NETWORK | network, 0), 0, 0.5)


@pytest.fixture(scope="module")
def model():
    """3^4 code maps, away from its initial weights."""
    return concrete()


def all_maps(model) -> np.ndarray:
    return np.stack(np.unravel_index(np.arange(model.codes**model.sites), (model.codes,) * model.sites), -1).astype("int32")


@pytest.mark.parametrize("temperature", [0.02, 5.0])
def test_the_largest_entry_is_where_a_categorical_draw_would_be(temperature):
    logits, n = np.array([1.0, -2.0, 0.5, 0.0], "float32"), 20_000
    y = np.asarray(relaxed(logits, uniforms((n, 4), generator(0)), temperature))
    counts = np.bincount(y.argmax(axis=-1), minlength=4)
    assert scipy.stats.chisquare(counts, n * softmax(logits.astype(float))).pvalue > 0.001
    np.testing.assert_allclose(y.sum(axis=-1), 1, rtol=1e-5)
    assert (y.max(axis=-1) > 0.99).mean() > 0.9 if temperature < 1 else y.max() < 0.99


def test_the_ends_of_the_uniforms_make_no_infinity():
    ends = np.array([2.0**-24, 1 - 2.0**-24, 0.5], "float32")
    logits = np.array([0.0, 30.0, -30.0], "float32")
    assert np.isfinite(relaxed(logits, ends, 0.01)).all()
    assert np.isfinite(gradient(lambda a: ops.sum(ops.square(relaxed(a, ends, 0.01))), logits)).all()


def test_colder_the_gradient_is_less_biased_and_noisier():
    """Of E f(z), known from all z: f is a quadratic, another one off the corners than linear interpolation would have it."""
    logits, n = np.array([0.4, -0.3, 0.1], "float32"), 40_000
    centre, weight = np.array([0.3, -0.2, 0.5], "float32"), np.array([1.0, 3.0, 2.0], "float32")
    f = np.sum(weight * (np.eye(3) - centre) ** 2, axis=-1)
    p = softmax(logits.astype(float))
    exact = p * (f - p @ f)
    noise, bias, spread = uniforms((n, 3), generator(1)), [], []
    for temperature in (4.0, 1.0, 0.25):

        def mean_f(each, temperature=temperature):
            return ops.sum(weight * ops.square(relaxed(each, noise, temperature) - centre))

        found = gradient(mean_f, np.tile(logits, (n, 1))).astype(float)
        bias.append(np.abs(found.mean(axis=0) - exact).sum())
        spread.append(found.var(axis=0).sum())
    assert bias[0] > 2 * bias[1] > 4 * bias[2]
    assert spread[0] < spread[1] < spread[2]


def by_enumeration(model, x):
    """q(z | x) and log p(x | z) of every code map [B, maps], in plain numpy."""
    maps = all_maps(model)
    log_q = np.log(softmax(np.asarray(model.posterior(x)["logits"], float), axis=-1))
    q = np.exp(sum(log_q[:, site, maps[:, site]] for site in range(model.sites)))
    logits = np.asarray(model.decoded(np.eye(3, dtype="float32")[maps]), float)[:, None]
    return q, np.where(x == 1, -np.log1p(np.exp(-logits)), -np.log1p(np.exp(logits))).sum(axis=(2, 3, 4)).T


def test_the_bound_of_draws_is_on_average_the_sum_over_all_codes(model):
    """E_q log p(x | z) - KL, against the loss that is validated."""
    x, n = small.images(model, 3), 4000
    q, log_p = by_enumeration(model, x)
    bound = (q * (log_p - np.log(q) - model.sites * np.log(3))).sum(axis=-1)
    losses = np.asarray(model.terms(np.tile(x, (n, 1, 1, 1)), model.eps(3 * n, generator(2)))["loss"], float).reshape(n, 3)
    assert np.all(np.abs(losses.mean(axis=0) + bound) < 4 * losses.std(axis=0) / np.sqrt(n))
    assert np.all(bound < integral.enumeration(model, x))


def test_summed_over_code_maps_all_binary_images_have_probability_one(model):
    assert np.exp(integral.enumeration(model, small.all_binary_images())).sum() == pytest.approx(1.0, abs=1e-4)


def test_prior_draws_are_uniform(model):
    z = np.asarray(model.prior(model.eps(3000, generator(3))))
    assert scipy.stats.chisquare(np.bincount(z.ravel(), minlength=3)).pvalue > 0.001


def test_a_code_that_is_never_proposed_is_not_drawn_by_rounding(model):
    """The last code far away, at the largest uniform there is: its claimed log q would outweigh everything."""
    logits = np.zeros((50, model.sites, 3), "float32")
    logits[..., 0] = np.linspace(-3, -0.1, 50)[:, None]  # with some of these the sum of the others comes out below 1
    logits[..., 2] = -500.0
    z, log_q = model.propose({"logits": logits}, {"z": np.full((1, 50, model.sites), 1 - 2.0**-24, "float32")})
    assert np.asarray(z).max() < 2
    assert np.asarray(log_q).min() > -30


def test_it_cools_in_training_only_and_trains_on_relaxed_codes():
    model = concrete()
    x, eps = small.images(model, 4), model.training_noise(4, generator(0))
    for _ in range(2):
        outside = model.terms(x, eps)
        assert float(model.temperature()) == 2.0
    seen = []
    for _ in range(6):
        inside = model.terms(x, eps, training=True)
        seen.append(float(model.temperature()))
    np.testing.assert_allclose(seen, [2.0 * 0.25 ** (min(step, 4) / 4) for step in range(1, 7)], rtol=1e-5)
    soft = relaxed(model.posterior(x)["logits"], eps["gumbel"], 0.5)
    np.testing.assert_allclose(inside["distortion"], -model.likelihood.log_prob(x, model.decoded(soft)), rtol=1e-5)
    np.testing.assert_allclose(inside["rate"], outside["rate"], rtol=1e-5)


def test_its_gates_tell_a_hot_relaxation_and_unused_codes():
    model = concrete(first=2000.0)
    x = small.images(model, 40)
    images = Images(Split(x), Split(x), Split(x), levels=2)
    hot, used = model.gates(images)
    even = model.likelihood.log_prob(x, model.decoded(np.full((40, 4, 3), 1 / 3, "float32")))  # so hot, all codes are alike
    q, log_p = by_enumeration(model, x)
    mean, square = ((q * log_p**power).sum(axis=-1) for power in (1, 2))
    error = np.sqrt((square - mean**2).sum() / DRAWS) / 40
    assert hot["value"] == pytest.approx(abs(np.mean(np.asarray(even) - mean)), abs=4 * error)
    assert hot["value"] > 8 * error
    assert not hot["passed"]
    assert used["value"] == pytest.approx(model.perplexity(x) / 3)
    model.encoder.weights[-1].assign([99.0, 0.0, 0.0])
    assert model.gates(images)[1] == used | {"value": pytest.approx(1 / 3), "passed": False}


def test_trained_its_codes_say_what_an_image_is():
    """Two kinds of images, which one bit tells apart."""
    rng = np.random.default_rng(0)
    x = (rng.random((600, 4, 4, 1)) < np.where(rng.random(600) < 0.5, 0.9, 0.1)[:, None, None, None]).astype("uint8")
    images = Images(Split(x[:400]), Split(x[400:500]), Split(x[500:]), levels=2)
    model = models.build("categorical", "concrete", BINARY, NETWORK | {"codes": 2, "cooling": 100}, 0)
    history = training.fit(model, images, 0, epochs=40, batch_size=100, learning_rate=0.02, schedule="cosine")
    given = -16 * (0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert given < min(row["valid_loss"] for row in history) < given + 4 * np.log(2)  # which four sites cost that all say it
    assert model.warnings(x) == []


@pytest.mark.parametrize("widths", [[8, 8, 8], []])
def test_strides_that_do_not_divide_an_image_are_refused(widths):
    with pytest.raises(Refusal, match=f"{len(widths)} strides of 2 do not divide 4x4"):
        concrete(widths=widths)

"""Several draws for each image: whose they are, what the bound of them is, a capacity, and what makes no sense."""

from unittest import mock

import keras
import models as small
import numpy as np
import pytest
from scipy.special import logsumexp

from pipeline import Refusal, backend, models, schema
from pipeline.base import generator
from pipeline.data.batches import Training
from pipeline.data.store import Split
from pipeline.models.latent.blocks import LatentModel

pytestmark = pytest.mark.backend
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 3, "body": "dense", "widths": [8], "likelihood": "bernoulli"}


def vae(**network):
    return small.perturbed(models.build("latent", "vae", BINARY, NETWORK | network, 0), 0, 0.3)


def plain(model, x, eps) -> np.ndarray:
    """log w [n, K] for noise [n, K, d], in numpy, from the weights."""

    def run(network, each):
        weights = [np.asarray(weight, float) for weight in network.weights]
        hidden = each @ weights[0] + weights[1]
        return np.where(hidden > 0, hidden, np.expm1(np.minimum(hidden, 0))) @ weights[2] + weights[3]

    flat = x.reshape(len(x), -1).astype(float)
    mean, log_var = np.split(run(model.encoder, 2 * flat - 1)[:, None], 2, axis=-1)
    z = mean + np.exp(log_var / 2) * eps
    logits = run(model.decoder, z)
    log_p = (flat[:, None] * logits - np.logaddexp(0, logits)).sum(axis=-1)
    return log_p - 0.5 * (z**2).sum(axis=-1) + 0.5 * (eps**2 + log_var).sum(axis=-1)


@pytest.mark.parametrize("objective", ["iwae", "dreg"])
@pytest.mark.parametrize("training", [False, True])
def test_the_bound_of_several_draws_is_that_of_plain_numpy(objective, training):
    model = vae(objective=objective, draws=5)
    x, eps = small.images(model, 7), model.training_noise(7, generator(0))
    found = {name: np.asarray(value) for name, value in model.terms(x, eps, training=training).items()}
    log_w = plain(model, x, eps["z"])
    np.testing.assert_allclose(found["loss"], np.log(5) - logsumexp(log_w, axis=1), rtol=1e-5)
    np.testing.assert_allclose(found["distortion"] + found["rate"] + found["tightening"], found["loss"], rtol=1e-5)


def test_draws_belong_to_their_image_and_have_no_order():
    model, rng = vae(objective="iwae", draws=5), np.random.default_rng(0)
    x, eps = small.images(model, 7), model.training_noise(7, generator(0))["z"]
    loss = np.asarray(model.terms(x, {"z": eps})["loss"])
    np.testing.assert_allclose(model.terms(x, {"z": eps[:, rng.permutation(5)]})["loss"], loss, rtol=1e-5)
    order = rng.permutation(7)
    np.testing.assert_allclose(model.terms(x[order], {"z": eps[order]})["loss"], loss[order], rtol=1e-5)
    assert np.abs(np.asarray(model.terms(x, {"z": eps[order]})["loss"]) - loss).max() > 0.01  # another's draws are others


def test_where_all_weights_are_equal_the_bound_is_log_p_whatever_the_draws():
    """The decoder ignores z and q is the prior; the images differ, so that one which met another's draws would show."""
    model = vae(objective="iwae", draws=5)
    for weight in (*model.encoder.layers[-1].weights, model.decoder.layers[0].kernel):
        weight.assign(np.zeros(weight.shape))
    x = small.images(model, 7)
    terms = model.terms(x, model.training_noise(7, generator(0)))
    log_p = plain(model, x, np.zeros((7, 1, 3)))[:, 0]
    np.testing.assert_allclose(terms["loss"], -log_p, rtol=1e-5)
    np.testing.assert_allclose(terms["tightening"], np.zeros(7), atol=1e-5)


def test_the_rate_is_held_at_a_capacity_that_rises():
    model = vae(beta=30.0, capacity=4.0, beta_warmup=4)
    x, eps = small.images(model, 7), model.training_noise(7, generator(0))
    for risen in (1.0, 2.0, 3.0, 4.0, 4.0):
        terms = {name: np.asarray(value) for name, value in model.terms(x, eps, training=True).items()}
        np.testing.assert_allclose(terms["loss"], terms["distortion"] + 30 * abs(terms["rate"].mean() - risen), rtol=1e-5)
    outside = {name: np.asarray(value) for name, value in model.terms(x, eps).items()}
    np.testing.assert_allclose(outside["loss"], outside["distortion"] + outside["rate"], rtol=1e-5)
    without = vae(beta=30.0, capacity=4.0).terms(x, eps, training=True)
    np.testing.assert_allclose(without["loss"], terms["loss"], rtol=1e-5)


@pytest.mark.parametrize("objective", [{"objective": "nelbo"}, {"draws": 0}, {"capacity": -1.0}])
def test_what_no_objective_can_be_is_no_block(objective):
    with pytest.raises(Refusal, match=f"network.{next(iter(objective))}"):
        schema.block("network", NETWORK | objective, schema.network("latent", "vae"))


@pytest.mark.parametrize("draws", [1, 3])
def test_noise_of_training_has_a_row_for_each_image(draws):
    model = vae(draws=draws)
    eps = model.training_noise(5, generator(0))
    assert {name: leaf.shape for name, leaf in eps.items()} == {"z": (5, 3) if draws == 1 else (5, 3, 3)}
    np.testing.assert_array_equal(eps["z"].reshape(5 * draws, 3), model.eps(5 * draws, generator(0))["z"])
    assert all(np.shape(value) == (5,) for value in model.terms(small.images(model, 5), eps).values())


@pytest.mark.parametrize("objective", ["sticking", "score", "dreg"])
def test_each_is_trained_with_dropout_and_decodes_once(objective):
    """Twice would be with two masks."""
    model = models.build("latent", "vae", BINARY, NETWORK | {"dropout": 0.5, "objective": objective, "draws": 3}, 0)
    split, before = Split(small.images(model, 64)), [np.array(weight) for weight in model.trainable_weights]
    with mock.patch.object(LatentModel, "log_likelihood", autospec=True, side_effect=LatentModel.log_likelihood) as decoded:
        model.terms(split.x, model.training_noise(64, generator(0)), training=True)
    assert decoded.call_count == 1
    model.enter("train")
    model.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    backend.fit(model, Training(split, model, 0, 16), epochs=2)
    after = [np.array(weight) for weight in model.trainable_weights]
    assert all(np.isfinite(weight).all() for weight in after)
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(before, after, strict=True))

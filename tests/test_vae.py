"""What only the VAE has: the weight of the rate, free bits, its likelihoods' variances, and the warnings of a collapse."""

import models as small
import numpy as np
import pytest

from pipeline import models, training
from pipeline.base import generator
from pipeline.data.store import Images, Split

pytestmark = pytest.mark.backend
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 3, "body": "dense", "widths": [8], "likelihood": "bernoulli"}


def vae(spec=BINARY, **network):
    return small.perturbed(models.build("latent", "vae", spec, NETWORK | network, 0), 0, 0.3)


def terms(model, training: bool) -> dict[str, np.ndarray]:
    x = small.images(model, 5)
    found = model.terms(x, model.eps(5, generator(0)), training=training)
    return {name: np.asarray(value) for name, value in found.items()}


def test_beta_weighs_the_rate_in_training_only():
    inside, outside = terms(vae(beta=3.0), True), terms(vae(beta=3.0), False)
    np.testing.assert_allclose(inside["loss"], inside["distortion"] + 3 * inside["rate"], rtol=1e-5)
    np.testing.assert_allclose(outside["loss"], outside["distortion"] + outside["rate"], rtol=1e-5)


def test_free_bits_are_a_hinge_on_each_dimensions_mean_in_training_only():
    plain = vae()
    kl = np.asarray(plain.kl(plain.posterior(small.images(plain, 5)))).mean(axis=0)
    free = float(np.sort(kl)[1] + 1e-3)  # two dimensions below, one above
    inside, outside = terms(vae(free_bits=free), True), terms(vae(free_bits=free), False)
    assert (inside["loss"] - inside["distortion"]).mean() == pytest.approx(2 * free + kl.max(), rel=1e-4)
    np.testing.assert_allclose(inside["rate"], outside["rate"])  # the history tells the true rate
    np.testing.assert_allclose(outside["loss"], outside["distortion"] + outside["rate"], rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_log_q_of_any_z_is_that_of_a_proposal_there(scale):
    model = vae()
    q = model.posterior(small.images(model, 5))
    z, proposed = model.propose(q, {"z": generator(0).standard_normal((7, 5, 3), "float32")}, scale)
    np.testing.assert_allclose(model.log_q(q, z, scale), proposed, rtol=1e-4, atol=1e-4)


def trained(**network):
    """A rate that costs far too much, on images of two kinds."""
    rng = np.random.default_rng(0)
    x = (rng.random((600, 4, 4, 1)) < np.where(rng.random(600) < 0.5, 0.9, 0.1)[:, None, None, None]).astype("uint8")
    images = Images(Split(x[:400]), Split(x[400:500]), Split(x[500:]), levels=2)
    model = models.build("latent", "vae", BINARY, NETWORK | {"beta": 30.0} | network, 0)
    training.fit(model, images, 0, epochs=200, batch_size=200, learning_rate=0.01, schedule="cosine")
    return model, x


def test_a_collapsed_code_is_told_of_and_free_bits_prevent_it():
    model, x = trained()
    assert [words.split(":")[0] for words in model.warnings(x)] == ["collapsed"]
    model, x = trained(free_bits=0.5)
    assert model.warnings(x) == []
    assert np.asarray(model.kl(model.posterior(x))).sum(axis=-1).mean() > 0.9 * 3 * 0.5


@pytest.mark.parametrize("variance", ["shared", "pixel", "image"])
def test_a_variance_at_its_floor_is_told_of(variance):
    model = vae({"shape": [4, 4, 1], "levels": 17, "classes": None}, likelihood="discretised-normal", variance=variance)
    x = small.images(model, 5)
    assert model.warnings(x) == []
    if variance == "shared":
        model.likelihood.log_variance.assign(-50.0)
    else:
        bias = np.array(model.decoder.weights[-1]).reshape(4, 4, 2)
        bias[..., 1] = -500.0
        model.decoder.weights[-1].assign(bias.ravel())
    assert model.warnings(x) == ["100.0 % of the scales are at their floor"]


@pytest.mark.parametrize("likelihood", ["categorical", "discretised-normal", "logistic-mixture"])
def test_colour_images_have_a_bound_that_is_the_mean_log_weight(likelihood):
    model = vae({"shape": [4, 4, 3], "levels": 256, "classes": None}, likelihood=likelihood, variance="shared")
    x = small.images(model, 2)
    eps = {"z": generator(1).standard_normal((200, 2, 3), "float32")}
    w = np.asarray(model.log_weights(x, eps))
    again = -np.array([np.asarray(model.terms(x, {"z": each})["loss"]) for each in eps["z"]])
    off = w - again  # of the same draws: only the KL is a mean in the one and a formula in the other
    assert np.abs(off.mean(axis=0)).max() < 4 * off.std(axis=0).max() / 200**0.5 + 1e-3
    drawn = np.asarray(model.sample(model.noise(3, generator(0))))
    assert drawn.shape == (3, 4, 4, 3)
    assert drawn.dtype == np.uint8


def test_beta_rises_with_the_steps_of_training_and_only_with_them():
    model = vae(beta=2.0, beta_warmup=4)
    shares = []
    for moves in (False, True, True, False, True, True, True, True, False):
        found = terms(model, moves)
        shares.append(round(float(np.mean((found["loss"] - found["distortion"]) / found["rate"])), 4))
    assert shares == [1, 0.5, 1, 1, 1.5, 2, 2, 2, 1]

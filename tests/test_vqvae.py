"""VQ-VAE: the codebook moves as it should, its likelihood is a bound, an estimate and a sum that agree, and training works."""

import keras
import models as small
import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp
from sklearn.datasets import load_digits

from pipeline import Refusal, backend, models, quantisation, training
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.evidence import importance, integral

pytestmark = pytest.mark.backend
NETWORK = {"codes": 3, "dimension": 2, "widths": [6], "residual": 1, "likelihood": "bernoulli"}
NETWORK |= {"prior_features": 8, "prior_layers": 1}
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}


def vqvae(seed=0, spec=BINARY, **network):
    return models.build("quantised", "vqvae", spec, NETWORK | network, seed)


@pytest.fixture(scope="module")
def model():
    """3^4 code maps, away from its initial weights."""
    made = small.perturbed(vqvae(), 0, 0.3)
    made.adapt(small.images(made, 100), None, generator(0))
    return made


def all_maps(model) -> np.ndarray:
    return np.stack(np.unravel_index(np.arange(model.codes**model.sites), (model.codes,) * model.sites), -1).astype("int32")


def test_the_codebook_begins_as_encodings_of_images(model):
    vectors, z = np.asarray(model.codebook.placed), np.asarray(model.encodings(small.images(model, 100))).reshape(-1, 2)
    assert np.abs(vectors[:, None] - z).sum(axis=-1).min(axis=1).max() < 1e-5


def test_the_prior_is_a_distribution_over_code_maps(model):
    log_prior = np.asarray(model.log_prior(all_maps(model)[None]))[0].astype(float)
    assert np.exp(log_prior).sum() == pytest.approx(1.0, abs=1e-5)


def test_summed_over_code_maps_all_binary_images_have_probability_one_and_the_bound_less(model):
    x = small.all_binary_images()
    exact = integral.enumeration(model, x)
    bound = integral.bound(model, x)
    assert np.exp(exact).sum() == pytest.approx(1.0, abs=1e-4)
    assert np.exp(bound).sum() < 1.0
    assert np.all(bound <= exact + 1e-5)


def test_the_sum_is_that_of_plain_numpy(model):
    """p(z) and p(x | z) of every map by hand, in another order."""
    x = small.images(model, 5)
    logits = np.asarray(model.decoded(model.codebook.look_up(all_maps(model)))).astype(float)
    flat = np.where(x[None] == 1, -np.log1p(np.exp(-logits[:, None])), -np.log1p(np.exp(logits[:, None]))).sum(axis=(2, 3, 4))
    prior = np.asarray(model.log_prior(all_maps(model)[None]))[0].astype(float)
    np.testing.assert_allclose(integral.enumeration(model, x), logsumexp(flat + prior[:, None], axis=0), atol=1e-4)


def test_chunks_of_code_maps_change_nothing(model, monkeypatch):
    x = small.images(model, 7)
    whole = integral.enumeration(model, x)
    monkeypatch.setattr(integral, "TILE", 7 * 16 * 2 * 10)  # ten of the 81 maps at a time
    np.testing.assert_allclose(integral.enumeration(model, x), whole, atol=1e-5)


def test_importance_sampling_with_a_stochastic_quantiser_finds_the_sum(model):
    """At any temperature, and tighter than the one code map."""
    x = small.images(model, 20)
    exact, bound = integral.enumeration(model, x), integral.bound(model, x)
    distance = float(np.mean(np.asarray(model.posterior(x)["distance"])))
    for temperature in (10 * distance, 1000 * distance):  # colder, it would miss maps that carry the sum, and not know
        found = importance.Importance(model, 0).estimate(x, 16_000, temperature)
        assert np.all(np.abs(found.log_prob - exact) < 6 * np.sqrt(found.variance) + 0.01)
        assert bound.mean() < found.log_prob.mean() < exact.mean() + 4 * np.sqrt(found.variance.sum()) / len(x)


def test_a_code_that_is_never_proposed_is_not_drawn_by_rounding(model):
    """The last code far away, at the largest uniform there is: its claimed log q would outweigh everything."""
    distance = np.zeros((1, model.sites, 3), "float32")
    distance[..., 2] = 500.0
    distance[..., 0] = 0.3  # so that the sum of the others does not come out as exactly 1
    last = np.full((1, 1, model.sites), 1 - 2.0**-24, "float32")
    for cold in (0.25, 1.0, 4.0):
        z, log_q = model.propose({"distance": ops.convert_to_tensor(distance)}, {"z": last}, cold)
        assert np.asarray(z).max() < 2
        assert float(np.asarray(log_q)[0, 0]) > -30


def test_too_many_code_maps_are_refused(monkeypatch, model):
    monkeypatch.setattr(integral, "MOST", 80)
    with pytest.raises(Refusal, match="3\\^4 code maps are more than 80"):
        integral.enumeration(model, small.images(model, 2))


def gradient(function, value: np.ndarray) -> np.ndarray:
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(function)(value))
    import tensorflow as tf

    value = tf.constant(value)
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = function(value)
    return np.asarray(tape.gradient(result, value))


def test_the_gradient_of_an_encoding_is_exactly_the_decoders(model):
    """Through the terms of training themselves, with the encoder's output in our hands."""
    x, eps = small.images(model, 3), model.eps(3, generator(0))
    z = np.asarray(model.encodings(x))
    e = np.asarray(model.codebook.look_up(model.quantise(x)))

    def term(name, z):
        plain, model.encodings, model.phase = model.encodings, lambda x, training=False: z, "codes"
        try:
            return ops.sum(model.terms(x, eps)[name])
        finally:
            model.encodings, model.phase = plain, "prior"

    direct = gradient(lambda e: -ops.sum(model.likelihood.log_prob(x, model.decoded(e))), np.asarray(z + (e - z)))
    np.testing.assert_array_equal(gradient(lambda z: term("distortion", z), z), direct)
    assert np.abs(direct).max() > 0
    np.testing.assert_allclose(gradient(lambda z: term("commitment", z), z), 2 * 0.25 * (z - e), rtol=1e-5)


@pytest.mark.parametrize("learning", ["ema", "loss"])
def test_nothing_of_the_reconstruction_reaches_the_codebook(learning):
    """With `commitment: 0` and moving averages the codebook has no gradient at all; by loss it has that of its own term."""
    made = vqvae(learning=learning)
    assert [weight.path.split("/")[-1] for weight in made.codebook.trainable_weights] == (
        ["learned"] if learning == "loss" else []
    )
    if learning == "ema":
        return
    made.adapt(small.images(made, 50), None, generator(0))
    made.phase, x = "codes", small.images(made, 4)

    def loss(learned):
        plain, made.codebook.learned = made.codebook.learned, learned
        try:
            return ops.sum(made.terms(x, made.eps(4, generator(0)), training=False)["loss"])
        finally:
            made.codebook.learned = plain

    found = gradient(loss, np.zeros((3, 2), "float32"))
    z, index = np.asarray(made.encodings(x)).reshape(-1, 2), np.asarray(made.quantise(x)).ravel()
    e = np.asarray(made.codebook.vectors())
    expected = np.stack([(2 * (e[k] - z[index == k])).sum(axis=0) for k in range(3)])  # of |sg(z) - e|^2
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_loss_of_an_image_does_not_depend_on_its_batch(model):
    x = small.images(model, 12)
    for model.phase in ("codes", "prior"):
        together = np.asarray(model.terms(x, model.eps(12, generator(0)))["loss"])
        apart = np.concatenate([model.terms(x[i : i + 3], model.eps(3, generator(0)))["loss"] for i in range(0, 12, 3)])
        np.testing.assert_allclose(together, apart, rtol=1e-4)


@pytest.fixture(scope="module")
def trained():
    """Binary digits, 2x2 codes, K = 16: long enough for what should work to show."""
    x = (load_digits().data.reshape(-1, 8, 8, 1) >= 8).astype("uint8")
    images = Images(Split(x[:1257]), Split(x[1257:1437]), Split(x[1437:]), levels=2)
    network = {"codes": 16, "dimension": 8, "widths": [32, 32], "decay": 0.98, "restarts": 100, "prior_features": 16}
    made = vqvae(spec={"shape": [8, 8, 1], "levels": 2, "classes": None}, **network)
    how = {"batch_size": 64, "learning_rate": 0.003, "schedule": "cosine"}
    training.fit(made, images, 0, "codes", epochs=10, **how)
    state = [np.array(w) for layer in (made.encoder, made.decoder, made.codebook) for w in layer.weights]
    history = training.fit(made, images, 0, "prior", epochs=8, **how)
    return made, images, state, history


def test_the_prior_leaves_encoder_decoder_and_codebook_alone_to_the_bit(trained):
    made, _, before, _ = trained
    after = [np.array(w) for layer in (made.encoder, made.decoder, made.codebook) for w in layer.weights]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_trained_prior_is_the_bound_and_beats_independent_codes(trained):
    made, images, _, history = trained
    assert min(row["valid_loss"] for row in history) == pytest.approx(-integral.bound(made, images.valid.x).mean(), rel=1e-4)
    train, test = (np.asarray(backend.compiled(made.quantise)(split.x)) for split in (images.train, images.test))
    bits = -np.asarray(made.log_prior(test[None]))[0].mean() / np.log(2)
    assert bits < quantisation.independent_bits(train, test, 16) < 4 * np.log2(16)


def test_most_of_the_codebook_is_used(trained):
    made, images, _, _ = trained
    codes = np.asarray(made.quantise(images.train.x))
    counts, perplexity = quantisation.usage(codes, 16)
    p = np.array([(codes == k).mean() for k in range(16)])
    assert perplexity == pytest.approx(np.prod(p[p > 0] ** -p[p > 0]), abs=1e-6)
    np.testing.assert_array_equal(counts, [(codes == k).sum() for k in range(16)])
    assert perplexity > 8


@pytest.mark.parametrize(
    ("network", "spec", "why"),
    [
        ({"widths": [8, 8, 8]}, BINARY, "3 strides of 2 do not divide 4x4"),
        ({"widths": []}, BINARY, "0 strides of 2 do not divide"),
        ({}, BINARY | {"levels": 17}, "bernoulli is no distribution over these data, which have 17 levels"),
    ],
)
def test_shapes_that_cannot_be_are_refused_when_it_is_built(network, spec, why):
    with pytest.raises(Refusal, match=why):
        vqvae(spec=spec, **network)


def test_a_codebook_larger_than_the_training_set_is_refused_before_training():
    made = vqvae(codes=41)
    images = Images(*(Split(small.images(made, 40)) for _ in range(3)), levels=2)
    with pytest.raises(Refusal, match=r"network\.codes: a codebook of 41 is larger than the training set, 40 images"):
        training.fit(made, images, 0, "codes", epochs=1, batch_size=8, learning_rate=0.01)

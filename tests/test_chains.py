"""Chains of binary pixels: probabilities that sum to one, no pixel that sees what comes after it, samples that fit."""

import models as small
import numpy as np
import pytest
import scipy.optimize
import scipy.special
from keras import ops

from pipeline import Refusal, backend, models, training
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.gates import logistic_chain

pytestmark = pytest.mark.backend
SPEC = {"shape": [3, 3, 1], "levels": 2, "classes": None}
NETWORKS = {
    "fvbn": {},
    "nade": {"units": 5},
    "made": {"widths": [12, 9]},
    "made-3": {"widths": [12, 9], "orders": 3},
}


def chain(name: str, side: int = 3, levels: int = 2):
    spec = {"shape": [side, side, 1], "levels": levels, "classes": None}
    return small.perturbed(models.build("autoregressive", name.split("-")[0], spec, NETWORKS[name], 0), 0, 0.7)


def everything(side: int) -> np.ndarray:
    pixels = side * side
    bits = (np.arange(2**pixels)[:, None] >> np.arange(pixels)) & 1
    return bits.reshape(-1, side, side, 1).astype("uint8")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_probabilities_of_all_images_sum_to_one(name):
    log_p = np.asarray(chain(name).log_prob(everything(3)), "float64")
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-5)
    assert log_p.std() > 0.5


def logits(model, x: np.ndarray, order: int) -> np.ndarray:
    return np.asarray(model.logits(x, order) if hasattr(model, "places") else model.logits(x))


@pytest.mark.parametrize(
    ("name", "order"), [("fvbn", 0), ("nade", 0), ("made", 0), ("made-3", 0), ("made-3", 1), ("made-3", 2)]
)
def test_a_pixel_sees_all_before_it_and_none_after(name, order):
    model = chain(name)
    place = model.places[order] if hasattr(model, "places") else np.arange(9)
    x = np.random.default_rng(1).integers(0, 2, (40, 9)).astype("float32")
    plain = logits(model, x, order)
    for pixel in range(9):
        flipped = x.copy()
        flipped[:, pixel] = 1 - flipped[:, pixel]
        moved = np.abs(logits(model, flipped, order) - plain).max(axis=0)
        before = place <= place[pixel]
        assert (moved[before] == 0).all()  # to the bit
        assert (moved[~before] > 0).all()


def test_the_orders_differ_and_the_raster_is_one_of_them():
    places = chain("made-3").places
    assert (places[0] == np.arange(9)).all()
    assert all(sorted(place) == list(range(9)) for place in places)
    assert len({tuple(place) for place in places}) == 3


def test_several_orders_are_a_mixture_of_the_same_weights():
    model, x = chain("made-3"), everything(3)[::7]
    each = np.asarray(model.by_order(x), "float64")
    np.testing.assert_allclose(model.log_prob(x), scipy.special.logsumexp(each, axis=0) - np.log(3), rtol=1e-5)
    inside, outside = (np.asarray(model.terms(x, {}, training=training)["loss"]) for training in (True, False))
    np.testing.assert_allclose(inside, -each.mean(axis=0), rtol=1e-5)
    assert (inside >= outside - 1e-5).all()


def test_the_recursion_of_nade_is_the_naive_sum():
    model = chain("nade")
    layer, x = model.units, np.random.default_rng(0).integers(0, 2, (7, 9)).astype("float32")
    encoder, decoder, hidden, bias = (
        np.asarray(each) for each in (layer.encoder, layer.decoder, layer.hidden_bias, layer.bias)
    )
    naive = np.empty((7, 9))
    for i in range(9):
        units = scipy.special.expit(hidden + x[:, :i] @ encoder[:i])
        naive[:, i] = bias[i] + units @ decoder[i]
    np.testing.assert_allclose(model.logits(x), naive, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_samples_have_the_probabilities_that_are_claimed(name):
    model, n = chain(name, side=2), 20_000
    x = np.asarray(backend.compiled(model.sample)(model.noise(n, generator(0))))
    counts = np.bincount(x.reshape(n, 4) @ (1 << np.arange(4)), minlength=16)
    p = np.exp(np.asarray(model.log_prob(everything(2)), "float64"))
    assert (np.square(counts - n * p) / (n * p)).sum() < 37.7  # chi-square with 15 degrees of freedom, one in a thousand


def test_the_fully_visible_network_learns_what_logistic_regressions_do():
    """On 2x2 images each regression has few weights: with no penalty both must find the optimum."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    x = np.cumsum(rng.standard_normal((2000, 4)), axis=1) + 0.5 * rng.standard_normal((2000, 4)) > 0
    split = Split(x.reshape(-1, 2, 2, 1).astype("uint8"))
    model = models.build("autoregressive", "fvbn", {"shape": [2, 2, 1], "levels": 2, "classes": None}, {}, 0)
    training.fit(
        model, Images(split, split, split, levels=2), 0, epochs=60, batch_size=500, learning_rate=0.1, schedule="cosine"
    )
    share = x[:, 0].mean()
    expected = share * np.log(share) + (1 - share) * np.log(1 - share)
    for i in range(1, 4):
        fitted = LogisticRegression(C=1e6).fit(x[:, :i], x[:, i])
        expected += fitted.predict_log_proba(x[:, :i])[np.arange(2000), x[:, i].astype(int)].mean()
    assert float(ops.mean(model.log_prob(split.x))) == pytest.approx(expected, abs=2e-3)


def test_a_penalty_of_weights_is_that_of_those_which_count():
    x = everything(3)[::5]
    plain, penalised = chain("fvbn"), models.build("autoregressive", "fvbn", SPEC, {"penalty": 0.3}, 0)
    penalised.set_weights(plain.get_weights())
    more = np.asarray(penalised.terms(x, {}, training=True)["loss"]) - np.asarray(plain.terms(x, {}, training=True)["loss"])
    np.testing.assert_allclose(more, 0.15 * np.square(np.triu(plain.regressions.kernel, 1)).sum(), rtol=1e-5)
    np.testing.assert_array_equal(penalised.terms(x, {})["loss"], plain.terms(x, {})["loss"])


def test_scikit_learns_chain_has_the_least_penalised_loss_and_leaves_out_pixels_that_never_change():
    rng, penalty = np.random.default_rng(0), 0.1
    x = (np.cumsum(rng.standard_normal((300, 3)), axis=1) > 0).astype("uint8")
    x = np.insert(x, 1, 1, axis=1)  # all 1

    def loss(w):
        logits = x[:, :3] @ w[:3] + w[3]
        return np.mean(np.logaddexp(0, (1.0 - 2.0 * x[:, 3]) * logits)) + penalty / 2 * (w[:3] ** 2).sum()

    best = scipy.optimize.minimize(loss, np.zeros(4)).x
    found, share = logistic_chain(x, x, penalty), x[:, 0].mean()
    assert np.isnan(found[1])
    assert found[0] == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share))
    assert found[3] == pytest.approx(loss(best) - penalty / 2 * (best[:3] ** 2).sum(), abs=1e-4)


def test_its_gate_is_passed_at_the_optimum_and_not_beside_it():
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.standard_normal((400, 9)), axis=1).reshape(-1, 3, 3, 1) > 0
    images = Images(*(Split(part.astype("uint8")) for part in (x[:300], x[300:], x[300:])), levels=2)
    model = models.build("autoregressive", "fvbn", SPEC, {"penalty": 0.01}, 0)
    training.fit(model, images, 0, epochs=60, batch_size=100, learning_rate=0.1, schedule="cosine")
    (gate,) = model.gates(images)
    assert gate["passed"]
    assert gate["value"] < 0.03
    model.regressions.bias.assign(1.0 + np.asarray(model.regressions.bias))
    assert not model.gates(images)[0]["passed"]


@pytest.mark.parametrize("name", NETWORKS)
def test_images_that_are_not_binary_are_refused(name):
    with pytest.raises(Refusal, match="data: this model is of binary pixels, found 17 values"):
        chain(name, levels=17)

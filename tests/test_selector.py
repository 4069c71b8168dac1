"""The concrete autoencoder selects: pixels that say the most, one a node, and all of them outside training."""

import itertools

import models as small
import numpy as np
import pytest
from keras import ops
from scipy.special import softmax

from pipeline import models, training
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.models.autoencoder.selector import greedy, refitted

pytestmark = pytest.mark.backend
NETWORK = {"latent": 3, "widths": [8], "first": 10.0, "last": 0.1, "cooling": 4}


def selector(seed=0, levels=17, **network):
    return models.build(
        "autoencoder", "selector", {"shape": [4, 4, 1], "levels": levels, "classes": None}, NETWORK | network, seed
    )


def chosen(model) -> np.ndarray:
    return np.argmax(np.asarray(model.select.logits), axis=-1)


def test_outside_training_a_node_is_one_pixel():
    model = small.perturbed(selector(), 0, 0.5)
    x = small.images(model, 5)
    np.testing.assert_allclose(model.encode(x), x.reshape(5, 16)[:, chosen(model)] / 8.0 - 1.0, rtol=1e-6)
    assert float(model.clock.over) == 0


def test_in_training_a_node_is_a_mixture_that_sharpens_by_the_same_factor_each_step():
    """By hand, from the uniforms; the temperature stands still outside training, and at its end."""
    model = small.perturbed(selector(), 0, 0.5)
    x, noise = small.images(model, 5), model.training_noise(5, generator(0))
    logits, gumbel = np.asarray(model.select.logits, float), -np.log(-np.log(noise["gumbel"].astype(float)))
    for step in range(1, 7):
        u = np.asarray(model.encode(x, training=True, uniform=noise["gumbel"]))
        m = softmax((logits + gumbel) / (10 * 0.01 ** (min(step, 4) / 4)), axis=-1)
        np.testing.assert_allclose(u, (m * (x.reshape(5, 1, 16) / 8.0 - 1.0)).sum(axis=-1), rtol=1e-3, atol=1e-4)
        model.terms(x, noise)
        assert float(model.clock.over) == step


def test_training_and_validation_have_the_loss_that_they_say():
    model = small.perturbed(selector(), 0, 0.5)
    x, noise = small.images(model, 5), model.training_noise(5, generator(0))
    target, hard = x / 8.0 - 1.0, np.asarray(model.decoded(model.encode(x)))
    np.testing.assert_allclose(model.terms(x, noise)["loss"], ((target - hard) ** 2).sum(axis=(1, 2, 3)), rtol=1e-4)
    model.clock.over.assign(3.0)
    soft = np.asarray(model.decoded(model.encode(x, training=True, uniform=noise["gumbel"])))
    model.clock.over.assign(3.0)
    inside = model.terms(x, noise, training=True)["loss"]
    np.testing.assert_allclose(inside, ((target - soft) ** 2).sum(axis=(1, 2, 3)), rtol=1e-4)


def test_greedy_selection_is_that_of_least_squares_column_by_column(rng):
    x = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 7)) + 0.3 * rng.standard_normal((200, 7))
    taken = []
    for _ in range(4):
        errors = {j: refitted(x, x, [*taken, j]) for j in range(7) if j not in taken}
        taken.append(min(errors, key=errors.get))
    assert greedy(x, 4) == taken


def test_the_refit_has_an_intercept_and_is_judged_elsewhere(rng):
    """One column says y = 2 a + 3, the other is a itself: no error, also where both are larger than they were."""
    a = rng.standard_normal((50, 1))
    x, other = (np.column_stack([each, 2 * each + 3]) for each in (a, a + 5))
    assert refitted(x, other, [0]) == pytest.approx(0, abs=1e-20)
    assert refitted(x, other + np.array([0, 1]), [0]) == pytest.approx(0.5)


def redundant(seed: int) -> Images:
    """Three hidden numbers, and a copy of each in five pixels: the first exact, the others noisy; the last pixel is noise."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((700, 3))
    x = np.repeat(hidden, 5, axis=1)
    x += rng.standard_normal(x.shape) * np.tile([0.0, 0.5, 0.5, 0.5, 0.5], 3)
    x = np.column_stack([x, 0.5 * rng.standard_normal(700)]).astype("float32").reshape(-1, 4, 4, 1)
    return Images(Split(x[:500]), Split(x[500:600]), Split(x[600:]), levels=None)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_of_redundant_pixels_it_selects_one_of_each_kind_and_the_clean_one(seed):
    images = redundant(seed)
    model = selector(seed, levels=None, widths=[], cooling=500)
    training.fit(model, images, seed, epochs=60, batch_size=50, learning_rate=0.03, schedule="cosine")
    assert sorted(chosen(model)) == [0, 5, 10]
    train, valid = (split.x.reshape(-1, 16) for split in (images.train, images.valid))
    best = min(itertools.combinations(range(15), 3), key=lambda some: refitted(train, valid, list(some)))
    assert best == (0, 5, 10)
    gates = [row["passed"] for row in model.gates(images)]
    assert [gates[0], *gates[2:]] == [True, True, True]  # to be sure of it takes longer


def test_its_gates_tell_a_pixel_that_is_taken_twice_and_poor_ones():
    images = redundant(0)
    model = selector(levels=None)

    def passed(*pixels):
        model.select.logits.assign(20.0 * np.eye(16, dtype="float32")[list(pixels)])
        return [row["passed"] for row in model.gates(images)]

    assert passed(0, 5, 10) == [True, True, True, True]
    assert passed(0, 5, 5) == [False, True, False, False]
    assert passed(1, 6, 15)[2:] == [False, False]
    train, test = (split.x.reshape(-1, 16) for split in (images.train, images.test))
    widest = np.argsort(train.std(axis=0))[-3:]
    ratios = [refitted(train, test, [1, 6, 15]) / refitted(train, test, list(some)) for some in (widest, greedy(train, 3))]
    assert [row["value"] for row in model.gates(images)[2:]] == pytest.approx(ratios)
    model.select.logits.assign(np.asarray(ops.eye(16))[[0, 5, 10]])
    assert [row["passed"] for row in model.gates(images)] == [True, False, True, True]

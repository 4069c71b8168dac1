"""Models without a density: the distance of sets, a critic and its rival that leave each other alone, codes like the prior."""

import keras
import models as small
import numpy as np
import pytest
from gradients import gradient
from keras import ops
from pairs import by_pairs

from pipeline import models
from pipeline.base import Density, Samples, generator
from pipeline.data import ring
from pipeline.data.store import Images, Split
from pipeline.evidence import score
from pipeline.models.implicit import blocks, gan

pytestmark = pytest.mark.backend
REAL = {"shape": [1, 2, 1], "levels": None, "classes": 3}
LEVELS = {"shape": [4, 4, 1], "levels": 17, "classes": None}
GAN = {"latent": 3, "body": "dense", "widths": [6]}
WAE = {"latent": 3, "body": "dense", "widths": [6], "penalty": 2.0}
VERSIONS = {
    "gan": ("gan", GAN),
    "damped gan": ("gan", GAN | {"damping": 0.5, "dropout": 0.2}),
    "wae": ("wae", WAE),
    "wae with a critic": ("wae", WAE | {"critic": [5], "damping": 0.5}),
}


def made(name="gan", spec=LEVELS, **network):
    kind, chosen = VERSIONS[name]
    return small.perturbed(models.build("implicit", kind, spec, chosen | network, 0), 0, 0.3)


def batch(model, n=8, seed=0) -> dict:
    return {"x": small.images(model, n, seed), "eps": model.training_noise(n, generator(seed, "test"))}


def gradients(model, loss, of: list) -> list[np.ndarray]:
    """Of the mean of a loss by each of these weights."""

    def by(weight):
        def total(value):
            with keras.StatelessScope(state_mapping=[(weight, value)]):
                return ops.mean(loss()) + 0.0 * ops.sum(value)  # which gives a weight without influence a gradient, too

        return gradient(total, np.array(weight))

    return [by(weight) for weight in of]


# The critic and its rival


@pytest.mark.parametrize("damping", [0.0, 0.7])
def test_either_is_moved_by_its_own_loss_and_by_nothing_else(damping):
    model = made(spec=REAL, body="dense", widths=[6, 6])
    x, eps = batch(model).values()

    def pair():
        return blocks.rivals(model.critic, ops.convert_to_tensor(x), model.made(eps["z"]), damping)

    mine, other = model.critic.trainable_weights, model.generator.trainable_weights
    for loss, moved, still in ((lambda: pair()[0], mine, other), (lambda: pair()[1], other, mine)):
        assert all(np.abs(each).max() > 0 for each in gradients(model, loss, moved))
        assert all(np.abs(each).max() == 0 for each in gradients(model, loss, still))


def test_the_gradient_of_either_is_that_of_its_objective():
    """By hand, with nothing held fixed: of the critic's by its weights, of the generator's by its own."""
    model = made(spec=REAL)
    x, eps = batch(model).values()

    def critic():
        real, fake = ops.sigmoid(model.critic(x)[:, 0]), ops.sigmoid(model.critic(model.made(eps["z"]))[:, 0])
        return -ops.log(real) - ops.log(1.0 - fake)

    def maker():
        return -ops.log(ops.sigmoid(model.critic(model.made(eps["z"]))[:, 0]))

    for loss, weights in ((critic, model.critic.trainable_weights), (maker, model.generator.trainable_weights)):
        found = gradients(model, lambda: model.terms(x, eps, training=True)["loss"], weights)
        for one, hand in zip(found, gradients(model, loss, weights), strict=True):
            np.testing.assert_allclose(one, hand, rtol=1e-4, atol=1e-6)


def test_the_critic_of_a_wae_moves_no_code_and_is_moved_by_none():
    model, other = made("wae with a critic"), made("wae with a critic", penalty=4.0)
    x, eps = batch(model).values()
    other.set_weights(model.get_weights())

    def loss(model):
        return lambda: model.terms(x, eps, training=True)["loss"]

    for one, more in zip(*(gradients(m, loss(m), m.critic.trainable_weights) for m in (model, other)), strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(one, more, rtol=1e-5)  # whatever codes have to pay

    def by_hand():
        z = model.encode(x)
        told = model.critic(z)[:, 0]
        return ops.sum(ops.square(model.spec.scaled(x) - model.made(z)), axis=(1, 2, 3)) + 2.0 * ops.softplus(-told)

    codes = [*model.f.trainable_weights, *model.g.trainable_weights]
    for one, hand in zip(gradients(model, loss(model), codes), gradients(model, by_hand, codes), strict=True):
        np.testing.assert_allclose(one, hand, rtol=1e-3, atol=1e-5)


def test_steepness_is_the_squared_gradient():
    model = made(spec=REAL, widths=[6, 6])
    x = small.images(model, 5)
    slope = gradient(lambda x: ops.sum(model.critic(x)), x)
    np.testing.assert_allclose(blocks.steepness(model.critic, ops.convert_to_tensor(x)), (slope**2).sum((1, 2, 3)), rtol=1e-4)
    damped, plain = (
        blocks.rivals(model.critic, ops.convert_to_tensor(x), ops.convert_to_tensor(x), each)[0] for each in (0.6, 0.0)
    )
    np.testing.assert_allclose(damped - plain, 0.3 * (slope**2).sum((1, 2, 3)), rtol=1e-3)


def table(logits: np.ndarray):
    """A critic that says a number of its own of each of K images, which are the unit vectors."""
    critic = keras.Sequential([keras.Input((1, len(logits), 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    critic.layers[-1].kernel.assign(logits[:, None])
    return critic


def losses(logits: np.ndarray, p: list[int], q: list[int]) -> float:
    """The critic's mean loss where image k is drawn p_k and q_k times."""
    unit = np.eye(len(logits), dtype="float32").reshape(-1, 1, len(logits), 1)
    real, fake = (ops.convert_to_tensor(np.repeat(unit, counts, axis=0)) for counts in (p, q))
    return float(ops.mean(blocks.rivals(table(np.asarray(logits, "float32")), real, fake, 0.0)[0]))


def test_no_critic_loses_less_than_2_log_2_where_fake_is_like_real(rng):
    p = [3, 1, 4, 2]
    assert losses(np.zeros(4), p, p) == pytest.approx(2 * np.log(2), abs=1e-6)  # theorem 1 of the paper: -log 4
    for scale in (0.1, 1.0, 5.0):
        assert losses(scale * rng.standard_normal(4), p, p) > 2 * np.log(2)


def test_the_best_critic_is_the_log_ratio_and_loses_2_log_2_less_two_jensen_shannon_divergences(rng):
    p, q = np.array([3, 1, 4, 2]), np.array([1, 5, 2, 2])
    middle = (p + q) / 20
    divergence = 0.5 * (np.sum(p / 10 * np.log(p / 10 / middle)) + np.sum(q / 10 * np.log(q / 10 / middle)))
    best = np.log(p / q)
    assert losses(best, p, q) == pytest.approx(2 * np.log(2) - 2 * divergence, abs=1e-5)
    for step in 0.3 * rng.standard_normal((5, 4)):
        assert losses(best + step, p, q) > losses(best, p, q)


# The models


@pytest.mark.parametrize("name", VERSIONS)
def test_what_is_validated_is_the_distance_of_sets_and_an_image_of_its_own_beside(name):
    model = made(name)
    x, eps = batch(model).values()
    terms = {key: np.asarray(value) for key, value in model.terms(x, eps).items()}
    assert np.ptp(terms["distance"]) == 0
    if name.startswith("wae"):
        distance = 2.0 * by_pairs(np.asarray(model.encode(x)), eps["z"])
        error = np.square(x / 8.0 - 1.0 - np.asarray(model.made(model.encode(x)))).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(terms["distortion"], error, rtol=1e-4)
    else:
        made_of = np.asarray(ops.tanh(model.generator(eps["z"])))
        distance = by_pairs((x / 8.0 - 1.0).reshape(8, -1), made_of.reshape(8, -1))
    assert terms["distance"][0] == pytest.approx(distance, rel=1e-3, abs=1e-4)
    assert set(model.terms(x, eps, training=True)) <= set(terms)


@pytest.mark.parametrize("name", VERSIONS)
def test_a_sample_does_not_see_the_others_and_lies_on_the_levels(name):
    model = made(name)
    noise = model.noise(6, generator(0))
    x = np.asarray(model.sample(noise))
    np.testing.assert_array_equal(model.sample({"z": noise["z"][2:3]})[0], x[2])
    mean = (np.asarray(model.made(noise["z"])) + 1.0) * 8.0
    np.testing.assert_array_equal(x, np.clip(np.rint(mean), 0, 16))
    assert np.asarray(made(name, REAL).sample(noise)).dtype == np.float32


@pytest.mark.parametrize("name", VERSIONS)
def test_no_likelihood_is_claimed(name):
    model = made(name)
    x = small.images(model, 6)
    images = Images(*(Split(x) for _ in range(3)), levels=17)
    wished = {"draws": None, "scales": [1.0], "annealed": None, "integral": None, "defensive": False}
    tables = score.score(model, images, 0, wished, {}, lambda *_: None)
    assert all(table.empty for table in tables.values())
    assert score.kinds(model) == {"distribution": "implicit", "likelihood": "none"}
    assert isinstance(model, Samples) and not isinstance(model, Density)


def points(seed: int) -> Images:
    return ring.images(train=900, valid=50, test=300, modes=8, radius=4.0, noise=0.3, seed=seed)


def test_the_gates_of_a_gan_tell_lost_modes_and_blurred_ones(monkeypatch):
    images, model = points(0), made(spec=REAL)
    other = points(1).train

    def passed(x: np.ndarray) -> list[bool]:
        drawn = np.resize(x, (gan.DRAWN, 1, 2, 1))
        monkeypatch.setattr(model, "sample", lambda noise: drawn)
        return [row["passed"] for row in model.gates(images)]

    assert passed(other.x) == [True, True]
    assert passed(other.x[other.y != 3]) == [True, True]  # seven of eight
    assert passed(other.x[other.y < 6]) == [True, False]
    blurred = other.x + 0.5 * np.random.default_rng(0).standard_normal(other.x.shape)
    assert passed(blurred) == [False, True]
    assert passed(other.x * 0.5) == [False, False]
    many = np.concatenate([other.x[other.y == c][: 80 if c else 5] for c in range(8)])  # a mode with less than its quarter
    assert passed(many) == [True, True]


def test_of_images_with_levels_the_classes_are_told_by_the_nearest(rng, monkeypatch):
    x = rng.integers(0, 17, (3, 4, 4, 1)).astype("uint8")
    y = np.arange(300) % 3
    split = Split(np.clip(x[y] + rng.integers(0, 2, (300, 4, 4, 1)), 0, 16).astype("uint8"), y)
    test = Split(np.clip(x[y] + rng.integers(0, 2, (300, 4, 4, 1)), 0, 16).astype("uint8"), y)
    images, model = Images(split, split, test, levels=17, classes=3), made()

    def gates(drawn) -> list[dict]:
        monkeypatch.setattr(model, "sample", lambda noise: np.resize(drawn, (gan.DRAWN, 4, 4, 1)))
        return model.gates(images)

    assert [row["passed"] for row in gates(split.x)] == [True, True]
    lost = gates(split.x[y < 2])
    assert [(row["passed"], round(row["value"], 6)) for row in lost] == [(False, 0.0), (True, 0.0)]
    near = np.clip(split.x + rng.integers(-1, 2, split.x.shape), 0, 16)  # is of all classes, but not the data's kind of image
    assert [row["passed"] for row in gates(near)] == [True, False]
    assert model.gates(Images(*(Split(split.x) for _ in range(3)), levels=17)) == []


def test_the_gate_of_a_wae_tells_codes_from_the_prior(monkeypatch):
    model = made("wae")
    images = Images(*(Split(small.images(model, 200)) for _ in range(3)), levels=17)
    for shift, expected in ((0.0, True), (0.8, False)):
        codes = shift + generator(5).standard_normal((200, 3))
        monkeypatch.setattr(model, "encode", lambda x, codes=codes: codes)
        assert [row["passed"] for row in model.gates(images)] == [expected]

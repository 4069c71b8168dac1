"""The convolutional energy model against the list of all its images: its Z, its conditionals, its chains, its gradient."""

import keras
import models as small
import numpy as np
import pytest
from gradients import gradient
from keras import ops
from scipy.special import expit, logsumexp

from pipeline import Refusal, models, training
from pipeline.base import generator
from pipeline.data import mesh
from pipeline.data.store import Images, Split

pytestmark = pytest.mark.backend


def energies(shape=(2, 3, 1), scale=0.7, **network):
    """With a network that matters, and a reference apart from the uniform one."""
    spec = {"shape": list(shape), "levels": 2, "classes": None}
    chosen = {"channels": [4], "steps": 2, "sample_steps": 30} | network
    model = small.perturbed(models.build("energy", "convolutional", spec, chosen, 0), 0, scale)
    model.machine.alone.assign(generator(1).standard_normal(model.spec.dims))
    return model


def every(model) -> np.ndarray:
    n = model.spec.dims
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype("float32")


def log_p(model, t: float = 1.0) -> np.ndarray:
    """Of all images: log q(x) + t f(x), normalised; f by a plain loop over the convolution's taps."""
    (kernel, bias), (last,) = ([np.asarray(w, "float64") for w in layer.weights] for layer in weighted(model))
    x = every(model).astype("float64")
    images = np.pad(2 * x.reshape(-1, *model.spec.shape) - 1, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width, _ = model.spec.shape
    taps = [images[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)]
    hidden = sum(taps) + bias
    f = np.where(hidden > 0, hidden, np.expm1(np.minimum(hidden, 0))).reshape(len(x), -1) @ last[:, 0]
    found = x @ np.asarray(model.machine.alone, "float64") + t * f
    return found - logsumexp(found)


def weighted(model) -> list:
    return [layer for layer in model.machine.f.layers if layer.weights]


def counts(model, x) -> np.ndarray:
    n = model.spec.dims
    return np.bincount((np.asarray(x, "float64").reshape(-1, n) @ 2 ** np.arange(n)).astype(int), minlength=2**n)


def assert_drawn_from(found: np.ndarray, p: np.ndarray) -> None:
    n = found.sum()
    np.testing.assert_array_less(np.abs(found / n - p), 4.5 * np.sqrt(p * (1 - p) / n) + 2 / n)  # rare ones are not normal


def test_its_probabilities_are_those_of_plain_numpy():
    model = energies()
    np.testing.assert_allclose(model.log_prob(every(model)), log_p(model), atol=1e-4)
    assert np.ptp(log_p(model)) > 3


def test_a_sum_in_parts_is_the_whole(monkeypatch):
    model = energies()
    whole = float(model.log_z())
    monkeypatch.setattr("pipeline.models.energy.convolutional.SUMMED", 16)
    assert float(model.log_z()) == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
def test_a_step_redraws_each_pixel_given_the_others_and_leaves_p_as_it_is(t):
    model, n = energies(), 30_000
    p, rng = np.exp(log_p(model, t)), generator(2)
    table, states = np.eye(len(p)), every(model).astype(int)
    for i in range(model.spec.dims):  # what a pixel becomes, for each state of all
        on, off = (states @ 2 ** np.arange(states.shape[1]) & ~(1 << i)) | (1 << i), None
        off = on & ~(1 << i)
        share = expit(np.log(p[on]) - np.log(p[off]))
        move = np.zeros_like(table)
        move[np.arange(len(p)), on], move[np.arange(len(p)), off] = share, 1 - share
        table = table @ move
    np.testing.assert_allclose(p @ table, p, atol=1e-9)
    at = 37
    x = np.repeat(every(model)[at : at + 1], n, axis=0)
    moved = model.machine.step(x, {"x": rng.random((n, model.spec.dims), "float32")}, t)
    assert_drawn_from(counts(model, moved), table[at])
    assert np.abs(table[at] - p).sum() > 0.05 or t == 0  # one step is not yet a draw from p; without f it is


@pytest.mark.parametrize("drawn", ["by its chain", "without"])
def test_samples_have_the_probabilities_that_are_claimed(drawn):
    model, n = energies((2, 2, 1)), 20_000
    x = model.sample(model.noise(n, generator(4))) if drawn == "by its chain" else model.drawn(n, generator(4))
    assert_drawn_from(counts(model, x), np.exp(log_p(model)))


def test_the_gradient_of_long_contrastive_divergence_is_that_of_the_log_likelihood():
    model = energies(steps=30)
    x = np.tile(every(model)[[5, 40]].reshape(-1, *model.spec.shape).astype("uint8"), (3000, 1, 1, 1))
    eps = model.training_noise(len(x), generator(5))

    def of(weight, x, inside):
        def total(value):
            with keras.StatelessScope(state_mapping=[(weight, value)]):
                return ops.mean(model.terms(x, eps, training=inside)["loss"])

        return gradient(total, np.array(weight))

    assert len(model.trainable_weights) == 3
    for weight in model.trainable_weights:
        one, other = of(weight, x, True), of(weight, x[:2], False)
        assert np.abs(other).max() > 0.02
        np.testing.assert_allclose(one, other, atol=0.06 * max(1.0, np.abs(other).max()))


def test_annealing_is_right_with_many_temperatures_and_errs_to_its_side_with_few():
    model, rng = energies(scale=1.0), generator(6)
    exact = float(model.log_z()) - model.machine.log_z_alone()
    first = expit(np.asarray(model.machine.alone, "float64"))

    def both(chains: int, temperatures: int) -> tuple[float, float]:
        start = (rng.random((chains, model.spec.dims)) < first).astype("float32")
        up = np.linspace(0, 1, temperatures)
        return model.machine.annealed(start, up, rng), -model.machine.annealed(model.drawn(chains, rng), up[::-1], rng)

    assert both(2000, 40) == (pytest.approx(exact, abs=0.05), pytest.approx(exact, abs=0.05))
    low, high = np.array([both(1, 3) for _ in range(200)]).mean(axis=0)
    assert low + 0.1 < exact < high - 0.1


def test_trained_it_is_near_a_mesh_and_its_gates_say_so(monkeypatch):
    """And they say when its Z, its chain, or its distribution is another."""
    images = mesh.images(train=3000, valid=300, test=1000, size=2, seed=0)
    model = models.build(
        "energy", "convolutional", {"shape": [2, 2, 1], "levels": 2, "classes": None},
        {"channels": [8], "steps": 3, "sample_steps": 20}, 0,
    )  # fmt: skip
    before = np.mean(images.test.log_prob) + float(ops.mean(model.terms(images.test.x, {})["loss"]))
    training.fit(model, images, 0, epochs=12, batch_size=64, learning_rate=0.02)
    after = np.mean(images.test.log_prob - np.asarray(model.log_prob(images.test.x), "float64"))
    assert after < 0.02 < 0.2 < before
    model.temperatures = 100

    def passed(images=images) -> list[bool]:
        return [row["passed"] for row in model.gates(images)]

    assert passed() == [True] * 5
    exact = float(model.log_z())
    with monkeypatch.context() as patch:
        patch.setattr(model, "log_z", lambda: exact + 0.2)
        assert passed()[:2] == [False, False]
    other = Images(images.train, images.valid, Split(images.test.x, log_prob=images.test.log_prob + 0.2), levels=2)
    assert passed(other) == [True] * 4 + [False]
    unknown = Images(images.train, images.valid, Split(images.test.x), levels=2)
    assert len(passed(unknown)) == 4


def test_more_pixels_than_can_be_summed_over_are_refused():
    with pytest.raises(Refusal, match="of 25 pixels there are too many images to sum over; 16 at most"):
        energies((5, 5, 1))

"""The restricted Boltzmann machine against enumeration: its energy, its Z, what its chains do, and annealing."""

import keras
import models as small
import numpy as np
import pytest
from gradients import gradient
from keras import ops
from scipy.special import expit, logsumexp

from pipeline import Refusal, models
from pipeline.base import generator
from pipeline.data.store import Images, Split

pytestmark = pytest.mark.backend
HIDDEN = 3


def rbm(shape=(3, 3, 1), scale=0.7, **network):
    """With couplings that matter, and independent pixels apart from its own bias."""
    spec = {"shape": list(shape), "levels": 2, "classes": None}
    chosen = {"hidden": HIDDEN, "steps": 2, "sample_steps": 60} | network
    model = small.perturbed(models.build("energy", "rbm", spec, chosen, 0), 0, scale)
    model.machine.alone.assign(generator(1).standard_normal(model.spec.dims))
    return model


def states(n: int) -> np.ndarray:
    return ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype("float64")


def joint(model, t: float = 1.0) -> np.ndarray:
    """-E(x, h) of all x and all h, term by term: [2^pixels, 2^hidden]."""
    units = model.machine
    kernel, b, c, a = (np.asarray(each, "float64") for each in (units.kernel, units.pixel_bias, units.hidden_bias, units.alone))
    x, h = states(len(b)), states(len(c))
    return (1 - t) * (x @ a)[:, None] + t * (x @ kernel @ h.T + (x @ b)[:, None] + h @ c)


def gradients(model, loss) -> list[np.ndarray]:
    """Of a mean loss by each weight that learns."""

    def of(weight):
        def total(value):
            with keras.StatelessScope(state_mapping=[(weight, value)]):
                return ops.mean(loss())

        return gradient(total, np.array(weight))

    return [of(weight) for weight in model.trainable_weights]


def all_images(model) -> np.ndarray:
    return states(model.spec.dims).reshape(-1, *model.spec.shape).astype("uint8")


def test_all_binary_images_have_probabilities_that_sum_to_one():
    model = rbm((4, 4, 1), hidden=5)
    x = small.all_binary_images()
    found = np.concatenate([np.asarray(model.log_prob(part), "float64") for part in np.split(x, 16)])
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-4)
    assert found.max() - found.min() > 5  # and they differ


def test_energy_and_log_z_are_the_sums_over_hidden_units_and_images():
    model = rbm()
    table = joint(model)
    np.testing.assert_allclose(model.energy(all_images(model)), -logsumexp(table, axis=1), rtol=1e-5, atol=1e-5)
    assert float(model.log_z()) == pytest.approx(logsumexp(table), rel=1e-6)
    np.testing.assert_allclose(model.machine.log_sums(model.states), logsumexp(table, axis=0), rtol=1e-5)


@pytest.mark.parametrize("t", [0.0, 0.4, 1.0])
def test_conditionals_are_those_of_the_joint_distribution_at_any_temperature(t):
    model = rbm()
    p = np.exp(joint(model, t) - logsumexp(joint(model, t)))
    x, h = states(9), states(HIDDEN)
    told_x, told_h = x.astype("float32"), h.astype("float32")
    np.testing.assert_allclose(expit(model.machine.to_hidden(told_x, t)), p @ h / p.sum(axis=1)[:, None], atol=1e-5)
    np.testing.assert_allclose(expit(model.machine.to_pixels(told_h, t)), p.T @ x / p.sum(axis=0)[:, None], atol=1e-5)
    energy = np.asarray(model.machine.energy(told_x, t), "float64")
    np.testing.assert_allclose(energy, -logsumexp(joint(model, t), axis=1), rtol=1e-5, atol=1e-5)


def test_a_step_draws_hidden_units_and_then_pixels_given_them():
    model, n = rbm(), 40_000
    p = np.exp(joint(model) - logsumexp(joint(model)))
    at = 300  # an image whose pixels are of both kinds
    given_h = p / p.sum(axis=0)
    exact = given_h @ (p[at] / p[at].sum())
    x = np.repeat(states(9)[at : at + 1], n, axis=0).astype("float32")
    rng = generator(3)
    eps = {"h": rng.random((n, HIDDEN), "float32"), "x": rng.random((n, 9), "float32")}
    counts = np.bincount((np.asarray(model.machine.step(x, eps)) @ 2 ** np.arange(9)).astype(int), minlength=512)
    assert np.abs(counts - n * exact).max() < 5 * np.sqrt(n * exact.max())
    assert np.abs(counts / n - exact).sum() < 0.1 < np.abs(exact - p.sum(axis=1)).sum()


@pytest.mark.parametrize("drawn", ["by its chain", "without"])
def test_samples_have_the_probabilities_that_are_claimed(drawn):
    model, n = rbm((2, 2, 1)), 20_000
    x = model.sample(model.noise(n, generator(4))) if drawn == "by its chain" else model.drawn(n, generator(4))
    counts = np.bincount((np.asarray(x, "float64").reshape(n, -1) @ 2 ** np.arange(4)).astype(int), minlength=16)
    exact = np.exp(np.asarray(model.log_prob(all_images(model)), "float64"))
    np.testing.assert_array_less(np.abs(counts / n - exact), 4.5 * np.sqrt(exact * (1 - exact) / n) + 1e-9)


def test_the_gradient_of_long_contrastive_divergence_is_that_of_the_log_likelihood():
    model = rbm(steps=60)
    x = np.tile(all_images(model)[[37, 402]], (3000, 1, 1, 1))
    eps = model.training_noise(len(x), generator(5))
    found = gradients(model, lambda: model.terms(x, eps, training=True)["loss"])
    exact = gradients(model, lambda: model.terms(x[:2], eps, training=False)["loss"])
    assert len(found) == 3
    for one, other in zip(found, exact, strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, atol=4.5 * 0.5 / np.sqrt(len(x)))  # no statistic's deviation is above 1/2


def test_annealing_is_right_with_many_temperatures_and_errs_to_its_side_with_few():
    model = rbm(scale=1.5)
    exact = logsumexp(joint(model)) - logsumexp(joint(model, 0.0))
    rng = generator(6)
    first = expit(np.asarray(model.machine.alone, "float64"))

    def both(chains: int, temperatures: int) -> tuple[float, float]:
        start = (rng.random((chains, 9)) < first).astype("float32")
        up = np.linspace(0, 1, temperatures)
        ends = model.drawn(chains, rng)
        return model.machine.annealed(start, up, rng), -model.machine.annealed(ends, up[::-1], rng)

    assert both(2000, 60) == (pytest.approx(exact, abs=0.05), pytest.approx(exact, abs=0.05))
    few = np.array([both(1, 3) for _ in range(200)])
    low, high = few.mean(axis=0)
    assert low + 0.3 < exact < high - 0.3


def test_it_begins_as_independent_pixels():
    model = models.build(
        "energy", "rbm", {"shape": [3, 3, 1], "levels": 2, "classes": None}, {"hidden": 2, "steps": 1, "sample_steps": 1}, 0
    )
    x = small.images(model, 40)
    x[:, 0, 0] = 1  # a pixel that is always set leaves the other level half a count
    model.adapt(x, None, generator(0))
    model.machine.kernel.assign(np.zeros((9, 2)))
    share = (x.reshape(40, -1).sum(axis=0) + 0.5) / 41
    expected = np.where(x.reshape(40, -1) == 1, np.log(share), np.log1p(-share)).sum(axis=1)
    np.testing.assert_allclose(model.log_prob(x), expected, rtol=1e-5)


def test_its_gates_pass_and_each_can_fail(monkeypatch):
    model = rbm(scale=1.0)
    x = np.asarray(model.drawn(300, generator(7))).reshape(-1, 3, 3, 1).astype("uint8")
    images = Images(Split(x), Split(x), Split(x), levels=2)
    unlikely = Split(all_images(model)[np.argsort(model.log_prob(all_images(model)))[:3]])
    model.temperatures = 100

    def passed(images=images) -> list[bool]:
        return [row["passed"] for row in model.gates(images)]

    assert passed() == [True, True, True, True]
    with monkeypatch.context() as patch:
        patch.setattr(model, "log_z", lambda: 0.2 + logsumexp(joint(model)))
        assert passed()[:2] == [False, False]
    with monkeypatch.context() as patch:
        patch.setattr(model, "sample_steps", 1)
        assert passed() == [True, True, True, False]
    assert passed(Images(Split(x), Split(x), unlikely, levels=2)) == [True, True, False, True]


def test_other_images_than_binary_ones_are_refused():
    spec = {"shape": [3, 3, 1], "levels": 17, "classes": None}
    with pytest.raises(Refusal, match="network: an energy model wants binary images, these have 17 levels"):
        models.build("energy", "rbm", spec, {"hidden": 2, "steps": 1, "sample_steps": 1}, 0)

"""Annealing against known likelihoods, from both sides, on z of any structure; and what would bias it."""

import keras
import numpy as np
import pytest
from keras import ops
from known import Halves

from pipeline import Refusal, backend, calibration, evidence
from pipeline.base import Latent, generator
from pipeline.evidence import annealing, integral, pairs, score

pytestmark = [pytest.mark.backend, pytest.mark.xdist_group("annealing")]
CHAINS, COUNT = 16, 60


@pytest.fixture(scope="module")
def line():
    """The hardest case that calibration has: an encoder far too narrow."""
    model, images = calibration.line(COUNT)
    chains = annealing.Annealing(model, 0, CHAINS)
    return model, images, chains, chains.pilot(images.valid.x, 200)


def test_it_finds_the_known_likelihood_where_importance_sampling_is_a_nat_off(line):
    model, images, chains, steps = line
    truth, found = integral.gaussian(model, images.test.x), chains.estimate(images.test.x, steps)
    assert abs((found.log_prob - truth).mean()) <= 0.2
    ratio = np.exp(found.log_prob - truth)  # unbiased, and not only where it is accurate
    assert abs(ratio.mean() - 1) < 4 * score.standard_error(ratio)
    assert 0.5 < np.std(found.log_prob - truth) / np.sqrt(found.variance.mean()) < 2  # the stated noise is the noise


def test_a_few_temperatures_are_as_unbiased_but_noisier(line):
    """A weight that left a factor out would be off by it for any number of temperatures. From a start wide enough: else the
    weights of a few have no variance that a mean could show."""
    model, images, _, _ = line
    chains, truth = annealing.Annealing(model, 0, CHAINS, 8.0), integral.gaussian(model, images.test.x)
    found = {}
    for count in (25, 200):
        found[count] = chains.estimate(images.test.x, chains.pilot(images.valid.x, count))
        ratio = np.exp(found[count].log_prob - truth)
        assert abs(ratio.mean() - 1) < 4 * score.standard_error(ratio)
    assert found[25].variance.mean() > 2 * found[200].variance.mean()
    assert found[25].log_prob.mean() < truth.mean()


def test_the_truth_lies_between_the_bounds(line):
    model, _, chains, steps = line
    x, z = pairs.simulated(chains.model, chains.seed, COUNT, {})
    below, above, truth = chains.estimate(x, steps, "simulated"), chains.reverse(x, z, steps), integral.gaussian(model, x)
    assert below.log_prob.mean() - 4 * score.noise(below.variance) < truth.mean()
    assert above.log_prob.mean() + 4 * score.noise(above.variance) > truth.mean()
    assert abs((above.log_prob - below.log_prob).mean()) < 0.5
    inverse = np.exp(truth - above.log_prob)
    assert abs(inverse.mean() - 1) < 4 * score.standard_error(inverse)
    few = annealing.Steps(steps.betas[::40], steps.sizes[::40])  # so few that both bounds must be loose, each on its side
    below, above = chains.estimate(x, few, "simulated"), chains.reverse(x, z, few)
    assert below.log_prob.mean() < truth.mean() < above.log_prob.mean()


def test_simulated_images_come_with_the_z_that_made_them(line):
    model, _, chains, _ = line
    x, z = pairs.simulated(chains.model, chains.seed, 2000, {})
    error = x.reshape(len(x), -1) - np.asarray(model.decode(z)).reshape(len(x), -1)
    assert error.std() == pytest.approx(1.0, abs=0.02)  # what p(x | z) says, and no more
    assert abs(np.corrcoef(error[:, 0], z[:, 0])[0, 1]) < 0.1


def test_a_move_leaves_its_distribution_as_it_is(line):
    """From exact draws of p(z | x), which for `line` is a known normal, many moves at temperature 1 lead to no other."""
    model, images, chains, steps = line
    w = np.asarray(model.decoder.layers[0].kernel).T.astype(float)
    covariance = np.linalg.inv(w.T @ w + np.eye(w.shape[1]))
    x = images.test.x[:1].repeat(chains.tile, axis=0)
    mean = covariance @ w.T @ x[0].reshape(-1)
    rng = np.random.default_rng(0)
    exact = mean + rng.standard_normal((CHAINS, chains.tile, len(mean))) @ np.linalg.cholesky(covariance).T
    index = np.arange(chains.tile)
    one = np.ones(51, "float32")
    q, width, z = chains.begin(*([x] + [start_of(model, chains, index, n) for n in (CHAINS, annealing.SPREAD)]))
    noise = chains.noise("moves", index, 0 * index, 0, z)
    sizes = np.full(50, 1.5 * steps.sizes[-1], "float32")  # so large that a move without its test would go astray
    moved, _, accepted, _ = chains.forward(x, q, width, exact.astype("float32"), one, sizes, np.float32(0), noise)
    assert 0.05 < accepted.mean() < 0.95
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    white = ((moved - mean) @ root.T).reshape(-1, len(mean)).astype(float)
    n = len(white)
    assert np.all(np.abs(white.mean(axis=0)) < 4 / np.sqrt(n))
    assert np.all(np.abs(white.var(axis=0) - 1) < 4 * np.sqrt(2 / n))


def start_of(model, chains, index, count):
    made = [model.eps(count, generator(0, "moves", count, int(i))) for i in index]
    return keras.tree.map_structure(lambda *leaves: np.stack(leaves, axis=1), *made)


def test_z_may_be_a_tree():
    rng = np.random.default_rng(0)
    model = Halves(0.5 * rng.standard_normal((5, 2)), 1.0)
    chains = annealing.Annealing(model, 0, CHAINS)
    x, z = pairs.simulated(chains.model, chains.seed, COUNT, {})
    steps = chains.pilot(x, 100)
    below, above = chains.estimate(x, steps), chains.reverse(x, z, steps)
    truth = model.log_prob(x)
    assert abs((below.log_prob - truth).mean()) < 0.05
    assert abs((above.log_prob - truth).mean()) < 0.05


def test_steps_are_frozen_and_the_noise_is_not_the_pilots(line):
    _, images, chains, steps = line
    index = np.arange(chains.tile)
    x = images.test.x[index]
    _, _, used = chains.run("annealing", x, index, 0 * index, steps)
    np.testing.assert_allclose(used, steps.sizes, rtol=1e-6)
    z = np.zeros((CHAINS, chains.tile, 8), "float32")
    names = ("pilot", "annealing", "simulated", "reverse")
    made = [chains.noise(name, index, 0 * index, 0, z)["momentum"] for name in names]
    assert all(not np.array_equal(a, b) for i, a in enumerate(made) for b in made[:i])


def test_the_pilot_finds_steps_of_which_about_two_in_three_are_accepted(line):
    _, images, chains, steps = line
    found = chains.estimate(images.test.x, steps)
    assert abs(found.accepted.mean() - annealing.ACCEPTED) < 0.1
    assert found.accepted[20:].min() > 0.4


def test_an_image_does_not_depend_on_who_else_is_scored(line):
    model, images, chains, steps = line
    whole = chains.estimate(images.test.x, steps)
    alone = chains.estimate(images.test.x[:3], steps)
    np.testing.assert_array_equal(whole.log_prob[:3], alone.log_prob)
    again = annealing.Annealing(model, 1, CHAINS).estimate(images.test.x[:3], steps)
    assert not np.any(again.log_prob == alone.log_prob)


def test_temperatures_that_fill_up_a_call_change_nothing(line, monkeypatch):
    """Seven temperatures in a call of fifty, and in three of three, with the same noise."""
    _, _, chains, steps = line
    some = annealing.Steps(steps.betas[:8] / steps.betas[7], steps.sizes[:7])
    x, z = pairs.simulated(chains.model, chains.seed, 4, {})
    whole = chains.estimate(x, some), chains.reverse(x, z, some)
    assert [len(part.accepted) for part in whole] == [7, 7]
    noise = chains.noise

    def pieces(name, index, groups, part, z):
        monkeypatch.setattr(annealing, "SEGMENT", 50)
        made = noise(name, index, groups, 0, z)
        monkeypatch.setattr(annealing, "SEGMENT", 3)
        return keras.tree.map_structure(lambda leaf: leaf[part * 3 : part * 3 + 3].copy(), made)

    monkeypatch.setattr(annealing, "SEGMENT", 3)
    monkeypatch.setattr(chains, "noise", pieces)
    for one, other in zip(whole, (chains.estimate(x, some), chains.reverse(x, z, some)), strict=True):
        np.testing.assert_allclose(one.log_prob, other.log_prob, atol=1e-4)
        np.testing.assert_allclose(one.accepted, other.accepted)


def test_finished_tiles_are_not_done_again(line, monkeypatch):
    _, images, chains, steps = line
    kept = {}
    found = chains.estimate(images.test.x, steps, kept=kept)
    assert len(kept) == -(-COUNT // chains.tile)
    monkeypatch.setattr(chains, "run", None)
    np.testing.assert_array_equal(chains.estimate(images.test.x, steps, kept=kept).log_prob, found.log_prob)


def test_temperatures_rise_from_0_to_1_and_are_closest_at_the_ends():
    betas = annealing.temperatures(50)
    assert (betas[0], betas[-1], len(betas)) == (0, 1, 51)
    gaps = np.diff(betas)
    assert gaps.min() > 0
    assert gaps[0] < gaps[25] / 5 and gaps[-1] < gaps[25] / 5


def test_a_posterior_that_cannot_be_scored_is_refused(gaussian):
    assert type(gaussian[0]).log_q is Latent.log_q
    with pytest.raises(Refusal, match="posterior"):
        annealing.Annealing(gaussian[0], 0, 4)


def test_chains_from_the_prior_need_no_posterior_that_scores(gaussian):
    model, x = gaussian
    chains = annealing.Annealing(model, 0, 8, prior=True)
    found = chains.estimate(x, chains.pilot(x, 100))
    assert (found.log_prob - model.log_prob(x)).mean() == pytest.approx(0.0, abs=0.05)
    wished = evidence.settings(annealed=20, chains=8, temperatures=50)
    assert "cannot score" in evidence.misfit(type(model), wished)
    assert evidence.misfit(type(model), wished | {"start": "prior"}) is None


def test_gradients_are_those_of_differences(line):
    """Of the number that steers the chains, for both trees of z."""
    model, images, _, _ = line
    x, z = images.test.x[:2], np.random.default_rng(0).standard_normal((3, 2, 8)).astype("float32")

    def joint(z):
        return model.log_prior(z) + model.log_likelihood(x, z)

    _, slope = backend.value_and_gradient(joint, ops.convert_to_tensor(z))
    moved = z.copy()
    moved[1, 1, 4] += 0.01
    change = (np.asarray(joint(moved)) - np.asarray(joint(z)))[1, 1] / 0.01
    assert np.asarray(slope)[1, 1, 4] == pytest.approx(change, rel=0.02)

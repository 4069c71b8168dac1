"""What would flatter a number: test images that decide, steps that follow the chains, noise or finished work that is shared."""

import keras
import numpy as np
import pytest

from pipeline import calibration, evidence
from pipeline.evidence import annealing, gaps, importance, pairs, score

pytestmark = pytest.mark.backend
STEPS = annealing.Steps(annealing.temperatures(20), np.full(20, 0.3))


class Enough(Exception):
    """What was to be seen has been seen."""


def test_steps_are_tuned_on_validation_images(monkeypatch):
    model, images = calibration.line(4)
    seen = []

    def pilot(self, valid, count, kept=None):
        seen.append(valid)
        raise Enough

    monkeypatch.setattr(annealing.Annealing, "pilot", pilot)
    with pytest.raises(Enough):
        score.score(model, images, 0, evidence.settings(annealed=4), {}, lambda done, left: None)
    np.testing.assert_array_equal(seen[0], images.valid.x)


def test_reported_chains_leave_their_steps_alone():
    """From either side, far from the share of moves that a pilot would steer to."""
    model, _ = calibration.line(4)
    chains = annealing.Annealing(model, 0, 4)
    used, run = [], chains.run

    def watched(*given, **how):
        found = run(*given, **how)
        used.append(found[2])
        return found

    chains.run = watched
    x, z = pairs.simulated(chains.model, chains.seed, 4, {})
    chains.estimate(x, STEPS)
    chains.reverse(x, z, STEPS)
    assert len(used) == 2
    np.testing.assert_allclose(used, [STEPS.sizes] * 2, rtol=1e-6)


def test_every_image_has_noise_of_its_own():
    """An image twice: with the same noise, the errors of all images would be one error that no standard error knows."""
    model, images = calibration.line(4)
    x = images.test.x[[0, 0]]
    first, second = importance.Importance(model, 0).estimate(x, 100).log_prob
    assert first != second
    first, second = gaps.amortisation(model, x, 0)
    assert first != second


def test_every_image_has_chains_of_its_own():
    """Where they start, and what moves them."""
    model, images = calibration.line(4)
    chains, seen = annealing.Annealing(model, 0, 4), []
    begin = chains.begin

    def watched(x, start, many):
        seen.extend(keras.tree.flatten((start, many)))  # [M, B, ...]
        return begin(x, start, many)

    def unmoved(x, q, width, z, betas, sizes, rate, noise):
        seen.extend(leaf.reshape(-1, *leaf.shape[2:]) for leaf in keras.tree.flatten(noise))  # [S, M, B, ...]
        return z, np.zeros((4, chains.tile)), np.zeros((len(sizes), chains.tile)), sizes

    chains.begin, chains.forward = watched, unmoved
    chains.estimate(images.test.x[[0, 0]], STEPS)
    assert len(seen) == 5
    for leaf in seen:
        assert not np.array_equal(leaf[:, 0], leaf[:, 1])


def test_what_is_kept_of_one_width_is_not_that_of_another():
    model, images = calibration.line(4)
    sampler, kept = importance.Importance(model, 0), {}
    narrow, wide = (sampler.estimate(images.test.x, 100, scale, kept).log_prob for scale in (1.0, 8.0))
    mixed = importance.Importance(model, 0, 0.5).estimate(images.test.x, 100, 8.0, kept).log_prob
    assert not np.any((narrow == wide) | (wide == mixed))


def test_chains_of_each_group_are_others(monkeypatch):
    """Many chains are run in groups: where each starts and what moves it is what it would be if all were run together."""
    model, images = calibration.line(2)
    found, seen = [], []
    for together in (8, 4):
        monkeypatch.setattr(annealing, "TOGETHER", together)
        chains = annealing.Annealing(model, 0, 8)
        assert chains.group == together
        begin, noise = chains.begin, chains.noise
        chains.begin = lambda x, start, many, begin=begin: (seen.append(start["z"]), begin(x, start, many))[1]
        chains.noise = lambda *given, noise=noise: (made := noise(*given), seen.append(made["momentum"]))[0]
        found.append(chains.estimate(images.test.x[:1], STEPS).log_prob)
    start, momentum, start_of_groups, momentum_of_groups = (np.asarray(each) for each in seen)  # [M, B, d], [S, M, B, d]
    np.testing.assert_array_equal(np.concatenate([start_of_groups[:, 0], start_of_groups[:, 1]]), start[:, 0])
    joined = np.concatenate([momentum_of_groups[:, :, 0], momentum_of_groups[:, :, 1]], axis=1)
    np.testing.assert_array_equal(joined, momentum[:, :, 0])
    np.testing.assert_allclose(*found, atol=1e-3)

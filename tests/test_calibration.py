"""Calibration writes what it finds; the verdict fails when a claim does not hold, and only then."""

import copy

import numpy as np
import pytest

from pipeline import backend, calibration, evidence, params, verdict
from pipeline.evidence import annealing, integral, pairs

FINE = {
    "line": {
        "importance": {"side": "below", "bias_nats": -0.01, "bias_se": 0.01, "claimed_se": 0.01, "z": -1.0},
        "annealed": {"side": "below", "bias_nats": -0.02, "bias_se": 0.01, "claimed_se": 0.01, "z": -1.0},
        "forward": {"side": "below", "images": 200, "bias_nats": -0.02, "bias_se": 0.01, "claimed_se": 0.01, "z": 1.0},
        "reverse": {"side": "above", "bias_nats": 0.02, "bias_se": 0.01, "claimed_se": 0.01, "z": 1.0},
        "gap": {"nats": 0.1, "se": 0.01, "inside": 0.97},
    },
    "plane": {"importance": {"side": "below", "bias_nats": -0.01, "bias_se": 0.01, "claimed_se": 0.01, "z": -1.0}},
    "codes": {
        "importance": {"side": "below", "bias_nats": -0.01, "bias_se": 0.01, "claimed_se": 0.01, "z": -1.0},
        "bound": {"side": "below", "bias_nats": -2.0, "highest_nats": -0.1},
    },
    "pixels": {"total": 1.0},
    "narrow": {"flags": "annealing finds the images 0.9 nats likelier", "annealed_gain_nats": 0.9, "bias_nats": -0.9},
    "chosen": {"flags": "", "annealed_gain_nats": -0.01},
    "heads": {start: {"log_var_mean": -9.21, "log_var_sd": 0.001} for start in ("zero", "unit")},
}


def test_where_all_holds_nothing_is_broken():
    assert verdict.broken(FINE) == []
    assert len(verdict.claims(FINE)) > 15


@pytest.mark.parametrize(
    "where, value, said",
    [
        (("line", "importance", "z"), 4.5, "importance: unbiased"),
        (("heads", "unit", "log_var_mean"), -9.0, "log-variance, begun at N(0, 1)"),
        (("heads", "zero", "log_var_sd"), 0.2, "log-variance, begun at 0"),
        (("line", "forward", "z"), -4.5, "forward: unbiased"),
        (("line", "importance", "bias_nats"), 0.05, "importance: a bound from below"),
        (("line", "reverse", "bias_nats"), -0.05, "reverse: a bound from above"),
        (("codes", "importance", "claimed_se"), 0.06, "importance: stated error"),
        (("line", "annealed", "claimed_se"), 0.11, "annealed: stated error"),
        (("line", "annealed", "bias_nats"), -0.21, "annealed: off the truth"),
        (("line", "importance", "bias_nats"), -0.16, "importance: off the truth"),
        (("plane", "importance", "bias_nats"), -0.021, "importance: off the truth"),
        (("line", "gap", "nats"), 0.51, "annealing: gap"),
        (("line", "gap", "inside"), 0.94, "annealing: share"),
        (("codes", "bound", "highest_nats"), 0.1, "bound of one code map"),
        (("pixels", "total"), 1.001, "probabilities of all images"),
        (("narrow", "flags"), "", "a proposal that is too narrow"),
        (("narrow", "bias_nats"), -0.4, "the proposal that was trained"),
        (("narrow", "bias_nats"), -1.6, "the proposal that was trained"),
        (("chosen", "flags"), "annealing finds the images 0.1 nats likelier", "the chosen proposal"),
    ],
)
def test_a_claim_that_does_not_hold_is_named(where, value, said):
    found = copy.deepcopy(FINE)
    place = found
    for key in where[:-1]:
        place = place[key]
    place[where[-1]] = value
    broken = verdict.broken(found)
    assert len(broken) == 1
    assert broken[0]["claim"].startswith(said)


@pytest.mark.parametrize("case", ["line", "codes"])
def test_a_number_that_is_none_is_no_claim_that_holds(case):
    found = copy.deepcopy(FINE)
    found[case]["importance"]["z"] = float("nan")
    assert [row["claim"] for row in verdict.broken(found)] == ["importance: unbiased, standard errors off"]


@pytest.mark.backend
def test_an_estimate_is_compared_on_the_side_where_it_is_unbiased():
    """A normal logarithm with mean -s^2/2 has an exponential of 1 on average: unbiased, and below the truth by that much."""
    rng = np.random.default_rng(0)
    truth, s = rng.normal(-20, 3, 20_000), 0.3
    noise = rng.normal(-(s**2) / 2, s, len(truth))
    below = calibration.compared(truth + noise, truth, np.full(len(truth), s**2), "below")
    above = calibration.compared(truth - noise, truth, np.full(len(truth), s**2), "above")
    for found, sign in ((below, -1), (above, 1)):
        assert abs(found["z"]) < 4
        assert found["bias_nats"] == pytest.approx(sign * s**2 / 2, abs=4 * s / np.sqrt(len(truth)))
        assert found["claimed_se"] == pytest.approx(s / np.sqrt(len(truth)))
    assert calibration.compared(truth + noise + 0.02, truth, np.ones(len(truth)), "below")["z"] > 4


class Forgetful(dict):
    """Keeps every other thing, as if it had been stopped in between; and counts what is put there."""

    put = 0

    def __setitem__(self, name, value):
        self.put += 1
        if self.put % 2:
            super().__setitem__(name, value)


@pytest.mark.project  # compiles a lot
def test_what_was_finished_when_it_was_stopped_changes_nothing():
    """All that is asked of the first case, twice: the second time with half of what the first had kept."""
    backend.start(**params.read()["compute"])
    wished = evidence.settings(draws=200, scales=[1.0, 4.0], annealed=8, temperatures=10, chains=2)

    def found(kept: dict) -> list:
        model, images = calibration.line(40)
        truth = integral.gaussian(model, images.test.x)
        known, arrays, sampler, scale = calibration.estimators(model, images, truth, wished, kept, every=True)
        chains = annealing.Annealing(model, 0, wished["chains"], scale)
        steps = chains.pilot(images.valid.x, wished["temperatures"])
        x, z = pairs.simulated(model, 0, 40, kept)
        both, more = calibration.sandwich(chains, steps, x, z, integral.gaussian(model, x), kept)
        narrow = calibration.flags(sampler, images, wished | {"scales": [1.0]}, kept)
        return [known, both, narrow, calibration.flags(sampler, images, wished, kept), {**arrays, **more}]

    half = Forgetful()
    whole, again = found(half), found(half)
    assert half and half.put > len(half)
    assert again[:-1] == whole[:-1]
    assert all(np.array_equal(again[-1][name], array) for name, array in whole[-1].items())

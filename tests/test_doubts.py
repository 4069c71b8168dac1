"""What is said of an estimate beside its number: errors of several seeds, tails of the weights, doubts in words."""

import numpy as np
import pandas as pd
import pytest

from pipeline.evidence import importance, summary


def test_pareto_k_is_the_shape_of_a_known_tail():
    """Of exact Pareto draws; and of all weights the tail alone is kept."""
    rng = np.random.default_rng(0)
    for shape in (0.2, 0.5, 1.0):
        sums = importance.Sums(5000, 100, 20)
        w = rng.pareto(1 / shape, (5000, 20))
        for block in np.split(np.log1p(w), 50):
            sums.add(block)
        assert np.mean(sums.finish()["pareto_k"]) == pytest.approx(shape, abs=0.12)
        assert len(sums.largest) < 5000
    assert np.isnan(importance.pareto_k(np.zeros(1000)))
    assert np.isnan(importance.pareto_k(np.zeros(3)))


def test_errors_of_several_seeds_are_those_of_their_mean():
    found = summary.over_seeds(pd.DataFrame({"gain": [1.0, 3.0, np.nan], "gain_se": [0.3, 0.4, np.nan], "none": np.nan}))
    assert found == {"gain": 2.0, "gain_se": pytest.approx(0.25)}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({}, ""),
        (
            {"annealed_gain_nats": 0.2, "annealed_gain_se": 0.01},
            "annealing finds the images 0.20 nats likelier: the headline is",
        ),
        ({"annealed_gain_nats": 0.2, "annealed_gain_se": 0.06}, ""),
        ({"annealed_gain_nats": 0.2, "annealed_gain_se": 0.01, "direction": "exact"}, "likelier: one of the two is wrong"),
        ({"bdmc_gap_nats": 0.6}, "annealing is 0.60 nats unsure"),
        ({"heavy_tailed": 0.6}, "the weights of 60 % of the images are heavy-tailed"),
        ({"heavy_tailed": 0.6, "annealed_gain_nats": 0.0, "annealed_gain_se": 0.1}, ""),
        ({"ess": 2.0}, "fewer than 5 draws count for 100 % of the images"),
        ({"ess": 2.0, "estimator": "enumeration", "direction": "exact"}, ""),
    ],
)
def test_what_is_doubtful_is_said_and_what_is_not_is_not(changed, said):
    found = {"estimator": "importance", "direction": "nll_too_high", "heavy_tailed": 0.1} | changed
    images = pd.DataFrame({"ess": [changed.get("ess", 50.0)] * 4})
    estimates = pd.DataFrame({"estimator": [found["estimator"]], "nll_nats": [10.0], "nll_mc_se": [0.01]})
    doubts = summary.doubts(found, images, estimates)
    assert len(doubts) == bool(said)
    assert said in "".join(doubts)


def test_points_that_are_too_far_apart_are_said():
    estimates = pd.DataFrame({"estimator": ["quadrature"], "nll_nats": [10.0], "nll_mc_se": [0.2]})
    found = {"estimator": "quadrature", "direction": "exact"}
    assert summary.doubts(found, pd.DataFrame({"ess": [np.nan]}), estimates) == [
        "the points of the quadrature are too far apart, by 0.20 nats"
    ]

"""What evidence.json says: kind, sign, units, errors and flags."""

import models as small
import numpy as np
import pandas as pd
import pytest
from known import Coins

from pipeline import models
from pipeline.evidence import exact, summary

pytestmark = pytest.mark.backend
BASELINES = {"independent_nats": 3.0, "chain_nats": None}


def test_an_exact_model_is_called_exact():
    model, x = Coins(), np.zeros((130, 2, 2, 1), "uint8")
    assert exact.log_prob(model, x) == pytest.approx(np.full(130, -4 * np.log(2)))
    tables = summary.score(model, x, 0, None, lambda done, left: None)
    evidence = summary.headline(model, tables, "coins", np.full(130, -2.0), BASELINES)
    assert (evidence["estimator"], evidence["direction"], evidence["measure"]) == ("exact", "exact", "mass")
    assert evidence["nll_nats"] == pytest.approx(4 * np.log(2))
    assert evidence["bits_per_dim"] == pytest.approx(1.0)
    assert evidence["regret_nats"] == pytest.approx(4 * np.log(2) - 2)
    assert evidence["flags"] == ""
    assert "ess_min" not in evidence


def test_what_cannot_be_is_flagged():
    model, x = Coins(), np.zeros((130, 2, 2, 1), "uint8")
    tables = summary.score(model, x, 0, None, lambda done, left: None)
    floor = -3.0 + 0.01 * np.random.default_rng(0).standard_normal(130)
    evidence = summary.headline(model, tables, "coins", floor, {"independent_nats": 2.0, "chain_nats": 1.0})
    assert evidence["flags"] == "worse than independent pixels, below the exact floor"


def test_the_headline_has_the_sign_the_units_and_the_errors_it_says(gaussian):
    model, x = gaussian
    tables = [summary.score(model, x, seed, 1000, lambda done, left: None) for seed in (0, 1)]
    both = {name: pd.concat([each[name] for each in tables]) for name in tables[0]}
    evidence = summary.headline(model, both, "g", model.log_prob(x), BASELINES)
    truth = -model.log_prob(x)
    assert evidence["measure"] == "density"
    assert "bits_per_dim" not in evidence
    assert evidence["nll_nats"] == pytest.approx(truth.mean(), abs=0.05)
    assert evidence["nll_low"] < evidence["nll_nats"] < evidence["nll_high"]
    assert evidence["nll_se"] == pytest.approx(truth.std(ddof=1) / np.sqrt(70), rel=0.05)
    assert (evidence["nll_high"] - evidence["nll_low"]) / evidence["nll_se"] == pytest.approx(3.92, rel=0.1)
    assert evidence["elbo_nats"] < -evidence["nll_nats"]
    assert evidence["nll_mc_se"] < 0.02
    assert 0 < evidence["nll_seed_sd"] < 0.05
    assert abs(evidence["regret_nats"]) < 0.02
    assert (evidence["draws"], evidence["images"]) == (1000, 70)
    for name, columns in summary.COLUMNS.items():
        assert list(both[name].columns) == columns


def test_no_density_no_number():
    network = {"latent": 2, "body": "dense", "widths": []}
    model = models.build("autoencoder", "ae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, network, 0)
    tables = summary.score(model, small.images(model, 3), 0, 100, lambda done, left: None)
    assert all(table.empty for table in tables.values())
    evidence = summary.headline(model, tables, "d", None, BASELINES)
    assert evidence == {"data": "d", "likelihood": "none", "estimator": "none", "direction": "none", "flags": ""}


def test_evidence_knows_no_model():
    from pipeline.params import ROOT

    for path in (ROOT / "pipeline" / "evidence").glob("*.py"):
        assert "pipeline.models" not in path.read_text()

"""What evidence.json says: kind, sign, units, errors and flags."""

import models as small
import numpy as np
import pandas as pd
import pytest
from known import Coins

from pipeline import evidence, models
from pipeline.data.store import Images, Split
from pipeline.evidence import exact, summary
from pipeline.evidence import score as scores

pytestmark = pytest.mark.backend
BASELINES = {"independent_nats": 3.0, "chain_nats": None}


def score(model, x, seed=0, **wished):
    """The same images to validate and to test."""
    images = Images(Split(x), Split(x), Split(x), levels=model.spec.levels)
    return scores.score(model, images, seed, evidence.settings(**wished), {}, lambda done, left: None)


def test_an_exact_model_is_called_exact():
    model, x = Coins(), np.zeros((130, 2, 2, 1), "uint8")
    assert exact.log_prob(model, x) == pytest.approx(np.full(130, -4 * np.log(2)))
    tables = score(model, x)
    said = summary.headline(scores.kinds(model), model.spec, tables, "coins", np.full(130, -2.0), BASELINES, [])
    assert (said["estimator"], said["direction"], said["measure"]) == ("exact", "exact", "mass")
    assert said["nll_nats"] == pytest.approx(4 * np.log(2))
    assert said["bits_per_dim"] == pytest.approx(1.0)
    assert said["regret_nats"] == pytest.approx(4 * np.log(2) - 2)
    assert said["flags"] == ""
    assert "ess_min" not in said


def test_what_cannot_be_is_flagged():
    model, x = Coins(), np.zeros((130, 2, 2, 1), "uint8")
    tables = score(model, x)
    floor = -3.0 + 0.01 * np.random.default_rng(0).standard_normal(130)
    said = summary.headline(
        scores.kinds(model), model.spec, tables, "coins", floor, {"independent_nats": 2.0, "chain_nats": 1.0}, ["odd"]
    )
    assert said["flags"] == "odd, worse than independent pixels, below the exact floor"


def test_the_headline_has_the_sign_the_units_and_the_errors_it_says(gaussian):
    model, x = gaussian
    tables = [score(model, x, seed, draws=1000) for seed in (0, 1)]
    both = {name: pd.concat([each[name] for each in tables]) for name in tables[0]}
    said = summary.headline(scores.kinds(model), model.spec, both, "g", model.log_prob(x), BASELINES, [])
    truth = -model.log_prob(x)
    assert said["measure"] == "density"
    assert "bits_per_dim" not in said
    assert said["nll_nats"] == pytest.approx(truth.mean(), abs=0.05)
    assert said["nll_low"] < said["nll_nats"] < said["nll_high"]
    assert said["nll_se"] == pytest.approx(truth.std(ddof=1) / np.sqrt(70), rel=0.05)
    assert (said["nll_high"] - said["nll_low"]) / said["nll_se"] == pytest.approx(3.92, rel=0.1)
    assert said["elbo_nats"] < -said["nll_nats"]
    assert said["nll_mc_se"] < 0.02
    assert 0 < said["nll_seed_sd"] < 0.05
    assert abs(said["regret_nats"]) < 0.02
    assert (said["draws"], said["images"]) == (1000, 70)
    for name, columns in scores.COLUMNS.items():
        assert list(both[name].columns) == columns


def test_no_density_no_number():
    network = {"latent": 2, "body": "dense", "widths": []}
    model = models.build("autoencoder", "ae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, network, 0)
    tables = score(model, small.images(model, 3), draws=100)
    assert all(table.empty for table in tables.values())
    said = summary.headline(scores.kinds(model), model.spec, tables, "d", None, BASELINES, [])
    kinds = {"distribution": "none", "likelihood": "none"}
    assert said == {"data": "d", **kinds, "estimator": "none", "direction": "none", "flags": ""}


def test_evidence_knows_no_model():
    from pipeline.params import ROOT

    for path in (ROOT / "pipeline" / "evidence").glob("*.py"):
        assert "pipeline.models" not in path.read_text()

"""The committed numbers: what they promise of each other, and what was once reached. An edit that loses it has to say so."""

import json
from itertools import pairwise

import pandas as pd
import pytest

from pipeline.params import ROOT, read

PROFILES = {"default": ROOT, **{folder.parent.name: folder.parent for folder in ROOT.glob("profiles/*/results")}}
RUNS = [(profile, run) for profile, folder in PROFILES.items() for run in read(folder / "params.yaml")["runs"]]


def result(profile: str, run: str, file: str = "evidence") -> dict:
    return json.loads((PROFILES[profile] / "results" / run / f"{file}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("profile", "run"), RUNS)
def test_nothing_is_better_than_the_data_or_worse_than_its_own_bound(profile, run):
    evidence = result(profile, run)
    estimates = pd.read_csv(PROFILES[profile] / "results" / run / "estimates.csv")
    for _, rows in estimates.groupby("seed"):
        nll, noise = rows.set_index("estimator").nll_nats, rows.set_index("estimator").nll_mc_se
        order = [name for name in ("enumeration", "importance", "bound") if name in nll]
        for tight, loose in pairwise(order):
            slack = 4 * noise[[tight, loose]].fillna(0).sum()
            assert nll[tight] <= nll[loose] + slack, (tight, loose)
    if "regret_nats" in evidence:
        assert evidence["regret_nats"] > -3 * evidence["regret_se"]
    if evidence["estimator"] == "none":
        assert "nll_nats" not in evidence


REACHED = {  # profile, run, file, key: least, most
    ("default", "digits-static-vae", "evidence", "nll_nats"): (0, 17.2),
    ("default", "digits-static-pixelcnn", "evidence", "nll_nats"): (0, 17.3),
    ("default", "digits-static-vqvae", "evidence", "nll_nats"): (0, 17.8),
    ("default", "digits-static-vqvae", "evidence", "elbo_nats"): (-20.8, 0),
    ("default", "digits-static-vqvae", "representation", "perplexity"): (8, 16),
    ("default", "digits-pixelcnn", "evidence", "bits_per_dim"): (0, 1.80),
    ("known", "sprites-pixelcnn", "evidence", "regret_nats"): (-0.2, 1.5),
    ("known", "sprites-vae", "evidence", "regret_nats"): (0, 8),
    ("known", "blindspot-plain", "evidence", "nll_nats"): (99.5, 101),
    ("known", "blindspot-gated", "evidence", "regret_nats"): (-0.1, 0.5),
    ("known", "mesh-plain", "evidence", "regret_nats"): (-0.1, 0.2),
    ("known", "mesh-gated", "evidence", "regret_nats"): (-0.1, 0.2),
}


@pytest.mark.parametrize(("where", "limits"), REACHED.items(), ids=lambda value: str(value[1]))
def test_what_was_reached_is_kept(where, limits):
    *place, key = where
    assert limits[0] <= result(*place)[key] <= limits[1]


@pytest.mark.parametrize("run", [run for run in read(ROOT / "params.yaml")["runs"] if run.endswith("vqvae")])
def test_a_trained_prior_is_shorter_than_independent_codes(run):
    found = result("default", run, "representation")
    assert found["code_bits"] < found["independent_code_bits"] < found["uniform_code_bits"]
    assert found["compression"] == pytest.approx(found["raw_bits"] / found["code_bits"])


def test_the_truth_lay_between_the_bounds_of_annealing_for_95_percent_of_the_images():
    found = json.loads((PROFILES["default"] / "results" / "calibration.json").read_text(encoding="utf-8"))
    assert all(found[case]["gap"]["inside"] >= 0.95 for case in ("line", "plane"))

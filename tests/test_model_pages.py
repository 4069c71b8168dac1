"""The pages of a model with maps of codes and of one that draws pixel by pixel, in a project in miniature, made up."""

import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import calibrated
import numpy as np
import pandas as pd
import pytest
import test_reports as reports

from pipeline import params

RUNS = ("digits-codes", "digits-pixels")
SUMMED = {**reports.EVIDENCE, "estimator": "enumeration", "direction": "exact", "draws": 16, "nll_mc_se": 0.0}
EXACT = {
    **SUMMED,
    "estimator": "exact",
    "draws": 1,
    "given_class_nats": 22.0,
    "flags": "3.1 % of the scales are at their floor",
}
for one in (SUMMED, EXACT):  # neither was annealed
    for key in calibrated.CHECKS:
        del one[key]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for part in ("pipeline", "stages", "reports/templates"):
        shutil.copytree(params.ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "models"))
    (root / "dvc.yaml").touch()
    rng = np.random.default_rng(0)
    reports.fill(root, rng)
    settings = json.loads((root / "params.yaml").read_text())
    for run in RUNS:
        settings["runs"][run] = settings["runs"]["digits-vae"] | {"model": run}
        (root / f"pipeline/models/toy/{run}.py").write_text('"""A toy."""\n')
        shutil.copytree(root / "results" / "digits-vae", root / "results" / run)
        likelihood = pd.read_csv(root / "artifacts/likelihood/digits-vae.csv")
        likelihood.log_prob_nats -= run == "digits-pixels"
        none = dict.fromkeys(("pareto_k", "annealed_nats", *(() if run == "digits-codes" else ("ess", "max_weight"))), np.nan)
        likelihood.assign(**none).to_csv(root / f"artifacts/likelihood/{run}.csv", index=False)
        moves = root / "results" / run / "annealing.csv"
        pd.read_csv(moves)[:0].to_csv(moves, index=False)
    (root / "params.yaml").write_text(json.dumps(settings))
    fill_codes(root, rng)
    fill_pixels(root, rng)
    pages = ("digits-vae", "digits-ae", "data-digits", "claims-digits", "calibration")  # that others link to
    (root / "reports" / "html").mkdir()
    for page in pages:
        (root / "reports" / "html" / f"{page}.html").touch()
    script = "from stages.compare import compare; from stages.report import report\n"
    script += f"{'; '.join(f'report({run!r})' for run in RUNS)}; compare()"
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True)
    return root


def fill_codes(root: Path, rng: np.random.Generator) -> None:
    results, x = root / "results" / "digits-codes", np.load(root / "data/digits/test_x.npy")
    phases = [
        {"phase": "codes", "valid_loss": 30.0, "valid_distortion": 29.0, "valid_commitment": 1.0},
        {"phase": "prior", "valid_loss": 25.0, "valid_distortion": 20.0, "valid_rate": 5.0},
    ]
    history = [{"seed": 0, "epoch": epoch, "loss": 24.0, **row} for row in phases for epoch in (1, 2)]
    pd.DataFrame(history).to_csv(results / "history.csv", index=False)
    other = {"importance": 24.0, "bound": 26.5}
    rows = [SUMMED, *({**reports.EVIDENCE, "estimator": name, "nll_nats": nats} for name, nats in other.items())]
    pd.DataFrame(rows).assign(seed=0, scale=[np.nan, 2.0, np.nan]).to_csv(results / "estimates.csv", index=False)
    (results / "evidence.json").write_text(json.dumps(SUMMED))
    found = {"latent": 8, "reconstruction_mse": 0.01, "codes_used": 2, "perplexity": 1.94, "code_bits": 3.0}
    found |= {
        "independent_code_bits": 3.5,
        "uniform_code_bits": 4.0,
        "raw_bits": 65.4,
        "compression": 21.8,
        "k_means_mse": 0.02,
    }
    (results / "representation.json").write_text(json.dumps(found | reports.DRAWN))
    arrays = {
        "originals": x[:16],
        "reconstructions": x[:16] * 0.9,
        "codes": rng.normal(size=(30, 8)),
        "samples": x[::-1],
        "nearest": x,
    }
    maps = rng.integers(0, 2, (30, 4))
    np.savez(root / "artifacts/gallery/digits-codes.npz", **arrays, code_maps=maps, code_counts=np.array([70, 50]))


def fill_pixels(root: Path, rng: np.random.Generator) -> None:
    results, x = root / "results" / "digits-pixels", np.load(root / "data/digits/test_x.npy")
    pd.DataFrame([{**EXACT, "seed": 0, "scale": np.nan}]).to_csv(results / "estimates.csv", index=False)
    for name in ("k_curve", "sweep"):
        pd.read_csv(results / f"{name}.csv")[:0].to_csv(results / f"{name}.csv", index=False)
    (results / "evidence.json").write_text(json.dumps(EXACT))
    (results / "representation.json").write_text(json.dumps(reports.DRAWN))
    arrays = {"samples": x[::-1], "nearest": x, "originals": x, "likelihood_map": -rng.random((30, 4, 4))}
    arrays |= {"completions": np.repeat(x[:8], 8, axis=0), "class_samples": np.repeat(x[:2], 8, axis=0)}
    np.savez(root / "artifacts/gallery/digits-pixels.npz", **arrays)


@pytest.mark.parametrize("name", [*RUNS, "index"])
def test_a_page_is_whole_and_asks_nothing_of_a_network(project, name):
    reports.test_a_page_asks_nothing_of_a_network(project, name)
    reports.test_a_page_is_whole_and_every_picture_has_words(project, name)


def test_a_page_says_what_samples_are_worth_and_which_gates_are_passed(project):
    page = unescape(reports.text(project, "digits-pixels", code=False))
    assert "512 samples beside as many training images" in page
    assert re.search(r"right about 95\.1\s%", page)
    assert "<td>off by so much</td>" in page and "≤ 0.1" in page


def test_a_page_of_codes_names_its_phases_numbers_and_maps(project):
    page = unescape(reports.text(project, "digits-codes"))
    alts = re.findall(r'aria-label="([^"]+)"', page)
    for alt in ("Codes: training and validation loss", "Prior: training and validation loss", "Test images above their maps"):
        assert sum(each.startswith(alt) for each in alts) == 1
    assert sum(each.startswith("Distortion and rate") for each in alts) == 1  # the phase `codes` has no rate
    assert "a sum over all 16 maps of codes" in page
    assert "<strong>26.50 nats</strong>; importance sampling draws 100 maps" in page
    assert "<strong>23.46 nats</strong>, 0.54 lower" in page
    assert "sum over all codes 23.46" in page  # a line in the chart of draws
    assert "the bound is lowest with temperature 2 (ringed)" in page
    assert "draws the median image has an effective 31" in page  # in words, as no tail has a shape
    assert "Pareto" not in page
    assert "<dd>2 of 2</dd>" in page
    assert "<dd>1.9</dd>" in page
    assert "with as many codes, leaves 0.0200" in page
    assert '<td class="number">2</td>' in page  # the temperature, in the table of estimates


def test_a_page_of_pixels_shows_what_each_costs_and_what_may_follow(project):
    page = unescape(reports.text(project, "digits-pixels", code=False))
    for part in ("maps of the nats that each of their pixels costs", "other lower halves drawn", "one class per row"):
        assert part in page
    assert "Told the class of an image, the model needs 22.00 nats, 1.46 fewer" in page
    assert "scales are at their floor" in page
    assert "differ by 0.00 of the scale" in page
    for absent in ("importance draws", "Pareto", "Annealing", "proposal", "calibration.html"):
        assert absent not in page
    assert "The model has no codes." in page


def test_the_page_of_all_runs_calls_sums_and_closed_forms_exact(project):
    page = reports.text(project, "index")
    for run in RUNS:
        row = page[page.index(f'<a href="{run}.html">') :]
        assert row[: row.index("</tr>")].count("<td>exact</td>") == 1
    pairs = pd.read_csv(project / "reports" / "plots" / "paired.csv")
    assert pairs[["run", "other", "images"]].values.tolist() == [
        ["digits-codes", "digits-pixels", 30],
        ["digits-codes", "digits-vae", 30],
        ["digits-pixels", "digits-vae", 30],
    ]
    assert pairs[["difference_nats", "low", "high"]].values.tolist() == [[-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    assert "digits-codes is 1.00 ± 0.00 nats ahead of digits-pixels." in unescape(page).replace("\u00a0", " ")
    assert "Not significant at 95 %, each pair by itself: digits-codes and digits-vae." in unescape(page).replace("\u00a0", " ")
    assert page.count(">−1.00</text>") == 2
    curves = pd.read_csv(project / "reports" / "plots" / "curves.csv")
    assert curves[curves.run == "digits-codes"].valid_loss.tolist() == [25.0, 25.0]  # of the phase `prior` only

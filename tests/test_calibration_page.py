"""The page of the calibration: what is drawn is what was found, and what does not hold is said first."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import calibrated
import numpy as np
import pytest
import test_reports as reports
from matplotlib.backends.backend_agg import FigureCanvasAgg

from pipeline import params, verdict
from pipeline.figures import calibration, failure


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The pages of two calibrations: one that went well, and one where two claims are broken."""
    root = tmp_path_factory.mktemp("calibration")
    for part in ("pipeline", "stages", "reports/templates"):
        shutil.copytree(params.ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "models"))
    (root / "dvc.yaml").touch()
    (root / "params.yaml").write_text(json.dumps(calibrated.SETTINGS))
    calibrated.fill(root, np.random.default_rng(0))
    broken = calibrated.found(pixels={"images": 65536, "total": 1.5}, narrow=calibrated.found()["narrow"] | {"flags": ""})
    script = (
        "import pathlib, sys; from stages.explain import explain; explain()\n"
        "pathlib.Path('reports/html/calibration.html').rename('reports/html/well.html')\n"
        "pathlib.Path('results/calibration.json').write_text(sys.argv[1]); explain()"
    )
    (root / "reports" / "html").mkdir()
    (root / "reports" / "html" / "index.html").touch()
    subprocess.run([sys.executable, "-c", script, json.dumps(broken)], cwd=root, check=True)
    return root


@pytest.mark.parametrize("name", ["well", "calibration"])
def test_the_page_is_whole_and_asks_nothing_of_a_network(project, name):
    reports.test_a_page_asks_nothing_of_a_network(project, name)
    reports.test_a_page_is_whole_and_every_picture_has_words(project, name)


def test_the_page_opens_with_how_many_claims_hold(project):
    well, broken = (unescape(reports.text(project, name)) for name in ("well", "calibration"))
    count = len(verdict.claims(calibrated.found()))
    assert f'<p class="lead"><strong>{count} of {count}</strong> claims' in well
    assert "BROKEN" not in well
    assert f"<strong>{count - 2} of {count}</strong> claims" in broken
    assert "Broken: pixels: probabilities of all images together; line: a proposal that is too narrow is flagged." in broken
    assert broken.count("<td>BROKEN</td>") == 2
    assert well.count("<td>holds</td>") == count
    for row in verdict.claims(calibrated.found()):
        found = f"{row['found']:.4f}".replace("-", "−")
        assert f'<td>{row["claim"]}</td><td class="number">{found}</td>' in well


def test_the_page_says_what_the_models_are_and_what_is_not_offered(project):
    page = unescape(reports.text(project, "well"))
    for part in (
        "line: a VAE with one linear layer",
        "The harmonic mean",
        "CUBO",
        "with the evidence settings <strong>standard",
    ):
        assert part in page
    assert re.search(r"<td>pipeline/calibration\.py</td><td><code>[0-9a-f]{32}</code></td>", page)
    assert '<a href="index.html">all runs</a>' in page


def test_bounds_are_drawn_where_they_lie_each_with_the_mark_of_its_side():
    figure, _, said = calibration.bias(calibrated.found())
    marks = [line for line in figure.axes[0].lines if line.get_marker() in ("<", ">")]
    expected = [-0.01, 0.004, -0.002, 0.03]
    assert [float(line.get_xdata()[0]) for line in marks] == [*expected, *expected, -0.01]
    assert [line.get_marker() for line in marks] == [*">>><"] * 2 + [">"]
    bars = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 2]
    assert np.ptp(np.array(bars), axis=1) == pytest.approx(2 * 1.96 * 0.01)
    assert "at most 0.03 nats off: “reverse, own images” of line is +0.030 ± 0.010." in said
    assert said.endswith("off the chart at −2.50, and above the truth for no image.")


def test_the_failure_of_a_narrow_proposal_is_drawn_and_said_from_what_was_found():
    found, arrays = calibrated.found(), calibrated.arrays(np.random.default_rng(0))
    figure, _, said = failure.failure(found, arrays)
    for width, line in zip(calibrated.WIDTHS, figure.axes[0].lines, strict=True):
        assert line.get_ydata() == pytest.approx([4.0 * width, 2.0, 0.9 / width**3])
    assert "still 0.90 nats off the truth, and the error it states of itself is 0.03." in said
    assert (
        "With 4 times the trained variance, which validation images choose, the bound is off by 0.01 and states 0.02." in said
    )
    assert said.endswith("finds the images 0.87 nats likelier, and such a run is flagged.")
    unseen = failure.failed(found | {"narrow": found["narrow"] | {"flags": ""}})
    assert unseen.endswith("yet such a run is not flagged.")
    found["line"]["importance, x1"]["bias_nats"] = -0.05
    assert "is 0.05 nats off the truth with all its draws and states 0.03: here it does not fail." in failure.failed(found)
    names = [text.get_text() for text in figure.axes[0].texts]
    assert names == ["× 4, chosen", "× 2", "× 1, as trained"]
    renderer = FigureCanvasAgg(figure).get_renderer()
    heights = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(heights))


def test_the_stated_error_is_drawn_beside_the_true_one():
    figure, _, said = failure.honesty(calibrated.found())
    rings, dots = ([line for line in figure.axes[0].lines if len(line.get_xdata()) == 1][i::2] for i in (0, 1))
    assert [float(np.squeeze(line.get_xdata())) for line in rings] == [0.02, 0.02, 0.02, 0.03]  # annealing lowest, x1 on top
    assert [float(np.squeeze(line.get_xdata())) for line in dots] == [0.004, 0.01, 0.01, 0.9]
    assert (
        "With × 1 the true error is 30.0 times as large as the stated one. It is more than 4 times as large with × 1 (orange)"
        in said
    )
    assert "above 0.7 for 90.0 %, 45.0 %, 22.5 % of the images" in said
    assert said.endswith("of the median image are 10, 20, 40.")


def test_both_bounds_of_each_image_are_drawn_together():
    arrays = calibrated.arrays(np.random.default_rng(0))
    figure, _, said = calibration.sandwich(calibrated.found(), arrays, "plane")
    lower, upper = figure.axes[0].lines[:2]
    below, above = (arrays[f"plane_simulated_{way}"] - arrays["plane_simulated_truth"] for way in ("forward", "reverse"))
    order = np.argsort(below)
    assert (lower.get_ydata() == below[order]).all()
    assert (upper.get_ydata() == above[order]).all()
    assert "lower bound is −0.002 ± 0.010 nats from the truth on average, the upper +0.030 ± 0.010" in said
    assert "For 95.0 % of the images" in said


def test_accepted_moves_of_both_models_share_a_chart():
    arrays = calibrated.arrays(np.random.default_rng(0))
    figure, _, said = calibration.accepted(arrays)
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines[:2]] == [arrays["line_accepted"].tolist()] * 2
    assert "60.0 % to 90.0 % on line and 60.0 % to 90.0 % on plane, over 10 temperatures" in said

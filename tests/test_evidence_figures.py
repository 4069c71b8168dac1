"""How likely test images are, and how far to trust it: what is drawn and said is what the numbers say."""

import itertools
import re

import calibrated
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex

from pipeline import params
from pipeline.figures import annealing, importance, index, paired, style, words

CURVE = pd.DataFrame({"seed": 0, "k": [1, 10, 100], "nll_nats": [126.5, 125.2, 125.06], "nll_se": 0.6})
ESTIMATES = pd.DataFrame({"seed": 0, "estimator": ["importance", "annealed"], "draws": [500, 16]})
EXACT = {"estimator": "exact", "direction": "exact"}
ESTIMATED = {"estimator": "importance", "direction": "nll_too_high"}


def boxes(figure, inside: str) -> list:
    """Where the texts stand that contain `inside`."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [text.get_window_extent(renderer) for text in figure.axes[0].texts if inside in text.get_text()]


@pytest.mark.parametrize("chain", [120.0, 124.9, 125.05, 125.06, 125.3, 126.4])
@pytest.mark.parametrize("floor", [124.0, 125.0, 125.05])
def test_names_of_lines_to_compare_with_never_overlap(chain, floor):
    evidence = {"independent_nats": 126.45, "chain_nats": chain, "floor_nats": floor}
    figure, _, _ = importance.k_curve(CURVE, evidence, style.BLUE, exact=125.05)
    found = boxes(figure, " 12")
    assert len(found) == 4
    assert not any(one.overlaps(other) for one, other in itertools.combinations(found, 2))


def test_the_curve_of_draws_says_how_fast_it_still_falls():
    said = importance.k_curve(CURVE, {"k_slope_nats": 0.14}, style.BLUE)[2]
    assert "falls by 1.44 nats, to 125.06; the last step, from 10, takes 0.14 of it, which is 0.14 for ten times" in said
    assert "Off the chart: regression chain 89.70." in importance.k_curve(CURVE, {"chain_nats": 89.7}, style.BLUE)[2]


def test_the_width_that_is_used_is_ringed_and_what_the_trained_one_loses_is_said():
    table = calibrated.sweep()
    figure, _, said = importance.sweep(table, False, style.BLUE)
    ring = figure.axes[0].lines[1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (2.0, 24.0)
    assert "each with 50 draws for 10 validation images" in said
    assert "the bound is lowest with 2 times the posterior's variance (ringed)" in said
    assert said.endswith("The posterior as it was trained, 1, is 0.50 nats worse.")
    worse = table.assign(nll_nats=[24.0, 24.1, 60.0])
    assert importance.sweep(worse, True, style.BLUE)[2].endswith(
        "That is the posterior as it was trained; the next best, 2, is 0.10 nats worse. Off the chart: 4 at 60.00."
    )
    last = importance.sweep(table.assign(nll_nats=[24.2, 24.1, 24.0]), True, style.BLUE)[2]
    assert "temperature 4 (ringed)" in last
    assert last.endswith("It is the last that was tried: one beyond it might do better still.")


def test_images_whose_weights_have_too_heavy_a_tail_are_counted_and_named():
    likelihood = pd.DataFrame({"seed": 0, "image": [4, 5, 6, 7], "ess": [2.0, 30.0, 50.0, 80.0], "max_weight": 0.25})
    figure, _, said = importance.trust(likelihood.assign(pareto_k=[1.5, 0.71, 0.69, -0.2]), ESTIMATES, style.BLUE)
    assert [line.get_xdata().tolist() for line in figure.axes[0].lines[:2]] == [[50.0, 80.0], [2.0, 30.0]]
    assert "Of 500 draws the median image has an effective 40, the worst (image 4) 2.0" in said
    assert "the largest weight makes up 25.0 % of the sum in the median, 25.0 % at most" in said
    assert "For 50.0 % of the images" in said
    assert "the worst are images 4 (1.50), 5 (0.71), 6 (0.69)" in said
    light = importance.trust(likelihood.assign(pareto_k=[0.5, 0.1, np.nan, -3.0]), ESTIMATES, style.BLUE)[2]
    assert "the largest k is 0.50." in light
    assert "Of 1 images the largest weights are all alike" in light
    assert light.endswith("Off the chart, below: 1.")
    assert importance.trust(likelihood.assign(pareto_k=np.nan), ESTIMATES, style.BLUE) is None


def test_annealing_is_held_against_the_headline_image_by_image():
    likelihood = pd.DataFrame({"seed": 0, "image": [0, 1, 2], "log_prob_nats": [-20.0, -30.0, -40.0]})
    likelihood["annealed_nats"] = [-19.5, -30.75, np.nan]
    evidence = {**ESTIMATED, "annealed_gain_nats": -0.125, "annealed_gain_se": 0.02}
    figure, _, said = annealing.annealed(likelihood, evidence, style.BLUE)
    dots = figure.axes[0].lines[-1]
    assert dots.get_xydata().tolist() == [[20.0, 0.5], [30.0, -0.75]]
    assert "finds these 2 test images 0.12 ± 0.02 nats less likely than the headline on average" in said
    assert "more than chance explains; the largest difference is −0.75, of image 1." in said
    assert "the higher of the two is probably nearer the truth" in said
    exact = annealing.annealed(likelihood, evidence | EXACT | {"annealed_gain_se": 0.2}, style.BLUE)[2]
    assert "no more than chance explains" in exact
    assert exact.endswith("what is not chance is annealing's error.")


def test_accepted_moves_and_the_gap_between_both_bounds_are_said():
    figure, _, said = annealing.accepted(calibrated.moves(), calibrated.CHECKS, ESTIMATES, style.BLUE)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.9, 0.6, 0.7]
    assert "16 chains per image 60.0 % to 90.0 % are accepted, with steps of 0.3 to 0.5" in said
    assert "the two bounds are 0.21 ± 0.04 nats apart" in said
    assert "bounds" not in annealing.accepted(calibrated.moves(), {}, ESTIMATES, style.BLUE)[2]


def test_limits_on_pages_are_those_of_the_estimators():
    for module, name, shown in (("annealing", "ACCEPTED", annealing.ACCEPTED), ("summary", "HEAVY", importance.HEAVY)):
        source = (params.ROOT / "pipeline" / "evidence" / f"{module}.py").read_text(encoding="utf-8")
        assert float(re.search(rf"^{name}\b[^=]*= ([\d.]+)", source, flags=re.M)[1]) == shown


@pytest.mark.parametrize("family", [1.75, -0.1])
def test_what_the_elbo_lacks_is_split_and_the_second_part_begins_where_the_first_ends(family):
    found = calibrated.CHECKS | {"approximation_nats": family, "gap_nats": family + 0.75}
    figure, _, said = annealing.gap(found, 32, style.BLUE)
    encoder, approximation = figure.axes[0].patches
    assert approximation.get_x() + approximation.get_width() == pytest.approx(family)
    ends = encoder.get_x(), encoder.get_x() + encoder.get_width()
    assert sorted(ends) == pytest.approx([family, family + 0.75])
    number = f"{family:.2f}".replace("-", "−")
    assert f"On the 32 test images that are annealed, log p(x) lies {family + 0.75:.2f} nats above" in said
    assert f"{number} of them, at most, are the family's" in said
    assert "0.75, at least, are the encoder's" in said


def test_an_estimators_draws_are_called_what_they_are():
    assert words.how({"estimator": "annealed", "draws": 16}) == "annealed importance sampling with 16 chains per image"
    assert words.how({"estimator": "quadrature", "draws": 192}).endswith("with 192 points in each dimension")
    assert "its chains" in words.made(ESTIMATES.assign(scale=1.0))


def likelihoods() -> dict[str, pd.DataFrame]:
    """b has two seeds; c another order, one image that others lack, and lacks one that they have."""
    a = pd.DataFrame({"seed": 0, "image": [0, 1, 2, 3], "log_prob_nats": [-1.0, -2.0, -3.0, -4.0]})
    b = [a.assign(seed=seed, log_prob_nats=a.log_prob_nats - 1.0 + shift * a.image) for seed, shift in ((0, 0.5), (1, -0.25))]
    c = pd.DataFrame({"seed": 0, "image": [9, 2, 1, 0], "log_prob_nats": [-99.0, -3.5, -1.5, -1.0]})
    return {"a": a, "b": pd.concat(b), "c": c}


def test_paired_differences_are_those_computed_by_hand():
    rows = paired.table("d", ["a", "b", "c"], likelihoods()).set_index(["run", "other"])
    # b - a is -1 + image / 8 in the mean over seeds: -1, -7/8, -6/8, -5/8, so that a is 0.8125 ahead.
    first = rows.loc[("a", "b")]
    error = (np.array([3, 1, -1, -3]) / 16).std(ddof=1) / 2
    assert first[["difference_nats", "se"]].tolist() == pytest.approx([-0.8125, error])
    assert first[["low", "high"]].tolist() == pytest.approx([-0.8125 - 1.96 * error, -0.8125 + 1.96 * error])
    assert rows.images.tolist() == [4, 3, 3]
    # On images 0, 1 and 2, c - a is 0, 1/2, -1/2.
    assert rows.loc[("a", "c")][["difference_nats", "se"]].tolist() == pytest.approx([0.0, 0.5 / 3**0.5])


def test_only_significant_differences_have_the_colour_of_their_sign():
    names, evidence = ["a", "b", "c"], {"a": EXACT, "b": ESTIMATED, "c": ESTIMATED}
    figure, _, said = paired.matrix(names, paired.table("d", names, likelihoods()), evidence)
    tones = [to_hex(cell.get_facecolor()) for cell in figure.artists + figure.patches if cell is not figure.patch]
    assert tones == [style.GREEN, style.MUTED, style.VERMILLION, style.VERMILLION, style.MUTED, style.GREEN]
    assert [text.get_text() for text in figure.texts if text.get_text()[0] in "+−"][:3] == ["−0.81", "+0.00", "+0.81"]
    assert "a is 0.81 ± 0.08 nats ahead of b." in said
    assert "Not significant at 95 %, each pair by itself: a and c." in said
    assert "The NLL of b, c comes out too high on average, the others' are exact" in said
    estimated = paired.said(names, paired.table("d", names, likelihoods()), dict.fromkeys(names, ESTIMATED))
    assert "All are estimates that come out too high on average" in estimated


def test_pairs_are_of_one_data_set_and_one_measure():
    runs = {name: {"data": data} for name, data in (("a", "d"), ("b", "d"), ("c", "d"), ("e", "other"), ("none", "d"))}
    measures = {"a": "mass", "b": "mass", "c": "density", "e": "mass"}
    evidence = {name: {**ESTIMATED, "nll_nats": 2.0, "measure": measure} for name, measure in measures.items()}
    evidence["none"] = {"estimator": "none", "direction": "none"}
    tables = likelihoods() | dict.fromkeys(("e", "none"), likelihoods()["a"])
    found = paired.pairs(index.groups(runs, evidence), tables)
    assert found[["data", "run", "other"]].values.tolist() == [["d", "a", "b"]]
    assert paired.pairs(index.groups({"e": runs["e"]}, evidence), tables).columns.tolist() == paired.COLUMNS
    assert index.differences(["a", "b"], tables) == {"b": "0.81 ± 0.08"}

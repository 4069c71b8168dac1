"""What the figures of maps of codes and of models that draw pixel by pixel say: each sentence from numbers known beforehand."""

import numpy as np
import pandas as pd
import pytest

from pipeline.figures import codes, importance, pixels, quantised, run, style, words
from stages import compare

ROWS = [("enumeration", 256, 120.0, "exact"), ("importance", 20, 120.5, "nll_too_high"), ("bound", 1, 123.0, "nll_too_high")]
ESTIMATES = pd.DataFrame(ROWS, columns=["estimator", "draws", "nll_nats", "direction"]).assign(
    seed=0, scale=[np.nan, 2, np.nan]
)


def test_the_words_of_a_model_with_codes_say_how_far_bound_estimate_and_sum_are_apart():
    said = words.ladder(ESTIMATES)
    assert [said.index(f"**{number} nats**") for number in ("123.00", "120.50", "120.00")] == sorted(
        said.index(f"**{number} nats**") for number in ("123.00", "120.50", "120.00")
    )
    assert "nats**, 2.50 lower" in said
    assert "all 256 maps is p(x) itself, exact: **120.00 nats**, 0.50 lower." in said
    without = words.ladder(ESTIMATES[1:])
    assert "exact" not in without
    assert without.endswith("how much of p(x) is still missing is not known.")
    assert "temperature" in words.made(ESTIMATES)
    assert "cale" not in words.made(ESTIMATES.assign(scale=1.0))
    summed = {"estimator": "enumeration", "direction": "exact", "draws": 256}
    assert words.kind(summed) == "exact"
    assert words.how(summed) == "a sum over all 256 maps of codes"


def test_what_the_class_says_stands_beside_p_of_x():
    (said,) = words.beside({"nll_nats": 20.0, "given_class_nats": 18.25})
    assert "the model needs 18.25 nats, 1.75 fewer" in said
    assert words.beside({"nll_nats": 20.0}) == []


def test_draws_of_the_effective_sample_are_those_of_importance_sampling():
    likelihood = pd.DataFrame({"seed": 0, "image": [0, 1], "ess": [4.0, 8.0], "max_weight": [0.5, 0.25]})
    said = importance.weights(likelihood, ESTIMATES)
    assert said.startswith("Of 20 draws the median image has an effective 6, the worst (image 0) 4.0; the largest weight")
    assert importance.weights(likelihood, ESTIMATES[:1]) == ""


def test_a_loss_names_its_phase_and_what_it_is():
    table = pd.DataFrame({"seed": 0, "epoch": [1, 2], "loss": [9.0, 8.0], "valid_loss": [9.5, 8.5]})
    assert "Phase" not in run.losses(table, style.BLUE)[2]
    figure, alt, said = run.losses(table.assign(valid_distortion=[8.0, 7.0], valid_commitment=1.5), style.BLUE, "codes")
    assert alt.startswith("Codes: training")
    assert "Phase “codes”: the validation loss is lowest at epoch 2 of 2 (8.50" in said
    assert said.endswith("In it, 7.00 distortion and 1.50 commitment on validation images.")
    bound = run.losses(table.assign(valid_distortion=7.0, valid_rate=1.5), style.BLUE, "prior")[0]
    titles = [figure.axes[0].get_title(loc="left") for figure in (figure, bound)]
    assert titles == ["codes: loss per image", "prior: bound on the NLL, nats per image"]


def test_only_the_last_phase_shares_a_chart_with_other_models(monkeypatch):
    table = pd.DataFrame({"seed": [0, 0, 0, 0, 1], "phase": ["codes", "codes", "prior", "prior", "prior"]})
    table = table.assign(epoch=[1, 2, 1, 2, 1], valid_loss=[9.0, 8.0, 7.0, 6.0, 5.0])
    monkeypatch.setattr(compare.store, "read_json", lambda path: {"measure": "mass", "data": "d"})
    monkeypatch.setattr(compare.pd, "read_csv", lambda path: table)
    curves = compare.curves({"r": {}})
    assert curves.valid_loss.tolist() == [7.0, 6.0]
    assert set(curves.data) == {"d"}


def test_ranks_go_by_use_and_equals_keep_their_order():
    assert quantised.ranks(np.array([3, 9, 0, 9])).tolist() == [2, 0, 3, 1]
    _, _, said = quantised.usage(np.array([6, 0, 2, 2]), {"codes_used": 3, "perplexity": 2.586})
    assert said.startswith("3 of 4 codes are used. Their perplexity is 2.6:")
    assert "The first one has 60.0 % of all places." in said
    figure, _, said = quantised.usage(np.array([991, *[1] * 9, *[0] * 10]), {"codes_used": 10, "perplexity": 1.1})
    assert said.endswith("square roots of the shares.")
    assert figure.axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize(("sites", "shape", "grid"), [(4, (8, 8, 1), (2, 2)), (8, (4, 8, 1), (2, 4)), (8, (8, 4, 3), (4, 2))])
def test_a_map_keeps_the_shape_of_the_image(sites, shape, grid):
    assert quantised.grid_of(sites, shape) == grid


def test_a_cell_of_a_map_has_the_colour_and_the_number_of_its_codes_rank():
    maps, counts = np.array([[0, 1, 1, 2]] * 8 + [[2, 2, 2, 2]]), np.array([1, 7, 3])
    figure, _, said = quantised.maps(np.zeros((9, 8, 8, 1)), maps, counts, 2)
    assert [text.get_text() for text in figure.texts[:4]] == ["3", "1", "1", "2"]
    cells = [cell for cell in figure.patches + figure.artists if hasattr(cell, "get_facecolor")]
    first = [tuple(cell.get_facecolor()[:3]) for cell in cells if cell is not figure.patch][:4]
    assert np.allclose(first, quantised.tones(3)[[2, 0, 0, 1]])
    assert "map of 2 × 2 codes" in said
    assert "88.9 % of all test images share their whole map" in said
    assert "The first reads 3, 1, 1, 2." in said


def test_a_code_that_determines_its_piece_explains_all_of_it():
    rng = np.random.default_rng(0)
    maps, book = rng.integers(0, 5, (40, 4)), rng.random((6, 2, 3, 1))
    images = book[maps].reshape(40, 2, 2, 2, 3, 1).transpose(0, 1, 3, 2, 4, 5).reshape(40, 4, 6, 1)
    counts = np.bincount(maps.ravel(), minlength=6)
    _, _, said = quantised.patterns(images, maps, counts, None)
    assert "could explain 100.0 % of the variance" in said
    assert said.endswith("1 of the codes stands in no test image.")
    assert "100.0" not in quantised.patterns(rng.random(images.shape), maps, counts, None)[2]


def test_what_a_map_costs_is_said_without_flattery():
    bits = {
        "uniform_code_bits": 24.0,
        "independent_code_bits": 20.0,
        "code_bits": 18.5,
        "raw_bits": 260.0,
        "compression": 14.05,
    }
    _, _, said = quantised.cost(bits, {"elbo_nats": -100.0}, style.BLUE)
    assert "in 18.5 bits, 1.5 fewer" in said
    assert "260.0 bits, 14.1 times as many" in said or "260.0 bits, 14.0 times as many" in said
    assert "takes 144.3 bits without loss" in said
    assert "1.5 more" in quantised.cost(bits | {"code_bits": 21.5}, {}, style.BLUE)[2]


def test_the_costliest_pixels_pay_their_share():
    costs = np.ones((3, 5, 4))
    assert pixels.costliest(costs) == pytest.approx(0.1)
    costs[:, 0, :2] = 10.0
    assert pixels.costliest(costs) == pytest.approx(20 / 38)
    _, _, said = pixels.likelihood_map(np.zeros((3, 5, 4, 1)), -costs, 2)
    assert "38.00 to 38.00 nats here, 38.00 on average" in said
    assert "pays 52.6 % of it" in said
    density = pixels.likelihood_map(np.zeros((3, 5, 4, 1)), costs, None)[2]
    assert "%" not in density  # nats of a density may be negative: no share of them


def test_the_colour_scale_rises_evenly_in_lightness():
    light = style.scale(np.linspace(0, 1, 50)) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(light) > 0).all()


def test_completions_of_the_truth_differ_as_much_from_each_other_as_from_it():
    rng = np.random.default_rng(0)
    truth, drawn = rng.random((8, 40, 40, 1)), rng.random((64, 40, 40, 1))
    drawn[:, :20] = np.repeat(truth[:, :20], 8, axis=0)
    ends = np.zeros((1, 1, 1, 1))
    truth[0, 0, 0], drawn[0, 0, 0] = ends[0, 0, 0], ends[0, 0, 0] + 1.0
    _, _, said = pixels.completions(truth, drawn, None)
    assert "differ by 0.41 of the scale in a pixel (root mean square), one of them and the real one by 0.41" in said


def test_a_sample_is_held_against_the_class_that_was_asked_for():
    tests, labels = np.zeros((6, 2, 2, 1)), np.array([0, 0, 0, 1, 1, 1])
    tests[3:] = 1.0
    samples = np.repeat(np.array([0.1, 0.9]), 8)[:, None, None, None] * np.ones((16, 2, 2, 1))
    samples[:4] = 0.9  # a quarter of all is of the wrong class
    _, _, said = pixels.class_samples(samples, tests, labels, 2)
    assert "in 75.0 % of them" in said
    assert "same class for 100.0 %" in said
    assert "nearest" not in pixels.class_samples(samples, tests, None, 2)[2]


def test_dimensions_that_cost_next_to_nothing_are_unused():
    kl = np.array([0.004, 2.0, 0.5, 1e-7])
    _, _, said = codes.rates(kl, {"kl_nats": 2.504, "active_units": 2}, style.BLUE)
    assert "costs 2.50 nats, 79.9 % of them in the costliest" in said
    assert "2 of 4 cost more than 0.01 nats each, and 2 dimensions are active" in said
    assert "in the costliest part;" in codes.rates(kl, {}, style.BLUE, 8)[2]

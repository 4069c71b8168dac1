"""What figures and their sentences claim: kinds of numbers kept apart, pixels kept sharp, differences paired."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.figures import data, index, pictures, run, style, words
from stages import compare

EVIDENCE = {"estimator": "importance", "direction": "nll_too_high", "measure": "mass", "nll_nats": 23.5}
NO_EVIDENCE = {"estimator": "none", "direction": "none", "likelihood": "none"}


def test_mass_and_density_never_share_a_chart_or_a_column(tmp_path, monkeypatch):
    runs = {name: {"data": "d", "model": "m"} for name in ("mass-a", "mass-b", "density", "none")}
    density = {**EVIDENCE, "measure": "density", "nll_nats": -80.0}
    evidence = {"mass-a": EVIDENCE, "mass-b": {**EVIDENCE, "nll_nats": 20.0}, "density": density, "none": NO_EVIDENCE}
    assert index.groups(runs, evidence) == [("d", "mass", ["mass-b", "mass-a"], ["none"]), ("d", "density", ["density"], [])]
    monkeypatch.setattr(compare.store, "read_json", lambda path: evidence[path.parent.name])
    assert list(compare.nlls(runs).run) == ["mass-a", "mass-b"]


def test_a_published_number_is_a_line_and_the_words_say_whether_it_was_reached():
    aim = {"nats": 23.0, "within": 0.6, "source": "X 2016"}
    runs = {"a": {"data": "d", "model": "vae", "aims": aim}, "b": {"data": "d", "model": "vae", "aims": aim | {"nats": 20.0}}}
    one = EVIDENCE | {"nll_low": 23.0, "nll_high": 24.0}
    figure, _, said = index.nll(["a", "b"], runs, {"a": one, "b": one})
    dotted = [line.get_xdata()[0] for line in figure.axes[0].lines if list(line.get_xdata()) == [line.get_xdata()[0]] * 2]
    assert {23.0, 20.0} <= set(dotted)
    assert "a aims at 23.00 ± 0.60 (X 2016): reached, +0.50." in said
    assert "b aims at 20.00 ± 0.60 (X 2016): not reached, +3.50." in said
    better = index.aimed(["a"], {"a": {"aims": aim | {"nats": 30.0}}}, {"a": one})
    assert better == ["a aims at 30.00 ± 0.60 (X 2016): better than that, so look twice, −6.50."]
    assert index.aimed(["a"], {"a": {"data": "d"}}, {"a": one}) == []


def test_words_say_what_kind_of_number_it_is():
    exact = {**EVIDENCE, "estimator": "exact", "direction": "exact"}
    bound = {**EVIDENCE, "estimator": "bound"}
    assert [words.kind(one) for one in (exact, EVIDENCE, bound, NO_EVIDENCE)] == ["exact", "estimate", "bound", "none"]
    assert "exact" in words.errs(exact)
    assert "too high" in words.errs(EVIDENCE)
    assert "at or below" in words.errs(bound)
    assert "no likelihood" in words.without(NO_EVIDENCE)
    assert "not estimated" in words.without({**NO_EVIDENCE, "likelihood": "bernoulli"})
    assert "likely higher" in words.errs({**EVIDENCE, "direction": "nll_too_low"})


def test_paired_differences_are_of_the_same_images():
    rng = np.random.default_rng(1)
    a, b = rng.normal(-20, 5, 50), rng.normal(0, 0.1, 50)
    tables = {"a": (range(50), a), "b": (range(49, -1, -1), (a - 1 + b)[::-1])}
    likelihoods = {name: pd.DataFrame({"seed": 0, "image": i, "log_prob_nats": values}) for name, (i, values) in tables.items()}
    expected = f"{1 - b.mean():,.2f} ± {b.std(ddof=1) / 50**0.5:,.2f}"
    assert index.differences(["a", "b"], likelihoods) == {"b": expected}


def test_pixels_are_enlarged_without_smoothing():
    images = np.arange(2 * 9).reshape(2, 3, 3, 1) % 17
    canvas = pictures.sheet(images, 17, 2)
    zoom = canvas.shape[0] // 3
    assert (canvas[: 3 * zoom : zoom, : 3 * zoom : zoom, 0] == np.rint(255 * images[0, :, :, 0] / 16)).all()
    assert (canvas[:zoom, :zoom] == canvas[0, 0]).all()
    assert (canvas[:, 3 * zoom, 3] == 0).all()  # the gap shows the page


@pytest.mark.parametrize(
    ("sampled", "verdict"),
    [
        (0.2, "in the median, samples are no nearer to the training images than unseen images are."),
        (0.15, "in the median, samples are 25.0 % nearer to the training images than unseen images are."),
        (0.05, "75.0 % nearer to the training images than unseen images are, as copies would be: look closely."),
    ],
)
def test_a_model_that_copies_is_told_from_one_that_does_not(sampled, verdict):
    images = np.zeros((8, 2, 2, 1), "uint8")
    _, _, said = run.nearest(images, images, 2, {"nearest_rms": sampled, "nearest_test_rms": 0.2})
    assert said.endswith(verdict)


def test_an_alt_text_is_escaped_and_colours_follow_the_page():
    figure, axes = style.panel()
    axes.plot([0, 1], color=style.BLUE)
    drawn = style.svg(figure, 'a "quoted" <text>')
    assert 'aria-label="a &quot;quoted&quot; &lt;text&gt;"' in drawn
    assert f"stroke: var(--model-0, {style.BLUE})" in drawn
    assert "http" not in drawn


def test_like_images_in_one_figure_share_no_id():
    figure = pictures.strips([("a", np.zeros((2, 4, 4, 1))), ("b", np.zeros((2, 4, 4, 1)))], 2, 2)
    ids = re.findall(r' id="([^"]+)"', style.svg(figure, "two rows"))
    assert len(ids) == len(set(ids))


def test_a_split_with_few_images_of_each_class_is_shown_all_the_same():
    meta = {"levels": 2, "redraw": None, "shape": [2, 2, 1]}
    x = np.zeros((5, 2, 2, 1), "uint8")
    _, _, text = data.split_sheet("valid", x, np.array([0, 1, 0, 1, 1]), meta)
    assert text == "The first 5 of 5 valid images."


def test_points_of_a_plane_are_shown_where_they_are_and_on_one_scale(rng):
    rows = [("real", rng.standard_normal((900, 1, 2, 1))), ("samples", 3 * rng.standard_normal((20, 1, 2, 1)))]
    figure = pictures.strips(rows, None, 10)
    for axes, (_, x) in zip(figure.axes, rows, strict=True):
        np.testing.assert_allclose(axes.collections[0].get_offsets(), x[: pictures.MOST].reshape(-1, 2))
    assert figure.axes[0].get_xlim() == figure.axes[1].get_ylim()
    assert [text.get_text() for text in figure.texts] == ["real", "samples"]
    assert len(pictures.grid(rows[0][1], None, 8).axes[0].collections) == 1
    x = rows[0][1][:16]
    for labels, group, names in ((["a", "b"], 1, ["a", "b"]), ((), 2, ["above", "below"])):
        figure = pictures.grid(x, None, 8, labels, group)
        assert [text.get_text() for text in figure.texts] == names
        for axes, part in zip(figure.axes, (x[:8], x[8:]), strict=True):
            np.testing.assert_allclose(axes.collections[0].get_offsets(), part.reshape(-1, 2))
    assert pictures.grid(np.zeros((4, 1, 2, 1)), 2, 2).axes[0].images  # with levels they are images

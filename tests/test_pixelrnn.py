"""PixelRNN: LSTMs that walk over rows and diagonals as the recursions say, and never see a pixel ahead."""

import models as small
import numpy as np
import pixels
import pytest
from keras import ops
from scipy.special import expit

from pipeline import Refusal, backend, models
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.models.autoregressive.blocks import Diagonal, Row, skew, unskew

pytestmark = pytest.mark.backend
CELLS = pytest.mark.parametrize("cell", ["row", "diagonal"])


def rnn(cell: str, shape=(3, 3, 1), levels=2, likelihood="bernoulli", **network):
    spec = {"shape": list(shape), "levels": levels, "classes": None}
    sizes = {"cell": cell, "features": 6, "layers": 2, "kernel": 3, "likelihood": likelihood}
    return pixels.reweighted(models.build("autoregressive", "pixelrnn", spec, sizes | network, 0))


def binary(count: int, side: int) -> np.ndarray:
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    return bits.reshape(-1, side, side, 1).astype("uint8")


@pytest.mark.parametrize("shape", [(2, 4, 5, 3), (2, 2, 5, 3, 1), (1, 1, 6, 2), (3, 7, 1, 2)])
def test_skewing_moves_each_row_one_further_and_is_undone_to_the_bit(shape):
    rows = np.random.default_rng(0).standard_normal(shape).astype("float32")
    skewed = np.asarray(skew(ops.convert_to_tensor(rows)))
    height, width = shape[-3:-1]
    assert skewed.shape == (*shape[:-2], width + height - 1, shape[-1])
    for r in range(height):
        np.testing.assert_array_equal(skewed[..., r, r : r + width, :], rows[..., r, :, :])
    assert (skewed != 0).sum() == rows.size
    np.testing.assert_array_equal(unskew(ops.convert_to_tensor(skewed)), rows)


def cell_step(gates, c):
    o, f, i, g = np.split(gates, 4, axis=-1)
    c = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(c), c


def layer(made, u):
    """With weights away from zero, and those [kernel, bias], and the states' kernel, by numpy."""
    made(u)
    small.perturbed(made, 0, 0.5)
    return np.asarray(made(u)), *(np.asarray(each, "float64") for each in (*made.inputs.weights, made.states.kernel))


def test_a_row_is_told_by_the_states_near_in_the_row_above():
    u = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype("float32")
    found, kernel, bias, recurrent = layer(Row(6, 1), u)
    h, c, expected = np.zeros((2, 7, 6)), np.zeros((2, 5, 6)), np.zeros((2, 4, 5, 6))
    padded = np.pad(u, ((0, 0), (0, 0), (1, 0), (0, 0)))
    for r in range(4):
        for j in range(5):
            seen = np.concatenate([padded[:, r, j], padded[:, r, j + 1]], -1) @ kernel.reshape(6, 24) + bias
            above = h[:, j : j + 3].reshape(2, 18) @ recurrent[0]
            expected[:, r, j], c[:, j] = cell_step(seen + above, c[:, j])
        h[:, 1:-1] = expected[:, r]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_diagonals_are_what_a_walk_from_pixel_to_pixel_finds():
    """h from the left and from above, c from the left alone; the walk from the right is read one row further down."""
    u = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).astype("float32")
    found, kernel, bias, recurrent = layer(Diagonal(6), u)
    terms, expected = u @ kernel + bias, np.zeros((2, 4, 5, 6))
    for way, part in enumerate(np.split(terms, 2, axis=-1)):
        part = part[:, :, ::-1] if way else part
        h, c = np.zeros((2, 5, 6, 6)), np.zeros((2, 5, 6, 6))  # with a row above and a column on the left
        for r, j in np.ndindex(4, 5):
            near = np.concatenate([h[:, r, j + 1], h[:, r + 1, j]], -1) @ recurrent[way]
            h[:, r + 1, j + 1], c[:, r + 1, j + 1] = cell_step(part[:, r, j] + near, c[:, r + 1, j])
        expected += h[:, :-1, :0:-1] if way else h[:, 1:, 1:]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def changes(model, images: np.ndarray) -> np.ndarray:
    """[H, W, C, H, W, outputs]: does another value of that pixel and channel, in one of the images, change this parameter?"""
    params, found = backend.compiled(model.network), False
    for x in images:
        sites = list(np.ndindex(x.shape))
        before, after = np.repeat(x[None], len(sites), axis=0), np.repeat(x[None], len(sites), axis=0)
        for n, (i, j, c) in enumerate(sites):
            after[n, i, j, c] = (x[i, j, c] + model.spec.levels // 2) % model.spec.levels
        found = found | (params(before) != params(after)).reshape(*x.shape, *x.shape[:2], -1)
    return found


@CELLS
@pytest.mark.parametrize(("likelihood", "levels", "channels"), [("bernoulli", 2, 1), ("categorical", 3, 3)])
def test_no_pixel_sees_itself_or_what_comes_after(cell, likelihood, levels, channels):
    model = rnn(cell, (4, 5, channels), levels, likelihood)
    seen = changes(model, pixels.images(model, 1)[0]).reshape(20, channels, 20, channels, -1).any(-1)
    for site in range(20):
        assert not seen[site, :, :site].any()
        for c in range(channels):
            assert not seen[site, c, site, : c + 1].any()
            assert seen[site, c, site, c + 1 :].all()


def test_diagonals_see_all_that_comes_before():
    """The last pixel of the row above, too, though the first window ends far from it."""
    model = rnn("diagonal", (4, 9, 1), layers=1)
    seen = changes(model, pixels.images(model, 8)[0])[:, :, 0].any(-1).reshape(36, 36)
    assert (np.triu(seen, 1) == np.triu(np.ones((36, 36), bool), 1)).all()


@pytest.mark.parametrize(("layers", "states"), [(1, 3), (1, 5), (2, 3)])
def test_rows_see_a_triangle(layers, states):
    reach = states // 2
    model = rnn("row", (5, 15, 1), layers=layers, states=states, features=10)
    seen = changes(model, pixels.images(model, 8)[0])[:, :, 0, 4, 7].any(-1)
    found = {(i - 4, j - 7) for i, j in np.argwhere(seen)}
    expected = {(-1, -1), (-1, 0), (-1, 1), (0, -1)}  # the first window
    rows = {(-m, d - left) for m in range(5) for d in range(-m * reach, m * reach + 1) for left in range(reach + 1)}
    for _ in range(layers):
        expected = {(a + b, c + d) for a, c in expected for b, d in rows}
    assert found == {(a, b) for a, b in expected if a >= -4 and abs(b) <= 7}
    if layers == 1:  # how far to the right, row by row: k // 2 further each
        assert [max(b for a, b in found if a == -m) for m in (1, 2, 3)] == [1, 1 + reach, 1 + 2 * reach]


@CELLS
def test_the_probabilities_of_all_images_sum_to_one(cell):
    log_p = np.asarray(rnn(cell).log_prob(binary(9, 3)), "float64")
    assert np.exp(log_p).sum() == pytest.approx(1.0, abs=1e-5)
    assert log_p.std() > 0.5


@CELLS
def test_samples_have_the_probabilities_that_are_claimed(cell):
    model, n = rnn(cell, (2, 2, 1)), 20_000
    x = np.asarray(backend.compiled(model.sample)(model.noise(n, generator(0))))
    counts = np.bincount(x.reshape(n, 4) @ (1 << np.arange(4)), minlength=16)
    p = np.exp(np.asarray(model.log_prob(binary(4, 2)), "float64"))
    assert (np.square(counts - n * p) / (n * p)).sum() < 37.7  # chi-square with 15 degrees of freedom, one in a thousand


@CELLS
def test_channels_are_drawn_one_after_another_behind_given_rows(cell):
    model = rnn(cell, (3, 2, 3), 5, "categorical")
    noise, x = model.noise(6, generator(0)), pixels.images(model, 6)[0]
    complete, naive = backend.compiled(model.complete), pixels.naive(model.network)
    for rows in (0, 2):
        found = complete(noise, x, np.int32(rows))
        np.testing.assert_array_equal(found, naive(noise["x"], None, x, rows))
        np.testing.assert_array_equal(found[:, :rows], x[:, :rows])


def test_what_it_cannot_be_is_refused():
    with pytest.raises(Refusal, match="real values have no levels"):
        rnn("row", levels=None, likelihood="normal")
    with pytest.raises(Refusal, match="expected odd numbers for kernel and states, found 4 and 3"):
        rnn("row", kernel=4)
    with pytest.raises(Refusal, match="found 3 and 2"):
        rnn("row", states=2)


@CELLS
def test_the_gate_finds_a_view_ahead(cell, monkeypatch):
    model = rnn(cell, (4, 4, 1), kernel=7)
    split = Split(small.images(model, 2))
    assert [row["value"] for row in model.gates(Images(split, split, split, levels=2))] == [0]
    monkeypatch.setattr(model.network.first, "mask", np.ones_like(model.network.first.mask))
    (row,) = model.gates(Images(split, split, split, levels=2))
    assert row["value"] > 16
    assert not row["passed"]

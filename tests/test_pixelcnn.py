"""What each pixel's distribution depends on, that probabilities sum to one, and what is refused."""

import keras
import models as small
import numpy as np
import pixels
import pytest
from keras import ops

from pipeline import Refusal, backend
from pipeline.base import Spec
from pipeline.causal.network import Codes, Pixels

pytestmark = pytest.mark.backend
STACKS = pytest.mark.parametrize("stack", ["plain", "gated"])
KINDS = [("bernoulli", 2, 1), ("categorical", 3, 3), ("discretised-normal", 17, 2), ("logistic-mixture", 17, 3)]


def conditions(model, n: int) -> list:
    return [np.eye(model.spec.classes, dtype="float32")[np.full(n, 1)][:, None, None]] if model.conditional else []


def changes(model, x: np.ndarray) -> np.ndarray:
    """[H, W, C, H, W, outputs]: does another value of that pixel and channel of x [H, W, C] change this parameter of that?

    Both images are computed at the same place of batches of the same shape, so that equal means the same bits.
    """
    sites = list(np.ndindex(x.shape))
    before, after = np.repeat(x[None], len(sites), axis=0), np.repeat(x[None], len(sites), axis=0)
    for n, (i, j, c) in enumerate(sites):
        after[n, i, j, c] = (x[i, j, c] + model.spec.levels // 2) % model.spec.levels
    params = backend.compiled(lambda x, *h: model.network(x, *h))
    a, b = (params(each, *conditions(model, len(sites))) for each in (before, after))
    assert np.isfinite(a).all()
    return (a != b).reshape(*x.shape, *a.shape[1:])


def causal(model) -> None:
    """Every pixel, so corners and edges, and every pair of channels. The parameters of a mixture are one whole."""
    (height, width, channels), steps = model.spec.shape, model.network.head.steps
    assert steps == (1 if model.likelihood_name == "logistic-mixture" else channels)
    seen = changes(model, pixels.images(model, 1)[0][0])
    sites = height * width
    seen = seen.reshape(sites, channels, sites, steps, -1).any(-1)  # changed pixel and channel, then pixel and its part
    for site in range(sites):
        assert not seen[site, :, :site].any()
        for c in range(channels):
            assert not seen[site, c, site, : c + 1].any()
            assert seen[site, c, site, c + 1 :].all()
        if (site + 1) % width:
            assert seen[site, :, site + 1].any()  # the next one does see it


@STACKS
@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize(("likelihood", "levels", "channels"), KINDS)
def test_no_parameter_sees_its_own_channel_or_what_comes_after(stack, classes, likelihood, levels, channels):
    causal(pixels.randomised(pixels.build(stack, (5, 6, channels), levels, likelihood, classes)))


@STACKS
def test_training_opens_no_view_ahead(stack):
    model = pixels.build(stack, (5, 6, 3), 3, "categorical", 3)
    pixels.trained(model)
    causal(model)


def sums(*sets: set) -> set:
    """All sums of one offset from each."""
    found = {(0, 0)}
    for each in sets:
        found = {(a + c, b + d) for a, b in found for c, d in each}
    return found


def box(rows, columns) -> set:
    return {(a, b) for a in rows for b in columns}


def in_reach(stack: str, layers: int, reach: int) -> set:
    """The offsets that each stack sees, by its kernels one after the other."""
    wide = range(-reach, reach + 1)
    if stack == "plain":
        first = box(range(-reach, 0), wide) | box([0], range(-reach, 0))
        return sums(first, *[box([-1], (-1, 0, 1)) | {(0, -1), (0, 0)}] * layers)
    found, v = box([0], range(-reach, 0)), box(range(-reach, 0), wide)
    for _ in range(layers):
        v = sums(v, box((-1, 0), (-1, 0, 1)))
        found = sums(found, {(0, -1), (0, 0)}) | v
    return found


@STACKS
@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_pixel_sees_what_its_stack_reaches_and_nothing_else(stack, layers):
    """The gated one (-1, +4) from its first block on, the plain one at no depth: that is its blind spot."""
    model = pixels.randomised(pixels.build(stack, (9, 16, 1), 2, layers=layers, kernel=7, features=12))
    at = (8, 7)
    seen = sum(changes(model, x)[:, :, 0, *at].any(-1) for x in pixels.images(model, 4)[0])
    found = {(i - at[0], j - at[1]) for i, j in np.argwhere(seen)}
    assert found == {(a, b) for a, b in in_reach(stack, layers, 3) if a >= -8 and -7 <= b <= 8}
    assert ((-1, 4) in found) == (stack == "gated")
    assert {(0, -1), (-1, 0), (-1, 3), (-3, -3)} <= found
    if stack == "plain":
        assert all(b <= k + 2 for k in range(1, 9) for a, b in found if a == -k)


@STACKS
@pytest.mark.parametrize("levels", [2, 17])
def test_the_outside_is_no_level(stack, levels):
    """In an image of one level only, a pixel at the edge is told from one inside, whichever level it is.

    Initial biases are zero: a level that were embedded as zeros would look like the padding.
    """
    model = pixels.build(stack, (16, 16, 1), levels, "categorical", kernel=5, layers=2)
    x = np.broadcast_to(np.arange(levels, dtype="uint8").reshape(-1, 1, 1, 1), (levels, 16, 16, 1))
    params = np.asarray(model.network(x))
    inside = params[:, 10, 8]
    np.testing.assert_allclose(params[:, 12, 7], inside, atol=1e-5)  # far from every edge all are alike
    for edge in [(0, 1), (0, 8), (10, 0), (1, 15), (10, 15)] if stack == "gated" else [(0, 1), (0, 8), (10, 0), (1, 15)]:
        assert np.abs(params[:, *edge] - inside).max(-1).min() > 1e-3, edge


def test_pixels_and_codes_say_that_they_are_inside():
    x = np.arange(17, dtype="uint8").reshape(1, 1, 17, 1)
    found = np.asarray(Pixels(Spec((1, 17, 1), 17))(x))[0, 0]
    np.testing.assert_allclose(found, np.stack([np.linspace(-1, 1, 17), np.ones(17), np.arange(17) == 0], -1), atol=1e-6)
    assert Pixels(Spec((1, 17, 3), 17)).size == 7
    codes = Codes(17, 4)
    embedded = np.asarray(codes(x))[0, 0]
    assert embedded.shape == (17, codes.size)
    assert len(np.unique(embedded, axis=0)) == 17
    np.testing.assert_array_equal(embedded[:, -1], 1)


def every(shape, levels) -> np.ndarray:
    count = int(np.prod(shape))
    digits = np.arange(levels**count)[:, None] // levels ** np.arange(count) % levels
    return digits.reshape(-1, *shape).astype("uint8")


def total(log_p) -> float:
    return float(np.exp(np.asarray(log_p, float)).sum())


SMALL = [((2, 2, 1), 4, "categorical"), ((2, 2, 1), 4, "discretised-normal"), ((2, 2, 1), 4, "logistic-mixture")]
SMALL += [((1, 2, 3), 3, "categorical"), ((2, 1, 3), 3, "discretised-normal"), ((1, 2, 3), 3, "logistic-mixture")]


@STACKS
@pytest.mark.parametrize("classes", [None, 2])
def test_the_probabilities_of_all_binary_images_sum_to_one(stack, classes):
    model = pixels.randomised(pixels.build(stack, (4, 4, 1), 2, classes=classes, features=4))
    score = backend.compiled(lambda x: model.log_prob(x))
    log_p = np.concatenate([score(part) for part in np.split(small.all_binary_images(), 8)])
    assert log_p.shape == (65_536,)
    assert total(log_p) == pytest.approx(1.0, abs=1e-4)
    assert np.exp(log_p).max() < 0.9


@STACKS
@pytest.mark.parametrize(("shape", "levels", "likelihood"), SMALL)
def test_the_probabilities_of_all_small_images_sum_to_one_given_each_class_and_over_them(stack, shape, levels, likelihood):
    model = pixels.randomised(pixels.build(stack, shape, levels, likelihood, 3))
    x, score = every(shape, levels), backend.compiled(lambda x, *y: model.log_prob(x, *y))
    given = [score(x, np.full(len(x), y, "int32")).astype(float) for y in range(3)]
    assert [total(log_p) for log_p in given] == pytest.approx([1, 1, 1], abs=1e-4)
    assert np.abs(given[0] - given[1]).max() > 0.1
    by_hand = np.log(sum(share * np.exp(log_p) for share, log_p in zip((1 / 6, 2 / 6, 3 / 6), given, strict=True)))
    assert total(score(x)) == pytest.approx(1.0, abs=1e-4)
    np.testing.assert_allclose(score(x), by_hand, atol=1e-3, rtol=1e-5)
    each = backend.compiled(lambda x: model.log_probs(x))(x)
    np.testing.assert_allclose(each.sum((1, 2)), by_hand, atol=1e-3, rtol=1e-5)


def test_without_a_class_a_pixel_is_predicted_from_the_pixels_before_it_alone():
    """p(x_i | x_<i) = p(x_<=i) / p(x_<i), each a sum over classes: what comes after changes nothing."""
    model = pixels.randomised(pixels.build("gated", (3, 4, 1), 2, classes=3))
    x = pixels.images(model, 2)[0]
    x[1].reshape(-1)[:7] = x[0].reshape(-1)[:7]
    found = np.asarray(model.log_probs(x)).reshape(2, 12)
    assert found.max() < 0
    np.testing.assert_allclose(found[0, :7], found[1, :7], rtol=1e-5)
    assert not np.allclose(found[0, 7:], found[1, 7:], atol=1e-3)


def test_the_shares_of_the_classes_are_those_of_the_training_images_and_none_is_zero():
    model = pixels.build("gated", (2, 2, 1), classes=4)
    np.testing.assert_allclose(np.exp(np.asarray(model.log_shares())), 0.25)
    model.adapt(None, np.array([0, 0, 0, 1, 1, 2]), None)
    np.testing.assert_allclose(np.exp(np.asarray(model.log_shares())), np.array([4, 3, 2, 1]) / 10, rtol=1e-6)


@STACKS
def test_dropout_does_nothing_outside_training(stack):
    with_it, without = (pixels.randomised(pixels.build(stack, dropout=rate)) for rate in (0.5, 0.0))
    x, _ = pixels.images(with_it, 4)
    np.testing.assert_array_equal(with_it.log_prob(x), without.log_prob(x))
    scored = -np.asarray(with_it.terms(x, {})["loss"])
    np.testing.assert_allclose(scored, with_it.log_prob(x), rtol=1e-6)
    learned = -np.asarray(with_it.terms(x, {}, training=True)["loss"])
    assert np.abs(learned - scored).min() > 0.01
    assert not np.array_equal(learned, -np.asarray(with_it.terms(x, {}, training=True)["loss"]))


def test_averaged_weights_are_what_is_kept_and_scored():
    """By hand, from the weights after each step of the same training without an average; an epoch is one step here."""
    averaged, raw = pixels.build("gated"), pixels.build("gated")
    rows, data = pixels.trained(averaged, epochs=6, averaging=0.9, batch_size=64)
    raw.compile(keras.optimizers.Adam(0.01), jit_compile=False)
    means = []
    for step in range(6):
        raw.train_on_batch({"x": data.train.x})
        now = [np.array(weight) for weight in raw.trainable_weights]
        means.append([0.9 * a + 0.1 * b for a, b in zip(means[-1], now, strict=True)] if step else now)
    best = int(np.argmin([row["valid_loss"] for row in rows]))
    assert best == 5
    for expected, last, kept in zip(means[best], now, averaged.trainable_weights, strict=True):
        np.testing.assert_allclose(kept, expected, atol=1e-4)
        assert not np.allclose(kept, last, atol=1e-3)
    valid = -float(ops.mean(averaged.log_prob(data.valid.x)))
    assert valid == pytest.approx(rows[best]["valid_loss"], rel=1e-5)
    assert valid != pytest.approx(-float(ops.mean(raw.log_prob(data.valid.x))), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kernel": 4}, "network.kernel: expected an odd number, found 4"),
        ({"conditional": True}, "network.conditional: these images have no classes"),
        ({"levels": 17}, "network.likelihood: bernoulli is no distribution over these data, which have 17 levels"),
    ],
)
def test_what_cannot_be_is_refused(settings, said):
    with pytest.raises(Refusal, match=said):
        pixels.build("plain", **settings)

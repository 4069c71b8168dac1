"""The cached sampler draws what a sampler without a cache draws, and both what the same network in numpy draws.

Where two ways of computing a probability differ in the last bit, a uniform number between the two means another level. For
few levels the seeds here are such that none lies there; for 256, decisions near a boundary are counted.
"""

import numpy as np
import pixels
import pytest
import reference
from keras import ops

from pipeline import backend
from pipeline.base import Spec, Trainable, generator
from pipeline.causal.network import Network, Pixels
from pipeline.data.store import Images, Split
from pipeline.likelihoods import named
from pipeline.training import fit

pytestmark = pytest.mark.backend
STACKS = pytest.mark.parametrize("stack", ["plain", "gated"])
FEW = [
    ((8, 8, 1), 2, "bernoulli", None),
    ((12, 12, 1), 17, "categorical", 3),
    ((5, 12, 1), 17, "discretised-normal", None),
    ((12, 12, 3), 2, "bernoulli", None),
    ((8, 8, 3), 17, "logistic-mixture", 2),
]


def fast(function):
    return backend.compiled(function, fused=True)


def one_hot(y, classes):
    return np.eye(classes, dtype="float32")[y][:, None, None]


@STACKS
@pytest.mark.parametrize(("shape", "levels", "likelihood", "classes"), FEW)
def test_the_cache_changes_nothing(stack, shape, levels, likelihood, classes):
    """From nothing and from given rows, of which every one stays."""
    model = pixels.randomised(pixels.build(stack, shape, levels, likelihood, classes))
    noise = model.noise(5, generator(1, "samples"))
    given, y = pixels.images(model, 5)
    h = None if y is None else one_hot(y, classes)
    complete = fast(lambda noise, x, rows, *y: model.complete(noise, x, rows, *y))
    naive = pixels.naive(model.network)
    for rows in (shape[0], shape[0] // 2, 0):
        drawn = complete(noise, given, np.array(rows, "int32"), *([] if y is None else [y]))
        np.testing.assert_array_equal(drawn, naive(noise["x"], h, given, rows))
        np.testing.assert_array_equal(drawn[:, :rows], given[:, :rows])
    assert drawn.dtype == np.uint8
    assert len(np.unique(drawn)) > levels / 2


@STACKS
@pytest.mark.parametrize(
    ("channels", "levels", "likelihood"), [(1, 2, "bernoulli"), (3, 17, "categorical"), (1, 17, "logistic-mixture")]
)
def test_the_same_noise_gives_the_same_image_on_every_backend(stack, channels, levels, likelihood):
    """The weights are numpy's, so is the other sampler, in float64: what equals it on either backend is equal on both."""
    model = pixels.randomised(pixels.build(stack, (8, 8, channels), levels, likelihood, 2))
    noise, y = model.noise(4, generator(2, "samples")), np.array([0, 1, 1, 0], "int32")
    expected, margin = reference.sample(model.network, noise["x"], one_hot(y, 2))
    assert margin > 2e-6  # no decision hangs on the last bits
    np.testing.assert_array_equal(fast(model.sample)(noise, y), expected)


@STACKS
@pytest.mark.parametrize(("levels", "likelihood"), [(2, "bernoulli"), (17, "categorical"), (17, "logistic-mixture")])
@pytest.mark.parametrize("shape", [(7, 9, 1), (6, 6, 3)])
def test_log_probs_are_those_of_the_network_in_numpy(stack, levels, likelihood, shape):
    model = pixels.randomised(pixels.build(stack, shape, levels, likelihood, 3, layers=3, kernel=7))
    x, y = pixels.images(model, 6)
    expected = reference.log_probs(model.network, x, one_hot(y, 3))
    np.testing.assert_allclose(model.log_probs(x, y), expected, atol=1e-4, rtol=1e-5)
    np.testing.assert_allclose(model.log_prob(x, y), expected.sum((1, 2)), atol=1e-4, rtol=1e-6)


@pytest.mark.parametrize(
    ("stack", "channels", "likelihood"),
    [
        ("plain", 1, "categorical"),
        ("plain", 3, "logistic-mixture"),
        ("gated", 1, "logistic-mixture"),
        ("gated", 3, "categorical"),
    ],
)
def test_of_256_levels_every_decision_is_the_one_that_its_noise_means(stack, channels, likelihood, capsys):
    """Given the sample itself up to each pixel, by numpy in float64; a decision within 1e-5 of another one may be either."""
    model = pixels.randomised(pixels.build(stack, (12, 12, channels), 256, likelihood))
    uniform = model.noise(4, generator(3, "samples"))["x"]
    x = fast(lambda u: model.network.sample(u))(uniform)
    cuts = reference.ends(model.network.likelihood, reference.params(model.network, x), x)
    near = reference.margin(model.network.likelihood, cuts, uniform) < 1e-5
    wrong = reference.chosen(model.network.likelihood, cuts, uniform) != x
    with capsys.disabled():
        went = f"{(wrong & near).sum()} went there"
        print(f"\n{stack}, {likelihood}: {near.sum()} of {near.size} decisions lie within 1e-5 of another one, {went}")
    assert not (wrong & ~near).any()
    assert near.mean() < 0.02
    assert len(np.unique(x)) > 50


class FromMap(Trainable):
    """The first channel of x is a map, the second an image of which p(x | map) is learned."""

    def __init__(self, spec, stack):
        super().__init__(spec)
        one = Spec((*spec.shape[:2], 1), 2)
        sizes = {"features": 8, "layers": 1, "kernel": 3, "condition": 1}
        self.network = Network(one, Pixels(one), named("bernoulli", one), stack=stack, **sizes)

    def terms(self, x, eps, y=None, training=False):
        h = ops.cast(x[..., :1], "float32")
        return {"loss": -ops.sum(self.network.log_probs(x[..., 1:], h, training=training), axis=(1, 2))}


@STACKS
def test_a_map_as_condition_is_learned_from_and_sampled_from(stack, rng):
    """Each pixel is that of the map, flipped with probability 0.1: 0.325 nats, and ln 2 without the map."""
    maps = rng.integers(0, 2, (1200, 6, 7, 1))
    x = np.concatenate([maps, maps ^ (rng.random(maps.shape) < 0.1)], axis=-1).astype("uint8")
    model = FromMap(Spec((6, 7, 2), 2), stack)
    model.start({"x": x[:2]})
    data = Images(Split(x[:1000]), Split(x[1000:1100]), Split(x[1100:]), levels=2)
    fit(model, data, 0, epochs=4, batch_size=50, learning_rate=0.02)
    test = x[1100:]
    right = np.mean(np.asarray(model.terms(test, {})["loss"])) / 42
    shuffled = np.concatenate([np.roll(test[..., :1], 1, axis=0), test[..., 1:]], axis=-1)
    wrong = np.mean(np.asarray(model.terms(shuffled, {})["loss"])) / 42
    assert right == pytest.approx(0.325, abs=0.05)
    assert wrong > np.log(2)
    h, uniform = test[:20, ..., :1].astype("float32"), rng.random((20, 6, 7, 1), "float32")
    drawn = fast(lambda u, h: model.network.sample(u, h))(uniform, h)
    np.testing.assert_array_equal(drawn, pixels.naive(model.network)(uniform, h))
    assert np.mean(drawn == test[:20, ..., :1]) == pytest.approx(0.9, abs=0.05)


def test_without_a_class_one_is_drawn_by_its_share_or_by_what_the_given_rows_say():
    model = pixels.randomised(pixels.build("gated", (4, 3, 1), 2, "bernoulli", 3))
    noise = model.noise(2000, generator(4, "samples"))
    shares = np.array([1, 2, 3]) / 6
    drawn = np.asarray(model.drawn(noise, None))
    assert np.all(np.abs(np.bincount(drawn, minlength=3) / 2000 - shares) < 5 * np.sqrt(shares / 2000))
    given = np.broadcast_to(pixels.images(model, 1)[0], (2000, 4, 3, 1))
    up_to = [np.asarray(model.log_probs(given[:1], np.array([y], "int32")))[0, :2].sum() for y in range(3)]
    posterior = shares * np.exp(up_to) / (shares * np.exp(up_to)).sum()
    assert np.abs(posterior - shares).max() > 0.1
    drawn = np.asarray(model.drawn(noise, None, given, 2))
    assert np.all(np.abs(np.bincount(drawn, minlength=3) / 2000 - posterior) < 5 * np.sqrt(posterior / 2000))
    x = fast(lambda noise, x: model.complete(noise, x, 2))({k: v[:7] for k, v in noise.items()}, given[:7].copy())
    naive = pixels.naive(model.network)(noise["x"][:7], one_hot(drawn[:7], 3), given[:7], 2)
    np.testing.assert_array_equal(x, naive)


@STACKS
def test_a_class_is_learned_from_and_drawn_from(stack, rng):
    """A pixel is its image's class, but for three in ten: entropy 0.611 nats; with the wrong class 0.95 at best guess."""
    y = rng.integers(0, 2, 1200).astype("int32")
    x = (y[:, None, None, None] ^ (rng.random((1200, 5, 6, 1)) < 0.3)).astype("uint8")
    parts = [Split(x[rows], y[rows]) for rows in (slice(1000), slice(1000, 1100), slice(1100, 1200))]
    model = pixels.build(stack, (5, 6, 1), 2, classes=2)
    fit(model, Images(*parts, levels=2, classes=2), 0, epochs=3, batch_size=50, learning_rate=0.01)
    right, wrong = (-float(ops.mean(model.log_prob(x[1100:], given))) / 30 for given in (y[1100:], 1 - y[1100:]))
    assert right == pytest.approx(0.611, abs=0.03) and wrong > 0.8
    drawn = np.asarray(model.sample(model.noise(60, rng), np.repeat([0, 1], 30).astype("int32")))
    assert drawn[:30].mean() < 0.4 and drawn[30:].mean() > 0.6

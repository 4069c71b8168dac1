"""What only the PixelVAE has: a decoder of pixels one by one that is told of z, its samples, and a mean that is an estimate."""

import models as small
import numpy as np
import pixels
import pytest

from pipeline import backend, models, training
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.models.latent import pixelvae

pytestmark = pytest.mark.backend
STACKS = pytest.mark.parametrize("stack", ["plain", "gated"])
NETWORK = {"latent": 1, "body": "dense", "widths": [6], "depth": 3, "features": 4, "layers": 1, "kernel": 3}


def build(side: int, levels: int = 2, **network):
    spec, likelihood = (
        {"shape": [side, side, 1], "levels": levels, "classes": None},
        "bernoulli" if levels == 2 else "categorical",
    )
    return models.build("latent", "pixelvae", spec, NETWORK | {"stack": "gated", "likelihood": likelihood} | network, 0)


def away(side: int, levels: int = 2, **network):
    """Away from its initial weights, so that z and the pixels before matter."""
    model = pixels.reweighted(build(side, levels, **network))
    for weight in model.encoder.layers[-1].weights:  # the posterior stays near the prior, or few draws would not do
        weight.assign(0.2 * np.asarray(weight))
    return model


def all_images() -> np.ndarray:
    """All 512 binary ones of 3x3."""
    return ((np.arange(512)[:, None] >> np.arange(9)) & 1).reshape(-1, 3, 3, 1).astype("uint8")


def given(model, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """log p(x | z) of all images x [N, ...] for every z [k, d]: [k, N]."""
    each = backend.compiled(lambda x, z: model.log_likelihood(x, z))
    return np.asarray(each(x, np.repeat(z[:, None], len(x), axis=1).astype("float32")), "float64")


@STACKS
def test_z_reaches_every_pixel(stack):
    model = away(5, 17, stack=stack, latent=3, features=16)
    x, z = np.repeat(small.images(model, 1), 3, axis=0), np.zeros((3, 3), "float32")
    before, after = (np.asarray(model.parameters(x, each)) for each in (z, z + np.eye(3, dtype="float32")))
    assert (before != after).any(axis=-1).all()  # each of its numbers reaches each


@STACKS
def test_a_pixel_sees_the_window_before_it_and_nothing_else(stack):
    """Every pair of pixels of 6x6. The plain stack is blind to a part of the window."""
    model, sites = away(6, stack=stack), list(np.ndindex(6, 6))
    before = np.repeat(small.images(model, 1), 36, axis=0)
    after = before.copy()
    for n, site in enumerate(sites):
        after[n][site] = 1 - after[n][site]
    z = np.full((36, 1), 0.5, "float32")
    a, b = (np.asarray(model.parameters(x, z)) for x in (before, after))
    reach = NETWORK["kernel"] // 2 + NETWORK["layers"]
    for n, site in enumerate(sites):
        for other in sites:
            rows, columns = np.subtract(other, site)
            inside = site < other and rows <= reach and abs(columns) <= reach
            seen = (a[n][other] != b[n][other]).any()
            assert seen == inside if stack == "gated" else seen <= inside, (site, other)


@STACKS
@pytest.mark.parametrize("levels", [2, 17])
def test_samples_are_those_of_the_naive_sampler_given_z(stack, levels):
    model = away(6, levels, stack=stack, latent=2, layers=2)
    noise = model.noise(5, generator(1, "samples"))
    drawn = backend.compiled(model.sample, fused=True)(noise)
    h = np.asarray(model.decoder(noise["z"]))
    np.testing.assert_array_equal(drawn, pixels.naive(model.network)(noise["x"], h))
    assert not np.array_equal(drawn, pixels.naive(model.network)(noise["x"], h[::-1]))


@STACKS
def test_probabilities_of_all_images_sum_to_one_and_are_what_the_weights_estimate(stack):
    """p(x) by a sum over 200 values of a z of one number, and by importance sampling."""
    model, x = away(3, stack=stack), all_images()
    z = np.linspace(-8, 8, 200)[:, None]
    prior = np.asarray(model.log_prior(z.astype("float32")), "float64")
    exact = np.exp(given(model, x, z) + prior[:, None]).sum(axis=0) * (z[1, 0] - z[0, 0])
    assert exact.sum() == pytest.approx(1, abs=1e-4)
    some = x[::64]
    eps = {"z": generator(0, "weights").standard_normal((4000, len(some), 1), "float32")}
    q = backend.compiled(model.posterior)(some)
    weigh = backend.compiled(lambda x, q, eps: model.weigh(x, q, eps, None, 4.0))
    w = np.exp(weigh(some, q, eps).astype("float64"))
    assert np.all(np.abs(w.mean(axis=0) - exact[::64]) < 5 * w.std(axis=0) / np.sqrt(len(w)))
    assert np.all(w.std(axis=0) / w.mean(axis=0) < 6)


def test_a_decoded_code_is_the_mean_over_all_images(monkeypatch):
    model, x, z = away(3), all_images(), np.array([[-1.5], [0.3], [1.2]], "float32")
    share = np.exp(given(model, x, z))
    np.testing.assert_allclose(share.sum(axis=1), 1, atol=1e-5)
    mean = np.tensordot(share, x.astype("float64"), axes=1)
    few = backend.compiled(model.decode)(z)
    assert np.sqrt(np.mean((few - mean) ** 2)) < 0.015
    np.testing.assert_allclose(few[1:2], backend.compiled(model.decode)(z[1:2]), rtol=1e-5)  # its noise is its own
    monkeypatch.setattr(pixelvae, "DRAWN", 600)
    np.testing.assert_allclose(backend.compiled(lambda z: model.decode(z))(z), mean, atol=0.005)


def test_strata_hold_one_uniform_each():
    noise = pixelvae.strata(8, (3, 2, 1))
    np.testing.assert_array_equal(
        np.sort(np.floor(8 * noise), axis=0), np.broadcast_to(np.arange(8)[:, None, None, None], noise.shape)
    )
    assert len(np.unique(noise)) == noise.size
    assert not np.array_equal(np.argsort(noise[:, 0, 0, 0]), np.argsort(noise[:, 0, 1, 0]))


@pytest.mark.parametrize(("kernel", "said"), [(3, []), (9, ["collapsed"])])
def test_a_window_that_sees_what_z_could_say_leaves_it_empty_and_this_is_told(kernel, said):
    """Nine spots, four pixels apart, are all there or all missing: with kernel 3 only z tells a pixel of the other spots."""
    rng = np.random.default_rng(0)
    x = np.zeros((600, 9, 9, 1), "uint8")
    x[:, ::4, ::4] = rng.random((600, 1, 1, 1)) < 0.5
    images = Images(Split(x[:400]), Split(x[400:500]), Split(x[500:]), levels=2)
    model = build(9, kernel=kernel, widths=[16], beta=2.0, beta_warmup=80)
    training.fit(model, images, 0, epochs=20, batch_size=50, learning_rate=0.02)
    assert [words.split(":")[0] for words in model.warnings(x)] == said


def gates(model, x: np.ndarray) -> dict[str, dict]:
    return {row["gate"]: row for row in model.gates(Images(Split(x), Split(x), Split(x), levels=2))}


def test_gates_ask_for_a_code_that_is_heard_where_something_holds_it():
    x = all_images()[::3]
    assert gates(away(3), x) == {}
    assert len(gates(away(3, skip=True), x)) == 2
    model = away(3, free_bits=2.0)
    found = list(gates(model, x).values())
    kl = float(np.asarray(model.kl(model.posterior(x))).sum(axis=-1).mean())
    assert found[1]["value"] == pytest.approx(kl, rel=1e-5)
    assert found[2]["value"] == pytest.approx(kl / 2, rel=1e-5)
    q = model.posterior(x)
    z, _ = model.propose(q, {"z": model.eps(len(x), generator(0, "own and other codes"))["z"][None]})
    each = given(model, x, np.asarray(z)[0])  # of all images under all codes
    own, other = np.diag(each), np.array([each[i - 1, i] for i in range(len(x))])
    assert found[0]["value"] == pytest.approx((own - other).mean(), rel=1e-3, abs=1e-4)


def test_noise_in_the_code_that_the_decoder_ignores_passes_no_gate_but_that_of_its_rate():
    model = away(3, latent=2, beta_warmup=1)
    for weight in model.decoder.weights:
        weight.assign(0 * weight)
    model.encoder.layers[-1].weights[1].assign([3.0, 3.0, -4.0, -4.0])
    heard, rate = gates(model, all_images()[::3]).values()
    assert rate["passed"]
    assert heard["value"] == pytest.approx(0, abs=1e-5)
    assert not heard["passed"]

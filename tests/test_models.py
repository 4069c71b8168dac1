"""One list of promises, asked of every model of every profile."""

import keras
import models as small
import numpy as np
import pytest
import scipy.special

from pipeline import backend, cost, params, store
from pipeline.base import Autoregressive, Discrete, Encodes, Exact, Latent, Samples, generator
from pipeline.data.batches import Training
from pipeline.data.store import Images, Split
from pipeline.models.flow.blocks import Flow
from pipeline.models.quantised.blocks import Quantised

pytestmark = pytest.mark.backend
BLOCKS = small.blocks()
GAUSSIAN = [
    block
    for block in BLOCKS.values()
    if issubclass(kind := small.kind(block[0]), Latent) and not issubclass(kind, Discrete) and kind.kl is not Latent.kl
]


@pytest.fixture(scope="module", params=BLOCKS, ids=list(BLOCKS))
def block(request):
    return BLOCKS[request.param] if isinstance(request.param, str) else request.param


@pytest.fixture(scope="module")
def model(block):
    return small.made_once(block)


def only(kind, but=()):
    """The blocks whose model is of that kind, asked of the `block` fixture."""
    fitting = [
        b for b in BLOCKS.values() if issubclass(small.kind(b[0]), kind) and not (but and issubclass(small.kind(b[0]), but))
    ]
    return pytest.mark.parametrize("block", fitting, indirect=True)


def batch(model, n=6, seed=0):
    y = {"y": np.arange(n, dtype="int32") % model.spec.classes} if model.spec.classes else {}
    return {"x": small.images(model, n, seed), "eps": model.training_noise(n, generator(seed, "test")), **y}


def test_terms_are_per_image_finite_and_add_up(model):
    last = model.phase
    for phase in model.phases:
        model.phase = phase
        terms = {name: np.asarray(value) for name, value in model.terms(**batch(model)).items()}
        assert all(value.shape == (6,) and np.isfinite(value).all() for value in terms.values())
        parts = [value for name, value in terms.items() if name != "loss"]
        np.testing.assert_allclose(terms["loss"], sum(parts) if parts else terms["loss"], rtol=1e-5)
    model.phase = last


def test_an_image_does_not_see_its_batch(model):
    whole, b = model.terms(**batch(model)), batch(model)
    y = b["y"][2:3] if "y" in b else None
    alone = model.terms(b["x"][2:3], {name: leaf[2:3] for name, leaf in b["eps"].items()}, y)
    np.testing.assert_allclose(small.own_loss(model, alone)[0], small.own_loss(model, whole)[2], rtol=1e-4)


def test_same_noise_same_numbers_and_the_seed_decides_the_weights(block, model):
    np.testing.assert_array_equal(model.terms(**batch(model))["loss"], model.terms(**batch(model))["loss"])
    made = [small.build(*block, seed).get_weights() for seed in (0, 0, 1)]
    assert all(np.array_equal(a, b) for a, b in zip(made[0], made[1], strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(made[0], made[2], strict=True))


def test_saved_and_loaded_it_says_the_same(model, block, tmp_path, monkeypatch):
    run, data = block
    compute = {"backend": keras.backend.backend(), "threads": 2, "precision": "float32"}
    monkeypatch.setattr(params, "read", lambda: {"compute": compute})
    spec = small.spec(data, model.spec.shape[0])
    config = {"family": run["family"], "model": run["model"], "spec": spec, "network": run["network"], "seed": 7}
    monkeypatch.setattr(store, "weights", lambda name: tmp_path / name)
    asked, room = [], store.room
    monkeypatch.setattr(store, "room", lambda path, size: asked.append(size) or room(path, size))
    store.save(model, tmp_path / "some-run" / "7", config)
    size = (tmp_path / "some-run" / "7" / "model.weights.h5").stat().st_size
    assert size < asked[0]  # with less asked for, HDF5 would crash on a full disk
    loaded = store.load("some-run")
    np.testing.assert_array_equal(loaded.terms(**batch(model))["loss"], model.terms(**batch(model))["loss"])


@pytest.mark.parametrize("block", [*small.one_each(BLOCKS).values()], indirect=True, ids=[*small.one_each(BLOCKS)])
def test_a_phase_of_training_moves_what_learns_in_it_and_nothing_else(block):
    model = small.build(*block)
    split = Split(small.images(model, 32), np.arange(32) % model.spec.classes if model.spec.classes else None)
    for phase in model.phases:
        model.enter(phase)
        before = {layer.name: [np.array(weight) for weight in layer.weights] for layer in model.layers}
        model.compile(optimizer="adam", jit_compile=False)
        backend.fit(model, Training(split, model, 0, 16), epochs=1)
        learning = [layer.name for layer in model.moves(phase) if layer.weights]
        assert learning and cost.of_step(model, split.x, split.y, 16) > 0
        for layer in model.layers:
            kept = [np.array_equal(a, b) for a, b in zip(before[layer.name], layer.weights, strict=True)]
            if layer.name not in learning:
                assert all(kept), (phase, layer.name)
            elif layer.trainable_weights:  # a unit may be dead at first, a layer that is never reached is a mistake
                still = [same for same, weight in zip(kept, layer.weights, strict=True) if weight.trainable]
                assert np.mean(still) < 0.2, (phase, layer.name)


@only(Samples)
def test_samples_are_images_and_a_function_of_noise(model):
    noise = model.noise(5, generator(0, "samples"))
    x = np.asarray(model.sample(noise))
    assert x.shape == (5, *model.spec.shape)
    assert x.dtype == (np.float32 if model.spec.levels is None else np.uint8)
    assert model.spec.levels is None or x.max() < model.spec.levels
    np.testing.assert_array_equal(x, model.sample(noise))


@only(Encodes)
def test_reconstructions_are_in_the_units_of_x(model):
    x = small.images(model, 5)
    mean = np.asarray(model.reconstruct(x))
    assert mean.shape == x.shape
    assert np.isfinite(mean).all()
    if isinstance(model, Latent) and model.spec.levels:  # the mean of a distribution over the levels lies among them
        assert mean.min() >= 0
        assert mean.max() <= model.spec.levels - 1
    assert model.encode(x).shape[0] == 5


@only(Latent, but=Discrete)  # which is trained on another bound
def test_the_elbo_of_training_is_the_mean_log_weight(model):
    x = small.images(model, 3)
    flat = model.eps(6000, generator(1))
    w = np.asarray(model.log_weights(x, {name: leaf.reshape(2000, 3, *leaf.shape[1:]) for name, leaf in flat.items()}))
    terms = model.terms(np.tile(x, (2000, 1, 1, 1)), model.training_noise(6000, generator(1)))
    bounds = np.asarray(terms["distortion"] + terms["rate"]).reshape(2000, 3)  # of several draws the loss may be a tighter one
    error = w.mean(axis=0) + np.mean(bounds, axis=0)
    spread = np.sqrt(w.var(axis=0) / len(w) + np.var(bounds, axis=0) / len(bounds))
    assert np.all(np.abs(error) < 5 * spread)


@pytest.mark.parametrize("block", GAUSSIAN, indirect=True)
def test_a_gaussian_proposal_has_the_density_it_claims_also_when_widened(model):
    x = small.images(model, 2)
    eps = {name: leaf.reshape(20_000, 2, *leaf.shape[1:]) for name, leaf in model.eps(40_000, generator(2)).items()}
    q = model.posterior(x)
    for scale in (1.0, 4.0):
        z, log_q = (np.asarray(part) for part in model.propose(q, eps, scale))
        covariances = np.stack([np.atleast_2d(np.cov(z[:, image].T)) for image in range(2)])
        entropies = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariances)[1]
        np.testing.assert_allclose(-log_q.mean(axis=0), entropies, atol=0.05)


@only(Latent, but=(Discrete, Flow))  # the noise of whose pixels spreads the weights too much
def test_widening_the_proposal_leaves_the_expected_weight(block):
    """E[exp w] = p(x) whatever the proposal: a wrong log q would show."""
    run, data = block
    few = {"groups": [1, 1]} if "groups" in run["network"] else {"latent": 2}  # dimensions, so that weights vary little
    model = small.small(run | {"network": run["network"] | few}, data)
    x = small.images(model, 1)
    eps = {name: leaf[:, None] for name, leaf in model.eps(20_000, generator(3)).items()}
    weigh = backend.compiled(lambda x, q, eps, scale: model.weigh(x, q, eps, None, scale))
    q = model.posterior(x)
    found = []
    for scale in (16.0, 32.0):  # narrower than the posterior, their variance could be infinite
        w = np.asarray(weigh(x, q, eps, np.float32(scale))).astype(float)[:, 0]
        peak = w.max()
        each = np.exp(w - peak)
        found.append((peak + np.log(each.mean()), each.std() / each.mean() / np.sqrt(len(w))))
    (first, error), (second, other) = found
    assert max(error, other) < 0.1
    assert abs(first - second) < 5 * np.hypot(error, other) + 1e-3


@only(Exact)
def test_an_exact_model_has_one_weight_and_pixels_that_sum_to_it(model):
    b = batch(model)
    w = np.asarray(model.log_weights(b["x"], {}))
    assert w.shape == (1, 6)
    np.testing.assert_allclose(w[0], model.log_prob(b["x"]), rtol=1e-6)
    if isinstance(model, Autoregressive):
        np.testing.assert_allclose(np.asarray(model.log_probs(b["x"])).sum(axis=(1, 2)), w[0], rtol=1e-5)
        whole = np.asarray(model.complete(model.noise(6, generator(0)), b["x"], b["x"].shape[1]))
        np.testing.assert_array_equal(whole, b["x"])  # with every row given nothing is drawn


@only(Discrete)
def test_a_discrete_proposal_has_the_frequencies_it_claims(model):
    """At every temperature, site by site: n uniforms in an even row instead of random ones leave an error of 1 / n."""
    q, n = model.posterior(small.images(model, 2)), 4000
    logits = np.asarray(-q["distance"] if isinstance(model, Quantised) else q["logits"], float)
    eps = np.broadcast_to(((np.arange(n) + 0.5) / n)[:, None, None], (n, 2, model.sites)).astype("float32")
    for scale in (0.5, 4.0):
        z, log_q = (np.asarray(part) for part in model.propose(q, {"z": eps}, scale))
        share = scipy.special.softmax(logits / scale, axis=-1)
        for image, site in np.ndindex(2, model.sites):
            counts = np.bincount(z[:, image, site], minlength=model.codes)
            np.testing.assert_allclose(counts / n, share[image, site], atol=2 / n)
        claimed = np.log(np.take_along_axis(share[None], z[..., None], axis=-1)).sum(axis=(-2, -1))
        np.testing.assert_allclose(log_q, claimed, rtol=1e-4, atol=1e-5)


@only(Quantised)
def test_a_codebook_moves_in_training_only(model):
    state = [np.array(weight) for weight in model.codebook.weights]
    b = batch(model)
    model.terms(**b), model.encode(b["x"]), model.sample(model.noise(2, generator(0)))
    assert all(np.array_equal(a, b) for a, b in zip(state, model.codebook.weights, strict=True))


def test_redrawn_training_images_are_binary_and_differ_between_epochs():
    run, data = next(
        block for block in BLOCKS.values() if block[0]["family"] == "latent" and small.spec(block[1])["levels"] == 2
    )
    model = small.small(run, data)
    split = Split(np.full((400, 4, 4, 1), 4, "uint8"))
    batches = Training(split, model, 0, 400, redraw=16)
    first = batches.step(0)["x"]
    batches.enter(2)
    second = batches.step(0)["x"]
    assert set(np.unique(first)) == {0, 1}
    assert first.mean() == pytest.approx(0.25, abs=0.02)
    assert not np.array_equal(first, second)


def test_batches_are_a_function_of_seed_epoch_and_step(model):
    split = Split(small.images(model, 40))
    one, other = (Training(split, model, 3, 8) for _ in range(2))
    seen, previous = None, None
    for epoch in (1, 2):
        one.enter(epoch)
        other.enter(epoch)
        previous = seen
        for step in reversed(range(one.steps)):
            np.testing.assert_array_equal(one.step(step)["x"], other.step(step)["x"])
        seen = np.concatenate([one.step(step)["x"] for step in range(one.steps)])
        assert sorted(map(bytes, seen)) == sorted(map(bytes, np.asarray(split.x)))  # every image once
    assert not np.array_equal(previous, seen)


def test_images_store_reads_what_it_wrote(tmp_path, rng):
    from pipeline.data import store as data_store

    splits = [Split(rng.integers(0, 3, (n, 2, 2, 1)).astype("uint8"), y=np.arange(n)) for n in (5, 3, 2)]
    data_store.write(tmp_path / "d", Images(*splits, levels=3, classes=5), {})
    again = data_store.read(tmp_path / "d")
    np.testing.assert_array_equal(again.test.x, splits[2].x)
    assert again.levels == 3
    assert again.train.factors is None

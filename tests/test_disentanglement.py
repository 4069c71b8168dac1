"""Codes of images whose factors are known: every seed's scores, and a capacity that is kept to."""

import models as small
import numpy as np
import pytest

from pipeline import models, representation, store, training
from pipeline.base import generator
from pipeline.data import sprites
from pipeline.data.store import Images, Split
from pipeline.figures import codes
from stages import draw

NETWORK = {"latent": 2, "body": "dense", "widths": [16], "likelihood": "bernoulli"}


def vae(images: Images, seed: int = 0, **network):
    spec = {"shape": list(images.train.x.shape[1:]), "levels": 2, "classes": images.classes}
    return models.build("latent", "vae", spec, NETWORK | network, seed)


@pytest.fixture(scope="module")
def images() -> Images:
    return sprites.images(train=400, valid=40, test=120, size=14, noise=0.02, seed=0)


def test_every_seed_has_its_scores_and_the_headline_is_their_mean(images, monkeypatch):
    trained = {seed: small.perturbed(vae(images, seed), seed, 0.3) for seed in (3, 5)}
    monkeypatch.setattr(store, "seeds", lambda run: [*trained])
    monkeypatch.setattr(store, "load", lambda run, seed: trained[seed])
    found = draw.factors("some-run", images, images.train.x)
    names = ("mig", "dci", "completeness", "factors_told")
    assert list(found) == [*names, *(f"{name}_{seed}" for seed in trained for name in names)]
    for name in names:
        assert found[name] == pytest.approx((found[f"{name}_3"] + found[f"{name}_5"]) / 2)
    model, splits = trained[5], (images.train, images.test)
    z = [
        draw.code_drawn(model)(split.x, generator(5, "factors", name))
        for name, split in zip(("train", "test"), splits, strict=True)
    ]
    importance, told = representation.importances(z[0], images.train.factors, z[1], images.test.factors)
    assert found["factors_told_5"] == told
    assert found["dci_5"] == representation.disentanglement(importance)
    assert found["completeness_5"] == representation.disentanglement(importance.T)
    assert found["mig_5"] == representation.gap(z[0], images.train.factors)
    rows = codes.factors(found)
    assert [row[""] for row in rows] == ["seed 3", "seed 5", "mean"]
    assert rows[1]["MIG"] == f"{found['mig_5']:.3f}"
    assert rows[2]["completeness"] == f"{found['completeness']:.3f}"


def test_a_drawn_code_is_noisy_as_the_posterior_says_and_belongs_to_its_image(images):
    model = small.perturbed(vae(images), 0, 0.3)
    x = images.test.x
    q = {name: np.asarray(part) for name, part in model.posterior(x).items()}
    drawn = [draw.code_drawn(model)(x, generator(seed, "codes")) for seed in range(20)]
    off = (np.array(drawn) - q["mean"]) / np.exp(0.5 * q["log_var"])
    assert np.abs(off.mean(axis=0)).max() < 5 / np.sqrt(20)
    assert off.std() == pytest.approx(1, abs=0.02)


def gates(model, x) -> list[dict]:
    rows = model.gates(Images(Split(x), Split(x[:1]), Split(x), levels=2))
    return [row for row in rows if "capacity" in row["gate"]]  # beside those of coding


def test_a_gate_says_how_far_the_code_is_off_its_capacity_on_test_images(images):
    x = images.test.x
    assert gates(vae(images), x) == []
    model = small.perturbed(vae(images, capacity=1.0), 0, 0.3)
    kl = float(np.asarray(model.kl(model.posterior(x))).sum(axis=-1).mean())
    (gate,) = gates(model, x)
    assert gate["value"] == pytest.approx(abs(kl - 1.0), rel=1e-4)
    (held,) = gates(small.perturbed(vae(images, capacity=kl), 0, 0.3), x)
    assert held["passed"]


@pytest.mark.parametrize("capacity", [0.7, 2.0])
def test_training_ends_at_the_capacity(images, capacity):
    model = vae(images, beta=20.0, beta_warmup=150, capacity=capacity)
    training.fit(model, images, 0, epochs=30, batch_size=50, learning_rate=0.01, schedule="cosine")
    (gate,) = gates(model, images.test.x)
    assert gate["value"] < 0.25


def test_what_forests_make_of_noise_counts_nothing():
    """Nor does a factor that is not told when another is."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        factors = rng.integers(0, 4, (1500, 3))
        z = rng.standard_normal((1500, 6))
        importance, _ = representation.importances(z[:1000], factors[:1000], z[1000:], factors[1000:])
        assert importance.sum() == 0
        assert representation.disentanglement(importance) == 0
    z[:, 2] = factors[:, 1]
    importance, _ = representation.importances(z[:1000], factors[:1000], z[1000:], factors[1000:])
    np.testing.assert_allclose(importance, np.outer(np.arange(6) == 2, np.arange(3) == 1))

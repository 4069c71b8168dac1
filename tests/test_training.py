"""Training reaches what is known exactly, and gives the same bytes every time."""

import keras
import models as small
import numpy as np
import pytest
from keras import ops
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from pipeline import Refusal, models, training
from pipeline.base import Spec, Trainable
from pipeline.data.batches import validation
from pipeline.data.store import Images, Split

pytestmark = pytest.mark.backend
DIGITS = {"shape": [8, 8, 1], "levels": 17, "classes": 10}
REAL = {"shape": [4, 4, 1], "levels": None, "classes": None}


@pytest.fixture(scope="module")
def digits() -> Images:
    x, y = load_digits(return_X_y=True)
    x = x.reshape(-1, 8, 8, 1).astype("uint8")
    rest, test = train_test_split(x, test_size=360, stratify=y, random_state=0)
    return Images(Split(rest[180:]), Split(rest[:180]), Split(test), levels=17)


def held_out_error(model, x) -> float:
    return float(np.mean(np.square((np.asarray(model.reconstruct(x)) - x) / 16)))


def pca_error(images: Images, size: int) -> float:
    train, test = (split.x.reshape(len(split.x), -1) / 16 for split in (images.train, images.test))
    pca = PCA(size).fit(train)
    return float(np.mean(np.square(pca.inverse_transform(pca.transform(test)) - test)))


def test_a_linear_autoencoder_is_pca(digits):
    model = models.build("autoencoder", "ae", DIGITS, {"latent": 8, "body": "dense", "widths": []}, 0)
    training.fit(model, digits, 0, epochs=120, batch_size=64, learning_rate=0.01, schedule="cosine")
    assert held_out_error(model, digits.test.x) == pytest.approx(pca_error(digits, 8), rel=0.01)


def test_a_nonlinear_autoencoder_is_better_than_pca(digits):
    model = models.build("autoencoder", "ae", DIGITS, {"latent": 8, "body": "dense", "widths": [128, 128]}, 0)
    training.fit(model, digits, 0, epochs=60, batch_size=64, learning_rate=0.003, schedule="cosine")
    assert held_out_error(model, digits.test.x) < 0.9 * pca_error(digits, 8)


def probabilistic_pca(rng, n: int, size: int, dims: int = 16) -> np.ndarray:
    weights = 0.5 * rng.standard_normal((dims, size)) * np.linspace(1.2, 0.8, size)
    x = rng.standard_normal((n, size)) @ weights.T + 0.5 * rng.standard_normal((n, dims)) + rng.standard_normal(dims)
    return x.reshape(n, 4, 4, 1).astype("float32")


def gaussian_log_prob(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> float:
    """Mean log N(x; mean, covariance)."""
    from scipy.stats import multivariate_normal

    return float(multivariate_normal(mean, covariance).logpdf(x).mean())


def test_a_linear_gaussian_vae_reaches_the_closed_form(rng):
    """Tipping and Bishop 1999: the maximum-likelihood W and s^2 come from the eigenvalues of the sample covariance."""
    size, x = 3, probabilistic_pca(rng, 4000, 3)
    train, test = x[:2000], x[2000:]
    images = Images(Split(train), Split(test[:500]), Split(test[500:]), levels=None)
    network = {"latent": size, "body": "dense", "widths": [], "likelihood": "normal"}
    model = models.build("latent", "vae", REAL, network, 0)
    training.fit(model, images, 0, epochs=120, batch_size=100, learning_rate=0.02, schedule="cosine")

    flat, held_out = train.reshape(2000, 16).astype(float), test[500:].reshape(-1, 16).astype(float)
    values, vectors = np.linalg.eigh(np.cov(flat.T, bias=True))
    noise = values[:-size].mean()
    best = vectors[:, -size:] * (values[-size:] - noise) @ vectors[:, -size:].T + noise * np.eye(16)
    exact = gaussian_log_prob(held_out, flat.mean(axis=0), best)

    kernel, bias = (np.asarray(weight, float) for weight in model.decoder.weights)
    variance = np.exp(float(np.asarray(model.likelihood.log_variance)))
    learned = gaussian_log_prob(held_out, bias, kernel.T @ kernel + variance * np.eye(16))
    assert learned == pytest.approx(exact, abs=0.05)
    # ... and its bound is tight: the true posterior of such a model is diagonal once W is aligned with the axes
    eps = {"z": rng.standard_normal((200, 1500, size)).astype("float32")}
    bound = float(np.mean(np.asarray(model.log_weights(test[500:], eps))))
    assert bound <= learned + 0.02
    assert bound == pytest.approx(learned, abs=0.1)


def tiny(levels: int | None = 2, **settings):
    run = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli", "dropout": 0.2, "beta_warmup": 10}
    model = models.build("latent", "vae", {"shape": [4, 4, 1], "levels": levels, "classes": None}, run, 5)
    x = small.images(model, 60)
    images = Images(Split(x[:40]), Split(x[40:50]), Split(x[50:]), levels=levels)
    settings = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01} | settings
    return model, training.fit(model, images, 5, **settings)


def test_the_same_seed_gives_the_same_bytes():
    (one, history), (other, again) = tiny(), tiny()
    assert history == again
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_history_has_every_term_and_the_best_epoch_is_kept():
    model, rows = tiny(epochs=4, learning_rate=0.5)
    terms = {"loss", "distortion", "rate"}
    assert set(rows[0]) == {"epoch", "step", "learning_rate"} | terms | {f"valid_{name}" for name in terms}
    assert [row["step"] for row in rows] == [2, 4, 6, 8]
    x = small.images(model, 60)[40:50]
    from pipeline.base import generator

    kept = model.terms(x, model.eps(10, generator(5, "validation", 0)))["loss"]
    assert float(np.mean(np.asarray(kept))) == pytest.approx(min(row["valid_loss"] for row in rows), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "rates"),
    [
        ({}, [0.01, 0.01, 0.01]),
        ({"schedule": "cosine"}, [0.00752, 0.00258, 0.0001]),
        ({"warmup": 0.5}, [0.00667, 0.01, 0.01]),
    ],
)
def test_schedules(settings, rates):
    _, rows = tiny(**settings)
    np.testing.assert_allclose([row["learning_rate"] for row in rows], rates, rtol=0.01)


@pytest.mark.parametrize("settings", [{"clip_norm": 0.001}, {"weight_decay": 0.5}, {"averaging": 0.9}])
def test_each_setting_changes_what_is_learned(settings):
    plain, changed = tiny()[0], tiny(**settings)[0]
    assert any(not np.allclose(a, b, atol=1e-6) for a, b in zip(plain.get_weights(), changed.get_weights(), strict=True))


def test_averaged_weights_are_what_is_validated_and_kept():
    """The average starts from the weights after one step (of 0.1 with Adam) and hardly moves with a momentum near 1."""
    run = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"}
    initial = models.build("latent", "vae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, run | {"dropout": 0.2}, 5)
    averaged, raw = tiny(averaging=0.9999, learning_rate=0.1)[0], tiny(learning_rate=0.1)[0]
    moved = [
        np.abs(np.asarray(a) - np.asarray(b)).max()
        for a, b in zip(initial.encoder.weights, averaged.encoder.weights, strict=True)
    ]
    far = [
        np.abs(np.asarray(a) - np.asarray(b)).max() for a, b in zip(initial.encoder.weights, raw.encoder.weights, strict=True)
    ]
    assert max(moved) < 0.11 < max(far)


@pytest.mark.parametrize("averaging", [None, 0.9])
def test_the_validation_loss_is_that_of_the_weights_that_are_kept(averaging):
    """Of the last epoch, too: in each, averaged weights take the place of others and make room again."""
    for epochs in (1, 3):
        model, history = tiny(averaging=averaging, learning_rate=0.02, epochs=epochs)
        least = min(row["valid_loss"] for row in history)
        x = small.images(model, 60)[40:50]
        (batch,) = validation(Split(x), model, 5)
        assert float(np.mean(model.terms(batch["x"], batch["eps"])["loss"])) == pytest.approx(least, rel=1e-5)


def test_a_number_that_is_none_stops_training():
    with pytest.raises(Refusal, match=r"became (nan|inf) .* in step \d+ of epoch"):
        tiny(learning_rate=9.9, epochs=200, batch_size=1)


class Idle(Trainable):
    def __init__(self):
        super().__init__(Spec((2, 2, 1), 2))
        self.height, self.idle = (self.add_weight(shape=(), initializer="ones", name=name) for name in ("height", "idle"))

    def terms(self, x, eps, y=None, training=False):
        return {"loss": self.height * ops.mean(ops.cast(x, "float32") + 1.0, axis=(1, 2, 3))}


def test_a_weight_that_the_loss_does_not_reach_is_named():
    """TensorFlow knows of no gradient then; to JAX it is zero, and the weight stays what it was."""
    model, x = Idle(), np.zeros((16, 2, 2, 1), "uint8")
    model.start({"x": x})
    images, how = Images(Split(x), Split(x), Split(x), levels=2), {"epochs": 1, "batch_size": 4, "learning_rate": 0.01}
    if keras.backend.backend() == "tensorflow":
        with pytest.raises(Refusal, match=r"training: the loss does not depend on .*idle, which is to learn"):
            training.fit(model, images, 0, **how)
    else:
        training.fit(model, images, 0, **how)
        assert float(model.idle) == 1.0 and float(model.height) < 1.0


def test_keras_can_train_the_model_by_itself_afterwards():
    model, _ = tiny()
    before = [np.array(weight) for weight in model.encoder.weights]
    x = small.images(model, 16)
    model.train_on_batch({"x": x, "eps": model.eps(16, np.random.default_rng(0))})
    assert not all(np.array_equal(a, b) for a, b in zip(before, model.encoder.weights, strict=True))

"""The bounds of latent models and the estimates of their gradients, where both are known."""

import numpy as np
import pytest
from gradients import gradient
from keras import ops

from pipeline import Refusal
from pipeline.base import Latent, Spec, generator
from pipeline.distributions import normal, standard_normal
from pipeline.models.latent.blocks import GaussianLatent

pytestmark = pytest.mark.backend
D, SIZE, COPIES = 2, 3, 40_000
W = np.array([[1.0, 0.5], [-0.5, 1.0], [0.8, 0.0]], "float32")  # orthogonal: p(z | x) has independent dimensions
X = np.array([1.2, -0.7, 0.4], "float32")
BEST = np.concatenate([W.T @ X / (1 + (W**2).sum(axis=0)), -np.log(1 + (W**2).sum(axis=0))]).astype("float32")
WORSE = BEST + np.array([0.4, -0.3, 0.5, -0.6], "float32")
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 3, "body": "dense", "widths": [8], "likelihood": "bernoulli"}


class Line(GaussianLatent):
    """x = W z + c + e, e ~ N(0, I). What is learned is `at` [B, 2 D + SIZE], of each image by itself, so that one call gives a
    gradient estimate for each row of noise: mean and log variance of q, and c."""

    def __init__(self, **objective):
        super().__init__(Spec((SIZE, 1, 1), None), D, body="dense", widths=[], likelihood="normal", **objective)

    def posterior(self, x, y=None, training=False):
        return {"mean": self.at[:, :D], "log_var": self.at[:, D : 2 * D]}

    def parameters(self, x, z, training=False):
        c = ops.tile(self.at[:, 2 * D :], (ops.shape(z)[0] // ops.shape(self.at)[0], 1))
        return ops.reshape(z @ ops.transpose(ops.convert_to_tensor(W)) + c, (-1, SIZE, 1, 1))

    decode = sample = None


class Apart(Line):
    """The same, but what is learned of q is no part of what `posterior` says: as in a hierarchy, whose layers answer for z."""

    def posterior(self, x, y=None, training=False):
        return {"nothing": ops.zeros((ops.shape(x)[0], 1))}

    def propose(self, q, eps, scale=1.0):
        z = self.at[:, :D] + ops.exp(0.5 * self.at[:, D : 2 * D]) * eps["z"]
        return z, standard_normal(eps["z"]) - 0.5 * ops.sum(self.at[:, D : 2 * D], axis=-1)

    def log_q(self, q, z, scale=1.0):
        return ops.sum(normal(z, self.at[:, :D], self.at[:, D : 2 * D]), axis=-1)

    kl = Latent.kl


def estimates(kind, at, seed=0, copies=COPIES, **objective) -> tuple[np.ndarray, np.ndarray]:
    """The loss of each copy of one image, each with its own noise, and its gradient [copies, 2 D + SIZE]."""
    model, losses = kind(**objective), []
    x, eps = np.tile(X.reshape(1, SIZE, 1, 1), (copies, 1, 1, 1)), model.training_noise(copies, generator(seed, "objectives"))

    def total(point):
        model.at = point
        loss = model.terms(x, eps, training=True)["loss"]
        losses.append(loss)
        return ops.sum(loss)

    slope = gradient(total, np.tile(np.concatenate([at, np.zeros(SIZE, "float32")]), (copies, 1)))
    model.at = ops.convert_to_tensor(np.tile(np.concatenate([at, np.zeros(SIZE, "float32")]), (copies, 1)))
    return np.asarray(model.terms(x, eps, training=True)["loss"], float), slope.astype(float)


def exact(at) -> tuple[float, np.ndarray]:
    """-ELBO and its gradient in closed form."""
    mean, variance = at[:D].astype(float), np.exp(at[D:].astype(float))
    off, squares = X - W @ mean, (W**2).sum(axis=0)
    loss = 0.5 * (off @ off + squares @ variance + SIZE * np.log(2 * np.pi))
    loss += 0.5 * (mean**2 + variance - at[D:] - 1).sum()
    return loss, np.concatenate([mean - W.T @ off, 0.5 * (variance * (1 + squares) - 1), -off])


def z_values(samples, expected):
    return (samples.mean(axis=0) - expected) / (samples.std(axis=0) / np.sqrt(len(samples)) + 1e-6)


@pytest.mark.parametrize("kind", [Line, Apart])
@pytest.mark.parametrize(
    "objective",
    [{}, {"draws": 4}, {"objective": "sticking"}, {"objective": "score"}, {"objective": "score", "draws": 4}],
    ids=lambda chosen: "-".join(map(str, chosen.values())) or "elbo",
)
def test_every_estimate_of_the_bounds_gradient_has_it_for_its_mean(kind, objective):
    losses, slopes = estimates(kind, WORSE, **objective)
    loss, slope = exact(WORSE)
    assert abs(z_values(losses[:, None], loss)).max() < 4
    assert abs(z_values(slopes, slope)).max() < 4


@pytest.mark.parametrize("kind", [Line, Apart])
def test_noise_of_the_estimates(kind):
    """Of the encoder's gradient: none at q = p(z | x) where the landing sticks; the score's is much more than any."""
    spread = {
        name: estimates(kind, BEST, copies=10_000, objective=name, draws=1)[1][:, : 2 * D].std(axis=0)
        for name in ("elbo", "sticking", "score")
    }
    assert spread["sticking"].max() < 1e-5
    assert spread["elbo"].max() > 0.1
    plain, score = (
        estimates(kind, WORSE, copies=10_000, objective=name)[1][:, : 2 * D].var(axis=0) for name in ("elbo", "score")
    )
    assert score.sum() > 10 * plain.sum()
    shared = estimates(kind, WORSE, copies=10_000, objective="score", draws=4)[1][:, : 2 * D].var(axis=0)
    assert shared.sum() < score.sum() / 10  # fewer than 4 times less without a baseline


@pytest.mark.parametrize("kind", [Line, Apart])
def test_dreg_is_iwae_with_less_noise(kind):
    ratios = []
    for draws in (2, 8, 32):
        losses, one = estimates(kind, WORSE, draws=draws, copies=20_000, objective="iwae")
        again, other = estimates(kind, WORSE, draws=draws, copies=20_000, objective="dreg")
        np.testing.assert_allclose(again, losses, rtol=1e-5)
        np.testing.assert_allclose(other[:, 2 * D :], one[:, 2 * D :], rtol=1e-3, atol=1e-5)  # the decoder's is the same
        apart = (one - other)[:, : 2 * D]
        assert abs(z_values(apart, 0.0)).max() < 4
        assert np.linalg.norm(other[:, : 2 * D].mean(axis=0)) > 10 * apart.std(axis=0).max() / np.sqrt(len(apart))
        ratios.append(one[:, : 2 * D].var(axis=0).sum() / other[:, : 2 * D].var(axis=0).sum())
    assert 1 < ratios[0] < ratios[1] < ratios[2]


def test_the_bound_rises_with_the_draws_to_log_p():
    loss = {1: estimates(Line, WORSE, copies=20_000)[0]}
    loss |= {draws: estimates(Line, WORSE, draws=draws, copies=20_000, objective="iwae")[0] for draws in (5, 50)}
    covariance = W @ W.T + np.eye(SIZE)
    log_p = -0.5 * (X @ np.linalg.solve(covariance, X) + np.linalg.slogdet(covariance)[1] + SIZE * np.log(2 * np.pi))
    mean, error = ({k: f(each) for k, each in loss.items()} for f in (np.mean, lambda each: each.std() / np.sqrt(len(each))))
    assert mean[1] - mean[5] > 4 * np.hypot(error[1], error[5])
    assert mean[5] - mean[50] > 4 * np.hypot(error[5], error[50])
    assert mean[50] + log_p > -4 * error[50]
    assert mean[50] + log_p < 0.05


class Mute(Line):
    log_q = Latent.log_q


@pytest.mark.parametrize(
    ("kind", "objective", "why"),
    [
        *((Line, {"objective": name, "draws": 5, "beta": 2.0}, "without beta") for name in ("iwae", "sticking")),
        (Line, {"objective": "score", "beta_warmup": 10}, "without beta"),
        (Line, {"objective": "dreg", "draws": 5, "free_bits": 0.1}, "without beta"),
        (Line, {"objective": "iwae", "draws": 5, "capacity": 3.0}, "without beta"),
        (Line, {"free_bits": 0.1, "capacity": 3.0}, "cannot both"),
        *((Line, {"objective": name}, "write 2 or more") for name in ("iwae", "dreg")),
        *((Mute, {"objective": name, "draws": 2}, "log q of a given z") for name in ("sticking", "score", "dreg")),
    ],
)
def test_what_makes_no_sense_is_refused(kind, objective, why):
    with pytest.raises(Refusal, match=f"^network[.][a-z_]+: .*{why}"):
        kind(**objective)

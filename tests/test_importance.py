"""The importance estimator against brute force, known likelihoods and a model that is written here."""

import models as small
import numpy as np
import pytest
import scipy.stats
from keras import ops
from known import Gaussian, Halves, place
from scipy.special import logsumexp

from pipeline import backend, models
from pipeline.distributions import standard_normal
from pipeline.evidence import importance

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def found(gaussian):
    model, x = gaussian
    return importance.Importance(model, 0).estimate(x, 5000)


def test_it_finds_the_exact_log_probability(gaussian, found):
    model, x = gaussian
    error = found.log_prob - model.log_prob(x)
    assert np.all(np.abs(error) < 6 * np.sqrt(found.variance))
    assert abs(error.mean()) < 4 * np.sqrt(found.variance.sum()) / len(x)


def test_its_claimed_noise_is_the_noise_between_seeds(gaussian):
    model, x = gaussian
    found = [importance.Importance(model, seed).estimate(x, 1000) for seed in range(12)]
    means = [each.log_prob.mean() for each in found]
    claimed = np.sqrt(found[0].variance.sum()) / len(x)
    assert 0.5 < np.std(means, ddof=1) / claimed < 2


@pytest.mark.parametrize("defensive", [0.0, 0.3])
def test_z_may_be_a_tree(gaussian, defensive):
    """Narrower than the prior, so that a draw from the other part of the mixture has another weight."""
    x, model = gaussian[1], Halves(gaussian[0].weights_, 1.0)
    found = importance.Importance(model, 0, defensive).estimate(x, 5000, 0.8)
    error, claimed = found.log_prob - model.log_prob(x), np.sqrt(found.variance.sum()) / len(x)
    assert abs(error.mean()) < 4 * claimed < 0.02


def noise(model, image: int, draws: int) -> np.ndarray:
    """z of the draws of an image: their noise is made a hundred at a time."""
    units = [model.eps(100, place(0, image, unit))["z"] for unit in range(-(-draws // 100))]
    return np.concatenate(units)[:draws].astype(float)


def test_it_equals_plain_numpy_on_the_same_noise(gaussian, found):
    """An independent computation of every number from all log-weights at once."""
    model, x = gaussian
    for image in (0, 69):
        mean = noise(model, image, 5000) @ model.weights_.T.astype(float)
        w = scipy.stats.norm(mean, 1.0).logpdf(x[image].reshape(-1).astype(float)).sum(axis=1)
        assert found.log_prob[image] == pytest.approx(logsumexp(w) - np.log(5000), abs=1e-4)
        assert found.elbo[image] == pytest.approx(w.mean(), abs=1e-4)
        share = np.exp(w - logsumexp(w))
        assert found.ess[image] == pytest.approx(1 / np.sum(share**2), rel=1e-3)
        assert found.max_weight[image] == pytest.approx(share.max(), rel=1e-3)
        for k in (10, 100, 1000):
            groups = logsumexp(w.reshape(-1, k), axis=1) - np.log(k)
            assert found.curve[k][image] == pytest.approx(groups.mean(), abs=1e-4)


def test_the_bound_tightens_with_k(found):
    curve = [found.curve[k].mean() for k in (1, 10, 100, 1000, 5000)]
    assert curve == sorted(curve)
    assert found.curve[1] == pytest.approx(found.elbo)
    assert found.curve[5000] == pytest.approx(found.log_prob)


@pytest.mark.parametrize("draws", [10, 37, 100, 999, 1234])
def test_exactly_so_many_draws_are_counted(gaussian, draws, monkeypatch):
    model, x = gaussian
    monkeypatch.setattr(
        Gaussian, "log_likelihood", lambda self, x, z, y=None: -standard_normal(z) + ops.zeros((1, ops.shape(x)[0]))
    )
    found = importance.Importance(model, 0).estimate(x[:3], draws)
    # log-weights are now -log q: their exponentials average to a known sum over the very draws
    for image in range(3):
        w = -scipy.stats.norm().logpdf(noise(model, image, draws)).sum(axis=1)
        assert found.log_prob[image] == pytest.approx(logsumexp(w) - np.log(draws), abs=1e-4)
        assert found.elbo[image] == pytest.approx(w.mean(), abs=1e-4)


def test_tiles_change_nothing(gaussian, found, monkeypatch):
    model, x = gaussian
    monkeypatch.setattr(importance, "TOGETHER", 100 * 5 * 7)  # seven images a tile instead of 64
    again = importance.Importance(model, 0).estimate(x, 5000)
    assert abs(again.log_prob.mean() - found.log_prob.mean()) < 1e-5
    np.testing.assert_allclose(again.log_prob, found.log_prob, atol=1e-4)
    alone = importance.Importance(model, 0).estimate(x[:1], 5000)
    assert alone.log_prob[0] == pytest.approx(found.log_prob[0], abs=1e-4)


def test_each_image_is_encoded_once(gaussian):
    model, x = gaussian
    seen = []
    plain = backend.compiled
    try:
        backend.compiled = lambda function, **how: lambda *a: (seen.append(len(a)), plain(function, **how)(*a))[1]
        importance.Importance(model, 0).estimate(x[:5], 1000)
    finally:
        backend.compiled = plain
    assert seen.count(1) == 1  # the posterior, of images
    assert seen.count(4) == 10  # the weights, of images, posterior, noise and width


def test_the_proposal_with_the_largest_bound_on_validation_is_chosen(gaussian):
    """Gaussian proposes from its prior, which is wider than any posterior: narrower ones are better, absurd ones worse."""
    model, x = gaussian
    scales, sampler = [0.01, 0.8, 500.0], importance.Importance(model, 0)
    found = {scale: sampler.estimate(x, 500, scale).log_prob.mean() for scale in scales}
    assert importance.best(sampler.sweep(x, 5000, scales)) == max(found, key=found.get) == 0.8
    assert importance.best(sampler.sweep(x, 5000, [500.0])) == 500.0


def test_progress_is_told(gaussian):
    said = []
    importance.Importance(gaussian[0], 0).estimate(gaussian[1], 10, progress=lambda done, left: said.append(done))
    assert said == [64, 70]


def test_extreme_weights_do_not_overflow():
    sums = importance.Sums(20, 10, 1)
    w = np.linspace(-2000, 3000, 20)[:, None]
    sums.add(w[:10])
    sums.add(w[10:])
    assert sums.finish()["log_prob"][0] == pytest.approx(3000 - np.log(20) + np.log1p(np.exp(-5000 / 19)), rel=1e-12)


def test_probabilities_of_all_binary_images_sum_to_one():
    """65,536 images of 4x4 under a VAE away from its initial weights."""
    network = {"latent": 2, "body": "dense", "widths": [16], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, network, 0)
    small.perturbed(model, 1, 0.2)
    x = small.all_binary_images()
    q = backend.compiled(model.posterior)(x)
    weigh = backend.compiled(lambda x, q, eps: model.weigh(x, q, eps, None, 16.0))  # wide enough for every weight's variance
    rng = np.random.default_rng(0)
    total = 0.0
    for _ in range(8):
        eps = {"z": rng.standard_normal((8, len(x), 2), "float32")}
        total += np.exp(weigh(x, q, eps).astype(float)).sum() / 64
    assert total == pytest.approx(1.0, abs=0.02)

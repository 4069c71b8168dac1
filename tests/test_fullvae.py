"""What only a full-covariance posterior has: a factor, and a bound that can be exact where dimensions depend on each other."""

import models as small
import numpy as np
import pytest
import scipy.stats
from linear import Known, within

from pipeline import models
from pipeline.base import generator

pytestmark = pytest.mark.backend
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 3, "body": "dense", "widths": [8], "likelihood": "bernoulli"}


@pytest.fixture(scope="module")
def exact():
    """With the encoder whose posterior is the exact one."""
    known = Known("fullvae")
    factor = known.factor
    known.encode(known.kernel, known.bias, 2 * np.log(np.diag(factor)), 3 * factor)
    return known


@pytest.fixture(scope="module")
def model():
    """Far from a diagonal posterior."""
    return small.perturbed(models.build("latent", "fullvae", BINARY, NETWORK, 0), 0, 0.6)


def numbers(model):
    """x, q, and for each image mean and L."""
    x = small.images(model, 5)
    q = model.posterior(x)
    return x, q, np.asarray(q["mean"], float), np.asarray(model.factor(q), float)


def test_with_the_exact_posterior_every_weight_is_the_likelihood(exact):
    np.testing.assert_allclose(exact.log_weights(), np.broadcast_to(exact.truth, (4000, 40)), atol=0.01)


def test_so_is_the_loss_in_the_mean_whose_rate_is_in_closed_form(exact):
    losses = [np.asarray(exact.model.terms(exact.x, {"z": eps})["loss"]) for eps in exact.eps["z"][:300]]
    assert within(-np.array(losses), exact.truth)


def test_a_diagonal_posterior_lacks_what_theory_says(exact):
    assert exact.independent_gap > 0.3
    diagonal = Known("vae")
    diagonal.encode(diagonal.kernel, diagonal.bias, -np.log(np.diag(diagonal.precision)))
    assert within(diagonal.log_weights(), diagonal.truth - diagonal.independent_gap)


def test_without_its_correlations_a_posterior_is_the_best_diagonal_one(exact):
    q = exact.model.independent(exact.model.posterior(exact.x))
    without = np.asarray(exact.model.weigh(exact.x, q, exact.eps))
    assert within(without, exact.truth - exact.independent_gap)


def test_the_factor_is_lower_triangular_with_a_positive_diagonal(model):
    factor = numbers(model)[3]
    np.testing.assert_array_equal(np.triu(factor, 1), 0)
    assert np.diagonal(factor, axis1=1, axis2=2).min() > 0
    below = np.abs(factor[:, *np.tril_indices(3, -1)])
    assert below.min() > 0
    assert below.max() > 0.3


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_log_q_is_the_normal_density_of_any_z_and_of_a_proposal(model, scale):
    _, q, mean, factor = numbers(model)
    eps = generator(0).standard_normal((7, 5, 3), "float32")
    z, proposed = model.propose(q, {"z": eps}, scale)
    np.testing.assert_allclose(model.log_q(q, z, scale), proposed, rtol=1e-4, atol=1e-4)
    z = 2 * eps + 1
    found = np.asarray(model.log_q(q, z, scale))
    for image in range(5):
        normal = scipy.stats.multivariate_normal(mean[image], scale * factor[image] @ factor[image].T)
        np.testing.assert_allclose(found[:, image], normal.logpdf(z[:, image]), rtol=1e-3)


def test_the_first_parts_of_the_kl_are_that_of_the_first_dimensions(model):
    _, q, mean, factor = numbers(model)
    found = np.cumsum(np.asarray(model.kl(q)), axis=-1)
    for image in range(5):
        covariance = factor[image] @ factor[image].T
        for j in (1, 2, 3):
            some, m = covariance[:j, :j], mean[image, :j]
            expected = 0.5 * (np.trace(some) + m @ m - j - np.linalg.slogdet(some)[1])
            assert found[image, j - 1] == pytest.approx(expected, rel=1e-3)


def test_the_kl_is_what_draws_find():
    model = small.perturbed(models.build("latent", "fullvae", BINARY, NETWORK, 0), 0, 0.3)  # where draws vary less
    _, q, _, _ = numbers(model)
    z, log_q = model.propose(q, {"z": generator(1).standard_normal((20_000, 5, 3), "float32")})
    assert within(np.asarray(log_q - model.log_prior(z)), np.asarray(model.kl(q)).sum(axis=-1))


def test_the_gate_is_passed_where_correlations_help_and_not_where_they_are_wrong(exact):
    from pipeline.data.store import Images, Split

    images = Images(*(Split(exact.x) for _ in range(3)), levels=None)
    (row,) = exact.model.gates(images)
    assert row["passed"]
    assert row["value"] == pytest.approx(exact.independent_gap, rel=0.2)
    other = Known("fullvae")
    other.encode(other.kernel, other.bias, 2 * np.log(np.diag(other.factor)), -3 * other.factor)
    assert not other.model.gates(images)[0]["passed"]

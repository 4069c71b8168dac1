"""log p(x) by an integral: against closed forms, against plain numpy, and refused where it cannot be had."""

import models as small
import numpy as np
import pytest
import scipy.stats
from known import Gaussian
from scipy.special import logsumexp

from pipeline import Refusal, calibration, models
from pipeline.evidence import importance, integral

pytestmark = pytest.mark.backend


def test_the_closed_form_is_the_density(gaussian):
    model, x = gaussian
    np.testing.assert_allclose(integral.gaussian(model, x), model.log_prob(x), atol=2e-5)


def test_the_closed_form_of_calibration_is_the_normal_of_its_weights():
    """W W' + I, written out here; far from the point where the quadratic is measured."""
    model, images = calibration.line(50)
    w = np.asarray(model.decoder.layers[0].kernel).T.astype(float)
    truth = scipy.stats.multivariate_normal(np.zeros(len(w)), w @ w.T + np.eye(len(w))).logpdf(images.test.x.reshape(50, -1))
    np.testing.assert_allclose(integral.gaussian(model, images.test.x), truth, atol=1e-3)


def test_the_encoder_of_calibration_is_the_best_of_its_kind():
    """Its bound is short of the truth by what a normal with independent dimensions must be, the known 5.25 nats."""
    model, images = calibration.line(50)
    w = np.asarray(model.decoder.layers[0].kernel).T.astype(float)
    precision = w.T @ w + np.eye(w.shape[1])
    short = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
    found = importance.Importance(model, 0).estimate(images.test.x, 2000)
    assert (integral.gaussian(model, images.test.x) - found.elbo).mean() == pytest.approx(short, abs=0.05)


def test_what_is_not_quadratic_is_refused():
    network = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, network, 0)
    small.perturbed(model, 0, 0.5)
    with pytest.raises(Refusal, match="not quadratic"):
        integral.gaussian(model, small.images(model, 4))


@pytest.mark.parametrize("latent", [1, 2])
def test_quadrature_finds_a_known_density(latent):
    rng = np.random.default_rng(latent)
    model = Gaussian(rng.standard_normal((6, latent)), 0.3)  # posteriors some 20 times narrower than the prior
    x = (rng.standard_normal((20, latent)) @ model.weights_.T + 0.3 * rng.standard_normal((20, 6))).astype("float32")
    x = x.reshape(20, 6, 1, 1)
    found, error = integral.quadrature(model, x)
    np.testing.assert_allclose(found, model.log_prob(x), atol=1e-4)
    assert error.max() < 1e-3


def test_quadrature_says_when_its_points_are_too_far_apart():
    rng = np.random.default_rng(0)
    model = Gaussian(rng.standard_normal((6, 2)), 0.01)
    x = (rng.standard_normal((5, 2)) @ model.weights_.T).astype("float32").reshape(5, 6, 1, 1)
    found, error = integral.quadrature(model, x)
    assert np.abs(found - model.log_prob(x)).mean() > 0.1
    assert error.mean() > 0.1


def test_a_vaes_probabilities_of_all_small_images_sum_to_one():
    network = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", {"shape": [3, 3, 1], "levels": 2, "classes": None}, network, 0)
    small.perturbed(model, 0, 0.5)
    x = ((np.arange(512)[:, None] >> np.arange(9)) & 1).reshape(-1, 3, 3, 1).astype("uint8")
    found, _ = integral.quadrature(model, x)
    assert np.exp(logsumexp(found)) == pytest.approx(1.0, abs=1e-5)


def test_an_integral_is_refused_where_z_is_not_of_its_kind(gaussian):
    model, x = gaussian
    with pytest.raises(Refusal, match="only discrete codes"):
        integral.enumeration(model, x)
    wide = Gaussian(np.zeros((4, 3)), 1.0)
    with pytest.raises(Refusal, match="one or two dimensions, z has 3"):
        integral.quadrature(wide, np.zeros((2, 4, 1, 1), "float32"))
    network = {"codes": 3, "dimension": 2, "widths": [6], "residual": 0, "likelihood": "bernoulli"}
    network |= {"prior_features": 8, "prior_layers": 1}
    codes = models.build("quantised", "vqvae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, network, 0)
    for way in (integral.quadrature, integral.gaussian):
        with pytest.raises(Refusal, match="not one vector"):
            way(codes, small.images(codes, 2))

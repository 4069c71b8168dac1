"""Log-densities against scipy and against closed forms."""

import numpy as np
import pytest
import scipy.stats
from gradients import gradient
from keras import ops

from pipeline import distributions as d

pytestmark = pytest.mark.backend


def test_normal_is_scipys(rng):
    x, mean, log_var = rng.normal(size=(3, 50)).astype("float32")
    expected = scipy.stats.norm(mean, np.exp(log_var / 2)).logpdf(x)
    np.testing.assert_allclose(d.normal(x, mean, log_var), expected, rtol=1e-4)


def test_standard_normal_keeps_its_constant():
    assert float(d.standard_normal(ops.zeros((64,)))) == pytest.approx(-32 * np.log(2 * np.pi), rel=1e-6)


def test_kl_is_the_mean_log_ratio(rng):
    mean, log_var = np.float32(0.7), np.float32(-1.3)
    z = mean + np.exp(log_var / 2) * rng.standard_normal(200_000)
    ratio = scipy.stats.norm(mean, np.exp(log_var / 2)).logpdf(z) - scipy.stats.norm().logpdf(z)
    error = float(d.kl_to_standard_normal(mean, log_var)) - ratio.mean()
    assert abs(error) < 4 * ratio.std() / np.sqrt(len(z))


def test_log_normal_cdf_in_both_tails():
    x = np.array([-1000, -50, -12, -5, -1, -1e-3, 0, 1e-3, 1, 3, 5], "float32")
    np.testing.assert_allclose(d.log_normal_cdf(x), scipy.stats.norm.logcdf(x.astype(float)), rtol=2e-5, atol=1e-7)


def test_log_normal_mass_does_not_cancel():
    low = np.array([-40.0, -9.0, -0.01, 0.0, 8.0, 30.0, -1e4])
    high = np.array([-39.5, -8.9, 0.01, 0.2, 8.5, 31.0, 1e4])
    exact = [float(mass(a, b)) for a, b in zip(low, high, strict=True)]
    np.testing.assert_allclose(d.log_normal_mass(low.astype("float32"), high.astype("float32")), exact, rtol=1e-4, atol=1e-6)


def mass(low: float, high: float) -> float:
    a, b = (-high, -low) if low + high > 0 else (low, high)
    upper, lower = scipy.stats.norm.logcdf(b), scipy.stats.norm.logcdf(a)
    return upper + np.log1p(-np.exp(lower - upper))


def test_gradients_are_finite_far_away():
    found = gradient(lambda v: ops.sum(d.log_normal_mass(v, v + 0.1)), np.array([-30.0, 0.0, 30.0], "float32"))
    np.testing.assert_allclose(found, [30.0, -0.05, -30.0], rtol=0.02)

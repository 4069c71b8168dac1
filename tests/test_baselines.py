"""The baselines against independent computations on sets small enough for them."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from pipeline.data import baselines as b
from pipeline.data import digits, sprites
from pipeline.data.baselines import baselines
from pipeline.data.store import Images, Split


def some(x: np.ndarray, levels: int | None, **more) -> Images:
    """The first half for training, a quarter each to validate and test."""
    x = np.asarray(x, np.float32 if levels is None else np.uint8)
    half, quarter = len(x) // 2, len(x) // 4
    return Images(*(Split(part) for part in np.split(x, [half, half + quarter])), levels=levels, **more)


def field(rng, n: int, levels: int, shape=(2, 2, 1)) -> np.ndarray:
    """Images whose dimensions depend on each other."""
    mix = rng.normal(size=(n, 1)) + 0.7 * rng.normal(size=(n, int(np.prod(shape))))
    return np.clip(np.floor((mix + 2) * levels / 4), 0, levels - 1).astype(np.uint8).reshape(n, *shape)


def every(levels: int, d: int) -> np.ndarray:
    return np.stack(np.unravel_index(np.arange(levels**d), (levels,) * d), 1).astype(np.uint8)


@pytest.mark.parametrize(("levels", "shape"), [(2, (2, 2, 1)), (3, (2, 2, 1)), (4, (1, 1, 3)), (2, (1, 1, 1))])
def test_probabilities_of_all_images_sum_to_one(rng, levels, shape):
    train, valid = np.split(field(rng, 200, levels, shape).reshape(200, -1), 2)
    d = train.shape[1]
    fits = [*b.regressions(train, levels, None), lambda x: b.log_histogram(b.histogram(train, levels, None), x)]
    for log_p in fits:
        assert abs(np.exp(log_p(every(levels, d))).sum() - 1) < 1e-12
    assert b.best(iter(fits[:-1]), valid)(every(levels, d)).shape == (levels**d,)


@pytest.mark.parametrize("levels", [2, 3])
def test_the_chain_is_a_regularised_logistic_regression_of_each_dimension_on_those_before(rng, levels, monkeypatch):
    """scikit-learn's, with a column of ones for the intercept, since that is penalised, too."""
    monkeypatch.setattr(b, "PENALTIES", (3.0,))
    minimise = b.minimize
    precise = {"ftol": 1e-15, "gtol": 1e-9}
    monkeypatch.setattr(b, "minimize", lambda *a, options, **k: minimise(*a, options=options | precise, **k))
    train, test = np.split(field(rng, 400, levels).reshape(400, -1), 2)
    expected = np.zeros(len(test))
    for d in range(4):
        inputs = [np.c_[np.ones(len(x)), x[:, :d] * 2 / (levels - 1) - 1] for x in (train, test)]
        fit = LogisticRegression(C=1 / 3.0, fit_intercept=False, tol=1e-10, max_iter=10000).fit(inputs[0], train[:, d])
        expected += fit.predict_log_proba(inputs[1])[np.arange(len(test)), test[:, d]]
    (log_p,) = b.regressions(train, levels, None)
    np.testing.assert_allclose(log_p(test), expected, atol=1e-5)


def test_the_chain_knows_what_independent_pixels_do_not(rng):
    """Three noisy copies of a fair coin: ln 2 + 3 H(0.1) at least for the chain, 3 ln 2 for independent pixels."""
    coin = rng.integers(0, 2, (4000, 1))
    found = baselines(some((coin ^ (rng.random((4000, 3)) < 0.1)).reshape(-1, 1, 3, 1), 2))
    every_image = every(2, 3)
    p = np.mean([np.prod(np.where(every_image == c, 0.9, 0.1), 1) for c in (0, 1)], 0)
    entropy = -(p * np.log(p)).sum()
    assert abs(found["independent_nats"] - 3 * np.log(2)) < 4 * found["independent_se"] + 0.01
    assert abs(found["chain_nats"] - entropy) < 4 * found["chain_se"]
    assert found["uniform_nats"] == pytest.approx(3 * np.log(2)) and "chain_why" not in found


def test_dimensions_come_in_raster_order_with_channels_inside(rng):
    """Blue repeats red, and red comes first: with x as [H, W, C] in C order, only then does blue cost nothing."""
    x = rng.integers(0, 2, (400, 2, 1, 3))
    x[..., 2] = x[..., 0]
    chain = b.best(b.regressions(x[:300].reshape(300, -1), 2, None), x[300:].reshape(100, -1))
    assert abs(-chain(x[300:].reshape(100, -1)).mean() - 4 * np.log(2)) < 0.3


def test_independent_levels_against_counting(rng):
    images = some(field(rng, 80, 5, (2, 1, 3)), 5)
    train, test = (part.x.reshape(len(part.x), 6) for part in (images.train, images.test))
    each = [-sum(np.log((sum(train[:, d] == x[d]) + 0.5) / (40 + 2.5)) for d in range(6)) for x in test]
    found = baselines(images)
    assert found["independent_nats"] == pytest.approx(np.mean(each), abs=1e-12)
    assert found["independent_se"] == pytest.approx(np.std(each, ddof=1) / np.sqrt(20), abs=1e-12)


def test_redrawn_images_are_taken_in_expectation():
    """Counts, mean and covariance are those of very many draws."""
    images = digits.images(binarised="dynamic", seed=0)
    x = images.train.x.reshape(1257, 64)
    drawn = (np.random.default_rng(1).random((200, *x.shape)) * 16 < x).reshape(-1, 64)
    ones = np.exp(b.histogram(x, 2, 16))[:, 1]
    np.testing.assert_allclose(ones, (drawn.mean(0) * 1257 + 0.5) / 1258, atol=4 * 0.5 / np.sqrt(len(drawn)))
    mean, covariance = b.moments(x, 1 / 16, 16)
    np.testing.assert_allclose(mean, drawn.mean(0), atol=4 * 0.5 / np.sqrt(len(drawn)))
    np.testing.assert_allclose(covariance, np.cov(drawn.T.astype(float), ddof=0), atol=6 * 0.25 / np.sqrt(len(drawn)))


def test_the_chain_of_redrawn_images_sees_draws_of_them(rng):
    """Intensities that leave nothing to chance are the binary images; fair coins stay fair coins."""
    x = field(rng, 100, 2).reshape(100, 4)
    plain, redrawn = next(b.regressions(x, 2, None)), next(b.regressions(x * 16, 2, 16))
    np.testing.assert_allclose(redrawn(every(2, 4)), plain(every(2, 4)), atol=1e-3)
    coins = next(b.regressions(np.full((400, 4), 8, np.uint8), 2, 16))(every(2, 4))
    np.testing.assert_allclose(coins, -4 * np.log(2), atol=0.2)
    assert np.abs(coins + 4 * np.log(2)).max() > 1e-4  # drawn, not averaged


def test_real_values_against_scipy(rng, monkeypatch):
    monkeypatch.setattr(b, "SHRINKAGES", (0.1,))
    x = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 4)) + 3
    x[:, 2] = 5  # constant: its variance is the floor
    images = some(x.reshape(-1, 2, 2, 1), None)
    train, test = images.train.x.reshape(60, 4).astype(float), images.test.x.reshape(30, 4)
    mean, covariance, floor = train.mean(0), np.cov(train.T, ddof=0), 1e-5 * train.var()
    np.testing.assert_allclose(b.moments(images.train.x.reshape(60, 4), 1.0, None)[0], mean, rtol=1e-12)
    covariance[2, 2] = floor
    found = baselines(images)
    independent = -norm.logpdf(test, mean, np.sqrt(covariance.diagonal())).sum(1)
    chain = -multivariate_normal.logpdf(test, mean, 0.9 * covariance + 0.1 * np.diag(covariance.diagonal()))
    assert found["uniform_nats"] is None
    assert found["independent_nats"] == pytest.approx(independent.mean(), rel=1e-6)
    assert found["chain_nats"] == pytest.approx(chain.mean(), rel=1e-6)
    assert found["chain_se"] == pytest.approx(chain.std(ddof=1) / np.sqrt(30), rel=1e-6)


def test_pca_against_scikit_learn():
    images = digits.images(binarised="none", seed=0)
    train, test = (part.x.reshape(-1, 64) / 16 for part in (images.train, images.test))
    mean, covariance = b.moments(images.train.x.reshape(-1, 64), 1 / 16, None)
    errors = b.reconstruction(images.test.x.reshape(-1, 64), 1 / 16, mean, covariance)
    assert list(errors) == [0, 1, 2, 4, 8, 16, 32]
    np.testing.assert_allclose(errors[0], ((test - train.mean(0)) ** 2).mean(1), atol=1e-12)
    for k in (1, 8, 32):
        fit = PCA(k, svd_solver="full").fit(train)
        np.testing.assert_allclose(errors[k], ((test - fit.inverse_transform(fit.transform(test))) ** 2).mean(1), atol=1e-12)


def test_components_stay_below_the_rank(rng):
    flat = rng.integers(0, 2, (40, 3))[:, [0, 1, 2, 0, 1, 2, 0, 1]]  # of rank 3
    found = baselines(some(flat.reshape(-1, 2, 4, 1), 2))
    assert list(found["pca_mse"]) == list(found["pca_se"]) == ["1", "2"]
    assert baselines(some(np.ones((40, 2, 2, 1)), 2))["pca_mse"] == {}


def test_validation_images_choose_and_test_images_do_not(rng):
    """Ever less regularised fits, the second of them the best on the validation images; none after the third is made."""
    made = []

    def fits():
        for valid, test in ((1.0, 9.0), (2.0, 0.0), (1.5, 9.0), (3.0, 9.0)):
            made.append(valid)
            yield lambda x, values=(valid, test): np.full(3, values[0] if x == "valid" else values[1])

    assert b.best(fits(), "valid")("test").mean() == 0.0 and made == [1.0, 2.0, 1.5]


@pytest.mark.parametrize(
    ("n", "d", "levels", "fits"),
    [
        (10056, 64, 2, True),
        (1257, 64, 17, True),
        (4000, 256, 2, True),
        (50000, 784, 2, False),
        (10, 512, 16, False),
        (50000, 784, None, True),
        (10, 12288, None, False),
    ],
)
def test_large_data_have_no_chain_and_say_why(n, d, levels, fits):
    assert (b.too_large(n, d, levels) is None) == fits


def test_without_a_chain_everything_else_is_there(rng, monkeypatch):
    monkeypatch.setattr(b, "OPERATIONS", 1.0)
    found = baselines(some(field(rng, 40, 2), 2))
    assert found["chain_nats"] is None and found["chain_se"] is None and "more than 1e+00" in found["chain_why"]
    monkeypatch.setattr(b, "DIMENSIONS", 3)
    real = baselines(some(rng.normal(size=(40, 2, 2, 1)), None))
    assert real["chain_nats"] is None and real["pca_mse"] == {} and real["independent_nats"] and real["mean_mse"]


@pytest.mark.parametrize("levels", [3, None])
def test_small_blocks_change_nothing_but_rounding(rng, monkeypatch, levels):
    images = some(field(rng, 240, 3, (3, 3, 1)), levels)
    whole = {name: value for name, value in baselines(images).items() if value is not None}
    monkeypatch.setattr(b, "blocks", lambda x, width: (x[i : i + 7] for i in range(0, len(x), 7)))
    again = baselines(images)
    for name, value in whole.items():
        assert again[name] == pytest.approx(value, rel=1e-6), name


def test_the_floor_is_the_exact_density_of_the_test_images(monkeypatch):
    monkeypatch.setattr(b, "OPERATIONS", 1.0)  # no chain, for speed
    images = sprites.images(train=60, valid=20, test=50, size=14, noise=0.02, seed=0)
    found = baselines(images)
    assert found["floor_nats"] == pytest.approx(-images.test.log_prob.mean())
    assert found["floor_se"] == pytest.approx(images.test.log_prob.std(ddof=1) / np.sqrt(50))
    assert "floor_nats" not in baselines(digits.images(binarised="static", seed=0))


def test_known_values_on_digits():
    """Of the default data sets, with a little room for another BLAS."""
    for how, independent, chain in (("static", 25.213, 18.13), ("none", 107.970, 89.71)):
        found = baselines(digits.images(binarised=how, seed=0))
        assert found["independent_nats"] == pytest.approx(independent, abs=0.001)
        assert found["chain_nats"] == pytest.approx(chain, abs=0.03)
    assert [round(found["pca_mse"][k], 4) for k in ("2", "8", "16", "32")] == [0.0535, 0.0247, 0.0117, 0.0026]
    assert round(found["mean_mse"], 4) == 0.0740

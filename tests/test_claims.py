"""The measures of claims on cases whose answer is known, and the words for what came out."""

import claimed
import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline import claims
from pipeline.figures import verdicts


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return (x.reshape(-1, 8, 8, 1) / 16), y


@pytest.fixture(scope="module")
def votes(digits):
    x, y = digits
    return claims.classifier(x[:900], y[:900])


def test_real_images_are_recognised_and_independent_pixels_are_not(digits, votes, rng):
    x, y = digits
    real, noise = (claims.recognised(votes(images)) for images in (x[:500], claims.independent_pixels(x, 500, rng)))
    assert real["recognised"] > 0.9  # the forest has seen them
    assert noise["recognised"] < 0.02
    assert noise["confidence"] < 0.35
    assert (votes(x[900:]).argmax(axis=1) == y[900:]).mean() > 0.9


def test_independent_pixels_keep_each_pixel_s_values(digits, rng):
    x, _ = digits
    drawn = claims.independent_pixels(x, 4000, rng)
    assert np.abs(drawn.mean(axis=0) - x.mean(axis=0)).max() < 0.05
    assert np.abs(np.corrcoef(drawn[:, 3, 3, 0], drawn[:, 3, 4, 0])[0, 1]) < 0.06
    assert set(np.unique(drawn[:, 0, 0])) <= set(np.unique(x[:, 0, 0]))


def test_a_standard_error_is_that_of_the_mean(rng):
    found = claims.mean(rng.random((4000, 50)).mean(axis=1) < 0.5, "below")
    assert found["below_se"] == pytest.approx(0.5 / 4000**0.5, rel=0.01)
    assert abs(found["below"] - 0.5) < 4 * found["below_se"]


def test_what_is_fitted_to_codes_is_spread_like_them(rng):
    codes = np.concatenate([rng.normal(-5, 1, (500, 2)), rng.normal(5, 1, (500, 2))]).astype("float32")
    one, many = claims.fitted_normal(codes, 1000, rng), claims.fitted_mixture(codes, 1000, rng)
    for drawn in (one, many):
        assert np.abs(drawn.mean(axis=0)).max() < 1
        assert np.cov(drawn.T) == pytest.approx(np.cov(codes.T), rel=0.15)
    assert (np.abs(one) < 2).mean() > 0.2  # between the clusters, where no code is
    assert (np.abs(many) < 2).mean() < 0.02
    assert len(np.unique(np.sign(many[:20, 0]))) == 2  # the first few are of both clusters
    assert claims.fitted_normal(codes[:, :1], 5, rng).shape == (5, 1)


def test_noise_stays_within_the_levels_and_none_changes_nothing(rng):
    x = rng.integers(0, 17, (200, 4, 4, 1)).astype("uint8")
    eps = rng.standard_normal(x.shape)
    assert np.array_equal(claims.noisy(x, 0.0, 17, eps), x)
    noisy = claims.noisy(x, 0.3, 17, eps)
    assert noisy.dtype == x.dtype
    assert noisy.min() == 0
    assert noisy.max() == 16
    middle = x == 8
    assert (noisy[middle] - 8.0).std() == pytest.approx(0.3 * 16, rel=0.08)


def test_equal_reconstructions_agree_and_differences_are_paired(digits, votes):
    x, _ = digits
    same = claims.noise(x[:100], x[:100], x[:100], votes)
    assert same["same"].mean() == 1
    assert same["mse"].max() == 0
    worse = claims.noise(x[:100], x[100:200], x[:100], votes)
    assert worse["same"].mean() < 0.5
    assert worse["rise"] == pytest.approx(np.square(x[100:200] - x[:100]).mean(axis=(1, 2, 3)))
    image = np.linspace(0, 1, 50)
    found = claims.paired({"mse": image}, {"mse": image + 0.1})
    assert found["difference"] == pytest.approx({"mse": 0.1, "mse_se": 0.0})
    assert found["ae"]["mse_se"] > 0.03


def test_true_normals_are_not_rejected_and_others_are(rng):
    true = [claims.normality(rng.standard_normal((50, 6)), rng) for _ in range(60)]
    p = np.array([each["energy_p"] for each in true])  # uniform on [0, 1]
    assert abs(p.mean() - 0.5) < 4 * 12**-0.5 / 60**0.5
    for wrong in (p < 0.05, [each["rejected"] > 0 for each in true], [each["energy"] > each["energy_null"] for each in true]):
        assert np.mean(wrong) < 0.05 + 4 * (0.05 * 0.95 / 60) ** 0.5
    uniform = claims.normality(rng.uniform(-(3**0.5), 3**0.5, (1000, 2)), rng)  # the same mean and variance
    assert uniform["rejected"] == 2
    shared = rng.standard_normal((400, 1))
    tied = claims.normality(0.9**0.5 * shared + 0.1**0.5 * rng.standard_normal((400, 6)), rng)
    assert uniform["energy_p"] < 0.01
    assert tied["ks_median"] < 0.1  # each number by itself is normal,
    assert tied["energy_p"] < 0.01  # all together are not


def test_the_energy_distance_is_what_its_expectations_are(rng):
    z, y = rng.standard_normal((30, 3)) + 1, rng.standard_normal((2, 200_000, 3))
    to_normal = np.mean([np.linalg.norm(y[0] - point, axis=1).mean() for point in z])
    within = np.linalg.norm(z[:, None] - z[None], axis=-1).mean()
    expected = 2 * to_normal - within - np.linalg.norm(y[0] - y[1], axis=1).mean()
    assert claims.energy(z) == pytest.approx(expected, abs=0.01)


def test_one_number_moves_at_a_time(rng):
    train, codes = rng.normal(3, 2, (500, 4)), rng.standard_normal((7, 4))
    moved = claims.moves(codes, train)
    assert moved.shape == (7, 4, 9, 4)
    for unit in range(4):
        others = [each for each in range(4) if each != unit]
        assert (moved[:, unit][..., others] == codes[:, None, others]).all()
        ends = train[:, unit].mean() + np.array([-2, 0, 2]) * train[:, unit].std()
        assert moved[:, unit, [0, 4, 8], unit] == pytest.approx(np.tile(ends, (7, 1)))


def test_control_counts_recognised_images_and_changes_of_class(digits, votes):
    x, y = digits
    zeros, ones = x[:900][y[:900] == 0], x[:900][y[:900] == 1]
    still = np.repeat(zeros[:5, None, None], 3, axis=2).repeat(2, axis=1)
    kept = claims.control(still, votes)
    assert kept["changes"].max() == 0
    assert kept["moved"].max() == 0
    assert kept["recognised"] == pytest.approx((votes(zeros[:5]).max(axis=1) > 0.8).astype(float))
    turned = still.copy()
    turned[:, 0, 2] = ones[:5]
    assert claims.control(turned, votes)["changes"] == pytest.approx(0.5)
    assert claims.control(turned, votes)["moved"].min() > 0.1


def test_words_follow_the_numbers_either_way():
    def outcomes(**changed) -> list[str]:
        return [row["came out"] for row in verdicts.verdicts(claimed.found(**changed))]

    usual = ["more of the VAE's", "more of the AE's", "less of a rise", "kept more often", *["for the VAE only"] * 2]
    assert outcomes() == [*usual, "more of the VAE's"]
    noise = {"0.3": claimed.three(mse=0.0, rise=0.1, same=-0.1)}
    assert outcomes(noise=noise)[2:4] == ["more of a rise", "kept less often"]
    assert outcomes(noise={"0.3": claimed.three(mse=0.0, rise=0.015, same=0.0)})[2:4] == ["no clear difference"] * 2
    decoded = {key: claimed.part(recognised=0.1, confidence=0.5) for key in claimed.SOURCES}
    assert outcomes(decoded=decoded)[:2] == ["no clear difference"] * 2
    normal = claimed.found()["normal"]
    assert outcomes(normal={"ae": normal["vae"], "vae": normal["vae"]})[4:6] == ["for both"] * 2
    assert outcomes(normal={"ae": normal["vae"], "vae": normal["ae"]})[4:6] == ["for the AE only"] * 2
    assert outcomes(normal={"ae": normal["ae"], "vae": normal["ae"]})[4:6] == ["for neither"] * 2
    apart = {"ae": normal["vae"] | {"rejected": 1}, "vae": normal["vae"] | {"energy_p": 0.01}}
    assert outcomes(normal=apart)[4:6] == ["for the VAE only", "for the AE only"]
    assert outcomes(moved=claimed.three(recognised=-0.1, changes=0.0, moved=0.0))[6] == "more of the AE's"

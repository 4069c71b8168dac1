"""What is asked of a trained model: chosen on validation images, equal to plain numpy, and never done twice."""

import numpy as np
import pytest
from known import Gaussian, place
from scipy.special import expit, logsumexp

from pipeline import Refusal, calibration, evidence, models, training
from pipeline.data import digits
from pipeline.data.store import Images, Split
from pipeline.evidence import importance, score, summary

pytestmark = pytest.mark.backend
BASELINES = {"independent_nats": np.inf, "chain_nats": None}


def asked(model, images, kept=None, progress=lambda done, left: None, **wished):
    return score.score(model, images, 0, evidence.settings(**wished), {} if kept is None else kept, progress)


def headline(model, tables) -> dict:
    return summary.headline(score.kinds(model), model.spec, tables, "d", None, BASELINES, [])


def test_the_width_is_chosen_on_validation_images():
    """These want a wide proposal, the test images a narrow one; the test images may not decide."""
    model = Gaussian(0.5 * np.random.default_rng(0).standard_normal((5, 2)), 1.0)
    far, near = (np.full((30, 5, 1, 1), value, "float32") * np.sign(model.weights_[:, 0])[:, None, None] for value in (20, 0))
    tables = asked(model, Images(Split(far), Split(far), Split(near), levels=None), draws=500, scales=[0.7, 30.0])
    row = tables["estimates"].iloc[0]
    assert (row.estimator, row.scale) == ("importance", 30.0)
    assert list(tables["sweep"].scale) == [0.7, 30.0]
    assert tables["sweep"].nll_nats.idxmin() == 1
    other = asked(model, Images(Split(far), Split(near), Split(near), levels=None), draws=500, scales=[0.7, 30.0])
    assert other["estimates"].iloc[0].scale == 0.7
    assert other["estimates"].iloc[0].nll_nats < row.nll_nats  # so the choice on test images would have been another


def test_a_bound_is_of_the_proposal_that_was_trained():
    model, images = calibration.line(20)
    tables = asked(model, images, draws=500, scales=[8.0, 16.0])
    bound = tables["estimates"].set_index("estimator").loc["bound"]
    plain = importance.Importance(model, 0).estimate(images.test.x, 100)
    assert bound.nll_nats == pytest.approx(-plain.elbo.mean())
    assert tables["images"].elbo_nats.mean() == pytest.approx(plain.elbo.mean())


@pytest.mark.xdist_group("flags")
def test_a_proposal_that_is_too_narrow_is_flagged_and_a_wide_one_is_not():
    model, images = calibration.line(40)
    wished = {"draws": 2000, "annealed": 32, "temperatures": 200}
    found = {scale: headline(model, asked(model, images, scales=[scale], **wished)) for scale in (1.0, 8.0)}
    assert "annealing finds the images" in found[1.0]["flags"]
    assert found[1.0]["annealed_gain_nats"] > 0.5
    assert found[1.0]["heavy_tailed"] > 0.5
    assert found[8.0]["flags"] == ""
    assert found[8.0]["heavy_tailed"] < 0.5
    assert found[8.0]["gap_nats"] == pytest.approx(found[8.0]["approximation_nats"] + found[8.0]["amortisation_nats"])
    assert found[8.0]["gap_nats"] == pytest.approx(5.25, abs=0.3)  # what independent dimensions cost here
    assert abs(found[8.0]["amortisation_nats"]) < 0.1
    assert found[1.0]["k_slope_nats"] > 3 * found[8.0]["k_slope_nats"] > 0


@pytest.mark.xdist_group("flags")
def test_annealing_alone_is_a_headline():
    model, images = calibration.line(20)
    tables = asked(model, images, annealed=6, temperatures=100, chains=8)
    said = headline(model, tables)
    assert (said["estimator"], said["direction"], said["images"]) == ("annealed", "nll_too_high", 6)
    assert list(tables["images"].image) == list(range(6))


def test_an_integral_is_the_headline_and_annealing_beside_it_agrees():
    model, images = calibration.line(20)
    tables = asked(model, images, integral="gaussian", draws=1000, scales=[8.0], annealed=6, temperatures=100)
    said = headline(model, tables)
    assert (said["estimator"], said["direction"], said["nll_mc_se"], said["flags"]) == ("exact", "exact", 0.0, "")
    assert abs(said["annealed_gain_nats"]) < 4 * said["annealed_gain_se"]
    narrow = asked(model, images, integral="gaussian", draws=1000)
    assert "importance sampling disagrees with the closed form by" in headline(model, narrow)["flags"]
    without = headline(model, asked(model, images, integral="gaussian", annealed=6, temperatures=100))
    assert without["estimator"] == "exact" and abs(without["annealed_gain_nats"]) < 4 * without["annealed_gain_se"]
    assert without["flags"] == ""


def test_an_integral_that_is_kept_is_not_made_again(monkeypatch):
    from pipeline.evidence import integral

    model, images = calibration.line(20)
    kept, wished = {}, evidence.settings(integral="gaussian")
    first = score.score(model, images, 0, wished, kept, lambda done, left: None)
    monkeypatch.setattr(integral, "gaussian", lambda *given: pytest.fail("made again"))
    second = score.score(model, images, 0, wished, kept, lambda done, left: None)
    assert first["images"].equals(second["images"])


@pytest.mark.parametrize(
    "wished, said",
    [
        ({"integral": "enumeration"}, "integral: enumeration is for discrete codes"),
        ({"annealed": 5}, "annealed: the posterior"),
    ],
)
def test_what_a_model_cannot_answer_is_refused(gaussian, wished, said):
    model, x = gaussian
    with pytest.raises(Refusal, match=said):
        asked(model, Images(Split(x), Split(x), Split(x), levels=None), **wished)


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


@pytest.fixture(scope="module")
def trained():
    """A VAE of digits, some of their test images, and what is estimated of these."""
    images = digits.images(binarised="static", seed=0)
    network = {"latent": 4, "body": "dense", "widths": [32], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", {"shape": [8, 8, 1], "levels": 2, "classes": 10}, network, 0)
    training.fit(model, images, 0, epochs=5, batch_size=64, learning_rate=3e-3)
    return model, images.test.x[:70], importance.Importance(model, 3).estimate(images.test.x[:70], 1000, 2.0)


def test_a_trained_run_equals_plain_numpy(trained):
    """L_k of a VAE from its weights, with numpy and float64 alone, given the same noise."""
    (model, x, found), scale = trained, 2.0
    weights = {w.path: np.asarray(w, "float64") for w in model.weights}
    (w1, b1, w2, b2), (v1, c1, v2, c2) = ([weights[w.path] for w in part.weights] for part in (model.encoder, model.decoder))
    for image in (0, 31, 69):
        flat = x[image].reshape(-1).astype(float)
        mean, log_var = np.split(elu((2 * flat - 1) @ w1 + b1) @ w2 + b2, 2)
        units = [model.eps(100, place(3, image, unit))["z"] for unit in range(10)]
        eps = np.concatenate(units).astype(float)
        sd = np.sqrt(scale * np.exp(log_var))
        z = mean + sd * eps
        logits = elu(z @ v1 + c1) @ v2 + c2
        p = expit(logits)
        log_x = (flat * np.log(p) + (1 - flat) * np.log1p(-p)).sum(axis=1)
        log_z = -0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=1)
        log_q = -0.5 * (eps**2 + np.log(2 * np.pi * sd**2)).sum(axis=1)
        w = log_x + log_z - log_q
        for k in (1, 10, 100, 1000):
            known = (logsumexp(w.reshape(-1, k), axis=1) - np.log(k)).mean()
            assert found.curve[k][image] == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize("size", [1, 7, 20])
def test_images_of_a_tile_do_not_move_the_mean_of_a_trained_run(trained, size, monkeypatch):
    """Nor whether the last tile is filled up; 64 images are together else."""
    model, x, found = trained
    monkeypatch.setattr(importance, "TOGETHER", size * 100 * 64 * 2)  # draws of a block, pixels, levels
    done = []
    again = importance.Importance(model, 3).estimate(x, 1000, 2.0, progress=lambda last, left: done.append(last))
    assert done[0] == size
    assert abs(again.log_prob.mean() - found.log_prob.mean()) < 1e-5
    np.testing.assert_allclose(again.log_prob, found.log_prob, atol=1e-4)


def test_draws_from_the_prior_bound_the_weights_and_bias_nothing():
    model, images = calibration.line(60)
    from pipeline.evidence import integral

    truth = integral.gaussian(model, images.test.x)
    plain, mixed = (importance.Importance(model, 0, share) for share in (0.0, 0.5))
    found, wide = (each.estimate(images.test.x, 2000, 8.0) for each in (plain, mixed))
    ratio = np.exp(wide.log_prob - truth)
    assert abs(ratio.mean() - 1) < 4 * score.standard_error(ratio)
    assert wide.variance.mean() > 1.3 * found.variance.mean()  # half the draws are spent elsewhere
    q = model.posterior(images.test.x[:8])
    noise = [mixed.noise(i, 0) for i in range(8)]
    eps = {"q": {"z": np.stack([n["q"]["z"] for n in noise], 1)}, "which": np.stack([n["which"] for n in noise], 1)}
    w = np.asarray(mixed.mixed(images.test.x[:8], q, eps, 1e-4))  # draws of q hit nothing at all
    z = np.where(eps["which"][..., None] < 0.5, eps["q"]["z"], model.propose(q, eps["q"], 1e-4)[0])
    most = np.asarray(model.log_likelihood(images.test.x[:8], z)) - np.log(0.5)
    assert np.all(w <= most + 1e-3)


def test_the_width_is_chosen_with_other_noise_than_the_estimate_has():
    model, images = calibration.line(10)
    sampler = importance.Importance(model, 0)
    assert not np.array_equal(sampler.noise(0, 0)["q"]["z"], sampler.noise(0, 0, "sweep")["q"]["z"])
    row = sampler.sweep(images.test.x, 500, [4.0])[0]
    assert not np.any(row["log_prob"] == sampler.estimate(images.test.x, 500, 4.0).log_prob)

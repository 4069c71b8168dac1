"""What is asked of a trained model: chosen on validation images, equal to plain numpy, and never done twice."""

import os
import subprocess
import sys

import models as small
import numpy as np
import pandas as pd
import pytest
from known import Gaussian
from scipy.special import expit, logsumexp

from pipeline import Refusal, calibration, evidence, models, store, training
from pipeline.base import generator
from pipeline.data import digits
from pipeline.data.store import Images, Split
from pipeline.evidence import importance, score, summary
from pipeline.params import ROOT

pytestmark = pytest.mark.backend
BASELINES = {"independent_nats": np.inf, "chain_nats": None}


def asked(model, images, kept=None, progress=lambda done, left: None, **wished):
    return score.score(model, images, 0, evidence.settings(**wished), {} if kept is None else kept, progress)


def headline(model, tables) -> dict:
    return summary.headline(model, tables, "d", None, BASELINES, [])


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


def test_a_trained_run_equals_plain_numpy():
    """L_k of a VAE from its weights, with numpy and float64 alone, given the same noise."""
    images = digits.images(binarised="static", seed=0)
    network = {"latent": 4, "body": "dense", "widths": [32], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", {"shape": [8, 8, 1], "levels": 2, "classes": 10}, network, 0)
    training.fit(model, images, 0, epochs=5, batch_size=64, learning_rate=3e-3)
    x, scale = images.test.x[:70], 2.0
    found = importance.Importance(model, 3).estimate(x, 1000, scale)
    weights = {w.path: np.asarray(w, "float64") for w in model.weights}
    (w1, b1, w2, b2), (v1, c1, v2, c2) = ([weights[w.path] for w in part.weights] for part in (model.encoder, model.decoder))
    for image in (0, 31, 69):
        flat = x[image].reshape(-1).astype(float)
        mean, log_var = np.split(elu((2 * flat - 1) @ w1 + b1) @ w2 + b2, 2)
        units = [model.eps(100, generator(3, "importance", image, unit))["z"] for unit in range(10)]
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


def test_an_estimate_goes_on_where_it_was_stopped(tmp_path):
    """Tiles that are there are not computed, and the numbers have the same bytes."""
    model, images = calibration.line(100)
    wished = {"draws": 300, "scales": [4.0], "annealed": 40, "temperatures": 20, "chains": 4}
    whole = asked(model, images, **wished)
    started = []

    def stop(done, left):
        started.append(done)
        if len(started) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), store.unfinished("estimate", "r", "f") as folder:
        asked(model, images, store.Finished(folder), stop, **wished)
    with store.unfinished("estimate", "r", "f") as folder:
        assert len(store.Finished(folder)) == 5  # two tiles of the estimate, two of the bound, one of annealing
        before = {name: (folder / f"{name}.npz").stat().st_mtime_ns for name in store.Finished(folder)}
        again = asked(model, images, store.Finished(folder), **wished)
        assert {name: (folder / f"{name}.npz").stat().st_mtime_ns for name in before} == before
    for name, table in whole.items():
        assert table.equals(again[name]), name
    assert not (store.SCRATCH / "estimate" / "r").exists()


def test_what_other_inputs_left_is_not_used():
    with pytest.raises(KeyboardInterrupt), store.unfinished("estimate", "s", "old") as folder:
        store.Finished(folder)["tile"] = {"x": np.ones(2)}
        raise KeyboardInterrupt
    with store.unfinished("estimate", "s", "new") as folder:
        assert "tile" not in store.Finished(folder)
    assert not (store.SCRATCH / "estimate" / "s").exists()


MEMORY = """
import resource
import numpy as np
from pipeline import backend
backend.start(backend="tensorflow", threads=2, precision="float32")
from pipeline import models
from pipeline.evidence.importance import Importance
spec = {"shape": [14, 14, 1], "levels": 2, "classes": None}
network = {"latent": 8, "body": "dense", "widths": [64], "likelihood": "bernoulli"}
sampler = Importance(models.build("latent", "vae", spec, network, 0), 0)
x = (np.random.default_rng(0).random((1000, 14, 14, 1)) < 0.3).astype("uint8")
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
sampler.estimate(x[:100], 1000)
before = most()
sampler.estimate(x[:100], 10000)
more_draws = most() - before
sampler.estimate(x, 1000)
print(more_draws, most() - before - more_draws)
"""


def test_memory_grows_neither_with_draws_nor_with_images():
    env = os.environ | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", MEMORY], env=env, capture_output=True, text=True, check=True, cwd=ROOT)
    more_draws, more_images = map(float, done.stdout.split())
    assert more_draws < 50
    assert more_images < 50


def test_pareto_k_is_the_shape_of_a_known_tail():
    """Of exact Pareto draws; and of all weights the tail alone is kept."""
    rng = np.random.default_rng(0)
    for shape in (0.2, 0.5, 1.0):
        sums = importance.Sums(5000, 100, 20)
        w = rng.pareto(1 / shape, (5000, 20))
        for block in np.split(np.log1p(w), 50):
            sums.add(block)
        assert np.mean(sums.finish()["pareto_k"]) == pytest.approx(shape, abs=0.12)
        assert len(sums.largest) < 5000
    assert np.isnan(importance.pareto_k(np.zeros(1000)))
    assert np.isnan(importance.pareto_k(np.zeros(3)))


def test_a_tile_does_not_depend_on_how_many_images_there_are():
    """So that a few images at a time, or on several machines, give the bytes of all at once."""
    model = small.perturbed(
        models.build(
            "latent",
            "vae",
            {"shape": [4, 4, 1], "levels": 2, "classes": None},
            {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"},
            0,
        ),
        0,
        0.3,
    )
    x = small.images(model, 70)
    sampler = importance.Importance(model, 0)
    whole, few = sampler.estimate(x, 200), sampler.estimate(x[:5], 200)
    np.testing.assert_array_equal(whole.log_prob[:5], few.log_prob)


def test_the_width_is_chosen_with_other_noise_than_the_estimate_has():
    model, images = calibration.line(10)
    sampler = importance.Importance(model, 0)
    assert not np.array_equal(sampler.noise(0, 0)["q"]["z"], sampler.noise(0, 0, "sweep")["q"]["z"])
    row = sampler.sweep(images.test.x, 500, [4.0])[0]
    assert not np.any(row["log_prob"] == sampler.estimate(images.test.x, 500, 4.0).log_prob)


def test_errors_of_several_seeds_are_those_of_their_mean():
    found = summary.over_seeds(pd.DataFrame({"gain": [1.0, 3.0, np.nan], "gain_se": [0.3, 0.4, np.nan], "none": np.nan}))
    assert found == {"gain": 2.0, "gain_se": pytest.approx(0.25)}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({}, ""),
        (
            {"annealed_gain_nats": 0.2, "annealed_gain_se": 0.01},
            "annealing finds the images 0.20 nats likelier: the headline is",
        ),
        ({"annealed_gain_nats": 0.2, "annealed_gain_se": 0.06}, ""),
        ({"annealed_gain_nats": 0.2, "annealed_gain_se": 0.01, "direction": "exact"}, "likelier: one of the two is wrong"),
        ({"bdmc_gap_nats": 0.6}, "annealing is 0.60 nats unsure"),
        ({"heavy_tailed": 0.6}, "the weights of 60 % of the images are heavy-tailed"),
        ({"heavy_tailed": 0.6, "annealed_gain_nats": 0.0, "annealed_gain_se": 0.1}, ""),
        ({"ess": 2.0}, "fewer than 5 draws count for 100 % of the images"),
        ({"ess": 2.0, "estimator": "enumeration", "direction": "exact"}, ""),
    ],
)
def test_what_is_doubtful_is_said_and_what_is_not_is_not(changed, said):
    found = {"estimator": "importance", "direction": "nll_too_high", "heavy_tailed": 0.1} | changed
    images = pd.DataFrame({"ess": [changed.get("ess", 50.0)] * 4})
    estimates = pd.DataFrame({"estimator": [found["estimator"]], "nll_nats": [10.0], "nll_mc_se": [0.01]})
    doubts = summary.doubts(found, images, estimates)
    assert len(doubts) == bool(said)
    assert said in "".join(doubts)


def test_points_that_are_too_far_apart_are_said():
    estimates = pd.DataFrame({"estimator": ["quadrature"], "nll_nats": [10.0], "nll_mc_se": [0.2]})
    found = {"estimator": "quadrature", "direction": "exact"}
    assert summary.doubts(found, pd.DataFrame({"ess": [np.nan]}), estimates) == [
        "the points of the quadrature are too far apart, by 0.20 nats"
    ]

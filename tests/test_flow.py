"""What flows promise: the same there and back, log-determinants, densities that integrate to 1, probabilities that sum to 1."""

import models as small
import numpy as np
import pytest
from keras import ops
from scipy.special import expit, logsumexp
from scipy.stats import norm

from pipeline import Refusal, backend, evidence, models
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.gates import jacobian
from pipeline.models.flow.blocks import Normed, apart
from pipeline.models.flow.coupling import Coupling

pytestmark = pytest.mark.backend
MODELS = {
    "nice": ("coupling", {"coupling": "additive", "mixing": "none", "steps": 2, "hidden": [8]}),
    "realnvp": ("coupling", {"coupling": "affine", "mixing": "linear", "steps": 2, "hidden": [8]}),
    "variational": ("coupling", {"coupling": "affine", "mixing": "none", "steps": 2, "hidden": [8], "dequantiser": [8]}),
    "maf": ("maf", {"direction": "maf", "steps": 2, "hidden": [8]}),
    "iaf": ("maf", {"direction": "iaf", "steps": 2, "hidden": [8]}),
}
each_model = pytest.mark.parametrize("name", MODELS)


def made(name: str, shape=(2, 1, 1), levels=3, scale=0.3, seed=0):
    """Away from its initial weights; a matrix not so far that it is hardly one of full rank."""
    model, network = MODELS[name]
    scale = min(scale, 0.2) if network.get("mixing") == "linear" else scale
    spec = {"shape": list(shape), "levels": levels, "classes": None}
    return small.perturbed(models.build("flow", model, spec, network, seed), seed, scale)


@each_model
def test_a_flow_and_its_inverse_undo_each_other(name):
    model, rng = made(name, (3, 2, 1), scale=0.2), generator(0)
    z = rng.standard_normal((200, 6), "float32")
    y = model.back(z)
    assert apart(model.flow(y)[0], z) < 1e-5
    assert apart(model.back(model.flow(z)[0]), z) < 1e-5
    found = np.linalg.slogdet(jacobian(lambda y: model.flow(y)[0], y).astype(float))[1]
    np.testing.assert_allclose(model.flow(y)[1], found, rtol=1e-5, atol=1e-5)


def test_the_jacobian_of_the_logit_is_that_of_automatic_differentiation():
    """Of y by x + u, at every level: dy / d logit(u), divided by du / d logit(u)."""
    model, rng = made("realnvp", levels=5), generator(0)
    level = rng.integers(0, 5, (40, 2)).astype("float32")
    u = 3 * rng.standard_normal((40, 2), "float32")
    y, found = model.logit({"x": level, "u": ops.convert_to_tensor(u)})
    slope = jacobian(lambda u: model.logit({"x": level, "u": u})[0], u)
    log_slope = np.log(np.diagonal(slope, axis1=-2, axis2=-1).astype(float))
    by_u = np.log(expit(u.astype(float))) + np.log(expit(-u.astype(float)))
    np.testing.assert_allclose(found, (log_slope - by_u).sum(axis=-1), rtol=1e-4, atol=1e-4)
    value = level + expit(u.astype(float))
    np.testing.assert_allclose(y, np.log(value / (5 - value)), rtol=1e-5, atol=1e-5)


def test_at_the_edge_of_a_level_every_number_is_finite_and_right():
    """u that a float32 cannot tell from 0 or 1, below and above all levels."""
    model = made("realnvp")
    level, u = np.array([[0, 2], [0, 0], [1, 1]], "float32"), np.array([[-120, 120], [30, -120], [40, -40]], "float32")
    y, slope = model.logit({"x": level, "u": u})
    # log u = -120 at level 0: y = -120 - log 3; and so at the top
    expected = [[-120 - np.log(3), 120 + np.log(3)], [np.log(0.5), -120 - np.log(3)], [np.log(2), np.log(0.5)]]
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    assert np.isfinite(slope).all()
    _, gradient = backend.value_and_gradient(lambda u: model.logit({"x": level, "u": u})[1], ops.convert_to_tensor(u))
    assert np.isfinite(gradient).all()


@each_model
def test_the_density_of_two_numbers_integrates_to_one(name):
    model = made(name, scale=0.3)
    side = np.linspace(-40, 40, 1001, dtype="float32")
    y = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    z, log_det = model.flow(ops.convert_to_tensor(y))
    log_p = norm.logpdf(np.asarray(z, float)).sum(axis=-1) + np.asarray(log_det, float)
    assert np.exp(log_p).sum() * (side[1] - side[0]) ** 2 == pytest.approx(1, abs=2e-3)
    assert np.abs(np.asarray(z) - y).mean() > 0.1


def every_image() -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(3)] * 2, indexing="ij"), axis=-1).reshape(-1, 2, 1, 1).astype("uint8")


def integrals(model, x, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """log E[exp w] and E[w] of each image of two numbers, over a grid of their noise."""
    side = np.linspace(-9, 9, 257, dtype="float32")
    eps = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    noise = {"z": np.repeat(eps, len(x), axis=1)}
    w = np.asarray(model.weigh(x, model.posterior(x), noise, None, scale), float)
    log_p = norm.logpdf(eps.astype(float)).sum(axis=-1) + 2 * np.log(side[1] - side[0])
    return logsumexp(log_p + w, axis=0), (np.exp(log_p) * w).sum(axis=0)


@each_model
def test_the_probabilities_of_all_images_sum_to_one_and_the_bound_is_below(name):
    model, x = made(name), every_image()
    log_p, bound = integrals(model, x)
    assert np.exp(log_p).sum() == pytest.approx(1, abs=1e-3)
    assert (bound <= log_p).all()
    assert (log_p - bound).max() > 0.01
    terms = model.terms(np.repeat(x, 2000, axis=0), model.eps(18_000, generator(1)))
    drawn = -np.asarray(terms["loss"]).reshape(9, 2000)
    assert (np.abs(drawn.mean(axis=-1) - bound) < 5 * drawn.std(axis=-1) / np.sqrt(2000)).all()


@each_model
def test_samples_have_the_frequencies_that_the_density_claims(name):
    model, draws = made(name), 40_000
    p = np.exp(integrals(model, every_image())[0])
    drawn = np.asarray(model.sample(model.noise(draws, generator(3))))[:, :, 0, 0]
    share = np.bincount(3 * drawn[:, 0].astype(int) + drawn[:, 1], minlength=9) / draws
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / draws) + 1e-3).all()


def test_a_wider_learned_proposal_leaves_the_expected_weight():
    model, x = made("variational"), every_image()
    (narrow, bound), (wide, other) = (integrals(model, x, scale) for scale in (1.0, 2.0))
    np.testing.assert_allclose(np.exp(narrow), np.exp(wide), atol=1e-3)
    assert np.abs(bound - other).min() > 0.01


def test_uniform_noise_is_uniform():
    model = made("realnvp")
    grid = norm.ppf((np.arange(2000) + 0.5) / 2000).astype("float32")
    z, log_q = model.propose(model.posterior(every_image()[:1]), {"z": np.stack([grid, -grid], axis=-1)[:, None]})
    u = expit(np.asarray(z["u"], float))[:, 0]
    np.testing.assert_allclose(u[:, 0], (np.arange(2000) + 0.5) / 2000, atol=1e-5)
    np.testing.assert_allclose(u.sum(axis=-1), 1, atol=1e-5)
    np.testing.assert_array_equal(log_q, 0)


def test_a_level_that_is_not_the_images_has_no_probability():
    model, x = made("nice"), every_image()
    z, _ = model.propose(model.posterior(x), {"z": np.zeros((1, 9, 2), "float32")})
    np.testing.assert_array_equal(model.log_likelihood(x, z), np.zeros((1, 9)))
    assert (np.asarray(model.log_likelihood(x[::-1], z))[0, [0, 1, 2, 3, 5, 6, 7, 8]] < -1e29).all()


@each_model
def test_an_image_is_what_its_code_decodes_to(name):
    model = made(name, (3, 3, 1), levels=17)
    x = small.images(model, 30)
    np.testing.assert_allclose(model.reconstruct(x), x, atol=1e-3)
    z = model.prior(model.noise(30, generator(0)))
    assert set(np.unique(z["x"])) <= set(range(17))
    assert np.isfinite(model.log_prior({name: leaf[None] for name, leaf in z.items()})).all()


@each_model
def test_what_arrives_at_a_scale_has_mean_0_and_variance_1_after_it_at_first(name):
    model, network = MODELS[name]
    flow = models.build("flow", model, {"shape": [3, 2, 1], "levels": 5, "classes": None}, network, 0)
    x = generator(0).integers(0, 3, (500, 3, 2, 1)).astype("uint8")
    flow.adapt(x, None, generator(1))
    rng = generator(1)
    some = x[rng.choice(500, 500, replace=False)]  # the same noise again
    z = flow.propose(flow.posterior(some), {name: leaf[None] for name, leaf in flow.eps(500, rng).items()})[0]
    y, seen = flow.logit(z)[0][0], 0
    for step in flow.steps:
        y = step(y)[0]
        if isinstance(step, Normed):
            seen += 1
            np.testing.assert_allclose(np.mean(y, axis=0), 0, atol=1e-4)
            np.testing.assert_allclose(np.var(y, axis=0), 1, atol=1e-3)
    assert seen >= 2


def test_of_two_masked_steps_every_number_sees_all():
    model, z = made("maf", (3, 2, 1)), generator(0).standard_normal((4, 6), "float32")
    assert np.abs(jacobian(lambda z: model.flow(z)[0], z)).min() > 0


def test_the_parts_of_a_coupling_take_turns():
    model = made("nice", (2, 2, 1))
    one, other = (step for step in model.steps if isinstance(step, Coupling))
    np.testing.assert_array_equal(one.mask + other.mask, 1)
    y = generator(0).standard_normal((5, 4), "float32")
    np.testing.assert_array_equal(np.asarray(one(y)[0])[:, one.mask == 1], y[:, one.mask == 1])
    assert np.abs(np.asarray(one(y)[0]) - y)[:, one.mask == 0].min() > 0


@each_model
def test_gates_pass_where_nothing_is_wrong(name):
    model = made(name, (3, 2, 1), levels=5, scale=0.2)
    x = small.images(model, 30)
    rows = model.gates(Images(Split(x), Split(x), Split(x), levels=5))
    assert len(rows) == 3
    assert all(row["passed"] for row in rows)


def test_a_flow_wants_levels_and_a_coupling_two_numbers():
    model, network = MODELS["nice"]
    with pytest.raises(Refusal, match="levels"):
        models.build("flow", model, {"shape": [2, 2, 1], "levels": None, "classes": None}, network, 0)
    with pytest.raises(Refusal, match="two parts"):
        models.build("flow", model, {"shape": [1, 1, 1], "levels": 3, "classes": None}, network, 0)


@pytest.mark.parametrize("wished", [{"annealed": 2, "start": "prior"}, {"integral": "gaussian"}])
def test_what_goes_from_one_z_to_another_is_not_for_flows(wished):
    kind = type(made("maf"))
    assert "z of this model holds the levels of its image" in evidence.misfit(kind, evidence.settings(**wished))
    assert evidence.misfit(kind, evidence.settings(draws=100)) is None

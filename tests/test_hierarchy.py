"""What only the hierarchy has: groups that see those above, two ways to merge, and a bound that a linear chain makes exact."""

import keras
import models as small
import numpy as np
import pytest
from gradients import gradient
from keras import ops
from scipy.stats import multivariate_normal, norm

from pipeline import models
from pipeline.base import generator
from pipeline.data.store import Images, Split
from pipeline.distributions import product_of_normals

pytestmark = pytest.mark.backend
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
GROUPS = [[3], [2, 3], [1, 2, 2]]
MERGES = ("network", "ladder")


def build(spec=BINARY, **network):
    chosen = {"merge": "ladder", "body": "dense", "widths": [8], "hidden": [8], "likelihood": "bernoulli"} | network
    return models.build("latent", "hierarchy", spec, chosen, 0)


def perturbed(groups, merge, **network):
    return small.perturbed(build(groups=groups, merge=merge, **network), 0, 0.4)


def draws(model, k, batch=3):
    return {"z": generator(0).standard_normal((k, batch, model.latent), "float32")}


def deviations(values, expected=0.0):
    """How many standard errors the mean of independent values [k, ...] is off."""
    return np.abs(values.mean(axis=0) - expected) / (values.std(axis=0, ddof=1) / len(values) ** 0.5)


class Chain:
    """z_1 -> ... -> z_L -> x, linear and Gaussian: z_l = a z_(l-1) + c + sqrt(v) noise, x = w z_L + b + s noise. As the columns
    of w are orthogonal, x says nothing of two dimensions of a group together, and q can be the posterior."""

    def __init__(self, depth: int, merge: str, **objective):
        rng = np.random.default_rng(depth)
        self.w = np.linalg.qr(rng.standard_normal((4, 2)))[0] * [1.5, 0.8]
        self.b, self.s2 = rng.standard_normal(4), 0.3
        self.steps = [(rng.uniform(0.7, 1.5, 2), rng.standard_normal(2), rng.uniform(0.3, 0.8, 2)) for _ in range(depth - 1)]
        mean, covariance, self.entropy = np.zeros(2), np.eye(2), norm.entropy() * 2
        for a, c, v in self.steps:
            mean, covariance = a * mean + c, a[:, None] * covariance * a + np.diag(v)
            self.entropy += norm.entropy(scale=v**0.5).sum()
        self.bottom = mean, covariance
        self.exact = multivariate_normal(self.w @ mean + self.b, self.w @ covariance @ self.w.T + self.s2 * np.eye(4))
        spec = {"shape": [2, 2, 1], "levels": None, "classes": None}
        sizes = {"groups": [2] * depth, "widths": [], "hidden": []}
        self.model = build(spec, merge=merge, likelihood="normal", **sizes, **objective)
        self.model.likelihood.log_variance.assign(np.log(self.s2))
        kernel = np.zeros((2 * depth, 4))
        kernel[-2:] = self.w.T
        self.model.decoder.set_weights([kernel, self.b])
        for above, (network, (a, c, v)) in enumerate(zip(self.model.priors, self.steps, strict=True), start=1):
            network.set_weights([self.from_parent(2 * above, a), np.concatenate([c, np.log(v)])])
        self.infer(depth, merge == "ladder")

    def from_parent(self, inputs, a):
        """[inputs, 4]: a mean of the two inputs that come last, and no variance of any."""
        return np.concatenate([np.zeros((inputs - 2, 4)), np.hstack([np.diag(a), np.zeros((2, 2))])])

    def infer(self, depth, ladder):
        """What x says of each group: a mean, affine in x, and a variance; from the bottom."""
        slope, offset, variance = self.w / (self.w**2).sum(0), None, self.s2 / (self.w**2).sum(0)
        offset = -self.b @ slope
        kernel, bias = np.zeros((4, 4 * depth)), np.zeros(4 * depth)
        for group in reversed(range(depth)):
            a, c, v = self.steps[group - 1] if group else (np.zeros(2), np.zeros(2), np.ones(2))
            own, spread = 1 / (1 / variance + 1 / v), slice(2 * (depth + group), 2 * (depth + group + 1))
            share = np.ones(2) if ladder else own / variance
            kernel[:, 2 * group : 2 * group + 2] = slope * share
            bias[2 * group : 2 * group + 2], bias[spread] = offset * share, np.log(variance if ladder else own)
            if group and not ladder:
                inputs = 4 + 2 * group
                weights = [self.from_parent(inputs, own / v * a), np.concatenate([own / v * c, np.zeros(2)])]
                self.model.corrections[group - 1].set_weights(weights)
            if group:
                slope, offset, variance = slope / a, (offset - c) / a, (variance + v) / a**2
        self.model.encoder.set_weights([kernel, bias])


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_with_the_right_parameters_every_weight_of_a_linear_chain_is_its_evidence(merge, depth):
    chain = Chain(depth, merge)
    x = np.asarray(generator(1).standard_normal((5, 2, 2, 1)) * 2, "float32")
    w = np.asarray(chain.model.log_weights(x, draws(chain.model, 50, 5)))
    np.testing.assert_allclose(w, np.broadcast_to(chain.exact.logpdf(x.reshape(5, 4)), w.shape), atol=2e-3)


@pytest.mark.parametrize("merge", MERGES)
def test_with_a_wrong_posterior_the_bound_of_a_linear_chain_stays_below_its_evidence(merge):
    chain = Chain(2, merge)
    small.perturbed(chain.model.encoder, 0, 0.1)
    x = np.asarray(generator(1).standard_normal((5, 2, 2, 1)) * 2, "float32")
    q, exact = chain.model.posterior(x), chain.exact.logpdf(x.reshape(5, 4))
    off, wide = (np.asarray(chain.model.weigh(x, q, draws(chain.model, 4000, 5), None, scale)) - exact for scale in (1.0, 4.0))
    assert (off.mean(axis=0) + 3 * off.std(axis=0) / 4000**0.5 < 0).all()
    assert deviations(np.exp(wide), 1.0).max() < 4  # wide enough for weights whose variance is finite


def test_ancestral_draws_have_the_moments_and_the_entropy_of_their_density():
    chain = Chain(3, "ladder")
    z = np.asarray(chain.model.prior(draws(chain.model, 20_000, 1)))
    assert deviations(np.asarray(chain.model.log_prior(z)), -chain.entropy).max() < 4
    mean, covariance = chain.bottom
    off = z[:, 0, -2:] - mean
    assert deviations(off).max() < 4
    assert deviations(off[:, :, None] * off[:, None, :], covariance).max() < 4


def test_the_product_of_two_gaussians_is_that_of_their_densities():
    rng = np.random.default_rng(0)
    (m, r), (n, s) = [(rng.standard_normal(50) * 2, rng.uniform(0.05, 4.0, 50)) for _ in range(2)]
    given = [[np.float32(mean), np.float32(np.log(variance))] for mean, variance in ((m, r), (n, s))]
    mean, log_var = (np.asarray(each) for each in product_of_normals(*given))
    variance = 1 / (1 / r + 1 / s)
    np.testing.assert_allclose(np.exp(log_var), variance, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(mean, (m / r + n / s) * variance, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("groups", GROUPS)
def test_the_divergences_of_the_groups_are_their_mean_log_ratios(groups, merge):
    model = perturbed(groups, merge)
    q = model.posterior(small.images(model, 3))
    z, log_q = model.propose(q, draws(model, 4000))
    rates = np.asarray(model.rates(q, z, log_q))
    assert rates.shape == (4000, 3, len(groups))
    whole = np.asarray(log_q - model.log_prior(z))
    assert deviations(whole - rates.sum(axis=-1)).max() < 4
    z, ends = np.asarray(z), np.cumsum(groups)
    for group, (start, end) in enumerate(zip(ends - groups, ends, strict=True)):
        (mean, log_var), (centre, width) = ([np.asarray(each) for each in model.at(group, z, which)] for which in (q, None))
        own = z[..., start:end]
        ratio = (norm.logpdf(own, mean, np.exp(log_var / 2)) - norm.logpdf(own, centre, np.exp(width / 2))).sum(axis=-1)
        assert deviations(ratio - rates[..., group]).max() < 4


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_log_q_of_any_z_is_that_of_a_proposal_there(merge, scale):
    model = perturbed([1, 2, 2], merge)
    q = model.posterior(small.images(model, 3))
    z, proposed = model.propose(q, draws(model, 7), scale)
    np.testing.assert_allclose(model.log_q(q, z, scale), proposed, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("merge", MERGES)
def test_noise_of_a_group_moves_it_and_those_below_and_its_scale_is_that_of_q(merge):
    """The log-density is then that of the draws: dz / d eps is triangular, with s_l on its diagonal."""
    model, step = perturbed([1, 2, 2], merge), 0.05
    q = model.posterior(small.images(model, 3))
    eps = draws(model, 1)["z"]
    log_var = np.asarray(model.everywhere(model.propose(q, {"z": eps}, 4.0)[0], q)[1])[0]
    for sampled in (lambda eps: model.propose(q, {"z": eps}, 4.0)[0], lambda eps: model.prior({"z": eps})):
        for i, first in enumerate([0, 1, 1, 3, 3]):
            moved = eps + step * np.eye(5, dtype="float32")[i]
            slopes = (np.asarray(sampled(moved)) - np.asarray(sampled(eps)))[0] / step
            assert (slopes[:, :first] == 0).all()
            group = slice(first, {0: 1, 1: 3, 3: 5}[first])
            others = np.delete(slopes[:, group], i - first, axis=-1)
            np.testing.assert_allclose(others, 0, atol=1e-4)
            assert (np.abs(slopes[:, group.stop :]) > 1e-4).all()
            if sampled.__code__.co_names[0] == "propose":
                np.testing.assert_allclose(slopes[:, i], 2 * np.exp(log_var[:, i] / 2), rtol=1e-3)


@pytest.mark.parametrize("merge", MERGES)
def test_q_sees_the_image_in_every_group_and_its_means_are_the_code(merge):
    model = perturbed([1, 2, 2], merge)
    x = small.images(model, 2)
    code = np.asarray(model.encode(x))
    q = model.posterior(x)
    np.testing.assert_allclose(code, np.asarray(model.everywhere(code[None], q)[0])[0], atol=1e-5)
    assert (np.abs(code[0] - code[1]) > 1e-4).all()


def test_before_training_the_prior_is_a_standard_normal():
    model = build(groups=[2, 3])
    eps = draws(model, 4)
    np.testing.assert_array_equal(model.prior(eps), eps["z"])


def test_gates_fail_where_a_group_is_empty_or_the_divergence_is_another():
    images = Images(*[Split(small.images(build(groups=[2]), 40))] * 3, levels=2)
    model = perturbed([1, 2, 2], "ladder")
    assert [row["passed"] for row in model.gates(images)] == [True] * 4
    kernel, bias = (np.array(each) for each in model.encoder.get_weights()[-2:])
    kernel[:, 5 + 1 : 5 + 3], bias[5 + 1 : 5 + 3] = 0, 20.0  # x says nothing of the second group
    model.encoder.set_weights([*model.encoder.get_weights()[:-2], kernel, bias])
    rows = model.gates(images)
    assert [row["gate"] for row in rows if not row["passed"]] == ["nats in group 2"]
    model.rates = lambda q, z, log_q: type(model).rates(model, q, z, log_q) + 0.1
    assert "standard errors from KL to log q - log p" in [row["gate"] for row in model.gates(images) if not row["passed"]]


@pytest.mark.parametrize("merge", MERGES)
def test_where_q_is_the_posterior_the_gradient_that_sticks_is_none(merge):
    """And DReG's: both hold the networks still that say how a group depends on those above, not the encoder alone."""
    x = np.asarray(generator(1).standard_normal((5, 2, 2, 1)) * 2, "float32")
    steepest = {}
    for objective, many in (("elbo", 1), ("sticking", 1), ("dreg", 3)):
        model = Chain(2, merge, objective=objective, draws=many).model
        posterior = type(model).posterior

        def loss(at, model=model, posterior=posterior):
            moved = dict(zip(("mean", "log_var"), ops.split(at, 2, axis=-1), strict=True)) | {"further": ops.zeros((5, 0))}
            model.posterior = lambda *given: keras.tree.map_structure(ops.add, posterior(model, *given), moved)
            return ops.sum(model.terms(x, model.training_noise(5, generator(0)), training=True)["loss"])

        steepest[objective] = np.abs(gradient(loss, np.zeros((5, 8), "float32"))).max()
    assert steepest["sticking"] < 1e-3
    assert steepest["dreg"] < 1e-3
    assert steepest["elbo"] > 0.1

"""What only an inverse autoregressive flow promises: who sees whom, gates on the diagonal, and exactness where it is linear."""

import models as small
import numpy as np
import pytest
from keras import ops
from linear import Known

from pipeline import models
from pipeline.base import generator
from pipeline.distributions import standard_normal
from pipeline.gates import jacobian
from pipeline.models.latent.iafvae import BIAS, Step

pytestmark = pytest.mark.backend
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 4, "body": "dense", "widths": [8], "likelihood": "bernoulli", "steps": 2, "hidden": [8], "context": 3}
WIDTHS = [[], [1], [4], [7], [16], [12, 5], [5, 12, 8]]


def reaches(d: int, hidden: list[int]) -> np.ndarray:
    """[i, j]: the number of ways from input j to the i-th outputs m and a."""
    ways = np.eye(d)
    for mask in Step(d, hidden).masks:
        ways = ways @ mask
    np.testing.assert_array_equal(ways[:, :d], ways[:, d:])
    return ways[:, :d].T


@pytest.mark.parametrize("d", [1, 2, 5, 8])
@pytest.mark.parametrize("hidden", WIDTHS)
def test_no_output_sees_its_own_input_or_a_later_one(d, hidden):
    assert np.triu(reaches(d, hidden)).max() == 0


@pytest.mark.parametrize("hidden", [[], [8], [24, 16]])
def test_every_output_sees_all_inputs_before_it(hidden):
    assert reaches(8, hidden)[np.tril_indices(8, -1)].min() > 0


@pytest.fixture(scope="module", params=WIDTHS, ids=str)
def step(request):
    made, rng = Step(4, request.param), generator(0)
    z, h = rng.standard_normal((6, 5, 4), "float32"), rng.standard_normal((5, 3), "float32")
    made(z, h)
    for weight in made.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape))
    return made, z, h


def test_a_steps_jacobian_is_triangular_with_its_gates_on_the_diagonal(step):
    made, z, h = step
    found = jacobian(lambda z: made(z, h)[0], z)
    np.testing.assert_array_equal(np.triu(found, 1), 0)
    gates = np.exp(np.asarray(made(z, h)[1]))
    np.testing.assert_allclose(np.diagonal(found, axis1=-2, axis2=-1), gates, rtol=1e-4, atol=1e-6)
    assert gates.max() < 1
    assert np.ptp(gates) > 0.1


def test_every_dimension_sees_all_of_the_context(step):
    made, z, h = step
    found = jacobian(lambda h: made(z, h)[0], np.broadcast_to(h, (6, 5, 3)))
    if made.masks[0].shape[1] >= 4:
        assert (np.abs(found).max(axis=(0, 1)) > 0).all()


def test_it_begins_near_identity():
    made, rng = Step(4, [8]), generator(0)
    z, h = rng.standard_normal((6, 5, 4), "float32"), np.zeros((5, 3), "float32")
    made(z, h)
    for layer in made.network:
        layer.kernel.assign(np.zeros(layer.kernel.shape))
    gate = 1 / (1 + np.exp(-BIAS))
    np.testing.assert_allclose(made(z, h)[0], gate * z, rtol=1e-5)
    assert gate > 0.7


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_log_q_is_what_automatic_differentiation_says(scale):
    model = small.perturbed(models.build("latent", "iafvae", BINARY, NETWORK, 0), 0, 0.3)
    q, eps = model.posterior(small.images(model, 5)), generator(0).standard_normal((3, 5, 4), "float32")
    found = jacobian(lambda eps: model.propose(q, {"z": eps}, scale)[0], eps)
    expected = np.asarray(standard_normal(ops.convert_to_tensor(eps))) - np.linalg.slogdet(found.astype(float))[1]
    np.testing.assert_allclose(model.propose(q, {"z": eps}, scale)[1], expected, rtol=1e-5, atol=1e-5)
    assert np.abs(found[..., *np.triu_indices(4, 1)]).min() > 0  # two steps, of which the second goes the other way
    assert np.abs(found[..., *np.tril_indices(4, -1)]).min() > 0


def test_a_linear_step_is_the_exact_posterior_of_a_linear_model():
    """z = gate z_0 + (1 - gate) m(z_0), m linear in what came before, is mu + L eps for any L."""
    known = Known("iafvae", steps=1, hidden=[], context=1)
    gate, flipped = 1 / (1 + np.exp(-BIAS)), np.eye(3)[::-1]
    factor = np.linalg.cholesky(flipped @ np.linalg.inv(known.precision) @ flipped)  # of z before it is reversed
    kernel, bias = known.kernel @ flipped, known.bias @ flipped
    below = np.tril(factor / np.diag(factor), -1) * gate / (1 - gate)  # dm / dz_0
    mix = np.linalg.inv(gate * np.eye(3) + (1 - gate) * below).T
    known.encode(kernel @ mix, bias @ mix, 2 * np.log(np.diag(factor) / gate), [0.0])
    (step,) = known.model.steps
    step.network[0].set_weights([np.concatenate([below.T, np.zeros((3, 3))], axis=1), np.zeros(6)])
    np.testing.assert_allclose(known.log_weights(), np.broadcast_to(known.truth, (4000, 40)), atol=0.01)

"""What only planar and radial flows promise: to be invertible, log-determinants, a density that integrates to 1, many modes."""

import models as small
import numpy as np
import pytest
from keras import ops

from pipeline import models
from pipeline.base import generator
from pipeline.gates import jacobian
from pipeline.models.latent.flowvae import planar, radial

pytestmark = pytest.mark.backend
BINARY = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"}
FLOWS = pytest.mark.parametrize("flow", [planar, radial])


def numbers(flow, d: int) -> int:
    return 2 * d + 1 if flow is planar else d + 2


@FLOWS
@pytest.mark.parametrize("d", [1, 2, 5])
def test_log_determinants_are_those_of_automatic_differentiation(flow, d):
    rng = generator(0)
    given = 0.7 * rng.standard_normal((200, numbers(flow, d)), "float32")
    z = 1.5 * rng.standard_normal((3, 200, d), "float32")
    found = np.asarray(flow(ops.convert_to_tensor(z), given)[1])
    sign, expected = np.linalg.slogdet(jacobian(lambda z: flow(z, given)[0], z).astype(float))
    assert sign.min() > 0
    assert np.abs(expected).mean() > 0.05
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)


@FLOWS
def test_whatever_the_encoder_says_the_flow_is_invertible(flow):
    """Along w, or away from the centre, it rises."""
    rng = generator(1)
    given = 8 * rng.standard_normal((500, numbers(flow, 2)), "float32")
    along = given[:, 2:4] if flow is planar else rng.standard_normal((500, 2), "float32")
    start = 0 if flow is planar else given[:, :2]
    along = along / np.linalg.norm(along, axis=-1, keepdims=True)
    z = start + along * np.linspace(-3, 3, 601, dtype="float32")[:, None, None]
    moved, log_det = flow(ops.convert_to_tensor(z), given)
    steps = np.diff(((np.asarray(moved) - start) * along).sum(axis=-1), axis=0)
    assert steps.min() > -1e-4
    assert np.isfinite(log_det).all()
    raw = given[:, :2] * given[:, 2:4] if flow is planar else given[:, 3:]
    assert raw.sum(axis=-1).min() < -5  # which unconstrained would not be


@FLOWS
def test_it_begins_at_identity(flow):
    """u = 0, or beta = 0."""
    given = generator(2).standard_normal((4, numbers(flow, 3)), "float32")
    given[:, :3] *= 0 if flow is planar else 1
    given[:, 4] = given[:, 3] if flow is radial else given[:, 4]
    z = generator(3).standard_normal((5, 4, 3), "float32")
    moved, log_det = flow(ops.convert_to_tensor(z), given)
    np.testing.assert_allclose(moved, z, atol=1e-6)
    np.testing.assert_allclose(log_det, 0, atol=1e-6)


def softplus(x):
    return np.logaddexp(0, x)


def back(flow, z: np.ndarray, given: np.ndarray) -> np.ndarray:
    """f^-1 of points [n, 2] for one image, by bisection of a rising function of one number, in float64."""
    if flow is planar:
        u, w, b = given[:2], given[2:4], given[4]
        u = u + (softplus(w @ u + np.log(np.e - 1)) - 1 - w @ u) * w / (w @ w)
        aim, rise = z @ w, lambda a: a + (w @ u) * np.tanh(a + b)
        low, high = aim - abs(w @ u) - 1, aim + abs(w @ u) + 1
    else:
        alpha, beta = softplus(given[2]), softplus(given[3]) - softplus(given[2])
        aim, rise = np.linalg.norm(z - given[:2], axis=-1), lambda r: r * (1 + beta / (alpha + r))
        low, high = np.zeros(len(z)), aim + abs(beta) + 1
    for _ in range(60):
        middle = (low + high) / 2
        above = rise(middle) > aim
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    if flow is planar:
        return z - np.tanh(low + b)[:, None] * u
    return given[:2] + (z - given[:2]) / (1 + beta / (alpha + low))[:, None]


@pytest.mark.parametrize("name", ["planar", "radial"])
def test_the_density_integrates_to_one(name):
    """Over a grid in two dimensions, each of whose points is taken back to its noise."""
    model = models.build("latent", "flowvae", BINARY, NETWORK | {"flow": name, "steps": 4}, 0)
    flow = 0.7 * generator(4).standard_normal((3, 4, numbers(model.step, 2)), "float32")
    still = np.zeros((3, 2), "float32")
    side = np.linspace(-10, 10, 400)
    points = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    eps = np.stack([points] * 3, axis=1)
    for image, step in np.ndindex(3, 4):
        eps[:, image] = back(model.step, eps[:, image], flow[image, 3 - step].astype(float))
    z, log_q = model.propose(
        {"mean": still, "log_var": still, "further": flow.reshape(3, -1) / model.size}, {"z": eps.astype("float32")}
    )
    np.testing.assert_allclose(z, np.stack([points] * 3, axis=1), atol=1e-4)
    assert np.abs(z - eps).max(axis=(0, 2)).min() > 0.4  # the flow does something
    total = np.exp(np.asarray(log_q, float)).sum(axis=0) * (side[1] - side[0]) ** 2
    np.testing.assert_allclose(total, 1, atol=0.01)


def test_widening_widens_what_the_flow_begins_with():
    model = small.perturbed(models.build("latent", "flowvae", BINARY, NETWORK | {"flow": "planar", "steps": 3}, 0), 0, 0.5)
    q, eps = model.posterior(small.images(model, 5)), generator(0).standard_normal((7, 5, 2), "float32")
    wide, narrow = model.propose(q, {"z": eps}, 4.0), model.propose(q, {"z": 2 * eps})
    np.testing.assert_allclose(wide[0], narrow[0], rtol=1e-5, atol=1e-5)
    apart = 1.5 * (eps**2).sum(axis=-1) - 2 * np.log(2)  # log N(eps) - log N(2 eps) - log 4^(d / 2)
    np.testing.assert_allclose(np.asarray(wide[1]) - np.asarray(narrow[1]), apart, rtol=1e-4, atol=1e-4)


def test_a_jacobian_has_a_row_for_each_output_and_a_column_for_each_input():
    from keras import ops

    z = np.array([[[1.0, 2.0, 3.0]], [[-1.0, 0.5, 2.0]]], "float32")
    found = jacobian(lambda z: ops.stack([z[..., 0] * z[..., 1], z[..., 2] ** 2, z[..., 2] ** 2], axis=-1), z)
    a, b, c = np.moveaxis(z, -1, 0)
    zero = np.zeros_like(a)
    last = np.stack([zero, zero, 2 * c], axis=-1)
    np.testing.assert_allclose(found, np.stack([np.stack([b, a, zero], axis=-1), last, last], axis=-2))

"""The four densities in the plane of Rezende and Mohamed (ICML 2015, table 1), which planar flows are fitted to.

Three of them go on for ever along z_1: here a wall stands at -4 and 4, so that they have an integral, found on a grid.
"""

import keras
import numpy as np
import pytest
from keras import ops

from pipeline import backend
from pipeline.base import generator
from pipeline.distributions import standard_normal
from pipeline.models.latent.flowvae import planar

pytestmark = pytest.mark.backend
STEPS, DRAWS, RATE = 4000, 64, 0.02


def bump(x, width: float):
    return -0.5 * ops.square(x / width)


def energies(z):
    """U_1 to U_4 [..., 4] of points [..., 4, 2], each at its own."""
    a, b = z[..., 0], z[..., 1]
    first = ops.sqrt(ops.square(a[..., 0]) + ops.square(b[..., 0]))
    ring = -bump(first - 2, 0.4) - ops.logaddexp(bump(a[..., 0] - 2, 0.6), bump(a[..., 0] + 2, 0.6))
    wave = b - ops.sin(0.5 * np.pi * a)  # z_2 - w_1
    hill, slope = 3 * ops.exp(bump(a[..., 2] - 1, 0.6)), 3 * ops.sigmoid((a[..., 3] - 1) / 0.3)  # w_2, w_3
    split = -ops.logaddexp(bump(wave[..., 2], 0.35), bump(wave[..., 2] + hill, 0.35))
    fork = -ops.logaddexp(bump(wave[..., 3], 0.4), bump(wave[..., 3] + slope, 0.35))
    wall = -bump(ops.relu(ops.abs(a) - 4), 0.3)
    return ops.stack([ring, -bump(wave[..., 1], 0.4), split, fork], axis=-1) + wall


def free_energy(q, eps, beta):
    """The mean of log q(z) + beta U(z) over draws, for each energy."""
    z = q["mean"] + ops.exp(q["log_s"]) * eps
    log_q = standard_normal(eps) - ops.sum(q["log_s"], axis=-1)
    for layer in range(q["flow"].shape[1]):
        z, log_det = planar(z, q["flow"][:, layer])
        log_q = log_q - log_det
    return ops.mean(log_q + beta * energies(z), axis=0)


def divergences(layers: int) -> np.ndarray:
    """KL(q || p) of a flow fitted by Adam to each energy, which comes up over the first half, as in the paper."""
    rng = generator(0)
    flow = 0.3 * rng.standard_normal((4, layers, 5), "float32")
    q = {"mean": np.zeros((4, 2), "float32"), "log_s": np.zeros((4, 2), "float32"), "flow": flow}

    def climb(q, eps):
        zeros = keras.tree.map_structure(ops.zeros_like, q)

        def step(t, carry):
            q, first, second = carry
            n = ops.cast(t, "float32")
            beta = ops.minimum(1.0, 0.01 + 2 * n / STEPS)
            _, slope = backend.value_and_gradient(lambda q: free_energy(q, eps[t], beta), q)
            first = keras.tree.map_structure(lambda m, g: 0.9 * m + 0.1 * g, first, slope)
            second = keras.tree.map_structure(lambda v, g: 0.99 * v + 0.01 * ops.square(g), second, slope)
            rate, grown, squared = RATE * (1 - n / STEPS), 1 - 0.9 ** (n + 1), 1 - 0.99 ** (n + 1)

            def moved(q, m, v):
                return q - rate * (m / grown) / (ops.sqrt(v / squared) + 1e-8)

            return keras.tree.map_structure(moved, q, first, second), first, second

        return ops.fori_loop(0, STEPS, step, (q, zeros, zeros))[0]

    q = backend.compiled(climb, fused=True)(q, rng.standard_normal((STEPS, DRAWS, 4, 2), "float32"))
    side = np.linspace(-8, 8, 401)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 1, 2).repeat(4, axis=1).astype("float32")
    mass = np.exp(-np.asarray(energies(ops.convert_to_tensor(grid)), float)).sum(axis=0) * (side[1] - side[0]) ** 2
    return np.asarray(free_energy(q, generator(1).standard_normal((20_000, 4, 2), "float32"), 1.0)) + np.log(mass)


def test_sixteen_planar_layers_are_less_than_half_as_far_off_as_two():
    few, many = divergences(2), divergences(16)
    assert many.min() > -0.02  # a divergence, but for the error of 20,000 draws
    assert few.min() > 0.1
    assert (many < 0.5 * few).all()
    assert many.max() < 0.5

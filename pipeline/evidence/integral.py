"""log p(x) = log of the integral of p(z) p(x | z) over z, where it can be had outright: three ways, each for its models.

enumeration: a sum over all maps of discrete codes. Beside it stands the bound that one map gives,
    log p(x) >= log p(x | z_q(x)) + log p(z_q(x)).
quadrature: over a latent of one or two dimensions, by equally spaced points (of a smooth function that ends at zero this rule
    is exact but for terms that vanish faster than any power of the spacing).
gaussian: in closed form, where log p(x, z) is quadratic in z: with its maximum z* and H = -d^2/dz^2 log p(x, z),
    log p(x) = log p(x, z*) + d/2 log 2 pi - 1/2 log det H.
"""

import time
from collections.abc import Callable

import keras
import numpy as np
from keras import ops
from scipy.special import logsumexp

from pipeline import Refusal, backend
from pipeline.base import Discrete, Latent, generator
from pipeline.distributions import LOG_2PI
from pipeline.evidence.tiles import silent

MOST = 1_000_000  # code maps that are summed at most
CHUNK = 100
TILE = 2**24  # floats that one compiled call may compare with images
POINTS, REACH, PRIOR = 192, 1.6, 10_000  # points per dimension, over this many times the range of so many prior draws


def bound(model: Discrete, x: np.ndarray) -> np.ndarray:
    """log p(x | z_q(x)) + log p(z_q(x)) of each image."""

    def one(x):
        z = model.quantise(x)[None]
        return (model.log_likelihood(x, z) + model.log_prior(z))[0]

    return backend.batched(one, CHUNK)(x).astype("float64")


def compiled_joint(model: Latent) -> Callable:
    """log p(x, z) [J, N] of every z with every image."""
    return backend.compiled(lambda x, z: model.log_likelihood(x, z[:, None]) + model.log_prior(z[:, None]))


def summed(
    model: Latent, x: np.ndarray, z_of: Callable, count: int, progress=silent, joint: Callable | None = None
) -> np.ndarray:
    """log sum_j p(x, z_j) of each image: every z is decoded once and compared with every image; sums run in float64."""
    cost = len(x) * model.spec.dims * (model.spec.levels or 1)
    chunk = int(min(count, max(1, TILE // cost)))
    joint = joint or compiled_joint(model)
    x, total, started = np.asarray(x), np.full(len(x), -np.inf), time.monotonic()
    for first in range(0, count, chunk):
        index = np.arange(first, first + chunk)
        w = joint(x, z_of(np.minimum(index, count - 1)))[index < count].astype("float64")
        total = np.logaddexp(total, logsumexp(w, axis=0))
        done = min(first + chunk, count)
        if done % (chunk * 50) == 0 or done == count:
            progress(len(x) * done // count, (time.monotonic() - started) / done * (count - done))
    return total


def enumeration(model: Discrete, x: np.ndarray, progress=silent) -> np.ndarray:
    """log p(x) of each image."""
    if not isinstance(model, Discrete):
        raise Refusal("integral: only discrete codes can be enumerated")
    count = model.codes**model.sites
    if count > MOST:
        raise Refusal(f"integral: {model.codes}^{model.sites} code maps are more than {MOST:,}")
    shape = (model.codes,) * model.sites
    return summed(model, x, lambda index: np.stack(np.unravel_index(index, shape), axis=-1).astype("int32"), count, progress)


def quadrature(model: Latent, x: np.ndarray, progress=silent) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) of each image, and how far the same sum over every other point in each dimension is from it."""
    draws = one_array(model, PRIOR)
    if draws.shape[1] > 2:
        raise Refusal(f"integral: quadrature is for one or two dimensions, z has {draws.shape[1]}")
    middle = (draws.max(axis=0) + draws.min(axis=0)) / 2
    ends = np.stack([middle, middle]) + REACH * np.outer([-0.5, 0.5], np.ptp(draws, axis=0))
    axes = np.linspace(*ends, POINTS)
    volume, joint = np.log(axes[1] - axes[0]).sum(), compiled_joint(model)

    def summing(every: int) -> np.ndarray:
        some = axes[::every]
        shape = (len(some),) * draws.shape[1]

        def z_of(index: np.ndarray) -> np.ndarray:
            at = np.unravel_index(index, shape)
            return np.stack([some[place, i] for i, place in enumerate(at)], axis=-1).astype("float32")

        total = summed(model, x, z_of, len(some) ** draws.shape[1], progress, joint)
        return total + volume + draws.shape[1] * np.log(every)

    fine = summing(1)
    return fine, np.abs(summing(2) - fine)


def gaussian(model: Latent, x: np.ndarray) -> np.ndarray:
    """log p(x) of each image. log p(x, z) is asked at enough z to know a quadratic, and at one more to know that it is one."""
    d = one_array(model, 1).shape[1]
    unit, pairs = np.eye(d), np.stack(np.triu_indices(d), axis=-1)
    points = np.concatenate([np.zeros((1, d)), unit, unit[pairs].sum(axis=1), np.full((1, d), -0.5)])
    z = np.repeat(points[:, None], CHUNK, axis=1).astype("float32")

    def joint_of(x, z):
        return ops.transpose(model.log_likelihood(x, z) + model.log_prior(z))

    joint = backend.batched(lambda x: joint_of(x, z), CHUNK)(x).astype("float64")
    at_zero, at_unit, at_pairs, at_last = joint[:, 0], joint[:, 1 : d + 1], joint[:, d + 1 : -1], joint[:, -1]
    h = np.zeros((len(x), d, d))
    for (i, j), value in zip(pairs, at_pairs.T, strict=True):
        h[:, i, j] = h[:, j, i] = at_unit[:, i] + at_unit[:, j] - at_zero - value
    slope = at_unit - at_zero[:, None] + 0.5 * np.diagonal(h, axis1=1, axis2=2)
    expected = at_zero + slope @ points[-1] - 0.5 * np.einsum("nij,i,j->n", h, points[-1], points[-1])
    sign, determinant = np.linalg.slogdet(h)
    if not np.allclose(at_last, expected, rtol=1e-5, atol=0.01) or np.any(sign <= 0):
        raise Refusal("integral: log p(x, z) of this model is not quadratic in z")
    best = np.linalg.solve(h, slope[..., None])[..., 0]
    peak = backend.batched(lambda x, z: joint_of(x, z[None])[:, 0], CHUNK)(x, best.astype("float32"))
    return peak + 0.5 * d * LOG_2PI - 0.5 * determinant


def one_array(model: Latent, count: int) -> np.ndarray:
    """Draws of p(z) [count, d]; refuses a z that is a tree or a map."""
    z = model.prior(model.eps(count, generator(0, "prior")))
    if isinstance(model, Discrete) or keras.tree.is_nested(z) or len(z.shape) != 2:
        raise Refusal("integral: z is not one vector of real numbers")
    return np.asarray(z, "float64")

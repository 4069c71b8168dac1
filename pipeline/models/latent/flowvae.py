"""VAE with a posterior that planar or radial flows transform: variational inference with normalizing flows.
D. J. Rezende and S. Mohamed, ICML 2015, https://arxiv.org/abs/1505.05770

    z_K = f_K o ... o f_1(z_0),   z_0 ~ N(mu(x), diag s^2(x))
    log q(z_K | x) = log q(z_0 | x) - sum_k log |det df_k / dz|                            (7)
    planar   f(z) = z + u tanh(w^T z + b),       det = 1 + (1 - tanh^2(w^T z + b)) w^T u                                (10-12)
    radial   f(z) = z + beta (z - c) / (alpha + r),   r = |z - c|,   h = 1 / (alpha + r)
             det = (1 + beta h)^(d - 1) (1 + beta h - beta h^2 r)                                                          (14)
    invertible where w^T u >= -1, or beta >= -alpha                                                              (appendix A)

The encoder gives u, w, b or c, alpha, beta of every step for each image; they are constrained before anything is computed with
them. At 0 the paper's constraint is w^T u = -1 + log 2; here it is shifted to 0. A sum over d dimensions, w^T z and w^T u, is
kept small at first by sqrt(d), by which the encoder's u, w and b are divided: a planar flow begins near identity.
"""

import math
from typing import Literal

from keras import ops

from pipeline.base import Count
from pipeline.models.latent.blocks import FlowLatent

SHIFT, TINY = math.log(math.e - 1.0), 1e-12  # softplus(SHIFT) = 1; a squared norm that may be divided by


def planar(z, given):
    """f(z) and log det [k, B], of z [k, B, d] and u, w, b [B, 2 d + 1] side by side."""
    d = z.shape[-1]
    u, w, b = given[..., :d], given[..., d : 2 * d], given[..., 2 * d]
    inner = ops.sum(w * u, axis=-1)
    above = ops.softplus(inner + SHIFT)  # 1 + w^T u as it is to be, above 0
    short = (above - 1.0 - inner) / ops.maximum(ops.sum(ops.square(w), axis=-1), TINY)
    u = u + short[..., None] * w
    h = ops.tanh(ops.sum(w * z, axis=-1) + b)
    squared = ops.square(h)
    return z + u * h[..., None], ops.log(squared + (1.0 - squared) * above)


def radial(z, given):
    """f(z) and log det [k, B], of z [k, B, d] and, side by side [B, d + 2], c, then alpha and alpha + beta before softplus."""
    d = z.shape[-1]
    alpha, above = ops.softplus(given[..., d]), ops.softplus(given[..., d + 1])
    apart = z - given[..., :d]
    r = ops.sqrt(ops.sum(ops.square(apart), axis=-1) + TINY)
    h = 1.0 / (alpha + r)
    along = r * r + 2.0 * alpha * r + alpha * above  # (1 + beta h - beta h^2 r) / h^2
    log_det = (d - 1) * ops.log((above + r) * h) + ops.log(along * h * h)
    return z + ((above - alpha) * h)[..., None] * apart, log_det


class Model(FlowLatent):
    """flow: planar or radial
    steps: K, how many flows follow one another
    """

    def __init__(self, spec, *, latent: Count, flow: Literal["planar", "radial"], steps: Count, **network):
        numbers = 2 * latent + 1 if flow == "planar" else latent + 2
        super().__init__(spec, latent, steps * numbers, **network)
        self.step, self.steps = planar if flow == "planar" else radial, steps
        self.size = latent**-0.5 if flow == "planar" else 1.0

    def flow(self, z, q):
        total = 0.0
        for given in ops.split(q["further"] * self.size, self.steps, axis=-1):
            z, log_det = self.step(z, given)
            total = total + log_det
        return z, total

"""VAE with a full-covariance Gaussian posterior.
D. P. Kingma and M. Welling, An Introduction to Variational Autoencoders, 2019, https://arxiv.org/abs/1906.02691, section 2.5.1

    q(z | x) = N(mu(x), L(x) L(x)^T),   L lower triangular:   L = L_mask * L' + diag(s)
    z = mu + L eps,   log q(z | x) = log N(eps; 0, I) - sum_j log s_j
    KL(q || p) = sum_j [1/2 (mu_j^2 + sum_i L_ji^2 - 1) - log s_j]

The j-th part of that sum is the rate of z_j given z_1, ..., z_{j-1}: the mean of KL(q(z_j | z_<j, x) || p(z_j)).
The encoder's L' is divided by d, so that at first the posterior is nearly diagonal, however many dimensions add up.
"""

import numpy as np
from keras import ops

from pipeline.base import Count, generator
from pipeline.distributions import standard_normal
from pipeline.models.latent.blocks import GaussianLatent

GATED, DRAWS = 200, 100  # validation images, and draws for each, on which the correlations have to be worth something


class Model(GaussianLatent):
    def __init__(self, spec, *, latent: Count, **network):
        super().__init__(spec, latent, latent * latent, **network)

    def factor(self, q):
        """L [B, d, d]."""
        d, deviation = self.latent, ops.exp(0.5 * q["log_var"])[..., None]
        lower = ops.reshape(q["further"], (-1, d, d)) / d
        return np.tri(d, k=-1, dtype="float32") * lower + np.eye(d, dtype="float32") * deviation

    def propose(self, q, eps, scale=1.0):
        wide = ops.sqrt(ops.cast(scale, "float32"))
        moved = ops.matmul(ops.swapaxes(eps["z"], 0, 1), ops.swapaxes(self.factor(q), 1, 2))  # (L eps)^T [B, k, d]
        z = q["mean"] + wide * ops.swapaxes(moved, 0, 1)
        log_det = 0.5 * ops.sum(q["log_var"], axis=-1) + self.latent * ops.log(wide)
        return z, standard_normal(eps["z"]) - log_det

    def log_q(self, q, z, scale=1.0):
        """log q(z | x) with its covariance times `scale` [k, B], of any z [k, B, d]."""
        wide = ops.sqrt(ops.cast(scale, "float32"))
        apart = ops.transpose(z - q["mean"], (1, 2, 0)) / wide
        eps = ops.transpose(ops.linalg.solve_triangular(self.factor(q), apart, lower=True), (2, 0, 1))
        return standard_normal(eps) - 0.5 * ops.sum(q["log_var"], axis=-1) - self.latent * ops.log(wide)

    def kl(self, q):
        squares = ops.sum(ops.square(self.factor(q)), axis=-1)
        return 0.5 * (ops.square(q["mean"]) + squares - 1.0 - q["log_var"])

    def independent(self, q):
        """The Gaussian without correlations that has the least KL to q: of q's mean, and of q's precision on the diagonal."""
        factor = self.factor(q)
        one = ops.broadcast_to(ops.eye(self.latent), ops.shape(factor))
        inverse = ops.linalg.solve_triangular(factor, one, lower=True)
        return q | {"log_var": -ops.log(ops.sum(ops.square(inverse), axis=-2)), "further": ops.zeros_like(q["further"])}

    def gates(self, images):
        """The bound with these correlations less the bound without them, on the same noise: less two standard errors."""
        from pipeline.gates import at_least

        x = np.asarray(images.valid.x[:GATED])
        eps = {"z": generator(0, "correlations").standard_normal((DRAWS, len(x), self.latent), "float32")}
        q = self.posterior(x)
        worth = np.asarray(self.weigh(x, q, eps) - self.weigh(x, self.independent(q), eps)).mean(axis=0)
        least = worth.mean() - 2.0 * worth.std(ddof=1) / len(x) ** 0.5
        row = at_least("nats that the posterior's correlations are worth, at least", least, 0.0)
        return [*super().gates(images), row]

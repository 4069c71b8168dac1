"""Hierarchical variational autoencoder: groups of latent variables, each given those above it; and the ladder.
D. J. Rezende, S. Mohamed and D. Wierstra, ICML 2014, https://arxiv.org/abs/1401.4082
C. K. Sønderby, T. Raiko, L. Maaløe, S. K. Sønderby and O. Winther, NeurIPS 2016, https://arxiv.org/abs/1602.02282

    p(z) = N(z_1; 0, I) prod_l N(z_l; m_l, v_l),   m_l, v_l functions of z_<l;   q(z | x) = prod_l N(z_l; mu_l, s_l^2)
    log p(x) >= E_q log p(x | z) - sum_l E_q KL(q(z_l | x, z_<l) || p(z_l | z_<l))
    network    (mu_l, log s_l^2) = (e_l, log r_l) + f_l(e_l, log r_l, z_<l)
    ladder     s_l^-2 = r_l^-1 + v_l^-1,   mu_l = s_l^2 (e_l / r_l + m_l / v_l)            (the second's section 2.2)

where an encoder says N(e_l, r_l) from x alone. The ladder merges z_1 with N(0, I), too, and normalises no batches. The decoder
sees all groups: one that reaches x through the noise of others only is the first to be emptied.
"""

from typing import Annotated, Literal

import numpy as np
from annotated_types import MinLen
from keras import ops

from pipeline import nn
from pipeline.base import Count, generator
from pipeline.distributions import kl_of_normals, normal, product_of_normals, standard_normal
from pipeline.models.latent.blocks import COLLAPSED, GaussianLatent, LatentModel


class Model(GaussianLatent):
    """groups: dimensions of each group of z, from the top
    merge: what q makes of the encoder and the groups above: a network of both, or, as the ladder, their product with the prior
    hidden: units of each hidden layer of the networks from group to group"""

    kl = LatentModel.kl  # no closed form: it depends on what is drawn above

    def __init__(
        self,
        spec,
        *,
        groups: Annotated[list[Count], MinLen(1)],
        merge: Literal["network", "ladder"],
        hidden: list[Count],
        **network,
    ):
        super().__init__(spec, sum(groups), **network)
        self.ladder, ends = merge == "ladder", [sum(groups[: i + 1]) for i in range(len(groups))]
        self.slices = [slice(end - size, end) for end, size in zip(ends, groups, strict=True)]
        lower = list(zip(ends, groups[1:], strict=False))  # how many dimensions lie above a group, and its own
        self.priors = [nn.normals(hidden, above, size) for above, size in lower]
        self.corrections = [] if self.ladder else [nn.normals(hidden, above + 2 * size, size) for above, size in lower]

    def at(self, group: int, z, q=None):
        """p(z_l | z_<l), or given q q(z_l | x, z_<l): a mean and a log-variance [..., d_l]. Of z [..., d] only z_<l is seen."""
        own, above = self.slices[group], z[..., : self.slices[group].start]
        nothing = ops.zeros_like(z[..., own])
        prior = nn.moments(self.priors[group - 1], above) if group else [nothing, nothing]
        if q is None:
            return prior
        estimate = [q["mean"][..., own] + nothing, q["log_var"][..., own] + nothing]
        if self.ladder or group == 0:
            return product_of_normals(estimate, prior) if self.ladder else estimate
        further = nn.moments(self.corrections[group - 1], ops.concatenate([*estimate, above], axis=-1))
        return [one + other for one, other in zip(estimate, further, strict=True)]

    def everywhere(self, z, q=None):
        """The same of all groups [..., d]."""
        parts = [self.at(group, z, q) for group in range(len(self.slices))]
        return [ops.concatenate(each, axis=-1) for each in zip(*parts, strict=True)]

    def propose(self, q, eps, scale=1.0):
        z, log_density = eps["z"], standard_normal(eps["z"])
        for group, own in enumerate(self.slices):
            mean, log_var = self.at(group, z, q)
            log_var = log_var + ops.log(scale)
            z = ops.concatenate([z[..., : own.start], mean + ops.exp(0.5 * log_var) * z[..., own], z[..., own.stop :]], axis=-1)
            log_density = log_density - 0.5 * ops.sum(log_var, axis=-1)
        return z, log_density

    def log_q(self, q, z, scale=1.0):
        mean, log_var = self.everywhere(z, q)
        return ops.sum(normal(z, mean, log_var + ops.log(scale)), axis=-1)

    def prior(self, eps):
        return self.propose(None, eps)[0]

    def log_prior(self, z):
        return self.log_q(None, z)

    def rates(self, q, z, log_q):
        """KL(q(z_l | x, z_<l) || p(z_l | z_<l)) of each group, at the z_<l that were drawn [k, B, groups]."""
        kl = kl_of_normals(self.everywhere(z, q), self.everywhere(z))
        return ops.stack([ops.sum(kl[..., own], axis=-1) for own in self.slices], axis=-1)

    def encode(self, x, y=None):
        """The means, each at the means above it."""
        return self.propose(self.posterior(x), {"z": ops.zeros((1, ops.shape(x)[0], self.latent))})[0][0]

    def gates(self, images):
        """No group is empty; and the mean of log q - log p is that of the divergences at the parents drawn."""
        from pipeline.gates import at_least, at_most

        q = self.posterior(np.asarray(images.valid.x[:200]))
        z, log_q = self.propose(q, {"z": generator(0, "hierarchy").standard_normal((100, *q["mean"].shape), "float32")})
        rates = np.asarray(self.rates(q, z, log_q))
        off = np.mean(np.asarray(log_q - self.log_prior(z)) - rates.sum(axis=-1), axis=1)
        errors = abs(off.mean()) / (off.std(ddof=1) / len(off) ** 0.5)
        nats = [at_least(f"nats in group {i + 1}", each, COLLAPSED) for i, each in enumerate(rates.mean(axis=(0, 1)))]
        return [*super().gates(images), *nats, at_most("standard errors from KL to log q - log p", errors, 4.0)]

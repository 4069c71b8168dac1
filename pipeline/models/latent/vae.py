"""Variational autoencoder: auto-encoding variational Bayes.
D. P. Kingma and M. Welling, ICLR 2014, https://arxiv.org/abs/1312.6114
D. J. Rezende, S. Mohamed and D. Wierstra, ICML 2014, https://arxiv.org/abs/1401.4082

    p(x, z) = p(z) p(x | z),   p(z) = N(0, I),   q(z | x) = N(mu(x), diag s^2(x))
    log p(x) >= ELBO = E_q log p(x | z) - KL(q(z | x) || p(z))                        (3)
    z = mu + s eps,   eps ~ N(0, I)                                                   (4)
    KL = 1/2 sum_j (mu_j^2 + s_j^2 - log s_j^2 - 1)                                   (10, appendix B)
"""

import numpy as np

from pipeline.base import Count
from pipeline.models.latent.blocks import GaussianLatent


class Model(GaussianLatent):
    def __init__(self, spec, *, latent: Count, **network):
        super().__init__(spec, latent, **network)

    def gates(self, images):
        """And does bits-back coding give the images back, for what the bound says they cost?"""
        from pipeline import coding
        from pipeline.gates import at_least, at_most

        rows = super().gates(images)
        if not coding.simple(self):
            return rows
        x = np.asarray(images.test.x[: coding.IMAGES])
        found = coding.bits_back(self, x)
        off, from_mean = (abs(found["net"] - found[name]) for name in ("one", "bound"))
        return [
            *rows,
            at_least("bits back: images that came back", found["images"], len(x)),
            at_most("bits back: net length off the bound at the same codes, a share", off / found["one"], 0.02),
            at_most("bits back: net length off the mean bound, in standard errors", from_mean / found["bound_se"], 4),
            at_most("bits back: bits lent to the first image, a share of the net length", found["lent"] / found["net"], 0.05),
        ]

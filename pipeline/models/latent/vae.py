"""Variational autoencoder: auto-encoding variational Bayes.
D. P. Kingma and M. Welling, ICLR 2014, https://arxiv.org/abs/1312.6114
D. J. Rezende, S. Mohamed and D. Wierstra, ICML 2014, https://arxiv.org/abs/1401.4082

    p(x, z) = p(z) p(x | z),   p(z) = N(0, I),   q(z | x) = N(mu(x), diag s^2(x))
    log p(x) >= ELBO = E_q log p(x | z) - KL(q(z | x) || p(z))                        (3)
    z = mu + s eps,   eps ~ N(0, I)                                                   (4)
    KL = 1/2 sum_j (mu_j^2 + s_j^2 - log s_j^2 - 1)                                   (10, appendix B)
"""

from typing import Annotated

from annotated_types import Ge
from keras import ops

from pipeline import nn
from pipeline.base import Count, Fraction, NonNegative, Positive
from pipeline.distributions import kl_to_standard_normal, standard_normal
from pipeline.likelihoods import LikelihoodName, Variance
from pipeline.models.latent.blocks import LatentModel


class Model(LatentModel):
    def __init__(
        self,
        spec,
        *,
        latent: Count,
        body: nn.Body,
        widths: list[Count],
        likelihood: LikelihoodName,
        variance: Variance = "shared",
        components: Count = 5,
        dropout: Fraction = 0.0,
        beta: Positive = 1.0,
        beta_warmup: Annotated[int, Ge(0)] = 0,
        free_bits: NonNegative = 0.0,
    ):
        super().__init__(spec, latent, likelihood, variance, components, beta, beta_warmup, free_bits)
        height, width, _ = spec.shape
        self.encoder = nn.encoder(body, widths, spec.shape, 2 * latent, dropout)
        self.decoder = nn.decoder(body, widths, latent, (height, width, self.likelihood.outputs), dropout)

    def posterior(self, x, y=None, training=False):
        mean, log_var = ops.split(self.encoder(self.spec.scaled(x), training=training), 2, axis=-1)
        return {"mean": mean, "log_var": log_var}

    def propose(self, q, eps, scale=1.0):
        log_var = q["log_var"] + ops.log(scale)
        z = q["mean"] + ops.exp(0.5 * log_var) * eps["z"]
        return z, standard_normal(eps["z"]) - 0.5 * ops.sum(log_var, axis=-1)

    def kl(self, q):
        return kl_to_standard_normal(q["mean"], q["log_var"])

    def encode(self, x, y=None):
        return self.posterior(x, y)["mean"]

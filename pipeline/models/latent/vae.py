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

from pipeline import nn
from pipeline.base import Count, Fraction, NonNegative, Positive
from pipeline.likelihoods import LikelihoodName, Variance
from pipeline.models.latent.blocks import GaussianLatent


class Model(GaussianLatent):
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

    def parameters(self, x, z, training=False):
        return self.decoder(z, training=training)

    def decode(self, code, y=None):
        return self.likelihood.mean(self.decoder(code))

    def sample(self, noise, y=None):
        return self.likelihood.sample(self.decoder(self.prior(noise)), noise["x"])

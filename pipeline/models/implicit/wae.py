"""Wasserstein autoencoder: an autoencoder whose codes, all together, are to look like draws from a prior.
I. Tolstikhin, O. Bousquet, S. Gelly and B. Schoelkopf, ICLR 2018, https://arxiv.org/abs/1711.01558

    min  E_x c(x, g(f(x))) + lambda D(q_z, p_z),   q_z the distribution of f(x),   p_z = N(0, I),   c = |x - x'|^2      (4)
    D = MMD^2 with inverse multiquadratics, of a batch of codes and as many draws from the prior            (algorithm 2)
    D = E_x -log C(f(x)),   C a critic that tells draws from the prior from codes                           (algorithm 1)

Both f and g are functions. g(z) with z ~ p_z is a sample, but of no density: there is no likelihood, and no bound on one. A
critic's loss says nothing of how far apart codes and prior are; so with one, too, it is MMD that is validated and reported.
"""

import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import Count, Encodes, Fraction, NonNegative, Positive, generator
from pipeline.distributions import squared_mmd
from pipeline.models.implicit.blocks import Implicit, rivals, share_further

TESTED = 500  # codes, at most, of the test whether they can be told from the prior


class Model(Implicit, Encodes):
    """penalty: lambda, what the distance of the codes from the prior costs
    critic: units of the layers of a network that learns to tell codes from draws of the prior; null: MMD is minimised
    damping: what a steep critic costs: gamma of R1, cited in blocks.py
    """

    def __init__(
        self,
        spec,
        *,
        latent: Count,
        body: nn.Body,
        widths: list[Count],
        penalty: Positive,
        critic: list[Count] | None = None,
        damping: NonNegative = 0.0,
        dropout: Fraction = 0.0,
    ):
        super().__init__(spec, latent)
        self.penalty, self.damping = penalty, damping
        self.f = nn.encoder(body, widths, spec.shape, latent, dropout)
        self.g = nn.decoder(body, widths, latent, spec.shape, dropout)
        self.critic = None if critic is None else nn.encoder("dense", critic, (latent,), 1, 0.0)

    def made(self, z, training=False):
        return self.g(z, training=training)

    def encode(self, x, y=None, training=False):
        return self.f(self.spec.scaled(x), training=training)

    def decode(self, code, y=None):
        return self.spec.unscaled(self.made(code))

    def terms(self, x, eps, y=None, training=False):
        z, prior = self.encode(x, y, training), eps["z"]
        distortion = ops.sum(ops.square(self.spec.scaled(x) - self.made(z, training)), axis=(1, 2, 3))
        distance = self.penalty * squared_mmd(z, prior) + ops.zeros_like(distortion)
        loss = distortion + distance
        if training and self.critic is not None:
            critic, encoder = rivals(self.critic, prior, z, self.damping)
            loss = distortion + self.penalty * encoder + critic
        return {"loss": loss, "distortion": distortion, "distance": distance}

    def gates(self, images):
        """Can the codes of test images be told from the prior? Both are mixed to see what chance makes of it."""
        from pipeline.gates import at_least

        x, rng = np.asarray(images.test.x[:TESTED]), generator(0, "permutations")
        share = share_further(np.asarray(self.encode(x)), self.eps(len(x), rng)["z"], rng)
        return [at_least("codes of test images and prior: share of permutations that are further apart", share, 0.01)]

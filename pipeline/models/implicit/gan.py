"""Generative adversarial network, with the objective of the generator that does not saturate.
I. Goodfellow, J. Pouget-Abadie, M. Mirza et al., NeurIPS 2014, https://arxiv.org/abs/1406.2661

    critic     max  E_x log D(x) + E_z log(1 - D(G(z)))                                        (1)
    generator  max  E_z log D(G(z)),   z ~ N(0, I)                                             (section 3)

D = sigmoid of the critic's number. Both are climbed in the same step, each with the other held fixed. There is no p(x), and
neither objective says how good samples are; so a generator is validated by the distance of a set of samples from as many
images, and the best epoch is the one with the least: MMD on pixels, which nothing is trained on.
"""

import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import Count, Fraction, NonNegative, generator
from pipeline.distributions import squared_mmd
from pipeline.models.implicit.blocks import Implicit, rivals

DRAWN, KNOWN = 2000, 5000  # samples that are asked for their class; training images, at most, that tell it
EVEN, PART, GOOD, MODES = 0.92, 0.25, 0.9, 7 / 8  # what samples have to show: see `gates`


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2.0 * a @ b.T


def entropy(labels: np.ndarray) -> float:
    share = np.bincount(labels) / len(labels)
    return float(-np.sum(share * np.log(np.where(share > 0, share, 1.0))))


class Model(Implicit):
    """damping: what a steep critic costs, gamma of the cited R1
    dropout: of the critic
    """

    def __init__(
        self,
        spec,
        *,
        latent: Count,
        body: nn.Body,
        widths: list[Count],
        damping: NonNegative = 0.0,
        dropout: Fraction = 0.0,
    ):
        super().__init__(spec, latent)
        self.damping = damping
        self.generator = nn.decoder(body, widths, latent, spec.shape, 0.0)
        self.critic = nn.encoder(body, widths, spec.shape, 1, dropout)

    def made(self, z, training=False):
        x = self.generator(z, training=training)
        return x if self.spec.levels is None else ops.tanh(x)

    def terms(self, x, eps, y=None, training=False):
        real, fake = self.spec.scaled(x), self.made(eps["z"], training)
        if training:
            critic, maker = rivals(self.critic, real, fake, self.damping)
            return {"loss": critic + maker}
        flat = [ops.reshape(each, (-1, self.spec.dims)) for each in (real, fake)]
        distance = squared_mmd(*flat) + ops.zeros_like(flat[0][:, 0])
        return {"loss": distance, "distance": distance}

    def gates(self, images):
        """Are samples of all classes, each told by the training image that is nearest? And where images are points, a class
        being a normal distribution: how many lie within three standard deviations of its mean, and of how many classes?"""
        from pipeline.gates import at_least

        if images.train.y is None:
            return []
        scale = 1.0 if images.levels is None else images.levels - 1.0
        drawn = self.sample(self.noise(DRAWN, generator(0, "gates")))
        drawn, known = (np.reshape(x, (len(x), -1)).astype(float) / scale for x in (drawn, images.train.x[:KNOWN]))
        y = np.asarray(images.train.y[:KNOWN])
        told = y[np.argmin(squared_distances(drawn, known), axis=1)]
        rows = [at_least("entropy of the classes of samples, in that of the data's", entropy(told) / entropy(y), EVEN)]
        if images.levels is not None:
            return rows
        means = np.stack([known[y == c].mean(axis=0) for c in np.unique(y)])
        deviation = np.sqrt(np.mean(np.square(known - means[np.searchsorted(np.unique(y), y)])))
        apart = squared_distances(drawn, means)
        good = apart.min(axis=1) <= (3.0 * deviation) ** 2
        counts = np.bincount(apart.argmin(axis=1)[good], minlength=len(means))
        covered = np.mean(counts >= PART * DRAWN / len(means))
        return [
            *rows,
            at_least("share of samples within three deviations of a mode", good.mean(), GOOD),
            at_least("share of modes with a quarter of their samples at least", covered, MODES),
        ]

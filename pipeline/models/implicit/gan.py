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
PART, FAR, GOOD, MODES = 0.25, 1.5, 0.9, 7 / 8  # what samples have to show: see `gates`


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2.0 * a @ b.T


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
        """Are samples of all classes, each told by the training image that is nearest, and as near to one as test images are?
        Where images are points, a class being a normal distribution: how many lie within three standard deviations of its mean,
        and of how many classes?"""
        from pipeline.data.store import training_images
        from pipeline.gates import at_least, at_most

        if images.train.y is None:
            return []
        scale, y = 1.0 if images.levels is None else images.levels - 1.0, np.asarray(images.train.y[:KNOWN])
        drawn = self.sample(self.noise(DRAWN, generator(0, "gates")))
        kinds = (drawn, training_images(images)[:KNOWN], images.test.x[:DRAWN])
        drawn, known, tests = (np.reshape(x, (len(x), -1)).astype(float) / scale for x in kinds)
        apart, usual = squared_distances(drawn, known), squared_distances(tests, known).min(axis=1)
        classes, told = np.unique(y, return_inverse=True)
        share = np.bincount(told[np.argmin(apart, axis=1)], minlength=len(classes)) / len(drawn) * len(classes)
        rows = [at_least("least share of a class among samples, in an even one", share.min(), PART)]
        if self.spec.shape != (1, 2, 1):
            far = np.mean(apart.min(axis=1)) / np.mean(usual)
            return [*rows, at_most("squared distance to the nearest training image, in that of test images", far, FAR)]
        means = np.stack([known[y == c].mean(axis=0) for c in classes])
        deviation = np.sqrt(np.mean(np.square(known - means[told])))
        apart = squared_distances(drawn, means)
        good = apart.min(axis=1) <= (3.0 * deviation) ** 2
        counts = np.bincount(apart.argmin(axis=1)[good], minlength=len(means))
        covered = np.mean(counts >= PART * len(drawn) / len(means))
        return [
            at_least("share of samples within three deviations of a mode", good.mean(), GOOD),
            at_least("share of modes with a quarter of their samples at least", covered, MODES),
        ]

"""A VAE with categorical codes, trained through the Concrete, or Gumbel-softmax, distribution.
C. J. Maddison, A. Mnih and Y. W. Teh, ICLR 2017, https://arxiv.org/abs/1611.00712
E. Jang, S. Gu and B. Poole, ICLR 2017, https://arxiv.org/abs/1611.01144

    log p(x) >= E_q log p(x | z) - KL(q(z | x) || p(z)),   q(z | x) = prod_m Categorical(a_m(x))
    z = argmax_k (log a_k + g_k) ~ Categorical(a),   g = -log(-log u)                 (Jang et al., 1)
    y = softmax((log a + g) / T)                                                     (Jang et al., 2)

In training the decoder is given y for the one-hot z, so that a gradient reaches a, while T falls. The rate is the KL of the
categorical distributions at all times, not that of the relaxed densities, so the loss of training is no bound. Outside
training z is drawn: what is validated and selected is the bound of discrete codes.
"""

import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import Count, Positive, generator
from pipeline.distributions import relaxed, uniforms
from pipeline.models.categorical.blocks import CategoricalLatent

DRAWS, GAP = 50, 1.0  # of each image; nats


class Model(CategoricalLatent):
    """first: the temperature before training
    last: that to which it falls
    cooling: the steps of training in which it does
    """

    def __init__(self, spec, *, first: Positive = 1.0, last: Positive = 0.5, cooling: Count, **network):
        super().__init__(spec, **network)
        self.first, self.fall, self.clock = first, last / first, nn.Clock(cooling)

    def temperature(self, training=False):
        """Falls by the same factor in each of the first steps of training, and not outside it."""
        return self.first * ops.power(self.fall, self.clock(training=training))

    def training_noise(self, n: int, rng: np.random.Generator) -> dict:
        return {**self.eps(n, rng), "gumbel": uniforms((n, self.sites, self.codes), rng)}

    def terms(self, x, eps, y=None, training=False):
        q = self.posterior(x, y, training)
        if training:
            soft = relaxed(q["logits"], eps["gumbel"], self.temperature(training=True))
            distortion = -self.likelihood.log_prob(x, self.decoded(soft, training))
        else:
            z, _ = self.propose(q, {"z": eps["z"][None]})
            distortion = -self.log_likelihood(x, z)[0]
        rate = ops.sum(self.kl(q), axis=-1)
        return {"loss": distortion + rate, "distortion": distortion, "rate": rate}

    def gain(self, x, rng: np.random.Generator) -> float:
        """Nats by which the bound of relaxed codes, at the present temperature, lies above that of discrete ones:
        E log p(x | y) - E log p(x | z), where z is the draw that y relaxes, so that most of the noise cancels."""
        logits, found = self.posterior(x)["logits"], []
        for _ in range(DRAWS):
            soft = relaxed(logits, uniforms(logits.shape, rng), self.temperature())
            hard = ops.one_hot(ops.argmax(soft, axis=-1), self.codes)
            log_p = [self.likelihood.log_prob(x, self.decoded(y)) for y in (soft, hard)]
            found.append(float(ops.mean(log_p[0] - log_p[1])))
        return float(np.mean(found))

    def gates(self, images):
        """Is what was trained near what is reported, and are the codes used?"""
        from pipeline.gates import at_least, at_most

        x = np.asarray(images.test.x)
        apart = abs(self.gain(x, generator(0, "relaxed")))
        return [
            at_most("nats between the bounds of relaxed and of discrete codes", apart, GAP),
            at_least("perplexity of the codes, as a share of their number", self.perplexity(x) / self.codes, 0.5),
        ]

"""What latent-variable models share: the objective, and what is the same for every posterior with a N(0, I) prior."""

import keras
import numpy as np
from keras import ops

from pipeline.base import Latent, Trainable
from pipeline.distributions import LikelihoodName, likelihood, standard_normal, uniforms


class Warmup(keras.layers.Layer):
    """beta rises linearly from 0 to 1 over the first `steps` steps of training; outside training it is 1."""

    def __init__(self, steps: int):
        super().__init__(dtype="float32")
        self.steps = steps
        self.clock = self.add_weight(name="clock", shape=(), initializer="zeros", trainable=False)

    def call(self, rate, training=False):
        if not training or not self.steps:
            return rate
        self.clock.assign_add(1.0)
        return rate * ops.minimum(self.clock / self.steps, 1.0)


class LatentModel(Trainable, Latent):
    """-ELBO = distortion + rate,   distortion = -E_q log p(x | z),   rate = KL(q(z | x) || p(z)).

    In training the rate is weighted by beta, also in the training loss of the history; outside training beta is 1, so that
    what is validated, selected and reported is the bound itself.

    latent: the dimension of z
    likelihood: p(x | z): bernoulli for two levels, categorical or discretised-normal for any, normal for real values
    beta_warmup: the steps of training over which beta rises from 0 to 1
    """

    def __init__(self, spec, latent: int, likelihood_name: LikelihoodName, beta_warmup: int):
        super().__init__(spec)
        self.latent, self.likelihood_name = latent, likelihood_name
        self.likelihood, self.warm = likelihood(likelihood_name, spec), Warmup(beta_warmup)

    def terms(self, x, eps, y=None, training=False):
        q = self.posterior(x, y, training)
        z, _ = self.propose(q, {"z": eps["z"][None]})
        distortion = -self.log_likelihood(x, z, y, training)[0]
        rate = self.rate(q)
        return {"loss": distortion + self.warm(rate, training=training), "distortion": distortion, "rate": rate}

    def eps(self, n: int, rng: np.random.Generator) -> dict:
        return {"z": rng.standard_normal((n, self.latent), "float32")}

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return {**self.eps(n, rng), "x": uniforms((n, *self.spec.shape), rng)}

    def prior(self, eps):
        return eps["z"]

    def log_prior(self, z):
        return standard_normal(z)

    def log_likelihood(self, x, z, y=None, training=False):
        """Decodes [k, B, d] as one batch of k B."""
        k, batch = ops.shape(z)[0], ops.shape(z)[1]
        params = self.decoder(ops.reshape(z, (k * batch, self.latent)), training=training)
        return self.likelihood.log_prob(x, ops.reshape(params, (k, batch, *params.shape[1:])))

    def decode(self, code, y=None):
        return self.likelihood.mean(self.decoder(code))

    def sample(self, noise, y=None):
        return self.likelihood.sample(self.decoder(self.prior(noise)), noise["x"])

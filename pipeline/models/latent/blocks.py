"""What latent-variable models share: the objective, what is the same for every posterior with a N(0, I) prior, and the
Gaussian posterior."""

from abc import abstractmethod

import keras
import numpy as np
from keras import ops

from pipeline.base import Latent, Trainable
from pipeline.distributions import kl_to_standard_normal, normal, standard_normal, uniforms
from pipeline.likelihoods import LikelihoodName, Variance, named

COLLAPSED = 0.1  # nats: a code that carries less says nothing of the image


class Warmup(keras.layers.Layer):
    """beta rises linearly from 0 over the first `steps` steps of training; outside training it is 1."""

    def __init__(self, beta: float, steps: int):
        super().__init__(dtype="float32")
        self.beta, self.steps = beta, steps
        self.clock = self.add_weight(name="clock", shape=(), initializer="zeros", trainable=False)

    def call(self, rate, training=False):
        if not training:
            return rate
        if self.steps:
            self.clock.assign_add(1.0)
            rate = rate * ops.minimum(self.clock / self.steps, 1.0)
        return self.beta * rate


class LatentModel(Trainable, Latent):
    """-ELBO = distortion + rate,   distortion = -E_q log p(x | z),   rate = KL(q(z | x) || p(z)).

    In training the rate is weighted by beta (Higgins et al., ICLR 2017), and a dimension whose mean rate over the batch is
    below `free_bits` counts as that much, so that nothing is gained by emptying it (Kingma et al., NeurIPS 2016, C.8); the
    training loss in the history is so, too. Outside training there is neither: what is validated, selected and reported is
    the bound itself.

    latent: the dimension of z
    beta: weight of the rate in training
    beta_warmup: the steps of training over which beta rises from 0
    free_bits: nats per dimension of z which cost nothing in training
    """

    def __init__(
        self,
        spec,
        latent: int,
        likelihood_name: LikelihoodName,
        variance: Variance,
        components: int,
        beta: float,
        beta_warmup: int,
        free_bits: float,
    ):
        super().__init__(spec)
        self.latent, self.likelihood_name, self.free_bits = latent, likelihood_name, free_bits
        self.likelihood, self.warm = named(likelihood_name, spec, variance, components), Warmup(beta, beta_warmup)

    @abstractmethod
    def parameters(self, x, z, training=False):
        """Of p(x | z) [k B, H, W, outputs] for z [k B, d], k codes for each x [B, H, W, C], which not every decoder sees."""

    def terms(self, x, eps, y=None, training=False):
        q = self.posterior(x, y, training)
        z, _ = self.propose(q, {"z": eps["z"][None]})
        distortion, kl = -self.log_likelihood(x, z, y, training)[0], self.kl(q)
        rate = ops.sum(kl, axis=-1)
        paid = rate
        if training and self.free_bits:
            paid = ops.sum(ops.maximum(ops.mean(kl, axis=0), self.free_bits)) + ops.zeros_like(rate)
        return {"loss": distortion + self.warm(paid, training=training), "distortion": distortion, "rate": rate}

    def warnings(self, x):
        """Has the code collapsed? Is the likelihood's scale as small as it may be?"""
        q = self.posterior(x)
        rate = float(ops.mean(ops.sum(self.kl(q), axis=-1)))
        found = [f"collapsed: the code carries {rate:.3f} nats"] if rate < COLLAPSED else []
        return found + self.likelihood.warnings(self.parameters(x, self.encode(x)))

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
        params = self.parameters(x, ops.reshape(z, (k * batch, self.latent)), training)
        return self.likelihood.log_prob(x, ops.reshape(params, (k, batch, *params.shape[1:])))


class GaussianLatent(LatentModel):
    """q(z | x) = N(mu(x), diag s^2(x))."""

    encoder: keras.layers.Layer

    def posterior(self, x, y=None, training=False):
        mean, log_var = ops.split(self.encoder(self.spec.scaled(x), training=training), 2, axis=-1)
        return {"mean": mean, "log_var": log_var}

    def propose(self, q, eps, scale=1.0):
        log_var = q["log_var"] + ops.log(scale)
        z = q["mean"] + ops.exp(0.5 * log_var) * eps["z"]
        return z, standard_normal(eps["z"]) - 0.5 * ops.sum(log_var, axis=-1)

    def log_q(self, q, z, scale=1.0):
        """log q(z | x) with its variance times `scale` [k, B], of any z [k, B, d]."""
        return ops.sum(normal(z, q["mean"], q["log_var"] + ops.log(scale)), axis=-1)

    def kl(self, q):
        return kl_to_standard_normal(q["mean"], q["log_var"])

    def encode(self, x, y=None):
        return self.posterior(x, y)["mean"]

"""What latent-variable models share: the objective, what is the same for every posterior with a N(0, I) prior, the
Gaussian posterior, and one that a flow makes of it."""

import math
from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from keras import ops

from pipeline import Refusal, backend, nn
from pipeline.base import Count, Fraction, Latent, NonNegative, Positive, Trainable, generator
from pipeline.distributions import kl_to_standard_normal, normal, standard_normal, uniforms
from pipeline.likelihoods import LikelihoodName, Variance, named

COLLAPSED = 0.1  # nats: a code that carries less says nothing of the image
GATED = 50  # validation images on which a flow's Jacobians are looked at
HELD = 0.5  # nats that a code may be off its capacity


class LatentModel(Trainable, Latent):
    """-ELBO = distortion + rate,   distortion = -E_q log p(x | z),   rate = KL(q(z | x) || p(z)).

    In training the rate is weighted by beta (Higgins et al., ICLR 2017), and a part whose mean rate over the batch is below
    `free_bits` counts as that much (Kingma et al., NeurIPS 2016, C.8); or it is held at a capacity (Burgess et al., 2018,
    https://arxiv.org/abs/1804.03599). Outside training there is none of this: what is validated and reported is the bound.

    With weights w_k = p(x, z_k) / q(z_k | x) of K draws, v_k = w_k / sum_j w_j, the objectives and how each is climbed:

        elbo      E mean_k log w_k    by d / d z_k through z = mu + s eps, the rate in closed form where there is one
        sticking  the same            without d log q / d phi at fixed z, whose mean is 0 (Roeder et al., NeurIPS 2017)
        score     the same            for phi: mean_k (log w_k - b_k) d log q / d phi at fixed z, b_k the mean of the others
        iwae      E log mean_k w_k    sum_k v_k d log w_k (Burda et al., ICLR 2016, equation 14)
        dreg      the same            for phi: sum_k v_k^2 (d log w_k / d z_k) d z_k / d phi (Tucker et al., ICLR 2019)

    https://arxiv.org/abs/1703.09194, https://arxiv.org/abs/1509.00519, https://arxiv.org/abs/1810.04152. That other draws make
    a baseline b_k is from Mnih & Rezende, ICML 2016, https://arxiv.org/abs/1602.06725; there it is one of the bound of iwae.

    latent: the dimension of z
    encoder_widths: of the encoder, where it is to be another than the decoder mirrored; null: it is that
    skip: whether every layer of the decoder sees z, and not the first alone
    objective: the bound that is climbed, and by which estimate of its gradient: elbo, sticking, score, iwae, or dreg
    draws: of z for each image of a batch
    beta: weight of the rate in training
    beta_warmup: the steps of training over which beta, or the capacity, rises from 0
    free_bits: nats of each part of the rate, a dimension of z or a group, which cost nothing in training
    capacity: nats that the code is held to: beta then weighs how far the mean rate is off; null: none
    """

    def __init__(
        self,
        spec,
        latent: int,
        further: int = 0,
        maps: int | None = None,
        *,
        body: nn.Body,
        widths: list[Count],
        likelihood: LikelihoodName,
        variance: Variance = "shared",
        components: Count = 5,
        dropout: Fraction = 0.0,
        encoder_widths: list[Count] | None = None,
        skip: bool = False,
        objective: Literal["elbo", "sticking", "score", "iwae", "dreg"] = "elbo",
        draws: Annotated[int, Ge(1), Le(1000)] = 1,
        beta: Positive = 1.0,
        beta_warmup: Annotated[int, Ge(0)] = 0,
        free_bits: NonNegative = 0.0,
        capacity: NonNegative | None = None,
    ):
        """The encoder says 2 d + `further` numbers; the decoder gives `maps`, or as many as the likelihood has parameters."""
        super().__init__(spec)
        self.latent, self.likelihood_name, self.objective, self.draws, self.skip = latent, likelihood, objective, draws, skip
        self.beta, self.free_bits, self.capacity, self.clock = beta, free_bits, capacity, nn.Clock(beta_warmup)
        self.likelihood = named(likelihood, spec, variance, components)
        down = widths if encoder_widths is None else encoder_widths
        self.encoder = nn.encoder(body, down, spec.shape, 2 * latent + further, dropout)
        self.decoder = nn.decoder(body, widths, latent, (*spec.shape[:2], maps or self.likelihood.outputs), dropout, skip)
        if objective != "elbo" and (beta, beta_warmup, free_bits, capacity) != (1.0, 0, 0.0, None):
            raise Refusal(f"network.objective: {objective} goes without beta, beta_warmup, free_bits and capacity")
        if objective in ("sticking", "score", "dreg") and type(self).log_q is Latent.log_q:
            raise Refusal(f"network.objective: {objective} wants log q of a given z, which this posterior cannot say")
        if free_bits and capacity is not None:
            raise Refusal("network.free_bits: what is free and what is held at a capacity cannot both be the rate; choose one")
        if objective in ("iwae", "dreg") and draws == 1:
            raise Refusal(f"network.draws: {objective} of one draw is the elbo; write 2 or more")

    def posterior(self, x, y=None, training=False):
        d, made = self.latent, self.encoder(self.spec.scaled(x), training=training)
        mean, log_var, further = ops.split(made, (d, 2 * d), axis=-1)
        return {"mean": mean, "log_var": log_var, "further": further}

    def parameters(self, x, z, training=False):
        """Of p(x | z) [k B, H, W, outputs] for z [k B, d], k codes for each x [B, H, W, C], which not every decoder sees."""
        return self.decoder(z, training=training)

    def decode(self, code, y=None):
        return self.likelihood.mean(self.decoder(code))

    def sample(self, noise, y=None):
        return self.likelihood.sample(self.decoder(self.prior(noise)), noise["x"])

    def price(self, rate):
        """What the rate [B] costs in training, beta times the rate, or times how far its mean is off the capacity."""
        risen = self.clock(training=True)
        if self.capacity is None:
            return self.beta * risen * rate
        return self.beta * ops.abs(ops.mean(rate) - self.capacity * risen) + ops.zeros_like(rate)

    def training_noise(self, n: int, rng: np.random.Generator) -> dict:
        """Leaves [n, ...], or [n, draws, ...] where there are several."""
        eps = self.eps(n * self.draws, rng)
        return eps if self.draws == 1 else {name: leaf.reshape(n, self.draws, *leaf.shape[1:]) for name, leaf in eps.items()}

    def terms(self, x, eps, y=None, training=False):
        eps = {name: leaf[None] if self.draws == 1 else ops.swapaxes(leaf, 0, 1) for name, leaf in eps.items()}
        q = self.posterior(x, y, training)
        z, log_q = self.propose(q, eps)
        if estimated := training and self.objective in ("sticking", "score", "dreg"):
            log_p, climbed = self.climbed(x, q, z, y)
        else:
            log_p = self.log_likelihood(x, z, y, training)
        rates = self.rates(q, z, log_q)
        distortion, rate = -ops.mean(log_p, axis=0), ops.mean(ops.sum(rates, axis=-1), axis=0)
        found = {"loss": distortion + rate, "distortion": distortion, "rate": rate}
        if training and self.objective == "elbo":
            if self.free_bits:
                rate = ops.sum(ops.maximum(ops.mean(rates, axis=(0, 1)), self.free_bits)) + ops.zeros_like(rate)
            found["loss"] = distortion + self.price(rate)
        if self.objective in ("iwae", "dreg"):
            bound = ops.logsumexp(log_p + self.log_prior(z) - log_q, axis=0) - math.log(self.draws)
            found |= {"loss": -bound, "tightening": -bound - found["loss"]}
        if estimated:  # the value of the one, the gradient of the other
            found["loss"] = ops.stop_gradient(found["loss"]) - (climbed - ops.stop_gradient(climbed))
        return found

    def climbed(self, x, q, z, y):
        """log p(x | z) [k, B], and what has the objective's gradient for its own [B]."""
        still = ops.stop_gradient(z)
        score = self.log_q(q, still)  # whose gradient is d log q / d phi at fixed z
        if self.objective == "sticking":
            log_p = self.log_likelihood(x, z, y, training=True)
            return log_p, ops.mean(log_p + self.log_prior(z) - (self.log_q(q, z) - score), axis=0)
        if self.objective == "score":
            log_p = self.log_likelihood(x, still, y, training=True)
            log_joint = log_p + self.log_prior(still)
            log_w = ops.stop_gradient(log_joint - score)
            others = (ops.sum(log_w, axis=0) - log_w) / (self.draws - 1) if self.draws > 1 else 0.0
            return log_p, ops.mean((log_w - others) * score + log_joint, axis=0)

        def weigh(z):
            return self.log_likelihood(x, z, y, training=True) + self.log_prior(z) - self.log_q(q, z)

        log_w, slope = backend.value_and_gradient(weigh, still)
        v, log_joint = ops.stop_gradient(ops.softmax(log_w, axis=0)), log_w + score
        through = ops.sum(ops.stop_gradient(slope) * z, axis=-1)
        return log_joint - self.log_prior(still), ops.sum(v * log_joint + ops.square(v) * through, axis=0)

    def mean_rate(self, x) -> float:
        q, eps = self.posterior(x), self.eps(len(x), generator(0, "collapsed"))
        z, log_q = self.propose(q, {name: leaf[None] for name, leaf in eps.items()})
        return float(ops.mean(ops.sum(self.rates(q, z, log_q), axis=-1)))

    def gates(self, images):
        """A capacity holds the code of test images, too."""
        from pipeline.gates import at_most

        if self.capacity is None:
            return []
        off = abs(self.mean_rate(np.asarray(images.test.x)) - self.capacity)
        return [at_most("|KL - capacity| of test images, nats", off, HELD)]

    def warnings(self, x):
        """Has the code collapsed? Is the likelihood's scale as small as it may be?"""
        rate = self.mean_rate(x)
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


class FlowLatent(GaussianLatent):
    """z_0 ~ N(mu(x), diag s^2(x)), and z = flow(z_0): log q(z | x) = log q(z_0 | x) - log |det dz / dz_0|.
    The mean of z has no formula: `encode` says where the flow takes the mean of z_0."""

    log_q, kl = Latent.log_q, Latent.kl  # only its own draws can be scored

    @abstractmethod
    def flow(self, z, q):
        """z of z_0 [k, B, d], and log |det dz / dz_0| [k, B]."""

    def propose(self, q, eps, scale=1.0):
        z, log_q = super().propose(q, eps, scale)  # of z_0, whose variance it is that is multiplied
        z, log_det = self.flow(z, q)
        return z, log_q - log_det

    def encode(self, x, y=None):
        q = self.posterior(x, y)
        return self.flow(q["mean"][None], q)[0][0]

    def looked_at(self, images):
        """q and z_0 [1, B, d] of validation images, for gates."""
        q = self.posterior(np.asarray(images.valid.x[:GATED]))
        eps = generator(0, "gates").standard_normal((1, *q["mean"].shape), "float32")
        return q, q["mean"] + ops.exp(0.5 * q["log_var"]) * eps

    def gates(self, images):
        from pipeline.gates import at_most, jacobian

        q, z = self.looked_at(images)
        expected = np.linalg.slogdet(jacobian(lambda z: self.flow(z, q)[0], z))[1]
        off = np.abs(np.asarray(self.flow(z, q)[1]) - expected).max()
        return [*super().gates(images), at_most("log-determinant off that of automatic differentiation, nats", off, 1e-5)]

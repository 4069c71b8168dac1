"""What models with drawn codes share: the networks, the posterior and the prior over code maps, and p(x) through them."""

import math
from typing import Annotated

import keras
import numpy as np
from annotated_types import Ge, Le
from keras import ops

from pipeline import Refusal
from pipeline.base import Count, Discrete, Fraction, Trainable
from pipeline.distributions import uniforms
from pipeline.likelihoods import LikelihoodName, Variance, named


class CategoricalLatent(Trainable, Discrete):
    """q(z | x) = prod_m Categorical(a_m(x)),   p(z) = K^-M,   rate = KL(q(z | x) || p(z)) = sum_m (log K - H[a_m(x)])

    codes: K, the values of each categorical variable
    widths: channels of the encoder's 4x4 convolutions, each of which halves the map; the decoder has them in reverse
    """

    def __init__(
        self,
        spec,
        *,
        codes: Annotated[int, Ge(2), Le(65536)],
        widths: list[Count],
        likelihood: LikelihoodName,
        variance: Variance = "shared",
        components: Count = 5,
        dropout: Fraction = 0.0,
    ):
        super().__init__(spec)
        (height, width, _), stride = spec.shape, 2 ** len(widths)
        if not widths or height % stride or width % stride:
            raise Refusal(f"network.widths: {len(widths)} strides of 2 do not divide {height}x{width} images evenly")
        self.codes, self.grid, self.likelihood_name = codes, (height // stride, width // stride), likelihood
        self.likelihood = named(likelihood, spec, variance, components)
        conv, back, drop = keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dropout
        down = [conv(channels, 4, 2, "same", activation="elu") for channels in widths]
        middle = [conv(widths[-1], 3, padding="same", activation="elu"), drop(dropout)]
        self.encoder = keras.Sequential([keras.Input(spec.shape), *down, *middle, conv(codes, 1, dtype="float32")])
        middle = [conv(widths[-1], 3, padding="same", activation="elu"), drop(dropout)]
        up = [back(channels, 4, 2, "same", activation="elu") for channels in reversed(widths)]
        out = conv(self.likelihood.outputs, 3, padding="same", dtype="float32")
        self.decoder = keras.Sequential([keras.Input((*self.grid, codes)), *middle, *up, out])

    def decoded(self, y, training=False):
        """Parameters of p(x | y) [N, H, W, outputs] of codes y [N, M, K], one-hot or anywhere between."""
        return self.decoder(ops.reshape(y, (-1, *self.grid, self.codes)), training=training)

    def one_hot(self, z):
        return ops.one_hot(ops.reshape(z, (-1, self.sites)), self.codes)

    def perplexity(self, x) -> float:
        """exp(entropy) of how often each code is the most likely one, all sites together."""
        share = np.bincount(np.ravel(self.quantise(x)), minlength=self.codes) / (len(x) * self.sites)
        return float(np.exp(-np.sum(share * np.log(np.maximum(share, 1e-12)))))

    def warnings(self, x):
        """Have the codes collapsed? Is the likelihood's scale as small as it may be?"""
        used = len(np.unique(z := self.quantise(x)))
        found = [f"collapsed: {used} of {self.codes} codes are used"] if used < 2 else []
        return found + self.likelihood.warnings(self.decoded(self.one_hot(z)))

    def eps(self, n: int, rng: np.random.Generator) -> dict:
        return {"z": uniforms((n, self.sites), rng)}

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return {**self.eps(n, rng), "x": uniforms((n, *self.spec.shape), rng)}

    def quantise(self, x):
        """The most likely code at each site."""
        return ops.argmax(self.posterior(x)["logits"], axis=-1)

    def posterior(self, x, y=None, training=False):
        """log a up to a constant [B, M, K]."""
        logits = self.encoder(self.spec.scaled(x), training=training)
        return {"logits": ops.reshape(logits, (-1, self.sites, self.codes))}

    def propose(self, q, eps, scale=1.0):
        """q(k | x) = softmax(log a_k / T) at each site, T = `scale`."""
        log_q = ops.log_softmax(q["logits"] / scale, axis=-1)
        upto = ops.cumsum(ops.exp(log_q), axis=-1)
        ends = upto[..., :-1] / upto[..., -1:]  # no uniform lies behind a sum that rounding left below 1
        z = ops.sum(ops.cast(eps["z"][..., None] >= ends, "int32"), axis=-1)
        return z, ops.sum(ops.one_hot(z, self.codes) * log_q, axis=(-2, -1))

    def kl(self, q):
        """Per site [B, M]."""
        log_q = ops.log_softmax(q["logits"], axis=-1)
        return math.log(self.codes) + ops.sum(ops.exp(log_q) * log_q, axis=-1)

    def prior(self, eps):
        return ops.cast(ops.floor(eps["z"] * self.codes), "int32")

    def log_prior(self, z):
        return ops.zeros(ops.shape(z)[:-1]) - self.sites * math.log(self.codes)

    def log_likelihood(self, x, z, y=None):
        params = self.decoded(self.one_hot(z))
        return self.likelihood.log_prob(x, ops.reshape(params, (*ops.shape(z)[:-1], *params.shape[1:])))

    def encode(self, x, y=None):
        return ops.reshape(self.one_hot(self.quantise(x)), (-1, self.sites * self.codes))

    def decode(self, code, y=None):
        return self.likelihood.mean(self.decoded(code))

    def sample(self, noise, y=None):
        return self.likelihood.sample(self.decoded(self.one_hot(self.prior(noise))), noise["x"])

"""Log-densities and divergences, in nats, and what p(x | h) can be.

Every likelihood is a layer, since some learn a variance. `params` of shape [..., H, W, C * width] come from a decoder;
`log_prob(x, params)` sums over the image and broadcasts leading axes, so that x [B, H, W, C] meets params [k, B, ...].
"""

import math
from typing import Literal

import keras
import numpy as np
from keras import ops

from pipeline import Refusal
from pipeline.base import Spec

IMAGE = (-3, -2, -1)
LOG_2PI = math.log(2.0 * math.pi)


def standard_normal(z):
    """log N(z; 0, I) summed over the last axis."""
    return -0.5 * ops.sum(ops.square(z) + LOG_2PI, axis=-1)


def normal(x, mean, log_var):
    """log N(x; mean, exp(log_var)), element by element."""
    return -0.5 * (ops.square(x - mean) * ops.exp(-log_var) + log_var + LOG_2PI)


def kl_to_standard_normal(mean, log_var):
    """KL(N(mean, exp(log_var)) || N(0, 1)) per dimension (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (ops.square(mean) + ops.exp(log_var) - log_var - 1.0)


# log erfc(u) = log t - u^2 + polynomial(t), t = 1 / (1 + u / 2), u >= 0: a Chebyshev fit whose relative error stays below
# 1.2e-7 arbitrarily far in the tail (Press et al., Numerical Recipes, section 6.2), where 1 - erf underflows.
ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)


def log_normal_cdf(x):
    """log Phi(x), accurate in both tails, with finite gradients."""
    u = ops.where(x > 0, x, -x) * math.sqrt(0.5)  # |x|, but with a slope at 0
    t = 1.0 / (1.0 + 0.5 * u)
    polynomial = ops.zeros_like(t)
    for coefficient in reversed(ERFC):
        polynomial = polynomial * t + coefficient
    left = ops.log(t) - ops.square(u) + polynomial - math.log(2.0)  # log Phi(-|x|)
    return ops.where(x > 0, ops.log1p(-ops.exp(ops.minimum(left, -math.log(2.0) * 0.999))), left)


def log_normal_mass(low, high):
    """log(Phi(high) - Phi(low)), low < high, without cancellation: an interval in the right tail is mirrored to the left."""
    mirror = low + high > 0
    a, b = ops.where(mirror, -high, low), ops.where(mirror, -low, high)
    log_a, log_b = log_normal_cdf(a), log_normal_cdf(b)
    gap = ops.minimum(log_a - log_b, -1e-7)  # log of 1 - exp(gap) must stay finite
    return log_b + ops.where(gap > -0.69, ops.log(-ops.expm1(gap)), ops.log1p(-ops.exp(gap)))


class Bernoulli(keras.layers.Layer):
    """Binary pixels: log p = x log s(l) + (1 - x) log s(-l)."""

    width = 1

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec = spec

    def log_prob(self, x, params):
        logits = ops.cast(params, "float32")
        return ops.sum(ops.cast(x, "float32") * logits - ops.softplus(logits), axis=IMAGE)

    def mean(self, params):
        return ops.sigmoid(ops.cast(params, "float32"))

    def sample(self, params, uniform):
        return ops.cast(uniform < self.mean(params), "uint8")


class Categorical(keras.layers.Layer):
    """Any distribution over the levels of each pixel and channel: a softmax that knows nothing of their order."""

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec = spec
        self.width = spec.levels

    def logits(self, params):
        shape = (*ops.shape(params)[:-1], self.spec.shape[-1], self.width)
        return ops.reshape(ops.cast(params, "float32"), shape)

    def log_prob(self, x, params):
        logits = self.logits(params)
        chosen = ops.sum(logits * ops.one_hot(ops.cast(x, "int32"), self.width, dtype="float32"), axis=-1)
        return ops.sum(chosen - ops.logsumexp(logits, axis=-1), axis=IMAGE)

    def mean(self, params):
        return ops.sum(ops.softmax(self.logits(params), axis=-1) * ops.arange(self.width, dtype="float32"), axis=-1)

    def sample(self, params, uniform):
        below = ops.cumsum(ops.softmax(self.logits(params), axis=-1), axis=-1)[..., :-1]  # the last is 1 but for rounding
        return ops.cast(ops.sum(ops.cast(uniform[..., None] >= below, "int32"), axis=-1), "uint8")


class Normal(keras.layers.Layer):
    """A density for real values: N(x; mean, s^2), one learned s for all pixels.

    log s^2 is kept above `floor`: a density has no upper bound where a pixel is constant, and s -> 0 would claim so.
    """

    width = 1
    floor = -12.0

    def __init__(self, spec: Spec):
        super().__init__()
        self.spec = spec
        self.log_variance = self.add_weight(name="log_variance", shape=(), initializer="zeros")

    def log_var(self):
        return ops.maximum(ops.cast(self.log_variance, "float32"), self.floor)

    def log_prob(self, x, params):
        return ops.sum(normal(ops.cast(x, "float32"), ops.cast(params, "float32"), self.log_var()), axis=IMAGE)

    def mean(self, params):
        return ops.cast(params, "float32")

    def sample(self, params, uniform):
        return ops.cast(params, "float32") + ops.exp(0.5 * self.log_var()) * normal_quantile(uniform)


class DiscretisedNormal(Normal):
    """Grey levels: N(mean, s^2) on the levels scaled to [-1, 1], integrated over each level's cell; the end cells are open."""

    def __init__(self, spec: Spec):
        super().__init__(spec)
        self.half = 1.0 / (spec.levels - 1)  # half a cell

    def log_prob(self, x, params):
        x, deviation = self.spec.scaled(x), ops.exp(0.5 * self.log_var())
        params = ops.cast(params, "float32")
        low, high = x - self.half - params, x + self.half - params
        edge = 1.0 - 0.5 * self.half  # beyond it lies the last level of either end
        low, high = ops.where(x < -edge, -1e4, low / deviation), ops.where(x > edge, 1e4, high / deviation)
        return ops.sum(log_normal_mass(low, high), axis=IMAGE)

    def mean(self, params):
        """sum_l P(x >= l): the open end cells pull it inwards."""
        edges = np.arange(1, self.spec.levels, dtype="float32") * (2.0 * self.half) - 1.0 - self.half
        above = (ops.cast(params, "float32")[..., None] - edges) * ops.exp(-0.5 * self.log_var())
        return ops.sum(ops.exp(log_normal_cdf(above)), axis=-1)

    def sample(self, params, uniform):
        value = (super().sample(params, uniform) + 1.0) / (2.0 * self.half)
        return ops.cast(ops.clip(ops.round(value), 0, self.spec.levels - 1), "uint8")


def normal_quantile(uniform):
    """The standard normal's inverse distribution function of u in (0, 1)."""
    return math.sqrt(2.0) * ops.erfinv(2.0 * uniform - 1.0)


LikelihoodName = Literal["bernoulli", "categorical", "normal", "discretised-normal"]


def likelihood(name: LikelihoodName, spec: Spec) -> keras.layers.Layer:
    """The likelihood of that name, refused where the data cannot have come from it."""
    kind, fits = {
        "bernoulli": (Bernoulli, spec.levels == 2),
        "categorical": (Categorical, spec.levels is not None),
        "normal": (Normal, spec.levels is None),
        "discretised-normal": (DiscretisedNormal, spec.levels is not None),
    }[name]
    if not fits:
        has = "real values" if spec.levels is None else f"{spec.levels} levels"
        raise Refusal(f"network.likelihood: {name} is no distribution over these data, which have {has}")
    return kind(spec)


def uniforms(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """float32 in the open interval (0, 1)."""
    return ((rng.integers(0, 2**23, shape) + 0.5) / 2**23).astype("float32")

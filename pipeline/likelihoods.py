"""What p(x | h) can be: one object for every image model, in nats.

A likelihood is a layer, since some learn a variance. `params` of shape [..., H, W, outputs] come from a decoder;
`log_probs(x, params)` [..., H, W] and their sum `log_prob` broadcast leading axes, so that x [B, H, W, C] meets [k, B, ...].

likelihood: p(x | ...): bernoulli for two levels; categorical, discretised-normal, logistic-mixture; normal for real values
variance: of a normal likelihood: shared by all pixels, or given by the decoder, one for each pixel or one for each image
components: logistic distributions in a logistic mixture
"""

from typing import Literal

import keras
from keras import ops

from pipeline import Refusal
from pipeline.base import Spec
from pipeline.distributions import cell_edges, log_normal_cdf, log_normal_mass, log_sigmoids, normal, normal_quantile

IMAGE, OPEN, WIDE = (-3, -2, -1), 1e30, 46.0  # axes; how far the cells at the ends reach; the largest log s
LikelihoodName = Literal["bernoulli", "categorical", "normal", "discretised-normal", "logistic-mixture"]
Variance = Literal["shared", "pixel", "image"]


class Likelihood(keras.layers.Layer):
    """`outputs`: parameters per pixel. `by_channel`: channel by channel, parameters too; otherwise a pixel's are one whole."""

    by_channel = True

    def __init__(self, spec: Spec, width: int = 1):
        super().__init__(dtype="float32")
        self.spec, self.width = spec, width

    @property
    def outputs(self) -> int:
        return self.spec.shape[-1] * self.width

    def log_prob(self, x, params):
        return ops.sum(self.log_probs(x, params), axis=(-2, -1))

    def floored(self, params):
        """The share of an image's scales which are as small as they may be: there, the number is the floor's."""
        return ops.zeros(ops.shape(params)[:-3])

    def warnings(self, params) -> list[str]:
        share = 100 * float(ops.mean(self.floored(params)))
        return [f"{share:.1f} % of the scales are at their floor"] if share >= 0.05 else []


class Bernoulli(Likelihood):
    """Binary pixels: log p = x log s(l) + (1 - x) log s(-l), which is log s((2 x - 1) l)."""

    def log_probs(self, x, params):
        return -ops.sum(ops.softplus((1.0 - 2.0 * ops.cast(x, "float32")) * ops.cast(params, "float32")), axis=-1)

    def log_prob(self, x, params):
        return ops.custom_gradient(log_sigmoids)((2.0 * ops.cast(x, "float32") - 1.0) * ops.cast(params, "float32"))

    def mean(self, params):
        return ops.sigmoid(ops.cast(params, "float32"))

    def sample(self, params, uniform):
        return ops.cast(uniform < self.mean(params), "uint8")


class Categorical(Likelihood):
    """Any distribution over the levels of each pixel and channel: a softmax that knows nothing of their order."""

    def __init__(self, spec: Spec):
        super().__init__(spec, spec.levels)

    def logits(self, params):
        shape = (*ops.shape(params)[:-1], self.spec.shape[-1], self.width)
        return ops.reshape(ops.cast(params, "float32"), shape)

    def shares(self, params):
        logits = self.logits(params)
        return ops.exp(logits - ops.logsumexp(logits, axis=-1, keepdims=True))  # TensorFlow's softmax stops at 5 axes

    def log_probs(self, x, params):
        logits = self.logits(params)
        chosen = ops.sum(logits * ops.one_hot(ops.cast(x, "int32"), self.width, dtype="float32"), axis=-1)
        return ops.sum(chosen - ops.logsumexp(logits, axis=-1), axis=-1)

    def mean(self, params):
        return ops.sum(self.shares(params) * ops.arange(self.width, dtype="float32"), axis=-1)

    def sample(self, params, uniform):
        below = ops.cumsum(self.shares(params), axis=-1)[..., :-1]  # the last is 1 but for rounding
        return levels_of(ops.sum(ops.cast(uniform[..., None] >= below, "int32"), axis=-1), self.width)


def levels_of(x, levels: int):
    return ops.cast(x, "uint8" if levels <= 256 else "int32")


class Normal(Likelihood):
    """A density for real values: N(x; mean, s^2), with one learned s for all pixels, or one that the decoder gives.

    log s^2 is kept above `floor`: a density has no upper bound where a pixel is constant, and s -> 0 would claim so.
    """

    floor = -12.0

    def __init__(self, spec: Spec, variance: Variance = "shared"):
        super().__init__(spec, 1 if variance == "shared" else 2)
        self.variance = variance
        if variance == "shared":
            self.log_variance = self.add_weight(name="log_variance", shape=(), initializer="zeros")

    def moments(self, params):
        """Mean and log s^2."""
        params = ops.cast(params, "float32")
        if self.variance == "shared":
            return params, ops.maximum(ops.cast(self.log_variance, "float32"), self.floor)
        mean, each = ops.split(params, 2, axis=-1)
        log_var = ops.mean(each, axis=IMAGE, keepdims=True) if self.variance == "image" else each
        return mean, ops.maximum(log_var, self.floor)

    def floored(self, params):
        _, log_var = self.moments(params)
        return ops.mean(ops.cast(log_var <= self.floor, "float32") * ops.ones_like(params[..., :1]), axis=IMAGE)

    def log_probs(self, x, params):
        return ops.sum(normal(ops.cast(x, "float32"), *self.moments(params)), axis=-1)

    def mean(self, params):
        return self.moments(params)[0]

    def sample(self, params, uniform):
        mean, log_var = self.moments(params)
        return mean + ops.exp(0.5 * log_var) * normal_quantile(uniform)


class DiscretisedNormal(Normal):
    """Grey levels: N(mean, s^2) on the levels scaled to [-1, 1], integrated over each level's cell; the end cells are open."""

    def __init__(self, spec: Spec, variance: Variance = "shared"):
        super().__init__(spec, variance)
        self.half = 1.0 / (spec.levels - 1)  # half a cell

    def log_probs(self, x, params):
        (mean, log_var), x = self.moments(params), self.spec.scaled(x)
        deviation = ops.exp(0.5 * log_var)
        low, high = x - self.half - mean, x + self.half - mean
        edge = 1.0 - 0.5 * self.half  # beyond it lies the last level of either end
        low, high = ops.where(x < -edge, -1e4, low / deviation), ops.where(x > edge, 1e4, high / deviation)
        return ops.sum(log_normal_mass(low, high), axis=-1)

    def mean(self, params):
        """sum_l P(x >= l): the open end cells pull it inwards."""
        mean, log_var = self.moments(params)
        above = (mean[..., None] - cell_edges(self.spec.levels)) * ops.exp(-0.5 * log_var)[..., None]
        return ops.sum(ops.exp(log_normal_cdf(above)), axis=-1)

    def sample(self, params, uniform):
        value = (super().sample(params, uniform) + 1.0) / (2.0 * self.half)
        return levels_of(ops.clip(ops.round(value), 0, self.spec.levels - 1), self.spec.levels)


class LogisticMixture(Likelihood):
    """Grey or colour levels: a mixture of logistic distributions on [-1, 1], integrated over each level's cell.

    T. Salimans, A. Karpathy, X. Chen and D. P. Kingma, ICLR 2017, https://arxiv.org/abs/1701.05517, section 2.1 and 2.2:
    a pixel's channels share the component k; means of later channels are linear in earlier ones,
    mu_G = m_G + tanh(a) R,  mu_B = m_B + tanh(b) R + tanh(c) G. The end cells are open.
    """

    by_channel = False
    floor = -7.0  # of log s

    def __init__(self, spec: Spec, components: int):
        super().__init__(spec, components)
        self.channels, self.half = spec.shape[-1], 1.0 / (spec.levels - 1)

    @property
    def outputs(self) -> int:
        pairs = self.channels * (self.channels - 1) // 2
        return self.width * (1 + 2 * self.channels + pairs)

    def parts(self, params):
        """Logits [..., M] and, channel by channel, means and log s; then coefficients in the order of `pairs`."""
        each = ops.split(ops.cast(params, "float32"), self.outputs // self.width, axis=-1)
        means, scales = each[1 : 1 + self.channels], each[1 + self.channels : 1 + 2 * self.channels]
        return each[0], means, [ops.maximum(s, self.floor) for s in scales], each[1 + 2 * self.channels :]

    def shifted(self, means: list, coefficients: list, earlier: list):
        """The mean of channel len(earlier), given the values [..., M or 1] of the earlier ones on [-1, 1]."""
        n = len(earlier)
        first = n * (n - 1) // 2
        return means[n] + sum(ops.tanh(coefficients[first + c]) * value for c, value in enumerate(earlier))

    def log_masses(self, x, mean, log_scale):
        """log P(x | k) [..., M]: s(b) - s(a) = s(b) s(-a) (1 - exp(a - b)), which neither cancels nor underflows."""
        inverse, edge = ops.exp(-ops.minimum(log_scale, WIDE)), 1.0 - 0.5 * self.half
        below, above = ops.where(x < -edge, OPEN, self.half), ops.where(x > edge, OPEN, self.half)
        low, high = (x - below - mean) * inverse, (x + above - mean) * inverse
        return ops.log(-ops.expm1(-(below + above) * inverse)) - ops.softplus(-high) - ops.softplus(low)

    def log_probs(self, x, params):
        logits, means, scales, coefficients = self.parts(params)
        values = [value[..., None] for value in ops.unstack(self.spec.scaled(x), self.channels, axis=-1)]
        total = logits
        for c in range(self.channels):
            total = total + self.log_masses(values[c], self.shifted(means, coefficients, values[:c]), scales[c])
        return ops.logsumexp(total, axis=-1) - ops.logsumexp(logits, axis=-1)

    def below(self, mean, log_scale):
        """P(x <= l | k) for every level but the last [..., M, L - 1]."""
        return ops.sigmoid((cell_edges(self.spec.levels) - mean[..., None]) * ops.exp(-log_scale)[..., None])

    def mean(self, params):
        """Exact for the first channel; the means of later ones are taken at each component's mean of those before."""
        logits, means, scales, coefficients = self.parts(params)
        weights, values, found = ops.softmax(logits, axis=-1), [], []
        for c in range(self.channels):
            level = ops.sum(1.0 - self.below(self.shifted(means, coefficients, values), scales[c]), axis=-1)
            values.append(self.spec.scaled(level))
            found.append(ops.sum(weights * level, axis=-1))
        return ops.stack(found, axis=-1)

    def sample(self, params, uniform):
        """By the inverse distribution function, channel by channel; what is drawn says which component it may be from."""
        logits, means, scales, coefficients = self.parts(params)
        weights, values, drawn = ops.log_softmax(logits, axis=-1), [], []
        for c, u in enumerate(ops.unstack(uniform, self.channels, axis=-1)):
            mean = self.shifted(means, coefficients, values)
            share = ops.softmax(weights, axis=-1)[..., None]
            below = ops.sum(share * self.below(mean, scales[c]), axis=-2)
            drawn.append(ops.sum(ops.cast(u[..., None] >= below, "int32"), axis=-1))
            values.append(self.spec.scaled(drawn[-1])[..., None])
            weights = weights + self.log_masses(values[-1], mean, scales[c])
        return levels_of(ops.stack(drawn, axis=-1), self.spec.levels)

    def floored(self, params):
        _, _, scales, _ = self.parts(params)
        return ops.mean(ops.cast(ops.stack(scales) <= self.floor, "float32"), axis=(0, *IMAGE))


def named(name: LikelihoodName, spec: Spec, variance: Variance = "shared", components: int = 5) -> Likelihood:
    """The likelihood of that name, refused where the data cannot have come from it."""
    known = {"bernoulli": Bernoulli, "categorical": Categorical, "normal": Normal, "discretised-normal": DiscretisedNormal}
    has = "real values" if spec.levels is None else f"{spec.levels} levels"
    if (spec.levels is None) != (name == "normal") or (name == "bernoulli" and spec.levels != 2):
        raise Refusal(f"network.likelihood: {name} is no distribution over these data, which have {has}")
    if name in ("normal", "discretised-normal"):
        return known[name](spec, variance)
    if variance != "shared":
        raise Refusal(f"network.variance: {variance} is for a normal likelihood; {name} has no variance")
    return LogisticMixture(spec, components) if name == "logistic-mixture" else known[name](spec)

"""What flows share: how levels become real numbers, the density of a chain of steps, what every chain has to show.

    p(x) = integral over u in (0, 1)^D of p(x + u),   log p(x) >= E_q [log p(x + u) - log q(u | x)]
    y_i = log((x_i + u_i) / (L - x_i - u_i)),   log |dy / dx| = sum_i [log L - log(x_i + u_i) - log(L - x_i - u_i)]
    log p(x + u) = log N(f(y); 0, I) + log |det df / dy| + log |dy / dx|,   x in {0, ..., L - 1}^D

The bound is from L. Theis, A. van den Oord and M. Bethge, ICLR 2016, https://arxiv.org/abs/1511.01844, where q(u | x) = 1; a q
that is learned, from J. Ho et al., ICML 2019, https://arxiv.org/abs/1902.00275; the logit from L. Dinh, J. Sohl-Dickstein and
S. Bengio, ICLR 2017, https://arxiv.org/abs/1605.08803, who first move x away from 0 and L. Here nothing is moved: all of
(0, L)^D is reached by some y, so that the probabilities of all images sum to 1. Level and u are kept apart: a float32 may round
their sum to the next level.
"""

import math
from abc import abstractmethod

import keras
import numpy as np
from keras import ops

from pipeline import Refusal
from pipeline.base import Count, Latent, Trainable, generator
from pipeline.distributions import log_normal_cdf, standard_normal

ADAPTED, GATED = 2000, 20  # training images that first weights are made for; validation images that gates look at
LEAST = -1e30  # log 0
NEAR = 1e-6  # how near to a level's edge prior draws may lie
WIDE = 2.0 * math.log(1.7)  # log-variance of the normal whose sigmoid is nearest to uniform


class Step(keras.layers.Layer):
    """f: z [..., D] -> f(z), and log |det df / dz| [...]."""

    def __init__(self):
        super().__init__(dtype="float32")

    def adapt(self, z: np.ndarray) -> None:
        """Once, before training, with what arrives here of training images [N, D]."""

    @abstractmethod
    def call(self, z):
        """f(z) and its log-determinant."""

    @abstractmethod
    def back(self, z):
        """f^-1(z)."""


class Normed(Step):
    """f(z) = (z - b) / sqrt(v), by number; at first training images have mean 0 and variance 1 after it (D. P. Kingma and
    P. Dhariwal, NeurIPS 2018, section 3.1, https://arxiv.org/abs/1807.03039)."""

    def __init__(self, dims: int):
        super().__init__()
        self.bias = self.add_weight(name="bias", shape=(dims,), initializer="zeros")
        self.log_variance = self.add_weight(name="log_variance", shape=(dims,), initializer="zeros")

    def adapt(self, z):
        self.bias.assign(z.mean(axis=0))
        self.log_variance.assign(np.log(z.var(axis=0) + 1e-6))

    def call(self, z):
        log_det = ops.zeros_like(z[..., 0]) - 0.5 * ops.sum(self.log_variance)
        return (z - self.bias) * ops.exp(-0.5 * self.log_variance), log_det

    def back(self, z):
        return z * ops.exp(0.5 * self.log_variance) + self.bias


class Network(keras.layers.Layer):
    """[..., inputs] -> [..., outputs], at first 0."""

    def __init__(self, hidden: list[int], outputs: int):
        super().__init__(dtype="float32")
        self.hidden = [keras.layers.Dense(units, activation="elu") for units in hidden]
        self.last = keras.layers.Dense(outputs, kernel_initializer="zeros", dtype="float32")

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.last(x)


class Flow(Trainable, Latent):
    """z is the level and the logit of u, [k, B, D] each. q and p are densities of u, so that log q = 0 where u is uniform;
    otherwise u = sigmoid(m(x) + s(x) eps).

    dequantiser: units of each hidden layer of the network that says m and s; null: u is uniform
    """

    steps: list[Step]  # f is one after the other
    dequantises = True

    def __init__(self, spec, *, dequantiser: list[Count] | None = None):
        super().__init__(spec)
        if spec.levels is None:
            raise Refusal("network: a flow of dequantised images wants levels, these have real values")
        self.likelihood_name = "uniform dequantisation" if dequantiser is None else "variational dequantisation"
        self.dequantiser = None if dequantiser is None else Network(dequantiser, 2 * spec.dims)

    def flow(self, y):
        """f(y) and log |det df / dy| [...], of y [..., D]."""
        total = 0.0
        for step in self.steps:
            y, log_det = step(y)
            total = total + log_det
        return y, total

    def back(self, z):
        for step in reversed(self.steps):
            z = step.back(z)
        return z

    def logit(self, z):
        """y and log |dy / dx| [...]; 1 - u is the sigmoid of minus u's logit."""
        low = log_sum(z["x"], z["u"])
        high = log_sum(self.spec.levels - 1.0 - z["x"], -z["u"])
        return low - high, ops.sum(math.log(self.spec.levels) - low - high, axis=-1)

    def adapt(self, x, y, rng):
        some = x[rng.choice(len(x), min(len(x), ADAPTED), replace=False)]
        eps = {name: leaf[None] for name, leaf in self.eps(len(some), rng).items()}
        at = self.logit(self.propose(self.posterior(some), eps)[0])[0][0]
        for step in self.steps:
            step.adapt(np.asarray(at))
            at = step(at)[0]

    def posterior(self, x, y=None):
        q = {"x": ops.reshape(ops.cast(x, "float32"), (-1, self.spec.dims))}
        if self.dequantiser is not None:
            scaled = ops.reshape(self.spec.scaled(x), (-1, self.spec.dims))
            mean, log_var = ops.split(self.dequantiser(scaled), 2, axis=-1)
            q |= {"mean": mean, "log_var": WIDE + log_var}
        return q

    def propose(self, q, eps, scale=1.0):
        """A uniform proposal has no other width: there `scale` changes nothing."""
        eps = eps["z"]
        x = q["x"] + ops.zeros_like(eps)
        if self.dequantiser is None:
            return {"x": x, "u": log_normal_cdf(eps) - log_normal_cdf(-eps)}, ops.zeros_like(eps[..., 0])
        log_var = q["log_var"] + ops.log(scale)
        u = q["mean"] + ops.exp(0.5 * log_var) * eps
        slope = ops.log_sigmoid(u) + ops.log_sigmoid(-u)  # of u by its logit
        return {"x": x, "u": u}, standard_normal(eps) - ops.sum(0.5 * log_var + slope, axis=-1)

    def prior(self, eps):
        value = self.spec.levels * ops.sigmoid(self.back(eps["z"]))
        level = ops.clip(ops.floor(value), 0.0, self.spec.levels - 1.0)
        u = ops.clip(value - level, NEAR, 1.0 - NEAR)
        return {"x": level, "u": ops.log(u) - ops.log1p(-u)}

    def log_prior(self, z):
        y, slope = self.logit(z)
        moved, log_det = self.flow(y)
        return standard_normal(moved) + log_det + slope

    def log_likelihood(self, x, z, y=None):
        """0 where z is about this image."""
        same = ops.all(z["x"] == ops.reshape(ops.cast(x, "float32"), (-1, self.spec.dims)), axis=-1)
        return ops.where(same, 0.0, LEAST)

    def terms(self, x, eps, y=None, training=False):
        z, log_q = self.propose(self.posterior(x), {name: leaf[None] for name, leaf in eps.items()})
        rate = (log_q - self.log_prior(z))[0]
        return {"loss": rate, "distortion": ops.zeros_like(rate), "rate": rate}

    def eps(self, n: int, rng: np.random.Generator) -> dict:
        return {"z": rng.standard_normal((n, self.spec.dims), "float32")}

    def noise(self, n, rng):
        return self.eps(n, rng)

    def sample(self, noise, y=None):
        return ops.cast(ops.reshape(self.prior(noise)["x"], (-1, *self.spec.shape)), "uint8")

    def encode(self, x, y=None):
        """At u = 1/2."""
        level = self.posterior(x)["x"]
        return self.flow(self.logit({"x": level, "u": ops.zeros_like(level)})[0])[0]

    def decode(self, code, y=None):
        value = self.spec.levels * ops.sigmoid(self.back(code)) - 0.5
        return ops.reshape(ops.clip(value, 0.0, self.spec.levels - 1.0), (-1, *self.spec.shape))

    def gates(self, images):
        """Invertible there and back, of images and of noise; log-determinants those of automatic differentiation."""
        from pipeline.gates import at_most, jacobian

        x, rng = np.asarray(images.valid.x[:GATED]), generator(0, "gates")
        y = self.logit(self.propose(self.posterior(x), self.eps(len(x), rng))[0])[0]
        noise = ops.convert_to_tensor(self.eps(len(x), rng)["z"])
        moved, log_det = self.flow(y)
        expected = np.linalg.slogdet(jacobian(lambda y: self.flow(y)[0], y).astype("float64"))[1]
        off = np.abs(np.asarray(log_det) - expected).max()
        return [
            at_most("images there and back, relative error", apart(self.back(moved), y), 1e-4),
            at_most("noise back and there, relative error", apart(self.flow(self.back(noise))[0], noise), 1e-4),
            at_most("log-determinant off that of automatic differentiation, nats", off, 1e-3),
        ]


def log_sum(level, logit):
    """log(level + sigmoid(logit)), where the level is 0 without the sigmoid, which may be too small for a float32."""
    return ops.where(level > 0, ops.log(ops.maximum(level, 1.0) + ops.sigmoid(logit)), ops.log_sigmoid(logit))


def apart(one, other) -> float:
    """The largest difference, of numbers above 1 relative to them."""
    one, other = np.asarray(one), np.asarray(other)
    return float((np.abs(one - other) / np.maximum(1.0, np.abs(other))).max())

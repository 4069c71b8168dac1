"""What energy models share: two layers of binary units, annealing between temperatures, training against one's own chains."""

from abc import abstractmethod

import keras
import numpy as np
from keras import ops

from pipeline.base import Trainable
from pipeline.distributions import uniforms


class EnergyModel(Trainable):
    """p(x) = exp(-E(x)) / Z, so that the gradient of -log p(x) is that of E(x) minus its mean over p.

    Contrastive divergence puts the end of a short Markov chain that begins at x in the place of that mean (Hinton, 2002). The
    loss of training, E(x) - E(end), is then no likelihood and may have either sign.
    """

    @abstractmethod
    def energy(self, x):
        """E(x) [B]."""

    @abstractmethod
    def chain(self, x, eps: dict):
        """The end of a Markov chain that leaves p as it is, begun at x [B, H, W, C]; eps has leaves [B, steps, ...]."""

    def contrast(self, x, eps: dict):
        """[B]"""
        return self.energy(x) - self.energy(ops.stop_gradient(self.chain(x, eps)))


class Couplings(keras.layers.Layer):
    """E(x, h) = -x'W h - b'x - c'h at an inverse temperature t from 1 down to 0, where it is -a'x: independent pixels. x is
    flat, [B, pixels], and h is [B, hidden]."""

    def __init__(self, pixels: int, hidden: int):
        super().__init__(dtype="float32")
        self.kernel_initializer = keras.initializers.RandomNormal(stddev=0.01)
        self.kernel = self.add_weight(name="kernel", shape=(pixels, hidden), initializer=self.kernel_initializer)
        self.pixel_bias = self.add_weight(name="pixel_bias", shape=(pixels,), initializer="zeros")
        self.hidden_bias = self.add_weight(name="hidden_bias", shape=(hidden,), initializer="zeros")
        self.alone = self.add_weight(name="alone", shape=(pixels,), initializer="zeros", trainable=False)

    def to_hidden(self, x, t=1.0):
        """Logits of p(h_j = 1 | x)."""
        return t * (ops.matmul(x, self.kernel) + self.hidden_bias)

    def to_pixels(self, h, t=1.0):
        """Logits of p(x_i = 1 | h)."""
        return (1.0 - t) * self.alone + t * (ops.matmul(h, ops.transpose(self.kernel)) + self.pixel_bias)

    def energy(self, x, t=1.0):
        """E(x) = -log sum_h exp(-E(x, h))  [B]."""
        field = (1.0 - t) * self.alone + t * self.pixel_bias
        return -ops.sum(x * field, axis=-1) - ops.sum(ops.softplus(self.to_hidden(x, t)), axis=-1)

    def log_sums(self, h):
        """log sum_x exp(-E(x, h)) at t = 1  [B]."""
        return ops.sum(h * self.hidden_bias, axis=-1) + ops.sum(ops.softplus(self.to_pixels(h)), axis=-1)

    def step(self, x, eps: dict, t=1.0):
        """x -> h -> x, from uniforms {"h": [B, hidden], "x": [B, pixels]}."""
        h = ops.cast(eps["h"] < ops.sigmoid(self.to_hidden(x, t)), "float32")
        return ops.cast(eps["x"] < ops.sigmoid(self.to_pixels(h, t)), "float32")

    def annealed(self, x, temperatures: np.ndarray, rng: np.random.Generator) -> float:
        """log of the mean weight of chains that begin at x, exact draws at the first temperature, and go to the last: the
        weight's mean is the last Z over the first, so that its logarithm is too low in expectation."""
        weights = np.zeros(len(x))
        for before, after in zip(temperatures[:-1].tolist(), temperatures[1:].tolist(), strict=True):
            weights += np.asarray(self.energy(x, before) - self.energy(x, after), "float64")
            eps = {"h": uniforms((len(x), self.kernel.shape[1]), rng), "x": uniforms((len(x), self.kernel.shape[0]), rng)}
            x = self.step(x, eps, after)
        return float(np.logaddexp.reduce(weights) - np.log(len(weights)))

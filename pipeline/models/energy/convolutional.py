"""A convolutional energy model, of images so small that its Z is a sum over all of them.
J. Xie, Y. Lu, S.-C. Zhu and Y. N. Wu, ICML 2016, https://arxiv.org/abs/1602.03264

    p(x) = exp(f(x)) q(x) / Z,   f a convolutional network,   q independent pixels, log q(x) = a'x + constant
    E(x) = -f(x) - a'x,   log p(x) = -E(x) - log Z,   Z = sum_x exp(-E(x)) over 2^pixels images
    a step redraws the pixels one after another, p(x_i = 1 | all others) = sigmoid(E(x, x_i = 0) - E(x, x_i = 1))

There images are real-valued and chains follow the gradient of E; of binary pixels each conditional has two values, so that it
can be drawn from. Annealing goes from q to p by t f(x), t from 0 to 1.
"""

import keras
import numpy as np
from keras import ops

from pipeline import Refusal
from pipeline.base import Count
from pipeline.models.energy.blocks import EnergyModel, Machine

PIXELS = 16  # of which there are 65,536 images
SUMMED = 8192  # of them at a time


class Potential(Machine):
    def __init__(self, shape: tuple[int, int, int], channels: list[int]):
        super().__init__(int(np.prod(shape)))
        hidden = [keras.layers.Conv2D(each, 3, padding="same", activation="elu") for each in channels]
        last = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", dtype="float32")  # Z takes a constant back
        self.shape = shape
        self.f = keras.Sequential([keras.Input(shape), *hidden, keras.layers.Flatten(), last])

    def energy(self, x, t=1.0):
        f = self.f(ops.reshape(2.0 * x - 1.0, (-1, *self.shape)))[:, 0]
        return -ops.sum(x * self.alone, axis=-1) - t * f

    def step(self, x, eps, t=1.0):
        def redraw(i, x):
            at = ops.one_hot(i, self.pixels)
            without = x * (1.0 - at)
            less, more = ops.split(self.energy(ops.concatenate([without, without + at]), t), 2)
            new = ops.cast(ops.take(eps["x"], i, axis=-1) < ops.sigmoid(less - more), "float32")
            return without + new[:, None] * at

        return ops.fori_loop(0, self.pixels, redraw, x)

    def shapes(self):
        return {"x": (self.pixels,)}


class Model(EnergyModel):
    """channels: of each 3x3 convolution of f, before a sum over all places"""

    temperatures = 300  # at each of which every pixel is redrawn

    def __init__(self, spec, *, channels: list[Count], **chains):
        if spec.dims > PIXELS:
            raise Refusal(f"network: of {spec.dims} pixels there are too many images to sum over; {PIXELS} at most")
        super().__init__(spec, Potential(spec.shape, channels), **chains)
        self.states = (np.arange(2**spec.dims)[:, None] >> np.arange(spec.dims) & 1).astype("float32")

    def log_z(self):
        parts = np.split(self.states, max(1, len(self.states) // SUMMED))
        return ops.logsumexp(ops.concatenate([-self.machine.energy(ops.convert_to_tensor(part)) for part in parts]))

    def drawn(self, n, rng):
        log_p = np.asarray(self.log_prob(self.states), "float64")
        return ops.convert_to_tensor(self.states[rng.choice(len(log_p), n, p=np.exp(log_p - np.logaddexp.reduce(log_p)))])

    def gates(self, images):
        """And where the truth is known: how far is it from that?"""
        from pipeline.gates import at_most

        rows = super().gates(images)
        if images.test.log_prob is None:
            return rows
        apart = np.mean(images.test.log_prob - np.asarray(self.log_prob(images.test.x), "float64"))
        return [*rows, at_most("KL of the true distribution to it, on test images, nats", apart, 0.1)]

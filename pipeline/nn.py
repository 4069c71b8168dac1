"""Blocks that two families share. An edit here retrains everybody: kept small and still.

body: dense layers, or conv: 3x3 convolutions, all but the first with stride 2
widths: the units, or channels, of each hidden layer of the encoder; the decoder has them in reverse
dropout: the share of hidden units that training leaves out
Under mixed precision the hidden layers compute in 16 bits and the last one in 32.
"""

import itertools
from typing import Literal

import keras
import numpy as np
from keras import ops

from pipeline import Refusal

Body = Literal["dense", "conv"]


def encoder(body: Body, widths: list[int], shape: tuple[int, int, int], outputs: int, dropout: float) -> keras.Sequential:
    """[B, H, W, C] -> [B, outputs]. `widths`: units, or channels of 3x3 convolutions, all but the first with stride 2."""
    layers = [] if body == "conv" else [keras.layers.Flatten()]
    if body == "conv":
        small_side(shape, widths)
        for i, channels in enumerate(widths):
            layers += [keras.layers.Conv2D(channels, 3, 1 if i == 0 else 2, "same", activation="elu"), *drop(dropout)]
        layers += [keras.layers.Flatten()]
    else:
        for units in widths:
            layers += [keras.layers.Dense(units, activation="elu"), *drop(dropout)]
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(outputs, dtype="float32")])


def decoder(
    body: Body, widths: list[int], code: int, shape: tuple[int, int, int], dropout: float, skip: bool = False
) -> keras.Model:
    """[B, code] -> [B, H, W, C], the encoder of the same `widths` mirrored. With `skip` every layer sees the code,
    too, which is then harder to ignore (A. B. Dieng et al., AISTATS 2019, https://arxiv.org/abs/1807.04863)."""
    if skip and not widths:
        raise Refusal("network.skip: a decoder without hidden layers has none that does not see the code")
    hidden = []
    if body == "conv":
        height, width = small_side(shape, widths)
        hidden += [[keras.layers.Dense(height * width * widths[-1], activation="elu"), *drop(dropout)]]
        hidden[0] += [keras.layers.Reshape((height, width, widths[-1]))]
        for channels in reversed(widths[:-1]):
            hidden += [[keras.layers.Conv2DTranspose(channels, 4, 2, "same", activation="elu"), *drop(dropout)]]
        last = [keras.layers.Conv2D(shape[-1], 3, 1, "same", dtype="float32")]
    else:
        for units in reversed(widths):
            hidden += [[keras.layers.Dense(units, activation="elu"), *drop(dropout)]]
        outputs = keras.layers.Dense(shape[0] * shape[1] * shape[2], dtype="float32")
        last = [outputs, keras.layers.Reshape(shape, dtype="float32")]
    if not skip:
        return keras.Sequential([keras.Input((code,)), *(layer for layers in hidden for layer in layers), *last])
    h = z = keras.Input((code,))
    for number, layers in enumerate([*hidden, last]):
        h = h if number == 0 else keras.layers.Concatenate()([h, spread(z, h)])
        for layer in layers:
            h = layer(h)
    return keras.Model(z, h)


def spread(z, h):
    """z [B, code] at every place of h, which may be a map."""
    if len(h.shape) == 2:
        return z
    return keras.layers.UpSampling2D(h.shape[1:3])(keras.layers.Reshape((1, 1, z.shape[-1]))(z))


def normals(hidden: list[int], inputs: int, size: int) -> keras.Sequential:
    """[N, inputs] -> [N, 2 size], for `moments`: at first N(0, I), whatever is given."""
    layers = [keras.layers.Dense(units, activation="elu") for units in hidden]
    last = keras.layers.Dense(2 * size, kernel_initializer="zeros", dtype="float32")
    return keras.Sequential([keras.Input((inputs,)), *layers, last])


def moments(network, given) -> list:
    """A mean and a log-variance [..., size] of what is given [..., inputs]."""
    made = network(ops.reshape(given, (-1, given.shape[-1])))
    return ops.split(ops.reshape(made, (*ops.shape(given)[:-1], made.shape[-1])), 2, axis=-1)


def masks(order: np.ndarray, degrees: list[np.ndarray], outputs: int = 1) -> list[np.ndarray]:
    """For the kernels [inputs, units] of a chain, 0 and 1 (M. Germain et al., ICML 2015, equations 8 and 9,
    https://arxiv.org/abs/1502.03509): a hidden unit of degree k sees inputs whose place in the order is k at most, and an
    output, of which each place has so many side by side, hidden units of a degree below its place."""
    seen = [before[:, None] <= after for before, after in itertools.pairwise([order, *degrees])]
    return [mask.astype("float32") for mask in (*seen, [order, *degrees][-1][:, None] < np.tile(order, outputs))]


class Masked(keras.layers.Layer):
    """x (W * mask) + b: what the mask leaves out an output does not see, whatever an optimizer does to W."""

    def __init__(self, inputs: int, outputs: int, first: str = "glorot_uniform"):
        super().__init__(dtype="float32")
        self.kernel_initializer = keras.initializers.get(first)
        self.kernel = self.add_weight(name="kernel", shape=(inputs, outputs), initializer=self.kernel_initializer)
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros")

    def call(self, x, mask):
        return ops.matmul(x, self.kernel * mask) + self.bias


class Clock(keras.layers.Layer):
    """The share of the first `steps` steps of training that are over, at most 1. It moves in training alone."""

    def __init__(self, steps: int):
        super().__init__(dtype="float32")
        self.steps, self.over = steps, self.add_weight(name="over", shape=(), initializer="zeros", trainable=False)

    def call(self, training=False):
        if training:
            self.over.assign_add(1.0)
        return ops.minimum(self.over / self.steps, 1.0) if self.steps else 1.0


def drop(rate: float) -> list[keras.layers.Layer]:
    return [keras.layers.Dropout(rate)] if rate else []


def small_side(shape: tuple[int, int, int], widths: list[int]) -> tuple[int, int]:
    """Rows and columns of the smallest map, which must come out even at every halving."""
    if not widths:
        raise Refusal("network.widths: a conv body needs the channels of one convolution at least, found []")
    factor = 2 ** (len(widths) - 1)
    if shape[0] % factor or shape[1] % factor:
        raise Refusal(f"network.widths: {len(widths)} convolutions halve {shape[0]}x{shape[1]} images {len(widths) - 1} times")
    return shape[0] // factor, shape[1] // factor

"""PixelRNN: an image's probability as a product over its pixels, computed by LSTMs that walk over its rows or diagonals.
A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu, ICML 2016, https://arxiv.org/abs/1601.06759

    p(x) = prod_i p(x_i | x_1, ..., x_{i-1}),   pixels in raster order                                              (1)
    [o, f, i, g] = s(K_ss * h_{t-1} + K_is * u_t),   tanh for g;   c_t = f c_{t-1} + i g;   h_t = o tanh(c_t)       (3)
    u + W h goes to the next layer                                                                        (section 3.3)

`row`: t is a row; K_is sees a pixel and k // 2 to its left, K_ss k states of the row above, so that the context is a triangle.
`diagonal`: rows are skewed, so that t is a diagonal and a pixel's h_{t-1} are those to its left and above it; a second LSTM
walks from the right, and its map is moved down one row before it is added, since it has seen the pixels on the right.

As published, where the first window does not reach the last pixel of the row above, no diagonal layer sees it either: what
walks from the right begins at that pixel, of which it may not know. Here the map has one column more, which does know.
Channels see each other in the last layers only, as in pixelcnn.py. A sample takes a pass through the network for each pixel.
"""

from typing import Annotated, Literal

import keras
import numpy as np
from annotated_types import Ge, Le
from keras import ops

from pipeline import Refusal
from pipeline.base import Count, Fraction
from pipeline.causal.network import Head, Pixels
from pipeline.causal.stacks import Masked
from pipeline.likelihoods import LikelihoodName, named
from pipeline.models.autoregressive.blocks import AutoregressiveModel, Diagonal, Row

SITES = 64  # pixels that the gate changes, at most


class Network(keras.layers.Layer):
    def __init__(self, spec, likelihood, cell: str, features: int, layers: int, kernel: int, states: int, dropout: float):
        super().__init__(dtype="float32")
        self.embed, self.first = Pixels(spec), Masked(2 * features, kernel, centre=False)
        self.cells = [Diagonal(features) if cell == "diagonal" else Row(features, states // 2) for _ in range(layers)]
        self.wide = [keras.layers.Dense(2 * features, dtype="float32") for _ in range(layers)]
        self.dropout = keras.layers.Dropout(dropout, dtype="float32")
        self.spec, self.likelihood, self.head = spec, likelihood, Head(spec, likelihood, features)

    def build(self, shape) -> None:
        """Nothing to do: the first call builds the parts."""

    def features(self, x, training=False):
        u = self.first(ops.pad(self.embed(x), ((0, 0), (0, 0), (0, 1), (0, 0))))
        for cell, wide in zip(self.cells, self.wide, strict=True):
            u = u + wide(self.dropout(cell(u), training=training))
        return u[:, :, :-1]

    def call(self, x, h=None, training=False):
        return self.head(self.features(x, training), x)

    def log_probs(self, x, h=None, training=False):
        return self.likelihood.log_probs(x, self(x, training=training))

    def sample(self, uniform, h=None, given=None, rows=0):
        """x ~ p(x) [B, H, W, C] from uniform [B, H, W, C], after the first `rows` rows of `given`: a pass for each pixel."""
        (batch, height, width, channels) = uniform.shape
        x = ops.zeros(uniform.shape, "int32") if given is None else ops.cast(given, "int32")

        def draw(p, x):
            at, size = (0, p // width, p % width, 0), (batch, 1, 1, channels)
            features = self.features(x)
            features = ops.slice(features, at, (*size[:3], features.shape[-1]))
            one, noise = ops.zeros(size, "int32"), ops.slice(uniform, at, size)
            for n in range(self.head.steps):
                drawn = ops.cast(self.likelihood.sample(self.head(features, one), noise), "int32")
                one = ops.concatenate([drawn[..., : n + 1], one[..., n + 1 :]], axis=-1)
            return ops.slice_update(x, at, drawn)

        x = ops.fori_loop(rows * width, height * width, draw, x)
        return ops.cast(x, "uint8" if self.spec.levels <= 256 else "int32")


class Model(AutoregressiveModel):
    """cell: row or diagonal, what the LSTMs walk over
    features: channels of a state; the map that layers add to has twice as many
    layers: of LSTMs after the first, which is a masked convolution
    kernel: side of the window of the first layer, odd
    states: k of a row's LSTMs, odd
    """

    def __init__(
        self,
        spec,
        *,
        cell: Literal["row", "diagonal"],
        features: Count,
        layers: Count,
        kernel: Annotated[int, Ge(3), Le(99)],
        likelihood: LikelihoodName,
        states: Annotated[int, Ge(1), Le(99)] = 3,
        dropout: Fraction = 0.0,
        components: Count = 5,
    ):
        super().__init__(spec, likelihood, False)
        if spec.levels is None:
            raise Refusal("network: pixels of real values have no levels to predict one by one")
        if kernel % 2 == 0 or states % 2 == 0:
            raise Refusal(f"network: expected odd numbers for kernel and states, found {kernel} and {states}")
        likelihood = named(likelihood, spec, components=components)
        self.network = Network(spec, likelihood, cell, features, layers, kernel, states, dropout)

    def gates(self, images):
        """Trained, does any pixel's distribution move with a pixel that is not before it?"""
        from pipeline.gates import at_most

        (height, width, channels), levels = self.spec.shape, self.spec.levels
        sites = np.unique(np.linspace(0, height * width - 1, SITES).astype(int))[:, None]
        x = np.repeat(np.reshape(images.test.x[:1], (1, -1, channels)), len(sites), axis=0).astype(int)
        changed = np.where((np.arange(height * width) == sites)[..., None], (x + levels // 2) % levels, x)
        one, other = (self.network(ops.reshape(each, (-1, *self.spec.shape))) for each in (x, changed.astype(x.dtype)))
        moved = np.any(np.asarray(one) != np.asarray(other), axis=-1).reshape(len(sites), -1)
        ahead = moved & (np.arange(height * width) < sites + (channels == 1))
        return [at_most("pixels that are told of one that is not before them", ahead.sum(), 0)]

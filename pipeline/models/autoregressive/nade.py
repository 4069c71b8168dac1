"""Neural autoregressive distribution estimator: every pixel has hidden units of its own, all with the same weights.
H. Larochelle and I. Murray, AISTATS 2011, https://proceedings.mlr.press/v15/larochelle11a.html

    h_i = s(c + W_{., <i} x_<i),   p(x_i = 1 | x_<i) = s(b_i + V_i h_i)
    a_1 = c,   a_{i+1} = a_i + W_{., i} x_i:   the sums for all pixels cost no more than that for the last one
"""

import keras
from keras import ops

from pipeline.base import Count
from pipeline.models.autoregressive.blocks import BinaryChain


class Units(keras.layers.Layer):
    """x [B, D] -> the number of each pixel [B, D]."""

    def __init__(self, dims: int, units: int):
        super().__init__(dtype="float32")
        self.encoder_initializer = self.decoder_initializer = keras.initializers.GlorotUniform()
        self.encoder = self.add_weight(name="encoder", shape=(dims, units), initializer=self.encoder_initializer)
        self.decoder = self.add_weight(name="decoder", shape=(dims, units), initializer=self.decoder_initializer)
        self.hidden_bias = self.add_weight(name="hidden_bias", shape=(units,), initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=(dims,), initializer="zeros")

    def call(self, x):
        told = ops.cumsum(x[:, :-1, None] * self.encoder[:-1], axis=1)  # [B, D - 1, units]
        before = ops.pad(told, ((0, 0), (1, 0), (0, 0)))  # not cumsum - own: rounding would let a pixel see itself
        hidden = ops.transpose(ops.sigmoid(self.hidden_bias + before), (1, 0, 2))  # each pixel has units of its own
        return ops.transpose(ops.matmul(hidden, self.decoder[:, :, None])[:, :, 0]) + self.bias


class Model(BinaryChain):
    """units: how many hidden units each pixel has"""

    def __init__(self, spec, *, units: Count):
        super().__init__(spec)
        self.units = Units(spec.dims, units)

    def logits(self, x):
        return self.units(x)

"""Networks over a map of pixels or codes in which each position sees only those before it in raster order.

    p(x | h) = prod_ij p(x_ij | x_<ij, h),   a position's channels one after another                     (1)

`Plain` is the masked stack of van den Oord, Kalchbrenner and Kavukcuoglu (ICML 2016, https://arxiv.org/abs/1601.06759),
`Gated` the two stacks of van den Oord et al. (NeurIPS 2016, https://arxiv.org/abs/1606.05328). Either answers twice: `call`
for a whole map at once, and `row` with `pixel` for one position, of which each layer computes nothing a second time. What
rows above contribute is known before a row begins, so `row` computes it for all of its columns (Ramachandran et al. 2017,
https://arxiv.org/abs/1704.06001, cache likewise); what is left for `pixel` are products of a vector and a matrix. All of it
is float32 under any precision: what scores an image and what draws it must decide alike.

stack: plain: masked convolutions with the blind spot they have; gated: two stacks without one
features: channels of a layer; a plain stack's trunk has twice as many
layers: blocks after the first layer
kernel: side of the first layer's window, odd: it sees kernel // 2 rows above and columns to either side; blocks see one more
dropout: the share of hidden units that training leaves out
"""

from functools import partial
from typing import Literal

import keras
import numpy as np
from keras import ops

StackName = Literal["plain", "gated"]


def gate(pair):
    """tanh(a) sigmoid(b). Split, not sliced: the gradient of a slice costs more than the gate."""
    a, b = ops.split(pair, 2, axis=-1)
    return ops.tanh(a) * ops.sigmoid(b)


def row_of(h, i):
    """Row i of a condition [B, H or 1, W or 1, D], or None."""
    if h is None or h.shape[1] == 1:
        return h
    return ops.slice(h, (0, i, 0, 0), (h.shape[0], 1, *h.shape[2:]))


def by_column(terms: list):
    """Each [B, 1, W, D] -> [W, L, B, D], of which a pixel takes one column."""
    return ops.transpose(ops.concatenate(terms, axis=1), (2, 1, 0, 3))


class Gated(keras.layers.Layer):
    """A vertical stack of all rows above feeds a horizontal one of the pixels to the left. No kernel needs a mask."""

    def __init__(self, features: int, layers: int, kernel: int, dropout: float, conditional: bool):
        super().__init__(dtype="float32")
        conv, dense = partial(keras.layers.Conv2D, dtype="float32"), partial(keras.layers.Dense, dtype="float32")
        self.features, self.reach = features, kernel // 2
        self.above, self.left = conv(features, (self.reach, kernel)), conv(features, (1, self.reach))
        self.vertical = [conv(2 * features, (2, 3)) for _ in range(layers)]
        self.horizontal = [conv(2 * features, (1, 2)) for _ in range(layers)]
        self.down = [dense(2 * features, use_bias=False) for _ in range(layers)]
        self.out = [dense(features) for _ in range(layers)]
        names = ("vertical", "horizontal")
        told = range(layers if conditional else 0)
        self.condition = {name: [dense(2 * features, use_bias=False) for _ in told] for name in names}
        self.dropout = keras.layers.Dropout(dropout, dtype="float32")

    def told(self, name: str, layer: int, pair, h):
        return pair + self.condition[name][layer](h) if self.condition[name] else pair

    def call(self, inputs, h=None, training=False):
        r = self.reach
        v = self.above(ops.pad(inputs[:, :-1], ((0, 0), (r, 0), (r, r), (0, 0))))
        u = self.left(ops.pad(inputs[:, :, :-1], ((0, 0), (0, 0), (r, 0), (0, 0))))
        for n in range(len(self.out)):
            v = v + gate(self.told("vertical", n, self.vertical[n](ops.pad(ops.elu(v), ((0, 0), (1, 0), (1, 1), (0, 0)))), h))
            pair = self.horizontal[n](ops.pad(ops.elu(u), ((0, 0), (0, 0), (1, 0), (0, 0)))) + self.down[n](v)
            u = u + self.out[n](self.dropout(gate(self.told("horizontal", n, pair, h)), training=training))
        return u

    def start(self, batch: int, width: int):
        """What `row` remembers: the vertical activations of the row before."""
        return [ops.zeros((batch, 1, width + 2, self.features)) for _ in self.out]

    def row(self, window, memory, h):
        """window [B, r, W + 2r, E] -> (memory, what the row's columns get from above and from h [W, L, B, 2F])."""
        v, terms, activations = self.above(window), [], []
        for n, before in enumerate(memory):
            activations.append(ops.pad(ops.elu(v), ((0, 0), (0, 0), (1, 1), (0, 0))))
            v = v + gate(self.told("vertical", n, self.vertical[n](ops.concatenate([before, activations[-1]], axis=1)), h))
            terms.append(self.told("horizontal", n, self.down[n](v), h))
        return activations, by_column(terms)

    def begin(self, batch: int):
        """What `pixel` carries along a row: each layer's activation at the pixel before."""
        return [ops.zeros((batch, self.features)) for _ in self.out]

    def kernels(self):
        """What `pixel` multiplies the row itself by: of the first layer [r E, F], of each block [2F, 2F]."""
        return [ops.reshape(layer.kernel, (-1, layer.filters)) for layer in (self.left, *self.horizontal)]

    def pixel(self, kernels, left, term, carried):
        """left [B, r E], term [L, B, 2F] -> features [B, F] at one position, and what to carry."""
        u, activations = ops.matmul(left, kernels[0]) + self.left.bias, []
        for n, before in enumerate(carried):
            activations.append(ops.elu(u))
            both = ops.concatenate([before, activations[-1]], axis=-1)
            u = u + self.out[n](gate(ops.matmul(both, kernels[n + 1]) + self.horizontal[n].bias + term[n]))
        return u, activations

    def kept(self, batch: int, width: int):
        """Nothing of a finished row is needed: `row` has it."""
        return ()

    def keep(self, kept, activations, j):
        return kept

    def finish(self, memory, kept):
        return memory


class Masked(keras.layers.Layer):
    """A convolution that sees nothing at or (`centre`: nothing but) after its centre. The mask multiplies in every call."""

    def __init__(self, filters: int, side: int, centre: bool):
        super().__init__(dtype="float32")
        self.filters, self.side, self.half = filters, side, side // 2
        self.mask = np.ones((side, side, 1, 1), "float32")
        self.mask[self.half, self.half + centre :] = 0
        self.mask[self.half + 1 :] = 0

    def build(self, shape):
        limit = (6.0 / ((shape[-1] + self.filters) * self.mask.sum())) ** 0.5  # Glorot's, over what is not masked
        self.kernel_initializer = keras.initializers.RandomUniform(-limit, limit)
        shape = (self.side, self.side, shape[-1], self.filters)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer)
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")

    def call(self, x):
        return ops.conv(x, self.kernel * ops.cast(self.mask, self.kernel.dtype), padding="same") + self.bias

    def above(self, rows):
        """The part of rows above, without a bias: [B, side // 2, W + side - 1, .] -> [B, 1, W, filters]."""
        return ops.conv(rows, self.kernel[: self.half], padding="valid")

    def beside(self):
        """The weights of the part of the row itself [(side // 2 + centre) inputs, filters]."""
        count = int(self.mask[self.half].sum())
        return ops.reshape(self.kernel[self.half, :count], (-1, self.filters))


class Plain(keras.layers.Layer):
    """7x7 mask A, then residual blocks ReLU, 1x1 2F -> F, ReLU, 3x3 mask B, ReLU, 1x1 F -> 2F, as first published."""

    def __init__(self, features: int, layers: int, kernel: int, dropout: float, conditional: bool):
        super().__init__(dtype="float32")
        dense = partial(keras.layers.Dense, dtype="float32")
        self.features, self.reach = features, kernel // 2
        self.first = Masked(2 * features, kernel, centre=False)
        self.narrow = [dense(features) for _ in range(layers)]
        self.masked = [Masked(features, 3, centre=True) for _ in range(layers)]
        self.wide = [dense(2 * features) for _ in range(layers)]
        self.condition = [dense(features, use_bias=False) for _ in range(layers if conditional else 0)]
        self.dropout = keras.layers.Dropout(dropout, dtype="float32")

    def told(self, layer: int, a, h):
        return a + self.condition[layer](h) if self.condition else a

    def call(self, inputs, h=None, training=False):
        u = self.first(inputs)
        for n in range(len(self.wide)):
            a = self.told(n, self.masked[n](ops.relu(self.narrow[n](ops.relu(u)))), h)
            u = u + self.wide[n](self.dropout(ops.relu(a), training=training))
        return u

    def start(self, batch: int, width: int):
        return [ops.zeros((batch, 1, width + 2, self.features)) for _ in self.wide]

    def row(self, window, memory, h):
        terms = [self.told(n, self.masked[n].above(before), h) for n, before in enumerate(memory)]
        return memory, {"first": by_column([self.first.above(window)]), "blocks": by_column(terms)}

    def begin(self, batch: int):
        return [ops.zeros((batch, self.features)) for _ in self.wide]

    def kernels(self):
        return [layer.beside() for layer in (self.first, *self.masked)]

    def pixel(self, kernels, left, term, carried):
        u, activations = ops.matmul(left, kernels[0]) + self.first.bias + term["first"][0], []
        for n, before in enumerate(carried):
            activations.append(ops.relu(self.narrow[n](ops.relu(u))))
            both = ops.concatenate([before, activations[-1]], axis=-1)
            a = ops.matmul(both, kernels[n + 1]) + self.masked[n].bias + term["blocks"][n]
            u = u + self.wide[n](ops.relu(a))
        return u, activations

    def kept(self, batch: int, width: int):
        return [ops.zeros((width, batch, self.features)) for _ in self.wide]

    def keep(self, kept, activations, j):
        return [ops.slice_update(row, (j, 0, 0), one[None]) for row, one in zip(kept, activations, strict=True)]

    def finish(self, memory, kept):
        return [ops.pad(ops.transpose(row, (1, 0, 2))[:, None], ((0, 0), (0, 0), (1, 1), (0, 0))) for row in kept]

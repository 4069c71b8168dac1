"""What autoregressive models share: p(x) as a mean over the classes where the model was trained given the class; and binary
pixels one after the other, each told by a number of what came before. And LSTMs over the rows or diagonals of an image."""

from abc import abstractmethod

import keras
import numpy as np
from keras import ops

from pipeline import Refusal
from pipeline.base import Autoregressive, Trainable
from pipeline.distributions import uniforms


class AutoregressiveModel(Trainable, Autoregressive):
    """loss = -log p(x), or -log p(x | y) where `conditional`. There, p(x) = sum_y p(y) p(x | y) with the classes' shares.

    conditional: whether the class of an image is given to the network
    """

    def __init__(self, spec, likelihood_name: str, conditional: bool):
        super().__init__(spec)
        if conditional and not spec.classes:
            raise Refusal("network.conditional: these images have no classes")
        self.likelihood_name, self.conditional = likelihood_name, conditional
        if conditional:
            self.shares = self.add_weight(name="shares", shape=(spec.classes,), initializer="ones", trainable=False)

    def adapt(self, x, y, rng):
        if self.conditional:
            counts = np.bincount(y, minlength=self.spec.classes) + 1.0  # a class that is absent is not impossible
            self.shares.assign(counts / counts.sum())

    def told(self, y):
        """The class as a condition [B, 1, 1, classes], or None."""
        return ops.one_hot(ops.cast(y, "int32"), self.spec.classes)[:, None, None] if self.conditional else None

    def terms(self, x, eps, y=None, training=False):
        return {"loss": -ops.sum(self.network.log_probs(x, self.told(y), training=training), axis=(1, 2))}

    def log_shares(self):
        return ops.log(self.shares / ops.sum(self.shares))

    def given_each_class(self, x):
        """log p(x_i | x_<i, y) for every y [B, classes, H, W]."""
        (batch, height, width, _), classes = x.shape, self.spec.classes
        told = self.told(ops.tile(ops.arange(classes), [batch]))
        return ops.reshape(self.network.log_probs(ops.repeat(x, classes, axis=0), told), (batch, classes, height, width))

    def log_probs(self, x, y=None):
        """Without y, p(x_i | x_<i) is a mean over the classes, weighted by what the pixels before say of them."""
        if not self.conditional or y is not None:
            return self.network.log_probs(x, self.told(y))
        each = self.given_each_class(x)
        upto = ops.cumsum(ops.reshape(each, (*each.shape[:2], -1)), axis=-1)
        joint = ops.logsumexp(self.log_shares()[:, None] + upto, axis=1)
        return ops.reshape(joint - ops.pad(joint[:, :-1], ((0, 0), (1, 0))), x.shape[:3])

    def warnings(self, x):
        """Is the likelihood's scale as small as it may be? Of a conditional model, given one class after the other."""
        y = ops.arange(ops.shape(x)[0]) % (self.spec.classes or 1)
        return self.network.likelihood.warnings(self.network(x, self.told(y)))

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return {"x": uniforms((n, *self.spec.shape), rng), "y": uniforms((n,), rng)}

    def sample(self, noise, y=None):
        return self.network.sample(noise["x"], self.told(self.drawn(noise, y)))

    def complete(self, noise, x, rows, y=None):
        return self.network.sample(noise["x"], self.told(self.drawn(noise, y, x, rows)), x, rows)

    def drawn(self, noise, y, x=None, rows=0):
        """A class by its share, or by what the first rows of x say of it, where none is given."""
        if not self.conditional or y is not None:
            return y
        weights = self.log_shares()[None]
        if x is not None:
            seen = ops.cast(ops.arange(x.shape[1])[:, None] < rows, "float32")
            weights = weights + ops.sum(self.given_each_class(x) * seen, axis=(2, 3))
        ends = ops.cumsum(ops.softmax(weights, axis=-1), axis=-1)[:, :-1]
        return ops.sum(ops.cast(noise["y"][:, None] >= ends, "int32"), axis=-1)


def binary(spec) -> None:
    if spec.levels != 2:
        raise Refusal(f"data: this model is of binary pixels, found {spec.levels or 'real'} values")


class BinaryChain(Trainable, Autoregressive):
    """p(x) = prod_i s(logit_i)^x_i (1 - s(logit_i))^(1 - x_i),   logit_i a function of x_<i;   loss = -log p(x)."""

    likelihood_name = "bernoulli"

    def __init__(self, spec):
        super().__init__(spec)
        binary(spec)

    @abstractmethod
    def logits(self, x):
        """[B, D] of 0 and 1 -> [B, D]."""

    def flat(self, x):
        return ops.reshape(ops.cast(x, "float32"), (-1, self.spec.dims))

    def log_probs(self, x, y=None):
        x = self.flat(x)
        found = -ops.softplus((1.0 - 2.0 * x) * self.logits(x))
        return ops.sum(ops.reshape(found, (-1, *self.spec.shape)), axis=-1)

    def terms(self, x, eps, y=None, training=False):
        return {"loss": -self.log_prob(x)}

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return {"x": uniforms((n, *self.spec.shape), rng)}

    def sample(self, noise, y=None):
        return self.complete(noise, ops.zeros_like(noise["x"]), 0)

    def complete(self, noise, x, rows, y=None):
        uniform, dims = ops.reshape(noise["x"], (-1, self.spec.dims)), self.spec.dims
        given = ops.cast(ops.arange(dims) < rows * (dims // self.spec.shape[0]), "float32")

        def step(i, x):
            here = ops.one_hot(i, dims)
            drawn = ops.cast(uniform < ops.sigmoid(self.logits(x)), "float32")
            return ops.where(here * (1.0 - given) > 0, drawn, x)

        found = ops.fori_loop(0, dims, step, self.flat(x) * given)
        return ops.cast(ops.reshape(found, (-1, *self.spec.shape)), "uint8")


class States(keras.layers.Layer):
    """The LSTMs of pixelrnn.py: from what an image adds to the gates at each step, T times [G, N, B, 4F], to h [T, G, N, B, F].

    G of them beside each other, each of N cells; to one come its last state, those of `before` cells before it, `after` behind.
    """

    def __init__(self, groups: int, features: int, before: int, after: int):
        super().__init__(dtype="float32")
        self.features, self.reach = features, (before, after)
        inputs = (before + 1 + after) * features
        limit = (6.0 / (inputs + features)) ** 0.5  # Glorot's, over one gate
        self.kernel_initializer = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(name="kernel", shape=(groups, inputs, 4 * features), initializer=self.kernel_initializer)

    def call(self, steps):
        groups, cells, batch, _ = ops.shape(steps[0])
        h = c = ops.zeros((groups, cells, batch, self.features))
        found = []
        for step in steps:
            padded = ops.pad(h, ((0, 0), self.reach, (0, 0), (0, 0)))
            near = ops.concatenate([padded[:, n : n + cells] for n in range(sum(self.reach) + 1)], axis=-1)
            told = ops.matmul(ops.reshape(near, (groups, -1, near.shape[-1])), self.kernel)
            o, f, i, g = ops.split(step + ops.reshape(told, ops.shape(step)), 4, axis=-1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            found.append(h)
        return ops.stack(found)


class Row(keras.layers.Layer):
    """[B, H, W, .] -> [B, H, W, F], row after row."""

    def __init__(self, features: int, reach: int):
        super().__init__(dtype="float32")
        self.reach = reach
        self.inputs = keras.layers.Conv2D(4 * features, (1, reach + 1), dtype="float32")  # K_is, needs no mask
        self.states = States(1, features, reach, reach)

    def call(self, u):
        steps = self.inputs(ops.pad(u, ((0, 0), (0, 0), (self.reach, 0), (0, 0))))
        h = self.states(ops.unstack(ops.transpose(steps, (1, 2, 0, 3))[:, None], axis=0))
        return ops.transpose(h[:, 0], (2, 0, 1, 3))


def skew(rows):
    """[..., H, W, D] -> [..., H, W + H - 1, D]: each row starts one place further right than that above; nought elsewhere."""
    *leading, height, width, depth = ops.shape(rows)
    flat = ops.reshape(ops.pad(rows, ((0, 0),) * len(leading) + ((0, 0), (0, height), (0, 0))), (*leading, -1, depth))
    return ops.reshape(flat[..., :-height, :], (*leading, height, width + height - 1, depth))


def unskew(rows):
    *leading, height, length, depth = ops.shape(rows)
    flat = ops.pad(ops.reshape(rows, (*leading, -1, depth)), ((0, 0),) * len(leading) + ((0, height), (0, 0)))
    return ops.reshape(flat, (*leading, height, length + 1, depth))[..., : length + 1 - height, :]


def from_above(rows):
    """[B, H, W, D], each row where that below it was."""
    return ops.pad(rows[:, :-1], ((0, 0), (1, 0), (0, 0), (0, 0)))


class Diagonal(keras.layers.Layer):
    """[B, H, W, .] -> [B, H, W, F], diagonal after diagonal. Left of the image a state is nought: nothing has reached it."""

    def __init__(self, features: int):
        super().__init__(dtype="float32")
        self.inputs = keras.layers.Dense(8 * features, dtype="float32")
        self.states = States(2, features, 1, 0)

    def call(self, u):
        left, right = ops.split(self.inputs(u), 2, axis=-1)
        steps = skew(ops.stack([left, ops.flip(right, axis=2)]))
        h = self.states(ops.unstack(ops.transpose(steps, (3, 0, 2, 1, 4)), axis=0))
        left, right = ops.unstack(unskew(ops.transpose(h, (1, 3, 2, 0, 4))), axis=0)
        return left + from_above(ops.flip(right, axis=2))

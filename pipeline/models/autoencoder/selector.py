"""Concrete autoencoder: differentiable selection of features.
A. Abid, M. F. Balin and J. Zou, ICML 2019, https://arxiv.org/abs/1901.09346

    m_i = softmax((log a_i + g_i) / T),   g = -log(-log u),   u_i = m_i . x,   i = 1..k
    T(b) = T_0 (T_B / T_0)^(b / B)
    loss = |x - x'|^2,   x' = g(u)

Outside training node i takes the one pixel argmax_j a_ij: what is validated and reported is reconstructed from k pixels. Each
image of a batch has Gumbel noise of its own.
"""

import keras
import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import Count, Fraction, Positive
from pipeline.distributions import relaxed, uniforms
from pipeline.models.autoencoder.blocks import Autoencoder

SURE, NEAR = 0.99, 1.1  # the least mean of the largest probabilities; the most times the error of greedy selection


class Selector(keras.layers.Layer):
    """[B, D] -> [B, k], mixtures of pixels at a temperature, or without one a pixel each."""

    def __init__(self, nodes: int, inputs: int):
        super().__init__(dtype="float32")
        self.logits_initializer = keras.initializers.GlorotNormal()
        self.logits = self.add_weight(name="logits", shape=(nodes, inputs), initializer=self.logits_initializer)

    def call(self, x, uniform=None, temperature=None):
        if temperature is None:
            return ops.take(x, ops.argmax(self.logits, axis=-1), axis=-1)
        return ops.matmul(relaxed(self.logits, uniform, temperature), x[:, :, None])[:, :, 0]


def greedy(x: np.ndarray, k: int) -> list[int]:
    """Columns of x [N, D] by forward selection: next that one which leaves least of all columns to a linear regression."""
    left, chosen = np.cov(x.T), []
    for _ in range(k):
        own = np.diag(left)
        explained = np.square(left).sum(axis=0) / np.where(own > 1e-9, own, np.inf)
        best = int(np.argmax(explained))
        chosen.append(best)
        left = left - np.outer(left[best], left[best]) / own[best]
    return chosen


def refitted(train: np.ndarray, test: np.ndarray, chosen) -> float:
    """Mean squared error per column of test, by least squares with an intercept from the chosen columns, fitted on train."""
    seen, held_out = (np.column_stack([x[:, chosen], np.ones(len(x))]) for x in (train, test))
    weights = np.linalg.lstsq(seen, train, rcond=None)[0]
    return float(np.mean(np.square(held_out @ weights - test)))


class Model(Autoencoder):
    """latent: k, how many pixels it selects
    first: the temperature before training
    last: that to which it falls
    cooling: the steps of training in which it does
    """

    def __init__(
        self,
        spec,
        *,
        latent: Count,
        widths: list[Count],
        dropout: Fraction = 0.0,
        first: Positive = 10.0,
        last: Positive = 0.1,
        cooling: Count,
    ):
        super().__init__(spec)
        self.select = Selector(latent, spec.dims)
        self.first, self.fall, self.clock = first, last / first, nn.Clock(cooling)
        self.g = nn.decoder("dense", widths, latent, spec.shape, dropout)

    def training_noise(self, n: int, rng: np.random.Generator) -> dict:
        return {"gumbel": uniforms((n, *self.select.logits.shape), rng)}

    def encode(self, x, y=None, training=False, uniform=None):
        flat = ops.reshape(self.spec.scaled(x), (-1, self.spec.dims))
        if not training:
            return self.select(flat)
        return self.select(flat, uniform, self.first * ops.power(self.fall, self.clock(training=True)))

    def decoded(self, code, training=False):
        return self.g(code, training=training)

    def terms(self, x, eps, y=None, training=False):
        code = self.encode(x, y, training, eps.get("gumbel"))
        error = ops.sum(ops.square(self.spec.scaled(x) - self.decoded(code, training)), axis=(1, 2, 3))
        return {"loss": error, "distortion": error}

    def gates(self, images):
        """Is the selection a selection, and are its pixels good ones, whoever reconstructs from them?"""
        from pipeline.data.store import training_images
        from pipeline.gates import at_least, at_most

        top = 1 if images.levels is None else images.levels - 1
        train, test = (np.reshape(x, (len(x), -1)) / top for x in (training_images(images), images.test.x))
        logits = self.select.logits
        chosen, sure = np.argmax(np.asarray(logits), axis=-1), float(ops.mean(ops.max(ops.softmax(logits), axis=-1)))
        k, error = len(chosen), refitted(train, test, chosen)
        widest = refitted(train, test, np.argsort(-train.var(axis=0), kind="stable")[:k])
        name = "squared error of a linear refit"
        return [
            at_least("different pixels among those selected", len(set(chosen.tolist())), k),
            at_least("mean of the largest probabilities", sure, SURE),
            at_most(f"{name} over that of the pixels of largest variance", error / widest, 1.0),
            at_most(f"{name} over that of greedy selection", error / refitted(train, test, greedy(train, k)), NEAR),
        ]

"""Masked autoencoder for distribution estimation: one dense network, whose masks make it a chain in any order of the pixels.
M. Germain, K. Gregor, I. Murray and H. Larochelle, ICML 2015, https://arxiv.org/abs/1502.03509

    m(i) the place of pixel i in the order;   a hidden unit k has a degree m(k) < D and sees what stands up to there
    M^W_kd = 1 if m(k) >= m(d),   M^V_dk = 1 if m(d) > m(k)                                                         (8, 9)
    p(x) = 1/K sum_o prod_i p(x_i | those before it in the order o):   one set of weights, K sets of masks   (section 4.2)

In training the mean of the orders' log p(x) is climbed, a bound on log p(x), which is reported.
"""

import math

import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import Count, Exact, Trainable, generator
from pipeline.distributions import uniforms
from pipeline.models.autoregressive.blocks import binary


class Model(Trainable, Exact):
    """widths: units of each hidden layer
    orders: K, of the pixels; the first is the raster, the others are drawn at random, the same for all seeds
    """

    likelihood_name = "bernoulli"

    def __init__(self, spec, *, widths: list[Count], orders: Count = 1):
        super().__init__(spec)
        binary(spec)
        places = [np.arange(spec.dims)] + [generator(0, "order", o).permutation(spec.dims) for o in range(1, orders)]
        self.places = np.stack(places)  # [K, D]: m(i) of each order
        sizes = [spec.dims, *widths, spec.dims]
        self.dense = [nn.Masked(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 1)]
        # Degrees spread evenly over 0..D-2: as many units see little as see much.
        degrees = [np.arange(width) * (spec.dims - 1) // width for width in widths]
        self.masks = [nn.masks(place, degrees) for place in self.places]

    def logits(self, x, order: int):
        """[B, D] of 0 and 1 -> [B, D], of each pixel given those before it in the order."""
        for layer, mask in zip(self.dense[:-1], self.masks[order][:-1], strict=True):
            x = ops.elu(layer(x, mask))
        return self.dense[-1](x, self.masks[order][-1])

    def by_order(self, x):
        """log p(x) in each order [K, B]."""
        x = ops.reshape(ops.cast(x, "float32"), (-1, self.spec.dims))
        each = [-ops.softplus((1.0 - 2.0 * x) * self.logits(x, order)) for order in range(len(self.places))]
        return ops.sum(ops.stack(each), axis=-1)

    def log_prob(self, x, y=None):
        return ops.logsumexp(self.by_order(x), axis=0) - math.log(len(self.places))

    def terms(self, x, eps, y=None, training=False):
        return {"loss": -(ops.mean(self.by_order(x), axis=0) if training else self.log_prob(x))}

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return {"order": uniforms((n,), rng), "x": uniforms((n, *self.spec.shape), rng)}

    def sample(self, noise, y=None):
        """An order by chance, then pixel by pixel in that order."""
        dims, count = self.spec.dims, len(self.places)
        mine = ops.one_hot(ops.cast(noise["order"] * count, "int32"), count)  # [B, K]
        place = ops.matmul(mine, self.places.astype("float32"))
        uniform = ops.reshape(noise["x"], (-1, dims))

        def step(i, x):
            logits = sum(mine[:, order, None] * self.logits(x, order) for order in range(count))
            here = ops.abs(place - ops.cast(i, "float32")) < 0.5
            return ops.where(here, ops.cast(uniform < ops.sigmoid(logits), "float32"), x)

        found = ops.fori_loop(0, dims, step, ops.zeros_like(uniform))
        return ops.cast(ops.reshape(found, (-1, *self.spec.shape)), "uint8")

"""VAE with an inverse autoregressive flow as its posterior.
D. P. Kingma, T. Salimans, R. Jozefowicz et al., NeurIPS 2016, https://arxiv.org/abs/1606.04934

    z_0 = mu(x) + s(x) eps,   h(x) a context,   and of every step t (algorithm 1 and section 4)
    [m, a] = masked network of (z_{t-1}, h), whose i-th outputs see z_1, ..., z_{i-1} and all of h
    gate = sigmoid(a + BIAS),   z_t = gate z_{t-1} + (1 - gate) m
    log q(z_T | x) = log N(eps; 0, I) - sum_i [log s_i + sum_t log gate_{t, i}]

dz_t / dz_{t-1} is triangular with the gates on its diagonal. The order of the dimensions is reversed after each step. With
BIAS > 0 a step begins near identity. Hidden units of degree 0 see h alone.
"""

import keras
import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import Count
from pipeline.models.latent.blocks import FlowLatent

BIAS = 1.5


class Step(keras.layers.Layer):
    """z_{t-1} [k, B, d] and h [B, context] -> z_t and the logarithms of the gates [k, B, d]."""

    def __init__(self, latent: int, hidden: list[int]):
        super().__init__(dtype="float32")
        degrees = [np.arange(units) * latent // units for units in hidden]
        self.masks = nn.masks(np.arange(1, latent + 1), degrees, outputs=2)  # m and a side by side
        self.network = [nn.Masked(*mask.shape) for mask in self.masks]
        self.context = keras.layers.Dense(self.masks[0].shape[1], use_bias=False, dtype="float32")

    def call(self, z, h):
        made = self.network[0](z, self.masks[0]) + self.context(h)
        for layer, mask in zip(self.network[1:], self.masks[1:], strict=True):
            made = layer(ops.elu(made), mask)
        m, a = ops.split(made, 2, axis=-1)
        log_gate = ops.log_sigmoid(a + BIAS)
        gate = ops.exp(log_gate)
        return gate * z + (1.0 - gate) * m, log_gate


class Model(FlowLatent):
    """steps: T, how many masked networks follow one another
    hidden: units of each hidden layer of a masked network
    context: numbers of h
    """

    def __init__(self, spec, *, latent: Count, steps: Count, hidden: list[Count], context: Count, **network):
        super().__init__(spec, latent, context, **network)
        self.steps = [Step(latent, hidden) for _ in range(steps)]

    def flow(self, z, q):
        total = 0.0
        for step in self.steps:
            z, log_gate = step(z, q["further"])
            z, total = ops.flip(z, axis=-1), total + ops.sum(log_gate, axis=-1)
        return z, total

    def gates(self, images):
        """The entries of each step's Jacobian that have to be 0, besides what every flow has to show."""
        from pipeline.gates import at_most, jacobian

        (q, z), above = self.looked_at(images), []
        for step in self.steps:
            above.append(np.abs(np.triu(jacobian(lambda z, step=step: step(z, q["further"])[0], z), 1)).max())
            z = ops.flip(step(z, q["further"])[0], axis=-1)
        return [*super().gates(images), at_most("a step's Jacobian: largest entry above the diagonal", max(above), 0.0)]

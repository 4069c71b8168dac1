"""Masked autoregressive flow, and the inverse one.
G. Papamakarios, T. Pavlakou and I. Murray, NeurIPS 2017, https://arxiv.org/abs/1705.07057
D. P. Kingma, T. Salimans, R. Jozefowicz et al., NeurIPS 2016, https://arxiv.org/abs/1606.04934

    g(z)_i = (z_i - m_i) exp(-a_i),   [m_i, a_i] = masked network of z_1, ..., z_{i-1},   log |det dg / dz| = -sum_i a_i
    maf: f = g, a density in one pass of each step's network, a sample in D
    iaf: f = g^-1, the reverse

The order of the numbers is reversed after each step. Before each there is a scale for each number, where the paper has batch
normalisation. a is kept within +-LIMIT.
"""

from typing import Literal

import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import Count
from pipeline.models.flow.blocks import Flow, Normed, Step

LIMIT = 2.0


class Autoregression(Step):
    """`quick` is g, of one pass; `slow` is its inverse, of D. `turned`: f is the inverse."""

    def __init__(self, dims: int, hidden: list[int], turned: bool):
        super().__init__()
        self.turned, degrees = turned, [1 + np.arange(units) * (dims - 1) // units for units in hidden]
        self.masks = nn.masks(np.arange(1, dims + 1), degrees, outputs=2)  # m and a side by side
        hidden_masks, last = self.masks[:-1], self.masks[-1]
        self.network = [*(nn.Masked(*mask.shape) for mask in hidden_masks), nn.Masked(*last.shape, "zeros")]

    def moves(self, z):
        """m and a [..., D]."""
        for layer, mask in zip(self.network[:-1], self.masks[:-1], strict=True):
            z = ops.elu(layer(z, mask))
        m, a = ops.split(self.network[-1](z, self.masks[-1]), 2, axis=-1)
        return m, LIMIT * ops.tanh(a / LIMIT)

    def quick(self, z):
        m, a = self.moves(z)
        return (z - m) * ops.exp(-a), -ops.sum(a, axis=-1)

    def slow(self, moved):
        """Number by number: what is not yet known is 0."""
        dims = moved.shape[-1]

        def step(i, z):
            m, a = self.moves(z)
            return ops.where(ops.arange(dims) == i, moved * ops.exp(a) + m, z)

        return ops.fori_loop(0, dims, step, ops.zeros_like(moved))

    def call(self, z):
        if not self.turned:
            moved, log_det = self.quick(z)
            return ops.flip(moved, axis=-1), log_det
        found = self.slow(z)
        return ops.flip(found, axis=-1), -self.quick(found)[1]

    def back(self, z):
        z = ops.flip(z, axis=-1)
        return self.quick(z)[0] if self.turned else self.slow(z)


class Model(Flow):
    """direction: maf: densities are quick, samples slow; iaf: the reverse, and training slow, too
    steps: how many masked networks follow one another
    hidden: units of each hidden layer of one
    """

    def __init__(self, spec, *, direction: Literal["maf", "iaf"], steps: Count, hidden: list[Count], **network):
        super().__init__(spec, **network)
        chain = []
        for _ in range(steps):
            chain += [Normed(spec.dims), Autoregression(spec.dims, hidden, direction == "iaf")]
        self.steps = chain

"""Coupling flows: NICE, RealNVP, and Glow's learned mixing.
L. Dinh, D. Krueger and Y. Bengio, ICLR 2015 workshop, https://arxiv.org/abs/1410.8516
L. Dinh, J. Sohl-Dickstein and S. Bengio, ICLR 2017, https://arxiv.org/abs/1605.08803
D. P. Kingma and P. Dhariwal, NeurIPS 2018, https://arxiv.org/abs/1807.03039

    [s, t] = (1 - b) network(b z),   f(z) = z exp(s) + t,   log |det df / dz| = sum_i s_i   (RealNVP)
    additive: s = 0   (NICE)
    mixing: z W,   W = P L U,   log |det W| = sum_i log |u_ii|   (Glow)

b is a checkerboard of 0 and 1, and its opposite in every second step. The flow begins and ends with a scale for each number, of
which NICE has the last; with mixing there is one before each W. Glow mixes the channels of a pixel, here all numbers are mixed.
P is a random permutation and at first L = U = 1; u_ii > 0. s is kept within +-LIMIT.
"""

from typing import Literal

import numpy as np
from keras import ops

from pipeline import Refusal
from pipeline.base import Count, generator
from pipeline.models.flow.blocks import Flow, Network, Normed, Step

LIMIT = 2.0


class Coupling(Step):
    def __init__(self, mask: np.ndarray, hidden: list[int], affine: bool):
        super().__init__()
        self.mask, self.affine = mask, affine
        self.network = Network(hidden, len(mask) * (2 if affine else 1))

    def moves(self, z):
        """s and t [..., D], 0 where the mask is 1."""
        made = self.network(z * self.mask)
        if not self.affine:
            return ops.zeros_like(made), made * (1.0 - self.mask)
        s, t = ops.split(made, 2, axis=-1)
        return LIMIT * ops.tanh(s / LIMIT) * (1.0 - self.mask), t * (1.0 - self.mask)

    def call(self, z):
        s, t = self.moves(z)
        return z * ops.exp(s) + t, ops.sum(s, axis=-1)

    def back(self, z):
        s, t = self.moves(z)  # which do not see what they moved
        return (z - t) * ops.exp(-s)


class Mixing(Step):
    """f(z) = z W. L is below the diagonal of one matrix, U above it, and log u_ii on it."""

    def __init__(self, permutation: np.ndarray):
        super().__init__()
        self.permutation, dims = permutation, len(permutation)
        self.kernel = self.add_weight(name="kernel", shape=(dims, dims), initializer="zeros")

    def factors(self):
        lower = ops.tril(self.kernel, -1) + ops.eye(self.kernel.shape[0])
        return lower, ops.triu(self.kernel, 1) + ops.diag(ops.exp(ops.diagonal(self.kernel)))

    def call(self, z):
        lower, upper = self.factors()
        moved = ops.matmul(ops.take(z, self.permutation, axis=-1), ops.matmul(lower, upper))
        return moved, ops.zeros_like(z[..., 0]) + ops.sum(ops.diagonal(self.kernel))

    def back(self, z):
        lower, upper = (ops.transpose(factor) for factor in self.factors())
        columns = ops.transpose(ops.reshape(z, (-1, len(self.permutation))))
        found = ops.solve_triangular(lower, ops.solve_triangular(upper, columns, lower=True))
        return ops.reshape(ops.take(ops.transpose(found), np.argsort(self.permutation), axis=-1), ops.shape(z))


class Model(Flow):
    """coupling: additive, which keeps volumes, or affine
    mixing: linear: a learned matrix before each coupling, or none
    steps: how many couplings follow one another
    hidden: units of each hidden layer of a coupling's network
    """

    def __init__(
        self,
        spec,
        *,
        coupling: Literal["additive", "affine"],
        mixing: Literal["none", "linear"],
        steps: Count,
        hidden: list[Count],
        **network,
    ):
        super().__init__(spec, **network)
        if spec.dims < 2:
            raise Refusal("network.coupling: an image of one number has no two parts")
        board = (np.indices(spec.shape).sum(axis=0) % 2).reshape(-1).astype("float32")
        chain = []
        for t in range(steps):
            if mixing == "linear":
                chain += [Normed(spec.dims), Mixing(generator(0, "permutation", t).permutation(spec.dims))]
            elif t == 0:
                chain += [Normed(spec.dims)]
            chain += [Coupling(board if t % 2 else 1.0 - board, hidden, coupling == "affine")]
        chain += [Normed(spec.dims)]
        self.steps = chain

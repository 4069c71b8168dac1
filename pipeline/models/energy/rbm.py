"""RBM: a restricted Boltzmann machine, of whose units few enough are hidden that its Z is a sum.
G. E. Hinton, Neural Computation 14 (2002), https://doi.org/10.1162/089976602760128018
R. Salakhutdinov and I. Murray, ICML 2008, https://doi.org/10.1145/1390156.1390266

    E(x, h) = -x'W h - b'x - c'h,   x and h binary
    E(x) = -log sum_h exp(-E(x, h)) = -b'x - sum_j log(1 + exp(c_j + x'W_j)),   log p(x) = -E(x) - log Z
    Z = sum_h exp(c'h) prod_i (1 + exp(b_i + W_i h)),   a sum of 2^hidden terms

The first paper has the learning rule. The second estimates the Z of larger machines, whose terms nobody can count, by chains
from independent pixels, exp(a'x), through (1 - t) (-a'x) + t E(x, h) to t = 1; here that is held against the exact Z.
"""

from typing import Annotated

import keras
import numpy as np
from annotated_types import Ge, Le
from keras import ops

from pipeline.distributions import uniforms
from pipeline.models.energy.blocks import EnergyModel, Machine


class Couplings(Machine):
    """E(x, h) at an inverse temperature; h is [B, hidden]."""

    def __init__(self, pixels: int, hidden: int):
        super().__init__(pixels)
        self.hidden, self.kernel_initializer = hidden, keras.initializers.RandomNormal(stddev=0.01)
        self.kernel = self.add_weight(name="kernel", shape=(pixels, hidden), initializer=self.kernel_initializer)
        self.pixel_bias = self.add_weight(name="pixel_bias", shape=(pixels,), initializer="zeros")
        self.hidden_bias = self.add_weight(name="hidden_bias", shape=(hidden,), initializer="zeros")

    def to_hidden(self, x, t=1.0):
        """Logits of p(h_j = 1 | x)."""
        return t * (ops.matmul(x, self.kernel) + self.hidden_bias)

    def to_pixels(self, h, t=1.0):
        """Logits of p(x_i = 1 | h)."""
        return (1.0 - t) * self.alone + t * (ops.matmul(h, ops.transpose(self.kernel)) + self.pixel_bias)

    def energy(self, x, t=1.0):
        """E(x) = -log sum_h exp(-E(x, h))  [B]."""
        field = (1.0 - t) * self.alone + t * self.pixel_bias
        return -ops.sum(x * field, axis=-1) - ops.sum(ops.softplus(self.to_hidden(x, t)), axis=-1)

    def log_sums(self, h):
        """log sum_x exp(-E(x, h)) at t = 1  [B]."""
        return ops.sum(h * self.hidden_bias, axis=-1) + ops.sum(ops.softplus(self.to_pixels(h)), axis=-1)

    def step(self, x, eps: dict, t=1.0):
        """x -> h -> x."""
        h = ops.cast(eps["h"] < ops.sigmoid(self.to_hidden(x, t)), "float32")
        return ops.cast(eps["x"] < ops.sigmoid(self.to_pixels(h, t)), "float32")

    def shapes(self):
        return {"h": (self.hidden,), "x": (self.pixels,)}

    def log_z_alone(self):
        """Hidden units are fair coins there."""
        return super().log_z_alone() + float(self.hidden * np.log(2.0))


class Model(EnergyModel):
    """hidden: units that no image shows; log p(x) is a sum over their 2^hidden states"""

    def __init__(self, spec, *, hidden: Annotated[int, Ge(1), Le(16)], **chains):
        super().__init__(spec, Couplings(spec.dims, hidden), **chains)
        self.states = (np.arange(2**hidden)[:, None] >> np.arange(hidden) & 1).astype("float32")

    def adapt(self, x, y, rng):
        """Begins with independent pixels."""
        super().adapt(x, y, rng)
        self.machine.pixel_bias.assign(np.array(self.machine.alone))  # JAX would share one buffer

    def log_z(self):
        return ops.logsumexp(self.machine.log_sums(ops.convert_to_tensor(self.states)))

    def drawn(self, n, rng):
        """h by the sum of its terms, then x given h."""
        log_p = np.asarray(self.machine.log_sums(self.states), "float64")
        h = self.states[rng.choice(len(log_p), n, p=np.exp(log_p - np.logaddexp.reduce(log_p)))]
        return ops.cast(uniforms((n, self.spec.dims), rng) < ops.sigmoid(self.machine.to_pixels(h)), "float32")

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

import numpy as np
from annotated_types import Ge, Le
from keras import ops

from pipeline import Refusal
from pipeline.base import Count, Exact, generator
from pipeline.distributions import uniforms
from pipeline.models.energy.blocks import Couplings, EnergyModel

CHAINS, TEMPERATURES, DRAWS = 256, 1000, 1000  # of the gates


class Model(EnergyModel, Exact):
    """hidden: units that no image shows; log p(x) is a sum over their 2^hidden states
    steps: of the Markov chains of training
    sample_steps: of those whose ends are samples
    """

    likelihood_name = "boltzmann"

    def __init__(self, spec, *, hidden: Annotated[int, Ge(1), Le(16)], steps: Count, sample_steps: Count):
        super().__init__(spec)
        if spec.levels != 2:
            raise Refusal(f"network: an RBM wants binary images, these have {spec.levels or 'no'} levels")
        self.hidden, self.steps, self.sample_steps = hidden, steps, sample_steps
        self.couplings = Couplings(spec.dims, hidden)
        self.states = (np.arange(2**hidden)[:, None] >> np.arange(hidden) & 1).astype("float32")

    def adapt(self, x, y, rng):
        """Begins with independent pixels, half a count added for either level."""
        share = (x.reshape(len(x), -1).sum(axis=0, dtype="float64") + 0.5) / (len(x) + 1)
        self.couplings.alone.assign(np.log(share / (1 - share)))
        self.couplings.pixel_bias.assign(np.log(share / (1 - share)))

    def flat(self, x):
        return ops.reshape(ops.cast(x, "float32"), (-1, self.spec.dims))

    def energy(self, x):
        return self.couplings.energy(self.flat(x))

    def log_z(self):
        return ops.logsumexp(self.couplings.log_sums(ops.convert_to_tensor(self.states)))

    def log_prob(self, x, y=None):
        return -self.energy(x) - self.log_z()

    def terms(self, x, eps, y=None, training=False):
        return {"loss": self.contrast(x, eps) if training else -self.log_prob(x)}

    def training_noise(self, n, rng):
        return {"h": uniforms((n, self.steps, self.hidden), rng), "x": uniforms((n, self.steps, self.spec.dims), rng)}

    def chain(self, x, eps):
        def step(i, x):
            return self.couplings.step(x, {name: leaf[:, i] for name, leaf in eps.items()})

        return ops.fori_loop(0, eps["h"].shape[1], step, self.flat(x))

    def noise(self, n, rng):
        """`first` decides the pixels that a chain begins with, independent ones."""
        shapes = {"h": (self.sample_steps, self.hidden), "x": (self.sample_steps, self.spec.dims), "first": (self.spec.dims,)}
        return {name: uniforms((n, *shape), rng) for name, shape in shapes.items()}

    def sample(self, noise, y=None):
        first = noise["first"] < ops.sigmoid(self.couplings.alone)
        end = self.chain(first, {name: noise[name] for name in ("h", "x")})
        return ops.reshape(ops.cast(end, "uint8"), (-1, *self.spec.shape))

    def drawn(self, n: int, rng: np.random.Generator):
        """x ~ p(x), flat, without a chain: h by the sum of its terms, then x given h."""
        log_p = np.asarray(self.couplings.log_sums(self.states), "float64")
        h = self.states[rng.choice(len(log_p), n, p=np.exp(log_p - np.logaddexp.reduce(log_p)))]
        return ops.cast(uniforms((n, self.spec.dims), rng) < ops.sigmoid(self.couplings.to_pixels(h)), "float32")

    def gates(self, images):
        """Is its Z what annealing finds from either side, its p(x) better than independent pixels, its chain long enough?"""
        from pipeline.gates import at_least, at_most

        rng, alone = generator(0, "annealing"), ops.convert_to_tensor(self.couplings.alone)
        first = float(self.hidden * np.log(2.0) + ops.sum(ops.softplus(alone)))  # log Z at t = 0
        start = ops.cast(uniforms((CHAINS, self.spec.dims), rng) < ops.sigmoid(alone), "float32")
        up, log_z = np.linspace(0.0, 1.0, TEMPERATURES), float(self.log_z())
        low = first + self.couplings.annealed(start, up, rng)
        high = first - self.couplings.annealed(self.drawn(CHAINS, rng), up[::-1], rng)
        x = self.flat(images.test.x)
        independent = ops.sum(x * alone - ops.softplus(alone), axis=-1)
        gain = float(ops.mean(self.log_prob(x) - independent))
        chains, draws = self.sample(self.noise(DRAWS, rng)), self.drawn(DRAWS, rng)
        one, other = (np.asarray(self.energy(each), "float64") for each in (chains, draws))
        apart = abs(one.mean() - other.mean()) / np.sqrt((one.var() + other.var()) / DRAWS)
        return [
            at_most("annealed up, log Z (too low in expectation, so log p too high) is off by, nats", abs(low - log_z), 0.1),
            at_most("annealed down from exact draws, log Z (too high in expectation) is off by, nats", abs(high - log_z), 0.1),
            at_least("log p of test images above that of independent pixels, nats", gain, 0.0),
            at_most("energy of the chains' ends against exact draws, standard errors", apart, 4.0),
        ]

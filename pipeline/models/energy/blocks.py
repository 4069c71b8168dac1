"""What energy models share: a machine of binary pixels that anneals between temperatures, training against one's own chains."""

import itertools
from abc import abstractmethod
from functools import cached_property

import keras
import numpy as np
from keras import ops

from pipeline import Refusal, backend
from pipeline.base import Count, Exact, Trainable, generator
from pipeline.distributions import uniforms

CHAINS, DRAWS = 256, 1000  # of the gates


class Machine(keras.layers.Layer):
    """E(x) of flat binary images [B, pixels] at an inverse temperature t from 1 down to 0, where, but for a constant, it is
    -a'x: independent pixels."""

    def __init__(self, pixels: int):
        super().__init__(dtype="float32")
        self.pixels = pixels
        self.alone = self.add_weight(name="alone", shape=(pixels,), initializer="zeros", trainable=False)

    @abstractmethod
    def energy(self, x, t=1.0):
        """[B]"""

    @abstractmethod
    def step(self, x, eps: dict, t=1.0):
        """A step of a Markov chain that leaves p_t as it is; eps has leaves [B, ...] of the `shapes`."""

    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the uniforms that a step takes."""

    @cached_property
    def move(self):
        """From one temperature to the next: what a chain's log-weight gains, and where it then is. Compiled when it is first
        asked for, by JAX with the weights of then: of a machine that learns no more."""

        def move(x, eps, before, after):
            return self.energy(x, before) - self.energy(x, after), self.step(x, eps, after)

        return backend.compiled(move, fused=True)

    def log_z_alone(self) -> float:
        """log Z at t = 0."""
        return float(ops.sum(ops.softplus(ops.convert_to_tensor(self.alone))))

    def annealed(self, x, temperatures: np.ndarray, rng: np.random.Generator) -> float:
        """log of the mean weight of chains that begin at x, exact draws at the first temperature, and go to the last: the
        weight's mean is the last Z over the first, so that its logarithm is too low in expectation."""
        weights = np.zeros(len(x))
        for before, after in itertools.pairwise(np.float32(temperatures)):
            eps = {name: uniforms((len(x), *shape), rng) for name, shape in self.shapes().items()}
            gained, x = self.move(x, eps, before, after)
            weights += gained
        return float(np.logaddexp.reduce(weights) - np.log(len(weights)))


class EnergyModel(Trainable, Exact):
    """p(x) = exp(-E(x)) / Z, so that the gradient of -log p(x) is that of E(x) minus its mean over p.

    Contrastive divergence puts the end of a short Markov chain that begins at x in the place of that mean (Hinton, 2002). The
    loss of training, E(x) - E(end), is then no likelihood and may have either sign.

    steps: of the Markov chains of training
    sample_steps: of those whose ends are samples
    """

    likelihood_name = "boltzmann"
    temperatures = 1000  # of the annealing that gates look at

    def __init__(self, spec, machine: Machine, *, steps: Count, sample_steps: Count):
        super().__init__(spec)
        if spec.levels != 2:
            raise Refusal(f"network: an energy model wants binary images, these have {spec.levels or 'no'} levels")
        self.machine, self.steps, self.sample_steps = machine, steps, sample_steps

    @abstractmethod
    def log_z(self):
        """log Z, a sum that can be done."""

    @abstractmethod
    def drawn(self, n: int, rng: np.random.Generator):
        """x ~ p(x), flat, without a chain."""

    def adapt(self, x, y, rng):
        """t = 0 are the independent pixels of the training images, half a count added for either level."""
        share = (x.reshape(len(x), -1).sum(axis=0, dtype="float64") + 0.5) / (len(x) + 1)
        self.machine.alone.assign(np.log(share / (1 - share)))

    def flat(self, x):
        return ops.reshape(ops.cast(x, "float32"), (-1, self.spec.dims))

    def energy(self, x):
        return self.machine.energy(self.flat(x))

    def log_prob(self, x, y=None):
        return -self.energy(x) - self.log_z()

    def contrast(self, x, eps: dict):
        """[B]"""
        return self.energy(x) - self.energy(ops.stop_gradient(self.chain(x, eps)))

    def terms(self, x, eps, y=None, training=False):
        return {"loss": self.contrast(x, eps) if training else -self.log_prob(x)}

    def leaves(self, n: int, steps: int, rng: np.random.Generator) -> dict:
        return {name: uniforms((n, steps, *shape), rng) for name, shape in self.machine.shapes().items()}

    def training_noise(self, n, rng):
        return self.leaves(n, self.steps, rng)

    def chain(self, x, eps):
        """The end of a chain begun at x; eps has leaves [B, steps, ...]."""

        def step(i, x):
            return self.machine.step(x, {name: ops.take(leaf, i, axis=1) for name, leaf in eps.items()})

        return ops.fori_loop(0, eps["x"].shape[1], step, self.flat(x))

    def noise(self, n, rng):
        """`first` decides the pixels that a chain begins with, independent ones."""
        return self.leaves(n, self.sample_steps, rng) | {"first": uniforms((n, self.spec.dims), rng)}

    def sample(self, noise, y=None):
        first = noise["first"] < ops.sigmoid(self.machine.alone)
        end = self.chain(first, {name: noise[name] for name in self.machine.shapes()})
        return ops.reshape(ops.cast(end, "uint8"), (-1, *self.spec.shape))

    def gates(self, images):
        """Is its Z what annealing finds from either side, its p(x) better than independent pixels, its chain long enough?"""
        from pipeline.gates import at_least, at_most

        rng, alone, first = generator(0, "annealing"), ops.convert_to_tensor(self.machine.alone), self.machine.log_z_alone()
        start = ops.cast(uniforms((CHAINS, self.spec.dims), rng) < ops.sigmoid(alone), "float32")
        up, log_z = np.linspace(0.0, 1.0, self.temperatures), float(self.log_z())
        low = first + self.machine.annealed(start, up, rng)
        high = first - self.machine.annealed(self.drawn(CHAINS, rng), up[::-1], rng)
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

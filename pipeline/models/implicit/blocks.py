"""What models without a density share: how two sets are told apart, by a kernel or by a network that learns it."""

from abc import abstractmethod

import keras
import numpy as np
from keras import ops

from pipeline import backend
from pipeline.base import Samples, Trainable
from pipeline.distributions import multiquadratics

PERMUTATIONS = 400


def split_distance(gram: np.ndarray, first: np.ndarray) -> float:
    """Of the n draws that `first` [2n] marks with 1 from the others, by the kernel of all pairs; above `squared_mmd` by what
    its diagonal adds, the same for every division."""
    n, second = len(first) // 2, 1.0 - first
    of_first, of_second = gram @ first, gram @ second
    return (first @ of_first + second @ of_second) / (n * (n - 1)) - 2.0 * (first @ of_second) / n**2


def share_further(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> float:
    """The share of random divisions of all draws in two halves that are as far apart as a and b [n, d] are: uniform on (0, 1)
    where both are from one distribution, and near 0 where they are not."""
    both, n = np.concatenate([a, b]).astype("float32"), len(a)
    gram, given = np.asarray(multiquadratics(both, both), "float64"), (np.arange(2 * n) < n).astype(float)
    found = split_distance(gram, given)
    chance = [split_distance(gram, rng.permutation(given)) for _ in range(PERMUTATIONS)]
    return (1 + sum(each >= found for each in chance)) / (1 + PERMUTATIONS)


def weights(network: keras.Model) -> list:
    return [ops.convert_to_tensor(weight) for weight in network.trainable_variables]


def told(network: keras.Model, weights: list, x):
    """The one number [B] that a network in training says of each x under these weights; its state stays as it is."""
    return network.stateless_call(weights, network.non_trainable_variables, x, training=True)[0][:, 0]


def fixed(network: keras.Model, x):
    """The number of `told`, through which the gradient reaches x and no weight."""
    return told(network, [ops.stop_gradient(weight) for weight in weights(network)], x)


def steepness(network: keras.Model, x):
    """|d network(x) / d x|^2 [B], as a function of the weights."""
    now = weights(network)
    slope = backend.value_and_gradient(lambda x: told(network, now, x), ops.stop_gradient(x))[1]
    return ops.sum(ops.square(slope), axis=list(range(1, len(slope.shape))))


def rivals(critic: keras.Model, real, fake, damping: float):
    """What the critic loses and what the maker of `fake` loses, [B] each, D = sigmoid(critic); of the one the gradient reaches
    the critic's weights only, of the other `fake` only: minimised together, each moves with the other held fixed.

    critic  -log D(real) - log(1 - D(fake)) + damping / 2 |d critic(real) / d real|^2          maker  -log D(fake)

    Without the last term the two may circle each other for good; with it they come to rest where fake is like real, and there
    it is 0 (L. Mescheder, A. Geiger and S. Nowozin, ICML 2018, equation 9, https://arxiv.org/abs/1801.04406).
    """
    of_real, of_fake = ops.split(critic(ops.concatenate([real, ops.stop_gradient(fake)]), training=True)[:, 0], 2)
    loss = ops.softplus(-of_real) + ops.softplus(of_fake)
    if damping:
        loss = loss + 0.5 * damping * steepness(critic, real)
    return loss, ops.softplus(-fixed(critic, fake))


class Implicit(Trainable, Samples):
    """x = G(z), z ~ N(0, I). Its term `distance` is of a whole batch and as many draws: an image has none of its own.

    latent: the dimension of z
    """

    def __init__(self, spec, latent: int):
        super().__init__(spec)
        self.latent = latent

    @abstractmethod
    def made(self, z, training=False):
        """G(z) [B, H, W, C], as the networks see images."""

    def eps(self, n: int, rng: np.random.Generator) -> dict:
        return {"z": rng.standard_normal((n, self.latent), "float32")}

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return self.eps(n, rng)

    def sample(self, noise, y=None):
        """G(z), on the levels of the data."""
        x = self.spec.unscaled(self.made(noise["z"]))
        if self.spec.levels is None:
            return x
        return ops.cast(ops.clip(ops.round(x), 0, self.spec.levels - 1), "uint8")

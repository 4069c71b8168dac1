"""What models with quantised codes share: the codebook, the objective, the prior over code maps, and p(x) through them."""

from typing import Literal

import keras
import numpy as np
from keras import ops

from pipeline import Refusal
from pipeline.base import Discrete, Trainable
from pipeline.causal.network import Network
from pipeline.distributions import uniforms

Learning = Literal["ema", "loss"]


class Codebook(keras.layers.Layer):
    """K vectors of D numbers. With `ema` they follow moving averages of what was assigned to them, otherwise a gradient.

    In the first `restarts` steps of training a code that is hardly used (below a twentieth of an even share) is moved to a
    random encoding of the batch; later, training is left to converge. Nothing moves outside training.
    """

    def __init__(self, codes: int, dimension: int, learning: Learning, decay: float, restarts: int):
        super().__init__(dtype="float32")
        self.codes, self.learning, self.decay, self.restarts = codes, learning, decay, restarts
        shape = (codes, dimension)
        # A gradient moves `learned`; restarts and averages move `placed`, which is state: so both backends keep it.
        self.learned = self.add_weight(name="learned", shape=shape, initializer="zeros") if learning == "loss" else 0.0
        self.placed_initializer = keras.initializers.RandomNormal()
        self.placed = self.add_weight(name="placed", shape=shape, initializer=self.placed_initializer, trainable=False)
        self.counts = self.add_weight(name="counts", shape=(codes,), initializer="ones", trainable=False)
        self.sums = self.add_weight(name="sums", shape=shape, initializer="zeros", trainable=False)
        self.clock = self.add_weight(name="clock", shape=(), initializer="zeros", trainable=False)

    def vectors(self):
        return ops.convert_to_tensor(self.learned + self.placed)

    def place(self, vectors) -> None:
        """Start from these vectors [K, D]."""
        self.placed.assign(vectors)
        self.sums.assign(vectors)  # as if each had been assigned once

    def distances(self, z):
        """|z - e_k|^2 [..., K] of z [..., D]."""
        e = self.vectors()
        cross = ops.matmul(z, ops.transpose(e))
        return ops.sum(ops.square(z), axis=-1, keepdims=True) - 2.0 * cross + ops.sum(ops.square(e), axis=-1)

    def look_up(self, index):
        return ops.take(self.vectors(), index, axis=0)

    def call(self, z, uniform, training=False):
        """The nearest code of each z [B, M, D], as [B, M]. `uniform` [B, M] decides where restarted codes go."""
        index = ops.argmin(self.distances(z), axis=-1)
        if training:
            self.follow(ops.stop_gradient(z), index, uniform)
        return index

    def follow(self, z, index, uniform) -> None:
        flat = ops.reshape(z, (-1, z.shape[-1]))
        chosen = ops.one_hot(ops.reshape(index, (-1,)), self.codes)
        share = ops.cast(ops.shape(flat)[0], "float32") / self.codes
        counts = self.decay * self.counts + (1.0 - self.decay) * ops.sum(chosen, axis=0)
        sums = self.decay * self.sums + (1.0 - self.decay) * ops.matmul(ops.transpose(chosen), flat)
        averages = sums / ops.maximum(counts, 1e-5)[:, None]
        placed = ops.convert_to_tensor(self.placed)
        if self.learning == "ema":
            placed = ops.where((counts > 1e-5)[:, None], averages, placed)
        dead = ops.logical_and(counts < 0.05 * share, self.clock < self.restarts)
        order = ops.argsort(ops.reshape(uniform, (-1,)))
        picked = ops.take(flat, ops.take(order, ops.arange(self.codes) % ops.shape(flat)[0]), axis=0)
        self.counts.assign(ops.where(dead, share, counts))
        self.sums.assign(ops.where(dead[:, None], picked * share, sums))
        self.placed.assign(ops.where(dead[:, None], picked - self.learned, placed))
        self.clock.assign_add(1.0)


def squared(a, b):
    """The squared distance of two maps of vectors [B, M, D], per image."""
    return ops.sum(ops.square(a - b), axis=(1, 2))


class Quantised(Trainable, Discrete):
    """Phase `codes`: loss = -log p(x | e) + beta |z - sg(e)|^2 [+ |sg(z) - e|^2], e the nearest code of z at each site.
    Phase `prior`: the codes are fixed, loss = -log p(x | e) - log p(e), the bound itself.

    codes: number of vectors in the codebook
    dimension: of these vectors
    learning: of the codebook: ema, by moving averages; loss, by a term of the loss
    commitment: beta, the weight with which an encoding is drawn to its code
    decay: of the moving averages, and of what counts as use
    restarts: steps of training in which a code that is hardly used is moved to a random encoding
    prior_features: channels of the PixelCNN over code maps, a gated stack
    prior_layers: its blocks
    prior_dropout: the share of its hidden units that training leaves out
    """

    phases = ("codes", "prior")
    encoder: keras.layers.Layer
    decoder: keras.layers.Layer
    likelihood: keras.layers.Layer
    codebook: Codebook
    network: Network

    def __init__(self, spec, likelihood_name: str, codes: int, grid: tuple[int, int], commitment: float):
        super().__init__(spec)
        self.likelihood_name, self.commitment = likelihood_name, commitment
        self.codes, self.grid = codes, grid

    def moves(self, phase):
        return [self.network] if phase == "prior" else [layer for layer in self.layers if layer is not self.network]

    def adapt(self, x, y, rng):
        """The codebook begins as encodings of training images, drawn at random."""
        if self.codes > len(x):
            raise Refusal(f"network.codes: a codebook of {self.codes} is larger than the training set, {len(x)} images")
        some = x[np.sort(rng.permutation(len(x))[: max(1000, self.codes)])]
        z = np.reshape(np.asarray(self.encodings(np.asarray(some))), (-1, self.codebook.placed.shape[-1]))
        self.codebook.place(z[rng.permutation(len(z))[: self.codes]])

    def encodings(self, x, training=False):
        """z_e [B, M, D]."""
        return ops.reshape(
            self.encoder(self.spec.scaled(x), training=training), (-1, self.sites, self.codebook.placed.shape[-1])
        )

    def decoded(self, e, training=False):
        """Parameters of p(x | e) [N, H, W, outputs] for e [N, M, D]."""
        return self.decoder(ops.reshape(e, (-1, *self.grid, e.shape[-1])), training=training)

    def terms(self, x, eps, y=None, training=False):
        learning = training and self.phase == "codes"
        z = self.encodings(x, learning)
        index = self.codebook(z, eps["z"], training=learning)
        e = self.codebook.look_up(index)
        straight = z + ops.stop_gradient(e - z)  # the decoder's gradient goes to z as if z had been decoded
        distortion = -self.likelihood.log_prob(x, self.decoded(straight, learning))
        if self.phase == "prior":
            rate = -self.log_map(index, training)
            return {"loss": distortion + rate, "distortion": distortion, "rate": rate}
        terms = {"distortion": distortion, "commitment": self.commitment * squared(z, ops.stop_gradient(e))}
        if self.codebook.learning == "loss":
            terms["codebook"] = squared(ops.stop_gradient(z), e)
        return {"loss": sum(terms.values()), **terms}

    def log_map(self, index, training=False):
        """log p(codes) [N] of code maps [N, M]."""
        maps = ops.reshape(index, (-1, *self.grid, 1))
        return ops.sum(self.network.log_probs(maps, training=training), axis=(1, 2))

    def warnings(self, x):
        """Has the codebook collapsed? Is the likelihood's scale as small as it may be?"""
        index = self.quantise(x)
        used = len(np.unique(index))
        found = [f"collapsed: {used} of {self.codes} codes are used"] if used < 2 else []
        return found + self.likelihood.warnings(self.decoded(self.codebook.look_up(index)))

    def eps(self, n: int, rng: np.random.Generator) -> dict:
        return {"z": uniforms((n, self.sites), rng)}

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return {**self.eps(n, rng), "x": uniforms((n, *self.spec.shape), rng)}

    def quantise(self, x):
        return self.codebook(self.encodings(x), None)

    def posterior(self, x, y=None):
        return {"distance": self.codebook.distances(self.encodings(x))}

    def propose(self, q, eps, scale=1.0):
        """q(k | x) = softmax(-|z - e_k|^2 / T) at each site, T = `scale`."""
        log_q = ops.log_softmax(-q["distance"] / scale, axis=-1)
        upto = ops.cumsum(ops.exp(log_q), axis=-1)
        ends = upto[..., :-1] / upto[..., -1:]  # no uniform lies behind a sum that rounding left below 1
        z = ops.sum(ops.cast(eps["z"][..., None] >= ends, "int32"), axis=-1)
        chosen = ops.sum(ops.one_hot(z, self.codes) * log_q, axis=-1)
        return z, ops.sum(chosen, axis=-1)

    def prior(self, eps):
        maps = self.network.sample(ops.reshape(eps["z"], (-1, *self.grid, 1)))
        return ops.reshape(ops.cast(maps, "int32"), (-1, self.sites))

    def log_prior(self, z):
        return ops.reshape(self.log_map(ops.reshape(z, (-1, self.sites))), ops.shape(z)[:-1])

    def log_likelihood(self, x, z, y=None):
        params = self.decoded(self.codebook.look_up(ops.reshape(z, (-1, self.sites))))
        return self.likelihood.log_prob(x, ops.reshape(params, (*ops.shape(z)[:-1], *params.shape[1:])))

    def encode(self, x, y=None):
        e = self.codebook.look_up(self.quantise(x))
        return ops.reshape(e, (-1, self.sites * e.shape[-1]))

    def decode(self, code, y=None):
        return self.likelihood.mean(self.decoded(ops.reshape(code, (-1, self.sites, code.shape[-1] // self.sites))))

    def sample(self, noise, y=None):
        return self.likelihood.sample(self.decoded(self.codebook.look_up(self.prior(noise))), noise["x"])

"""How far the ELBO is from log p(x), and why (Cremer, Li and Duvenaud, ICML 2018, https://arxiv.org/abs/1801.03558).

    log p(x) - ELBO(q) = [log p(x) - ELBO(q*)] + [ELBO(q*) - ELBO(q)]

q* is the best posterior of the same family for this one image. The first part, approximation, is the family's; the second,
amortisation, is what an encoder loses that answers for all images at once. q* is sought by a few hundred steps and may be
missed by a little: what is found of amortisation is at least so much, and approximation at most.
"""

import keras
import numpy as np
from keras import ops

from pipeline import backend
from pipeline.base import Latent, generator
from pipeline.evidence.tiles import Kept, tiles

STEPS, DRAWS, CHECKED = 400, 16, 200  # of the ascent; z per image and step; z that both bounds are then compared on
RATE, MOMENTUM, SQUARES = 0.03, 0.9, 0.99
TILE = 32


def amortisation(model: Latent, x: np.ndarray, seed: int, kept: Kept | None = None) -> np.ndarray:
    """ELBO(q*) - ELBO(q) of each image, both over the same draws. Adam moves what q is made of, by reparameterised noise."""

    def elbo(x, q, eps):
        return ops.mean(model.weigh(x, q, eps), axis=0)

    def climb(x, q, eps):
        """eps: leaves [STEPS, DRAWS, B, ...]."""
        zeros = keras.tree.map_structure(ops.zeros_like, q)

        def step(t, carry):
            q, first, second = carry
            noise = keras.tree.map_structure(lambda leaf: leaf[t], eps)
            _, slope = backend.value_and_gradient(lambda q: elbo(x, q, noise), q)
            first = keras.tree.map_structure(lambda m, g: MOMENTUM * m + (1 - MOMENTUM) * g, first, slope)
            second = keras.tree.map_structure(lambda v, g: SQUARES * v + (1 - SQUARES) * ops.square(g), second, slope)
            n = ops.cast(t, "float32")
            rate = RATE * (1.0 - n / STEPS)
            grown, squared = 1.0 - MOMENTUM ** (n + 1.0), 1.0 - SQUARES ** (n + 1.0)

            def moved(q, m, v):
                return q + rate * (m / grown) / (ops.sqrt(v / squared) + 1e-8)

            return keras.tree.map_structure(moved, q, first, second), first, second

        return ops.fori_loop(0, STEPS, step, (q, zeros, zeros))[0]

    posterior, ascent, score = backend.compiled(model.posterior), backend.compiled(climb, fused=True), backend.compiled(elbo)

    def noise(name: str, index: np.ndarray, *shape: int):
        made = [model.eps(int(np.prod(shape)), generator(seed, name, int(i))) for i in index]
        joined = keras.tree.map_structure(lambda *leaves: np.stack(leaves, axis=1), *made)
        return keras.tree.map_structure(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), joined)

    def compute(index: np.ndarray) -> dict[str, np.ndarray]:
        images = np.asarray(x[index])
        q = posterior(images)
        best = ascent(images, q, noise("ascent", index, STEPS, DRAWS))
        eps = noise("gaps", index, CHECKED)
        return {"gain": score(images, best, eps).astype("float64") - score(images, q, eps)}

    return tiles("amortisation", len(x), TILE, compute, {} if kept is None else kept)["gain"]

"""Images that a model made, each with the z that it is made from, which is an exact draw from p(z | x)."""

import keras
import numpy as np

from pipeline import backend
from pipeline.base import Latent, generator
from pipeline.evidence.tiles import Kept, tiles

TILE = 32


def simulated(model: Latent, seed: int, count: int, kept: Kept) -> tuple[np.ndarray, object]:
    """x [N, H, W, C] and z with leaves [N, ...]."""

    def noise(image: int) -> dict:
        return model.noise(1, generator(seed, "simulated", image))

    draw = backend.compiled(lambda noise: (model.sample(noise), model.prior(noise)))

    def compute(index: np.ndarray) -> dict[str, np.ndarray]:
        x, z = draw(keras.tree.map_structure(lambda *leaves: np.concatenate(leaves), *(noise(int(image)) for image in index)))
        return {"x": x} | {f"z{i}": leaf for i, leaf in enumerate(keras.tree.flatten(z))}

    found = tiles("pairs", count, TILE, compute, kept)
    leaves = [found[f"z{i}"] for i in range(len(found) - 1)]
    return found["x"], keras.tree.pack_sequence_as(model.prior(noise(0)), leaves)

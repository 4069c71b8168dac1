"""PixelCNNs for tests, and their sampling without any cache."""

import numpy as np

from pipeline import backend, models
from pipeline.data.store import Images, Split
from pipeline.training import fit


def build(stack: str, shape=(8, 8, 1), levels=2, likelihood="bernoulli", classes=None, seed=0, **network):
    """Small, and given the class if there are any."""
    spec = {"shape": list(shape), "levels": levels, "classes": classes}
    sizes = {"features": 8, "layers": 2, "kernel": 5, "components": 3, "conditional": classes is not None}
    return models.build("autoregressive", "pixelcnn", spec, sizes | network | {"stack": stack, "likelihood": likelihood}, seed)


def reweighted(model, seed: int = 0):
    """Every weight from numpy, of the size that keeps activations near 1: the same numbers on every backend."""
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        fan = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 4
        weight.assign((rng.standard_normal(weight.shape) * 1.5 / np.sqrt(fan)).astype("float32"))
    return model


def randomised(model, seed: int = 0):
    """`reweighted`, and the classes have different shares."""
    reweighted(model, seed)
    if model.conditional:
        model.shares.assign(np.arange(1, model.spec.classes + 1, dtype="float32"))
    return model


def images(model, n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, model.spec.levels, (n, *model.spec.shape)).astype("uint8")
    return x, (rng.integers(0, model.spec.classes, n).astype("int32") if model.conditional else None)


def trained(model, epochs: int = 1, **settings):
    """After a few steps on noise."""
    splits = [Split(*images(model, n, seed)) for seed, n in enumerate((64, 8, 8))]
    data = Images(*splits, levels=model.spec.levels, classes=model.spec.classes)
    settings = {"batch_size": 8, "learning_rate": 0.01} | settings
    return fit(model, data, 0, epochs=epochs, **settings), data


def naive(network):
    """A sampler that runs a whole network for each channel of each pixel; of all that it draws it keeps only that one."""
    draw = backend.compiled(lambda x, u, *h: network.likelihood.sample(network(x, *h), u))

    def sample(uniform, h=None, given=None, rows: int = 0):
        x = np.zeros(uniform.shape, "uint8" if network.spec.levels <= 256 else "int32")
        if given is not None:
            x[:, :rows] = given[:, :rows]
        for i, j, c in np.ndindex(uniform.shape[1:]):
            if i >= rows:
                x[:, i, j, c] = draw(x, uniform, *([] if h is None else [h]))[:, i, j, c]
        return x

    return sample

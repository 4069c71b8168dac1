"""One family, one folder; one model, one file with one `class Model`."""

from importlib import import_module

import keras
import numpy as np

from pipeline.base import Spec, Trainable, generator


def build(family: str, model: str, spec: dict, network: dict, seed: int) -> Trainable:
    """The model with its initial weights, a function of the seed. `spec`: shape, levels and classes, as meta.json has them."""
    keras.utils.set_random_seed(seed)
    made = import_module(f"pipeline.models.{family}.{model}").Model(Spec.of(spec), **network)
    dtype = "float32" if spec["levels"] is None else "uint8"
    batch = {"x": np.zeros((2, *spec["shape"]), dtype), "eps": made.eps(2, generator(0))}
    made.start(batch | ({"y": np.zeros(2, "int32")} if spec["classes"] else {}))
    return made

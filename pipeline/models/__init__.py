"""One family, one folder; one model, one file with one `class Model`."""

from collections import Counter
from importlib import import_module

import keras
import numpy as np

from pipeline.base import Spec, Trainable, generator


def build(family: str, model: str, spec: dict, network: dict, seed: int) -> Trainable:
    """The model with its initial weights, a function of the seed. `spec`: shape, levels and classes, as meta.json has them."""
    from keras.src.utils.naming import reset_uids  # here, since whoever only looks at models does without Keras

    keras.utils.set_random_seed(seed)  # for a random weight whose layer does not say how it is drawn: see `draw`
    reset_uids()  # Keras counts layers for their names, which are saved: a seed's file must not tell what was built before it
    made = import_module(f"pipeline.models.{family}.{model}").Model(Spec.of(spec), **network)
    dtype = "float32" if spec["levels"] is None else "uint8"
    batch = {"x": np.zeros((2, *spec["shape"]), dtype), "eps": made.training_noise(2, generator(0))}
    made.start(batch | ({"y": np.zeros(2, "int32")} if spec["classes"] else {}))
    draw(made, seed)
    return made


def draw(layer: keras.layers.Layer, seed: int, *path: str | int) -> None:
    """Random initial weights, and the seeds of dropout, by the seed and a name: the way to the layer, by kinds of layers.

    Keras gives out random numbers in the order in which layers are made: with dropout, all layers after it would begin
    elsewhere. How a weight `kernel` is drawn the layer says in `kernel_initializer`, as Keras's own do.
    """
    children = layer._flatten_layers(include_self=False, recursive=False)  # also those of a Layer, which has no `layers`
    inside = {id(weight) for child in children for weight in child.variables}
    for weight in layer.variables:
        if id(weight) in inside:
            continue
        initializer = getattr(layer, f"{weight.name.removesuffix('_kernel')}_initializer", None)
        rng = generator(seed, "weights", *path, weight.name)
        if weight.name == "seed_generator_state":
            weight.assign([rng.integers(2**31), 0])
        elif hasattr(initializer, "seed"):
            again = type(initializer).from_config(initializer.get_config() | {"seed": int(rng.integers(2**31))})
            weight.assign(again(weight.shape, weight.dtype))
    count = Counter()
    for child in children:
        kind = type(child).__name__
        draw(child, seed, *path, kind, count[kind])
        count[kind] += 1

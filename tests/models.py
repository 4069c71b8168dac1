"""Every model that params.yaml or a profile names, shrunk to 4x4 images and few units, so that a new block is tested the moment
it exists."""

import os
from importlib import import_module

import numpy as np

from pipeline import Refusal, models
from pipeline.params import ROOT, read

SHAPE = (4, 4, 1)
MOST = {"latent": 4, "layers": 2, "prior_layers": 2, "kernel": 7}


def blocks() -> dict[str, tuple[dict, dict]]:
    """Run block and data block of every run of every profile, shrunk; of those that differ in sizes alone, the first. On JAX,
    which takes long to compile one, of the smoke profile alone."""
    found, seen = {}, []
    every = (ROOT / "params.yaml", *sorted((ROOT / "profiles").glob("*/params.yaml")))
    for path in every if os.environ.get("KERAS_BACKEND") != "jax" else [ROOT / "profiles" / "smoke" / "params.yaml"]:
        params = read(path)
        for name, run in params["runs"].items():
            data = params["data"][run["data"]]
            what = (run["family"], run["model"], kinds(run["network"]), kinds(spec(data)), spec(data)["levels"])
            if what in seen:
                continue
            seen.append(what)
            shrunk = {key: smaller(value, MOST.get(key, 8)) for key, value in run["network"].items()}
            found[f"{path.parent.name if path.parent != ROOT else 'default'}/{name}"] = (run | {"network": shrunk}, data)
    return found


def one_each(found: dict[str, tuple[dict, dict]]) -> dict[str, tuple[dict, dict]]:
    """A block of each model with each kind of network."""
    chosen = {}
    for run, data in found.values():
        kind = [str(run["network"][key]) for key in ("body", "stack", "conditional") if key in run["network"]]
        chosen.setdefault("-".join([run["model"], *kind]), (run, data))
    return chosen


def smaller(value, most: int):
    if isinstance(value, list):
        return [smaller(each, most) for each in value]
    return min(value, most) if type(value) is int else value


def kinds(network: dict) -> dict:
    """What is chosen, and not how large it is or how many there are."""
    return {key: value if isinstance(value, str) else bool(value) for key, value in network.items()}


def spec(data: dict, side: int = 4) -> dict:
    """A spec of small images with the levels that such data have."""
    shape = [side, side, 1]
    if data["source"] == "digits":
        return {"shape": shape, "levels": 17 if data["binarised"] == "none" else 2, "classes": 10}
    if data["source"] == "mnist":
        return {"shape": shape, "levels": 256 if data["binarised"] == "none" else 2, "classes": 10}
    if data["source"] == "cifar10":
        return {"shape": shape, "levels": 256, "classes": 10}
    if data["source"] == "sprites":
        return {"shape": shape, "levels": 2, "classes": 3}
    if data["source"] == "ring":
        return {"shape": shape, "levels": None, "classes": 8}
    if data["source"] in ("blindspot", "mesh"):
        return {"shape": shape, "levels": 2, "classes": None}
    return {"shape": shape, "levels": data["levels"], "classes": None}


def kind(run: dict) -> type:
    return import_module(f"pipeline.models.{run['family']}.{run['model']}").Model


def build(run: dict, data: dict, seed: int = 0):
    """The run's model on 4x4 images, or on the smallest that its strides divide."""
    for side in (4, 8, 16):
        try:
            return models.build(run["family"], run["model"], spec(data, side), run["network"], seed)
        except Refusal:
            if side == 16:
                raise


MADE: dict[int, tuple] = {}


def made_once(block: tuple[dict, dict]):
    """The small model of a block, the same for all that ask and change nothing: building one takes a third of a second."""
    if id(block) not in MADE:
        MADE[id(block)] = block, small(*block)  # with the block, so that no other one gets its id
    return MADE[id(block)][1]


def small(run: dict, data: dict, seed: int = 0, scale: float = 0.1):
    """`build`, away from its initial weights: what starts at zero hides mistakes."""
    return perturbed(build(run, data, seed), seed, scale)


def perturbed(model, seed: int, scale: float):
    rng = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        weight.assign(np.asarray(weight) + scale * rng.standard_normal(weight.shape))
    return model


def images(model, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if model.spec.levels is None:
        return rng.standard_normal((n, *model.spec.shape)).astype("float32")
    return rng.integers(0, model.spec.levels, (n, *model.spec.shape)).astype("uint8")


def all_binary_images() -> np.ndarray:
    """All 65,536 of 4x4."""
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    return bits.reshape(-1, *SHAPE).astype("uint8")


def own_loss(model, terms: dict) -> np.ndarray:
    """The loss of each image but for what is said of a batch as a whole, which then is the same for all of it."""
    from pipeline.models.implicit.blocks import Implicit

    loss = np.asarray(terms["loss"])
    if isinstance(model, Implicit):
        assert np.ptp(np.asarray(terms["distance"])) == 0
        return loss - terms["distance"]
    return loss

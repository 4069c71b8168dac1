"""Every model that params.yaml or a profile names, shrunk to 4x4 images, so that a new block is tested the moment it exists."""

from importlib import import_module

import numpy as np

from pipeline import models
from pipeline.params import ROOT, read

SHAPE = (4, 4, 1)


def blocks() -> dict[str, tuple[dict, dict]]:
    """Run block and data block of every run of every profile, but each network only once."""
    found, seen = {}, []
    for path in (ROOT / "params.yaml", *sorted((ROOT / "profiles").glob("*/params.yaml"))):
        params = read(path)
        for name, run in params["runs"].items():
            what = (run["family"], run["model"], run["network"], params["data"][run["data"]] | {"seed": 0})
            if what in seen:
                continue
            seen.append(what)
            found[f"{path.parent.name if path.parent != ROOT else 'default'}/{name}"] = (run, params["data"][run["data"]])
    return found


def spec(data: dict) -> dict:
    """A 4x4 spec with the levels that such data have."""
    if data["source"] == "digits":
        return {"shape": list(SHAPE), "levels": 17 if data["binarised"] == "none" else 2, "classes": 10}
    if data["source"] == "sprites":
        return {"shape": list(SHAPE), "levels": 2, "classes": 3}
    return {"shape": list(SHAPE), "levels": data["levels"], "classes": None}


def kind(run: dict) -> type:
    return import_module(f"pipeline.models.{run['family']}.{run['model']}").Model


def small(run: dict, data: dict, seed: int = 0, scale: float = 0.1):
    """The run's model on 4x4 images, away from its initial weights: what starts at zero hides mistakes."""
    model = models.build(run["family"], run["model"], spec(data), run["network"], seed)
    return perturbed(model, seed, scale)


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

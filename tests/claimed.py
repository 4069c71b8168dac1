"""What measuring claims might have left: made up, small, with the names of the real thing."""

import numpy as np

SOURCES = {"test": 0.5, "pixels": 0.0, "ae_standard": 0.01, "ae_normal": 0.03, "ae_mixture": 0.3, "vae_standard": 0.1}


def part(**values: float) -> dict:
    return {name: number for key, value in values.items() for name, number in ((key, value), (f"{key}_se", 0.01))}


def three(**values: float) -> dict:
    """The VAE has these values more than the AE."""
    none = dict.fromkeys(values, 0.2)
    return {
        "ae": part(**none),
        "vae": part(**{key: 0.2 + value for key, value in values.items()}),
        "difference": part(**values),
    }


def found(**changed) -> dict:
    normal = {"dimensions": 2, "codes": 30, "ks_median": 0.1, "ks_max": 0.2, "rejected": 0}
    normal |= {"energy": 0.1, "energy_null": 0.2, "energy_p": 0.5}
    return {
        "decoded": {key: part(recognised=value, confidence=value) for key, value in SOURCES.items()},
        "noise": {"0": three(mse=0.1, rise=0.0, same=0.0), "0.3": three(mse=0.0, rise=-0.1, same=0.1)},
        "differs": "latent (8 and 16)",
        "normal": {"ae": normal | {"energy_p": 0.005, "rejected": 1}, "vae": normal},
        "moved": three(recognised=0.1, changes=-0.1, moved=-0.1),
    } | changed


def gallery(rng: np.random.Generator, shape=(4, 4, 1)) -> dict:
    arrays = {f"decoded_{key}": rng.random((10, *shape)) for key in SOURCES}
    arrays |= {"noisy": rng.random((2, 10, *shape)), **{f"{kind}_noisy": rng.random((2, 10, *shape)) for kind in ("ae", "vae")}}
    arrays |= {f"{kind}_z": rng.standard_normal((30, 2)) for kind in ("ae", "vae")}
    arrays |= {f"{kind}_ways": rng.random((2, 9, *shape)) for kind in ("ae", "vae")}
    return arrays

"""The estimators on models whose likelihood is known; writes what comes out and judges nothing."""

import numpy as np

import stages
from pipeline import backend, params, store


def calibrate() -> None:
    settings = params.read()
    backend.start(**settings["compute"])
    from pipeline import calibration, evidence

    chosen = settings["calibration"]
    blocks = {name: evidence.settings(**settings["evidence"][chosen[name]]) for name in ("latent", "codes")}
    found, arrays = calibration.calibrate(**(chosen | blocks), say=lambda case: print(f"calibrate: {case}", flush=True))
    with store.writing(store.CALIBRATION) as path:
        np.savez_compressed(path, **arrays)
    store.write_json(store.CALIBRATION_RESULT, found)


if __name__ == "__main__":
    stages.run(calibrate)

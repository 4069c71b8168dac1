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
    with store.unfinished("calibrate", "cases", stages.fingerprint()) as unfinished:

        def begin(case: str) -> store.Finished:
            print(f"calibrate: {case}", flush=True)
            return store.Finished(unfinished / case)

        found, arrays = calibration.calibrate(**(chosen | blocks), begin=begin)
        with store.writing(store.CALIBRATION) as path:
            np.savez_compressed(path, **arrays)
        store.write_json(store.CALIBRATION_RESULT, found)


if __name__ == "__main__":
    stages.run(calibrate)

"""What calibrating might have left, and the tables of a run that was annealed: made up, small, with the names of the real."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

WIDTHS, K = (1, 2, 4), np.array([1, 10, 100])
BELOW = {
    "side": "below",
    "images": 20,
    "bias_nats": -0.01,
    "bias_se": 0.01,
    "claimed_se": 0.02,
    "ratio": 0.99,
    "ratio_se": 0.01,
}


def compared(**changed) -> dict:
    return BELOW | {"z": -1.0} | changed


def found(**changed) -> dict:
    weighed = {"ess_median": 40.0, "heavy_tailed": 0.1}
    annealed = {
        "annealed": compared(bias_nats=0.004),
        "forward": compared(bias_nats=-0.002),
        "reverse": compared(bias_nats=0.03, side="above"),
        "gap": {"nats": 0.032, "se": 0.011, "inside": 0.95, "inside_stated": 0.9},
    }
    by = {f"importance, x{width}": compared(ess_median=10.0 * width, heavy_tailed=0.9 / width) for width in WIDTHS}
    by["importance, x1"] |= {"bias_nats": -0.9, "claimed_se": 0.03}
    chosen = by["importance, x4"] | {"scale": 4.0}
    return {
        "line": {**by, "importance": chosen, **annealed},
        "plane": {"importance": compared(scale=2.0) | weighed, **annealed},
        "codes": {
            "importance": compared(scale=2.0) | weighed,
            "bound": {"side": "below", "images": 20, "bias_nats": -2.5, "highest_nats": -0.2},
        },
        "pixels": {"images": 65536, "total": 1.0},
        "heads": {start: {"mu_mean": 0.0, "mu_sd": 0.0, "log_var_mean": -9.2, "log_var_sd": 0.0} for start in ("zero", "unit")},
        "narrow": {"annealed_gain_nats": 0.87, "bias_nats": -0.9, "flags": "annealing finds the images 0.87 nats likelier"},
        "chosen": {"annealed_gain_nats": 0.0, "flags": ""},
    } | changed


def arrays(rng: np.random.Generator) -> dict:
    made = {"line_truth": rng.normal(-60, 5, 20)}
    for width in WIDTHS:
        off = -np.array([4.0 * width, 2.0, 0.9 / width**3])
        made |= {f"line_k_{width}": K, f"line_curve_{width}": made["line_truth"] + off[:, None]}
    for case in ("line", "plane"):
        truth = rng.normal(-60, 5, 20)
        made |= {f"{case}_temperatures": np.linspace(0.1, 1, 10), f"{case}_accepted": np.linspace(0.9, 0.6, 10)}
        made |= {f"{case}_simulated_truth": truth, f"{case}_simulated_forward": truth - rng.normal(0, 0.1, 20)}
        made |= {f"{case}_simulated_reverse": truth + rng.normal(0, 0.1, 20)}
    for start in ("zero", "unit"):
        steps = np.arange(0, 801, 10)
        trace = {"step": steps, "mu_mean": 0.0 * steps, "mu_sd": 1 / (1 + steps), "log_var_sd": 1 / (1 + steps)}
        trace["log_var_mean"] = -9.21 * steps / (steps + 0.1)
        made |= {f"heads_{start}_{name}": values for name, values in trace.items()}
    return made


def fill(root: Path, rng: np.random.Generator) -> None:
    """What the page of the calibration reads; params.yaml has a section for it."""
    (root / "artifacts").mkdir(exist_ok=True)
    (root / "results").mkdir(exist_ok=True)
    np.savez(root / "artifacts" / "calibration.npz", **arrays(rng))
    (root / "results" / "calibration.json").write_text(json.dumps(found()))


SETTINGS = {
    "calibration": {"latent": "standard", "codes": "codes"},
    "evidence": {"standard": {"draws": 100, "annealed": 8}, "codes": {"draws": 20}},
}
CHECKS = {  # of evidence.json
    "heavy_tailed": 0.1, "k_slope_nats": 0.5, "bdmc_gap_nats": 0.21, "bdmc_gap_se": 0.04,
    "annealed_gain_nats": 0.123, "annealed_gain_se": 0.03,
    "gap_nats": 2.5, "approximation_nats": 1.75, "amortisation_nats": 0.75,
}  # fmt: skip
EVIDENCE = {
    "data": "digits", "likelihood": "categorical", "estimator": "importance", "direction": "nll_too_high", "measure": "mass",
    "nll_nats": 23.45678, "nll_se": 0.61, "nll_mc_se": 0.012, "nll_low": 22.26, "nll_high": 24.66, "bits_per_dim": 2.11545,
    "elbo_nats": -24.9, "draws": 100, "images": 30, "ess_median": 40.0, "ess_min": 1.5, "independent_nats": 31.2,
    "chain_nats": None, "flags": "odd & <b>bold</b>",
    **CHECKS,
}  # fmt: skip
QUALITY = {"features": "a classifier's last hidden layer", "samples": 512, "real": 30, "classifier_accuracy": 0.951}
QUALITY |= {f"{who}{what}": 0.5 for who in ("", "training_") for what in ("frechet", "density", "coverage")}


def sweep() -> pd.DataFrame:
    rows = [(1.0, 24.5), (2.0, 24.0), (4.0, 24.25)]
    return pd.DataFrame(rows, columns=["scale", "nll_nats"]).assign(seed=0, draws=50, images=10, nll_se=0.6)


def moves() -> pd.DataFrame:
    return pd.DataFrame({"seed": 0, "temperature": [0.1, 0.5, 1.0], "step": [0.3, 0.4, 0.5], "accepted": [0.9, 0.6, 0.7]})


def weighed(likelihood: pd.DataFrame, annealed: int = 8) -> pd.DataFrame:
    """The same with what importance sampling says of its weights, and with annealing of the first images."""
    n = len(likelihood)
    more = {"ess": np.linspace(2, 60, n), "max_weight": np.linspace(0.6, 0.1, n), "pareto_k": np.linspace(1.2, -0.1, n)}
    gain = np.where(np.arange(n) < annealed, 0.123, np.nan)
    return likelihood.assign(**more, annealed_nats=likelihood.log_prob_nats + gain)

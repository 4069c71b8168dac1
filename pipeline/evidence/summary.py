"""From log-probabilities per image to the few numbers that a reader sees, each with its error and what kind it is."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from pipeline.base import Density, Exact, Latent, Spec, generator
from pipeline.evidence import exact, importance

BOOTSTRAP = 10_000
COLUMNS = {
    "images": ["seed", "image", "log_prob_nats", "elbo_nats", "ess", "max_weight"],
    "estimates": ["seed", "estimator", "draws", "images", "nll_nats", "nll_se", "nll_mc_se", "direction", "measure"],
    "k_curve": ["seed", "k", "groups", "nll_nats", "nll_se"],
}


def bits_per_dim(nll_nats: float, spec: Spec) -> float:
    """The one place where nats become bits."""
    return nll_nats / (spec.dims * math.log(2.0))


def standard_error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def interval(values: np.ndarray) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean over images."""
    rng = generator(0, "bootstrap")
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(BOOTSTRAP)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def score(model, x: np.ndarray, seed: int, draws: int | None, progress: Callable) -> dict[str, pd.DataFrame]:
    """One seed's tables. The first estimate is the headline; no rows where no density is claimed or none was asked for."""
    n, tables = len(x), {}
    if isinstance(model, Exact):
        log_prob = exact.log_prob(model, x)
        tables["images"] = {"log_prob_nats": log_prob}
        tables["estimates"] = [estimate("exact", log_prob, 0.0, "exact", 1)]
    elif isinstance(model, Latent) and draws is not None:
        found = importance.estimate(model, x, draws, seed, progress)
        tables["images"] = {
            "log_prob_nats": found.log_prob,
            "elbo_nats": found.elbo,
            "ess": found.ess,
            "max_weight": found.max_weight,
        }
        tables["estimates"] = [
            estimate("importance", found.log_prob, math.sqrt(found.variance.sum()) / n, "nll_too_high", draws),
            estimate("bound", found.elbo, None, "nll_too_high", draws),
        ]
        tables["k_curve"] = [
            {"k": k, "groups": draws // k, "nll_nats": -values.mean(), "nll_se": standard_error(values)}
            for k, values in found.curve.items()
        ]
    if "images" in tables:
        tables["images"]["image"] = np.arange(n)
    common = {"seed": seed, "measure": model.spec.measure}
    return {name: pd.DataFrame(tables.get(name, [])).assign(**common).reindex(columns=COLUMNS[name]) for name in COLUMNS}


def estimate(name: str, log_prob: np.ndarray, mc_se: float | None, direction: str, draws: int) -> dict:
    """A row of estimates.csv."""
    return {
        "estimator": name,
        "draws": draws,
        "images": len(log_prob),
        "nll_nats": -log_prob.mean(),
        "nll_se": standard_error(log_prob),
        "nll_mc_se": mc_se,
        "direction": direction,
    }


def headline(model, tables: dict[str, pd.DataFrame], data: str, floor: np.ndarray | None, baselines: dict) -> dict:
    """evidence.json: the estimator that was named beforehand, over all seeds. `floor`: exact log p(x) of the same images."""
    density = isinstance(model, Density)
    found = {"data": data, "likelihood": model.likelihood_name if density else "none"}
    if tables["images"].empty:
        return found | {"estimator": "none", "direction": "none", "flags": ""}
    images, estimates = tables["images"], tables["estimates"]
    rows = estimates[estimates.estimator == estimates.estimator.iloc[0]]  # one per seed
    each = -images.groupby("image").log_prob_nats.mean().to_numpy()  # over seeds
    low, high = interval(each)
    found |= {
        "measure": model.spec.measure,
        "estimator": rows.estimator.iloc[0],
        "direction": rows.direction.iloc[0],
        "nll_nats": float(each.mean()),
        "nll_se": standard_error(each),
        "nll_mc_se": float(np.sqrt(np.square(rows.nll_mc_se).sum()) / len(rows)),
        "nll_low": low,
        "nll_high": high,
    }
    if len(rows) > 1:
        found["nll_seed_sd"] = float(rows.nll_nats.std(ddof=1))
    if model.spec.measure == "mass":
        found["bits_per_dim"] = bits_per_dim(found["nll_nats"], model.spec)
    found |= {"draws": int(rows.draws.iloc[0]), "images": len(each)}
    if images.ess.notna().all():
        found["elbo_nats"] = float(images.elbo_nats.mean())
        found |= {"ess_median": float(images.ess.median()), "ess_min": float(images.ess.min())}
    found |= {key: baselines[key] for key in ("independent_nats", "chain_nats")}
    flags = [] if found["nll_nats"] < baselines["independent_nats"] else ["worse than independent pixels"]
    if floor is not None:
        regret = each + floor
        found |= {"floor_nats": float(-floor.mean()), "regret_nats": float(regret.mean()), "regret_se": standard_error(regret)}
        if regret.mean() < -3 * standard_error(regret):
            flags.append("below the exact floor")
    return found | {"flags": ", ".join(flags)}

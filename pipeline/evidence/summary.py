"""From log-probabilities per image to the few numbers that a reader sees, each with its error and what kind it is."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from pipeline.base import Density, Discrete, Exact, Latent, Spec, generator
from pipeline.data.store import Images
from pipeline.evidence import discrete, exact, importance

BOOTSTRAP = 10_000
FEW, SOME = 5, 0.05  # an effective sample size, and the share of images that may have less before it is said
LOOSE = 0.05  # nats
COLUMNS = {
    "images": ["seed", "image", "log_prob_nats", "elbo_nats", "ess", "max_weight"],
    "estimates": ["seed", "estimator", "draws", "scale", "images", "nll_nats", "nll_se", "nll_mc_se", "direction", "measure"],
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


def score(model, images: Images, seed: int, wished: dict, progress: Callable) -> dict[str, pd.DataFrame]:
    """One seed's tables. The first estimate is the headline; no rows where no density is claimed or none was asked for."""
    x, y = images.test.x, images.test.y
    n, found, tables = len(x), {}, {"estimates": []}
    rows = tables["estimates"]
    if isinstance(model, Exact):
        found["log_prob_nats"] = exact.log_prob(model, x)
        rows.append(estimate("exact", found["log_prob_nats"], 0.0, "exact", 1))
        if model.conditional and y is not None:
            rows.append(estimate("exact, given class", exact.log_prob(model, x, y), 0.0, "exact", 1))
    if isinstance(model, Discrete) and wished["enumeration"]:
        found["log_prob_nats"] = discrete.enumerated(model, x, progress)
        rows.append(estimate("enumeration", found["log_prob_nats"], 0.0, "exact", model.codes**model.sites))
    if isinstance(model, Latent) and wished["draws"] is not None:
        scale = importance.best_scale(model, images.valid.x, wished["draws"], wished["scales"], seed)
        by = importance.estimate(model, x, wished["draws"], seed, scale, progress)
        rows.append(
            estimate("importance", by.log_prob, math.sqrt(by.variance.sum()) / n, "nll_too_high", wished["draws"], scale)
        )
        # The bound has the proposal that was trained, not the wider one.
        plain = scale == 1.0 or isinstance(model, Discrete)
        draws = wished["draws"] if plain else min(100, wished["draws"])
        elbo = by.elbo if plain else importance.estimate(model, x, draws, seed).elbo
        found = {"log_prob_nats": by.log_prob, "elbo_nats": elbo, "ess": by.ess, "max_weight": by.max_weight} | found
        tables["k_curve"] = [
            {"k": k, "groups": wished["draws"] // k, "nll_nats": -values.mean(), "nll_se": standard_error(values)}
            for k, values in by.curve.items()
        ]
    if isinstance(model, Discrete) and rows:
        found["elbo_nats"], draws = discrete.bound(model, x), 1
    if "elbo_nats" in found:
        rows.append(estimate("bound", found["elbo_nats"], None, "nll_too_high", draws))
    if rows:
        tables["images"] = {"image": np.arange(n), **found}
    common = {"seed": seed, "measure": model.spec.measure}
    return {name: pd.DataFrame(tables.get(name, [])).assign(**common).reindex(columns=COLUMNS[name]) for name in COLUMNS}


def estimate(
    name: str, log_prob: np.ndarray, mc_se: float | None, direction: str, draws: int, scale: float | None = None
) -> dict:
    """A row of estimates.csv."""
    return {
        "estimator": name,
        "draws": draws,
        "scale": scale,
        "images": len(log_prob),
        "nll_nats": -log_prob.mean(),
        "nll_se": standard_error(log_prob),
        "nll_mc_se": mc_se,
        "direction": direction,
    }


def headline(
    model, tables: dict[str, pd.DataFrame], data: str, floor: np.ndarray | None, baselines: dict, warnings: list[str]
) -> dict:
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
    if images.elbo_nats.notna().all():
        found["elbo_nats"] = float(images.elbo_nats.mean())
    if found["estimator"] == "importance":
        found |= {"ess_median": float(images.ess.median()), "ess_min": float(images.ess.min())}
    found |= {key: baselines[key] for key in ("independent_nats", "chain_nats")}
    given = estimates[estimates.estimator == "exact, given class"]
    if len(given):
        found["given_class_nats"] = float(given.nll_nats.mean())
    warnings = warnings + doubts(images, estimates)
    flags = [*warnings] if found["nll_nats"] < baselines["independent_nats"] else [*warnings, "worse than independent pixels"]
    if floor is not None:
        regret = each + floor
        found |= {"floor_nats": float(-floor.mean()), "regret_nats": float(regret.mean()), "regret_se": standard_error(regret)}
        if regret.mean() < -3 * standard_error(regret):
            flags.append("below the exact floor")
    return found | {"flags": ", ".join(flags)}


def doubts(images: pd.DataFrame, estimates: pd.DataFrame) -> list[str]:
    """Where importance sampling is seen not to be trusted: hardly any draws count, or the exact sum says otherwise."""
    found, by = [], estimates.groupby("estimator")[["nll_nats", "nll_mc_se"]].mean()
    few = float((images.ess < FEW).mean())
    if few > SOME:
        found.append(f"fewer than {FEW} draws count for {100 * few:.0f} % of the images")
    if {"importance", "enumeration"} <= set(by.index):
        gap = by.nll_nats["importance"] - by.nll_nats["enumeration"]
        if abs(gap) > max(4 * by.nll_mc_se["importance"], LOOSE):
            found.append(f"importance sampling disagrees with the sum over all codes by {gap:.2f} nats")
    return found

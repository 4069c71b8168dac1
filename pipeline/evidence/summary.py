"""From log-probabilities per image to the few numbers that a reader sees, each with its error and what kind it is."""

import math

import numpy as np
import pandas as pd

from pipeline.base import Spec, generator
from pipeline.evidence.score import standard_error

BOOTSTRAP = 10_000
FEW, SOME = 5, 0.05  # an effective sample size, and the share of images that may have less before it is said
LOOSE, ERRORS = 0.05, 4  # nats, and standard errors, by which two estimates may differ
NEGATIVE = 2  # standard errors by which a gap may be found below 0
WIDE = 0.5  # nats between the two bounds of annealing, from which on it says little
HEAVY, MANY = 0.7, 0.5  # Pareto's k: above, the stated error cannot be relied on; the share of images of which that is said


def bits_per_dim(nll_nats: float, spec: Spec) -> float:
    """The one place where nats become bits."""
    return nll_nats / (spec.dims * math.log(2.0))


def interval(values: np.ndarray) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean over images."""
    rng = generator(0, "bootstrap")
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(BOOTSTRAP)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def headline(
    kinds: dict[str, str],
    spec: Spec,
    tables: dict[str, pd.DataFrame],
    data: str,
    floor: np.ndarray | None,
    baselines: dict,
    warnings: list[str],
) -> dict:
    """evidence.json: the estimator that was named beforehand, over all seeds. `floor`: exact log p(x) of the same images."""
    found = {"data": data, **kinds}
    if tables["images"].empty:
        return found | {"estimator": "none", "direction": "none", "flags": ", ".join(warnings)}
    images, estimates = tables["images"], tables["estimates"]
    rows = estimates[estimates.estimator == estimates.estimator.iloc[0]]  # one per seed
    each = -images.groupby("image").log_prob_nats.mean().to_numpy()  # over seeds
    low, high = interval(each)
    found |= {
        "measure": spec.measure,
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
    if spec.measure == "mass":
        found["bits_per_dim"] = bits_per_dim(found["nll_nats"], spec)
    found |= {"draws": int(rows.draws.iloc[0]), "images": len(each)}
    if images.elbo_nats.notna().all():
        found["elbo_nats"] = float(images.elbo_nats.mean())
    if images.ess.notna().all():
        found |= {"ess_median": float(images.ess.median()), "ess_min": float(images.ess.min())}
        found["heavy_tailed"] = float((images.pareto_k > HEAVY).mean())
        found["k_slope_nats"] = slope(tables["k_curve"])
    found |= over_seeds(tables["checks"].drop(columns="seed"))
    found |= {key: baselines[key] for key in ("independent_nats", "chain_nats")}
    given = estimates[estimates.estimator == "exact, given class"]
    if len(given):
        found["given_class_nats"] = float(given.nll_nats.mean())
    flags = [*warnings, *doubts(found, images, estimates)]
    if found["nll_nats"] >= baselines["independent_nats"]:
        flags.append("worse than independent pixels")
    if floor is not None:
        floor = floor[: len(each)]
        regret = each + floor
        found |= {"floor_nats": float(-floor.mean()), "regret_nats": float(regret.mean()), "regret_se": standard_error(regret)}
        if regret.mean() < -3 * standard_error(regret):
            flags.append("below the exact floor")
    return found | {"flags": ", ".join(flags)}


def over_seeds(table: pd.DataFrame) -> dict[str, float]:
    """Means; of errors that of a mean, since each seed has noise of its own."""
    found = {name: values.dropna() for name, values in table.items()}
    return {
        name: float(np.sqrt(np.square(values).sum()) / len(values) if name.endswith("_se") else values.mean())
        for name, values in found.items()
        if len(values)
    }


def slope(curve: pd.DataFrame) -> float:
    """By how much the bound still falls, per ten times as many draws, at the end of the curve."""
    curve = curve.groupby("k").nll_nats.mean()
    if len(curve) < 2:
        return 0.0
    (a, high), (b, low) = curve.iloc[-2:].items()
    return float((high - low) / math.log10(b / a))


def doubts(found: dict, images: pd.DataFrame, estimates: pd.DataFrame) -> list[str]:
    """Where the headline is seen not to be trusted: hardly any draws count, or a better estimate says otherwise."""
    said = []
    by = pd.DataFrame({name: over_seeds(rows[["nll_nats", "nll_mc_se"]]) for name, rows in estimates.groupby("estimator")}).T
    few = float((images.ess < FEW).mean())
    if few > SOME and found["estimator"] == "importance":
        said.append(f"fewer than {FEW} draws count for {100 * few:.0f} % of the images")
    truth = {"enumeration": "the sum over all codes", "quadrature": "quadrature", "exact": "the closed form"}
    for name in truth.keys() & set(by.index):
        if "importance" in by.index:
            apart = by.nll_nats["importance"] - by.nll_nats[name]
            if abs(apart) > max(ERRORS * by.nll_mc_se["importance"], LOOSE):
                said.append(f"importance sampling disagrees with {truth[name]} by {apart:.2f} nats")
    if "quadrature" in by.index and by.nll_mc_se["quadrature"] > LOOSE:
        said.append(f"the points of the quadrature are too far apart, by {by.nll_mc_se['quadrature']:.2f} nats")
    gain = found.get("annealed_gain_nats", 0.0)
    if gain > max(ERRORS * found.get("annealed_gain_se", 0.0), LOOSE):
        word = "one of the two is wrong" if found["direction"] == "exact" else "the headline is too high"
        said.append(f"annealing finds the images {gain:.2f} nats likelier: {word}")
    for part in ("approximation", "amortisation"):
        if found.get(f"{part}_nats", 0.0) < -max(NEGATIVE * found.get(f"{part}_se", 0.0), LOOSE):  # the best is not quite found
            said.append(f"the gap of {part} is {found[f'{part}_nats']:.2f} nats, which cannot be below 0")
    heavy = found.get("heavy_tailed", 0.0)
    if heavy > MANY and found["estimator"] == "importance" and "annealed_gain_nats" not in found:
        said.append(f"the weights of {100 * heavy:.0f} % of the images are heavy-tailed, and nothing else looked at them")
    if found.get("bdmc_gap_nats", 0.0) > WIDE:
        said.append(f"annealing is {found['bdmc_gap_nats']:.2f} nats unsure of images that the model made itself")
    return said

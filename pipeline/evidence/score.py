"""All that is asked of one trained model: a row per test image, a row per estimate, and what makes them credible."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from pipeline import Refusal
from pipeline.base import Density, Discrete, Exact, Latent, Samples, Trainable
from pipeline.data.store import Images
from pipeline.evidence import annealing, exact, gaps, importance, integral, misfit, pairs
from pipeline.evidence.tiles import Kept, tiles

ROWS = 100  # temperatures that are written down at most
GAPS = ["gap_nats", "approximation_nats", "approximation_se", "amortisation_nats", "amortisation_se"]
COLUMNS = {
    "images": [
        *("seed", "image", "log_prob_nats", "elbo_nats", "ess", "max_weight", "pareto_k", "annealed_nats", "amortisation_nats")
    ],
    "estimates": ["seed", "estimator", "draws", "scale", "images", "nll_nats", "nll_se", "nll_mc_se", "direction", "measure"],
    "k_curve": ["seed", "k", "groups", "nll_nats", "nll_se"],
    "sweep": ["seed", "scale", "draws", "images", "nll_nats", "nll_se"],
    "annealing": ["seed", "temperature", "step", "accepted"],
    "checks": ["seed", *("bdmc_gap_nats", "bdmc_gap_se"), *("annealed_gain_nats", "annealed_gain_se"), *GAPS],
}


def kinds(model: Trainable) -> dict[str, str]:
    """What it says of p(x), in the words of docs/systems.csv, and which p(x | ...) its number is about."""
    said = {Exact: "explicit, exact", Density: "explicit, approximate", Samples: "implicit", Trainable: "none"}
    distribution = next(words for kind, words in said.items() if isinstance(model, kind))
    return {"distribution": distribution, "likelihood": model.likelihood_name if isinstance(model, Density) else "none"}


def standard_error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def noise(variance: np.ndarray) -> float:
    """Of a mean over images, from the estimator's variance for each."""
    return math.sqrt(variance.sum()) / len(variance)


def score(
    model, images: Images, seed: int, wished: dict, kept: Kept, progress: Callable, sampler: importance.Importance | None = None
) -> dict[str, pd.DataFrame]:
    """One seed's tables. The first estimate is the headline; no rows where no density is claimed or none was asked for.

    sampler: of this model, seed and share of the prior, where one is compiled already
    """
    if why := misfit(type(model), wished):
        raise Refusal(why)
    x, y = images.test.x, images.test.y
    found, tables, rows = {}, {}, []
    if isinstance(model, Exact):
        found["log_prob_nats"] = exact.log_prob(model, x, kept=kept, progress=progress)
        rows.append(estimate("exact", found["log_prob_nats"], 0.0, "exact", 1))
        if model.conditional and y is not None:
            rows.append(estimate("exact, given class", exact.log_prob(model, x, y, kept), 0.0, "exact", 1))
    if isinstance(model, Latent) and wished["integral"]:
        found["log_prob_nats"], row = integrated(model, x, wished["integral"], kept, progress)
        rows.append(row)
    if isinstance(model, Latent) and wished["draws"] is not None:
        sampler = sampler or importance.Importance(model, seed, wished["defensive"])
        sampled, tables, by = sampling(sampler, images, wished, kept, progress)
        found, rows = sampled | found, [*rows, tables.pop("estimate")]
    if isinstance(model, Latent) and wished["annealed"] is not None:
        scale = tables.get("scale", 1.0)
        annealed, more = anneal(model, images, seed, wished, scale, kept, progress)
        tables |= more
        rows.append(estimate("annealed", annealed.log_prob, noise(annealed.variance), "nll_too_high", wished["chains"], scale))
        n = len(annealed.log_prob)
        if "log_prob_nats" not in found:  # nothing else was asked for
            found["log_prob_nats"] = annealed.log_prob
        else:
            own = 0.0 if wished["integral"] else by.variance[:n].sum()
            tables["checks"][0] |= disagreement(found["log_prob_nats"][:n], annealed, own)
            if "elbo_nats" in found:
                lost = gaps.amortisation(model, x[:n], seed, kept)
                tables["checks"][0] |= gap(found["log_prob_nats"][:n] - found["elbo_nats"][:n], lost)
                found["amortisation_nats"] = first(lost, len(x))
        found["annealed_nats"] = first(annealed.log_prob, len(found["log_prob_nats"]))
    if isinstance(model, Discrete) and rows:
        found["elbo_nats"], tables["bound"] = integral.bound(model, x), 1
    if "elbo_nats" in found:
        rows.append(estimate("bound", found["elbo_nats"], None, "nll_too_high", tables["bound"]))
    if rows:
        tables["images"] = {"image": np.arange(len(found["log_prob_nats"])), **found}
    tables["estimates"] = rows
    common = {"seed": seed, "measure": model.spec.measure}
    return {name: pd.DataFrame(tables.get(name, [])).assign(**common).reindex(columns=COLUMNS[name]) for name in COLUMNS}


def integrated(model: Latent, x: np.ndarray, way: str, kept: Kept, progress: Callable) -> tuple[np.ndarray, dict]:
    """Of all images at once, so one tile, of whatever size."""
    ways = {
        "quadrature": lambda _: dict(zip(("log_prob", "error"), integral.quadrature(model, x, progress), strict=True)),
        "gaussian": lambda _: {"log_prob": integral.gaussian(model, x)},
        "enumeration": lambda _: {"log_prob": integral.enumeration(model, x, progress)},
    }
    part = tiles(way, len(x), len(x), ways[way], kept)
    found = part["log_prob"]
    if way == "quadrature":
        return found, estimate("quadrature", found, float(part["error"].mean()), "exact", integral.POINTS)
    if way == "gaussian":
        return found, estimate("exact", found, 0.0, "exact", 1)
    return found, estimate("enumeration", found, 0.0, "exact", model.codes**model.sites)


def sampling(sampler: importance.Importance, images: Images, wished: dict, kept: Kept, progress: Callable):
    """Columns per image, tables and a row, all by importance sampling with the proposal that is best on validation images."""
    draws, scale, tables = wished["draws"], wished["scales"][0], {}
    if len(wished["scales"]) > 1:
        sweep = sampler.sweep(images.valid.x, draws, wished["scales"], kept)
        scale = importance.best(sweep)
        for row in sweep:
            log_prob = row.pop("log_prob")
            row |= {"nll_nats": -log_prob.mean(), "nll_se": standard_error(log_prob)}
        tables["sweep"] = sweep
    by = sampler.estimate(images.test.x, draws, scale, kept, progress)
    # The bound has the proposal that was trained, not a wider one.
    plain = isinstance(sampler.model, Discrete) or (scale == 1.0 and not sampler.defensive)
    tables["bound"] = draws if plain else min(100, draws)
    elbo = by.elbo if plain else sampler.undefended.estimate(images.test.x, tables["bound"], kept=kept).elbo
    tables |= {
        "scale": scale,
        "k_curve": [
            {"k": k, "groups": draws // k, "nll_nats": -values.mean(), "nll_se": standard_error(values)}
            for k, values in by.curve.items()
        ],
        "estimate": estimate("importance", by.log_prob, noise(by.variance), "nll_too_high", draws, scale),
    }
    names = {"log_prob_nats": by.log_prob, "elbo_nats": elbo, "ess": by.ess, "max_weight": by.max_weight}
    return {**names, "pareto_k": by.pareto_k}, tables, by


def anneal(model: Latent, images: Images, seed: int, wished: dict, scale: float, kept: Kept, progress: Callable):
    """Test images from below; images that the model made from both sides."""
    chains = annealing.Annealing(model, seed, wished["chains"], scale, wished["start"] == "prior")
    steps = chains.pilot(images.valid.x, wished["temperatures"], kept)
    found = chains.estimate(images.test.x[: wished["annealed"]], steps, kept=kept, progress=progress)
    made, z = pairs.simulated(model, seed, len(found.log_prob), kept)
    below, above = chains.estimate(made, steps, "simulated", kept), chains.reverse(made, z, steps, kept)
    apart = above.log_prob - below.log_prob
    some = np.unique(np.linspace(0, len(steps.sizes) - 1, ROWS).astype(int))
    return found, {
        "annealing": {
            "temperature": steps.betas[1:][some],
            "step": steps.sizes[some],
            "accepted": found.accepted[some],
        },
        "checks": [{"bdmc_gap_nats": apart.mean(), "bdmc_gap_se": standard_error(apart)}],
    }


def disagreement(log_prob: np.ndarray, annealed: annealing.Annealed, own: float) -> dict:
    """How much likelier annealing finds the same images than the headline says, whose own variances add up to `own`."""
    error = math.sqrt(annealed.variance.sum() + own) / len(log_prob)
    return {"annealed_gain_nats": (annealed.log_prob - log_prob).mean(), "annealed_gain_se": error}


def gap(whole: np.ndarray, lost: np.ndarray) -> dict:
    """What the bound lacks of the headline, and its two parts."""
    left = whole - lost
    numbers = (whole.mean(), left.mean(), standard_error(left), lost.mean(), standard_error(lost))
    return dict(zip(GAPS, numbers, strict=True))


def first(values: np.ndarray, count: int) -> np.ndarray:
    """Of the first images; nothing is known of the others."""
    return np.concatenate([values, np.full(count - len(values), np.nan)])


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

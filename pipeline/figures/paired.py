"""Runs against each other, image by image: what all images have in common, hard or easy, is in no difference."""

import itertools

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from pipeline.figures.style import GREEN, INK, MUTED, VERMILLION, WIDTH, Figure
from pipeline.figures.words import kind, nats

COLUMNS = ["data", "run", "other", "pair", "difference_nats", "se", "low", "high", "images"]
GAINS = ["gate", "run", "other", "number", "wanted", "gain_nats", "se", "low", "high", "images", "passed"]
NUMBERS = {"nll": ("log_prob_nats", 1), "elbo": ("elbo_nats", 1), "amortisation": ("amortisation_nats", -1)}  # higher is better
CLEAR = 1.96  # standard errors
ROOM = 6  # runs side by side whose standard errors still have room in their cells


def by_image(likelihood: pd.DataFrame) -> pd.Series:
    """log p(x) of each test image, the mean over seeds."""
    return likelihood.groupby("image").log_prob_nats.mean()


def between(one: pd.Series, other: pd.Series) -> dict:
    """NLL of `one` less that of `other` on the images that both have: negative where `one` is better; with a 95 % interval."""
    apart = (other - one).dropna()
    mean, error = float(apart.mean()), float(apart.sem())
    return {
        "difference_nats": mean,
        "se": error,
        "low": mean - CLEAR * error,
        "high": mean + CLEAR * error,
        "images": len(apart),
    }


def gain(one: pd.DataFrame, other: pd.DataFrame, number: str) -> dict:
    """By how much one number per image is better in `one`, on the images that both have; with a 95 % interval over images and
    training seeds together."""
    column, sign = NUMBERS[number]
    means = [table.groupby("image")[column].mean() for table in (one, other)]
    apart = sign * (means[0] - means[1]).dropna()
    of_seeds = [table.groupby("seed")[column].mean().sem() for table in (one, other)]
    mean, error = float(apart.mean()), float(np.sqrt(apart.sem() ** 2 + of_seeds[0] ** 2 + of_seeds[1] ** 2))
    return {"gain_nats": mean, "se": error, "low": mean - CLEAR * error, "high": mean + CLEAR * error, "images": len(apart)}


def gains(runs: dict, likelihoods: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each number in which params.yaml says that a run is to beat another."""
    rows = []
    for run, chosen in runs.items():
        for other, wanted in (chosen.get("beats") or {}).items():
            for number, word in wanted.items():
                found = gain(likelihoods[run], likelihoods[other], number)
                passed = found["low"] > 0 if word == "better" else found["high"] >= 0
                names = {"gate": f"{run}: {number} {word} than {other}", "run": run, "other": other, "number": number}
                rows.append(names | {"wanted": word, **found, "passed": passed})
    return pd.DataFrame(rows, columns=GAINS)


def table(data: str, names: list[str], likelihoods: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each pair of runs, in the order of `names`."""
    each = {name: by_image(likelihoods[name]) for name in names}
    rows = []
    for one, other in itertools.combinations(names, 2):
        names_of = {"data": data, "run": one, "other": other, "pair": f"{one} less {other}"}
        rows.append(names_of | between(each[one], each[other]))
    return pd.DataFrame(rows, columns=COLUMNS)


def clear(row) -> bool:
    """More than chance explains."""
    return row.low > 0 or row.high < 0


def matrix(names: list[str], pairs: pd.DataFrame, evidence: dict[str, dict]):
    """Each run's NLL less that of each other one, the best on top; green is better than the other, red worse, grey neither."""
    found = {(row.run, row.other): (row.difference_nats, row.se, clear(row)) for row in pairs.itertuples()}
    found |= {(other, run): (-mean, error, sure) for (run, other), (mean, error, sure) in found.items()}
    count, label, head, row = len(names), 0.2, 0.5, 0.66
    height = head + row * count
    cell = WIDTH / count
    figure = Figure((WIDTH, height))
    box = {"ha": "center", "va": "center_baseline"}
    said_above = "NLL of a row's run less that of a column's, nats per image"
    figure.text(0, 1 - 0.1 / height, said_above, va="center_baseline", fontsize=8.5, color=MUTED)
    for y, name in enumerate(names):
        top = height - head - y * row
        figure.text(0, (top - 0.5 * label) / height, f"{y + 1}  {name}", va="center_baseline")
        for x, other in enumerate(names):
            where = ((x + 0.02) / count, (top - row + 0.09) / height)
            if name == other:
                figure.text((x + 0.5) / count, (top - (label + row) / 2 + 0.045) / height, "–", color=MUTED, **box)
                continue
            mean, error, sure = found[name, other]
            tone = (GREEN if mean < 0 else VERMILLION) if sure else MUTED
            size = (0.96 / count, (row - label - 0.09) / height)
            figure.add_artist(Rectangle(where, *size, facecolor=tone, alpha=0.22 if sure else 0.07, edgecolor="none"))
            middle = where[1] + size[1] / 2
            text, shift = f"{mean:+.2f}".replace("-", "−"), 0.075 / height if count <= ROOM else 0
            small = min(8.5, 72 * cell / 4.6)
            figure.text((x + 0.5) / count, middle + shift, text, fontsize=small, color=INK if sure else MUTED, **box)
            if count <= ROOM:
                figure.text((x + 0.5) / count, middle - shift, f"± {error:.2f}", fontsize=7, color=MUTED, **box)
    for x in range(count):
        figure.text((x + 0.5) / count, 1 - 0.34 / height, f"less {x + 1}", color=MUTED, fontsize=8.5, **box)
    alt = "Difference in NLL between any two runs on the same images, with standard errors"
    return figure, alt, said(names, pairs, evidence)


def said(names: list[str], pairs: pd.DataFrame, evidence: dict[str, dict]) -> str:
    """Who is ahead, what chance may explain, and how estimates stand beside exact numbers."""
    best, second = names[:2]
    first = pairs[pairs.run == best]
    behind = pairs[(pairs.run == best) & (pairs.other == second)].iloc[0]
    images = int(pairs.images.min())
    text = (
        f"Differences on the same {images:,} test images, ± a standard error: row less column, negative where the row's run is "
        f"better. {best} is {nats(-behind.difference_nats)} ± {nats(behind.se)} nats ahead of {second}"
    )
    sure = [row.other for row in first.itertuples() if clear(row)]
    if len(sure) == len(first):
        text += ", more than chance explains" + (", as of all others." if len(first) > 1 else ".")
    else:
        text += "."
    alike = [f"{row.run} and {row.other}" for row in pairs.itertuples() if not clear(row)]
    if alike:
        text += f" Not significant at 95 %, each pair by itself: {'; '.join(alike)}."
    elif len(pairs) > 1:
        text += " All differences are significant at 95 %, each pair by itself."
    low = [name for name in names if kind(evidence[name]) != "exact" and evidence[name]["direction"] == "nll_too_high"]
    if low and len(low) < len(names):
        text += (
            f" The NLL of {', '.join(low)} comes out too high on average, the others' are exact: where it is behind, the gap "
            "may be smaller. An estimate flatters nobody."
        )
    elif low:
        text += (
            " All are estimates that come out too high on average: none flatters its run, but some may lose more than others."
        )
    return text


def pairs(groups: list[tuple[str, str | None, list[str], list[str]]], likelihoods: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The table of all data sets: whatever may stand in one chart."""
    found = [table(data, ranked, likelihoods) for data, _, ranked, _ in groups if len(ranked) > 1]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)

"""The figures of annealing: what it finds where importance sampling has looked before, and how well it moves."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from pipeline.figures.importance import first_seed
from pipeline.figures.style import DOTS, INK, MUTED, PAPER, WIDTH, Figure, along, panel, references
from pipeline.figures.words import count, nats, percent, small

ACCEPTED = 0.65  # the share of moves that annealing's steps are tuned to
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.0f} %")


def annealed(likelihood: pd.DataFrame, evidence: dict, colour: str):
    """By how much annealing finds each image likelier than the headline does."""
    first = likelihood.groupby("image", as_index=False)[["annealed_nats", "log_prob_nats"]].mean()  # over seeds
    first = first[first.annealed_nats.notna()]
    gain = first.annealed_nats - first.log_prob_nats
    figure, axes = panel("NLL of an image, nats", "how much likelier annealing finds it, nats")
    axes.axhline(0, color=INK, linewidth=1)
    mean, error = evidence["annealed_gain_nats"], 1.96 * evidence["annealed_gain_se"]
    axes.axhspan(mean - error, mean + error, color=colour, alpha=0.15, linewidth=0)
    axes.axhline(mean, color=colour, linewidth=1.2)
    axes.plot(-first.log_prob_nats, gain, "o", color=colour, markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.5)
    most = gain.abs().idxmax()
    axes.margins(x=0.06, y=0.2)
    spot = {"textcoords": "offset points", "ha": "center", "va": "bottom" if gain[most] > 0 else "top", "fontsize": 8}
    axes.annotate(f"image {first.image[most]}", (-first.log_prob_nats[most], gain[most]), (0, 5 * np.sign(gain[most])), **spot)
    clear = abs(mean) > error
    word = "likelier" if mean > 0 else "less likely"
    text = (
        f"Annealing, which does not rest on the same weights, finds these {count(len(first))} test images "
        f"{nats(abs(mean))} ± {nats(error / 1.96)} nats {word} than the headline on average (band: 95 %), "
        f"{'more' if clear else 'no more'} than chance explains; the largest difference is {nats(gain[most])}, of image "
        f"{first.image[most]}. "
    )
    if evidence["direction"] == "exact":
        text += "The headline is exact, so what is not chance is annealing's error."
    else:
        text += "Both are bounds from below" + (", so the higher of the two is probably nearer the truth." if clear else ".")
    return figure, "How much likelier annealing finds each test image than the headline", text


def accepted(rows: pd.DataFrame, evidence: dict, estimates: pd.DataFrame, colour: str):
    """The share of moves that annealing accepts, from the posterior (0) to the joint density (1)."""
    first = first_seed(rows)
    figure, axes = panel("temperature, from where chains start at 0 to p(x, z) at 1", "moves accepted")
    marks = {"marker": "o", "markersize": 4} if len(first) < 20 else {}
    axes.plot(first.temperature, first.accepted, color=colour, **marks)
    axes.set_ylim(0, 1.04)
    axes.set_xlim(-0.02, 1.02)
    axes.yaxis.set_major_formatter(PERCENT)
    references(axes, [(ACCEPTED, f"aimed at {100 * ACCEPTED:.0f} %", MUTED)], along(first.temperature, first.accepted))
    low, high = first.accepted.min(), first.accepted.max()
    chains = int(estimates[estimates.estimator == "annealed"].draws.iloc[0])
    text = (
        f"Of the moves of {count(chains)} chains per image {percent(low)} to {percent(high)} are accepted, with steps "
        f"of {small(first.step.min())} to {small(first.step.max())} of the posterior's width, tuned on validation images."
    )
    if "bdmc_gap_nats" in evidence:
        text += (
            " On as many images that the model made itself, annealing bounds log p(x) from both sides: the two bounds are "
            f"{nats(evidence['bdmc_gap_nats'])} ± {nats(evidence['bdmc_gap_se'])} nats apart. Of real "
            "images only the lower one can be had."
        )
    return figure, "Share of annealing's moves that are accepted, by temperature", text


def gap(evidence: dict, images: int, colour: str):
    """What the ELBO lacks of log p(x), in its two parts, the second drawn from where the first one ends."""
    whole, family, encoder = (evidence[f"{name}_nats"] for name in ("gap", "approximation", "amortisation"))
    rows = [
        ("approximation: the family of q(z | x)", 0.0, family, colour),
        ("amortisation: the encoder", family, encoder, MUTED),
    ]
    row, foot = 0.46, 0.5
    height = row * len(rows) + foot
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0, foot / height, 0.86, row * len(rows) / height))
    for y, (name, start, length, tone) in enumerate(reversed(rows)):
        axes.barh(y - 0.24, length, 0.26, left=start, color=tone)
        box = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
        axes.text(0, y + 0.12, name, **box)
        axes.text(1.13, y - 0.24, nats(length), ha="right", **box)
    axes.axvline(whole, color=INK, linewidth=1, linestyle=DOTS)
    axes.grid(False)
    low, high = min(0.0, family, whole), max(family, whole, 0.01)
    axes.set(ylim=(-0.5, len(rows) - 0.5), xlim=(1.04 * low, 1.04 * high), yticks=[])
    axes.set_xlabel("nats per image by which the ELBO stays below log p(x)")
    text = (
        f"On the {count(images)} test images that are annealed, log p(x) lies {nats(whole)} nats above the ELBO (dotted). "
        f"{nats(family)} of them, at most, are the family's: even its best member for each image ends there. "
        f"{nats(encoder)}, at least, are the encoder's, which has one answer ready for every image instead of seeking the "
        "best for each."
    )
    return figure, "What the ELBO lacks of log p(x): approximation and amortisation", text

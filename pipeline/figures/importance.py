"""The figures of importance sampling: how its bound falls with draws, which proposal it has, how far to trust its weights."""

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, ScalarFormatter

from pipeline.figures.style import (
    GREEN,
    INK,
    MUTED,
    along,
    panel,
    references,
)
from pipeline.figures.words import count, nats, percent

HEAVY = 0.7  # Pareto's k, from which on the estimate cannot be relied on
LIGHT = -1.0  # a tail that ends long before any other: lower down no chart goes
NAMED = 3  # images that are worst
OFF = 4  # times as far apart as the others: a width whose bound is left off the chart


def first_seed(table: pd.DataFrame) -> pd.DataFrame:
    return table[table.seed == table.seed.iloc[0]]


def k_curve(curve: pd.DataFrame, evidence: dict, colour: str, exact: float | None = None):
    """`exact`: the NLL that the bound would reach with all draws there are, where it is known."""
    figure, axes = panel("importance draws per image", "NLL, nats per image")
    first = first_seed(curve)
    error = 1.96 * first.nll_se
    axes.errorbar(first.k, first.nll_nats, error, color=colour, marker="o", markersize=5, capsize=2.5, elinewidth=1)
    axes.set_xscale("log")
    axes.set_xticks(first.k, [count(k) for k in first.k])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.08, y=0.12)
    low, high = (first.nll_nats - error).min(), (first.nll_nats + error).max()
    near, far = [], []
    for value, name, tone in (
        (exact, "sum over all codes", INK),
        (evidence.get("independent_nats"), "independent pixels", MUTED),
        (evidence.get("chain_nats"), "regression chain", MUTED),
        (evidence.get("floor_nats"), "floor", GREEN),
    ):
        if value is None:
            continue
        if low - 1.5 * (high - low) < value < high + 1.5 * (high - low):
            near.append((value, f"{name} {nats(value)}", tone))
        else:
            far.append(f"{name} {nats(value)}")
    axes.plot([first.k.iloc[0]] * len(near), [value for value, *_ in near], linestyle="")  # widens the axis only
    axes.set_ylim(axes.get_ylim())
    bars = [along([k, k], [y - e, y + e]) for k, y, e in zip(first.k, first.nll_nats, error, strict=True)]
    references(axes, near, np.concatenate([along(first.k, first.nll_nats, log=True), *bars]))
    one, most = first.iloc[0], first.iloc[-1]
    text = (
        f"From {count(int(one.k))} to {count(int(most.k))} draws the bound falls by "
        f"{nats(one.nll_nats - most.nll_nats)} nats, to {nats(most.nll_nats)}"
    )
    if len(first) > 2:
        step = first.iloc[-2]
        text += f"; the last step, from {count(int(step.k))}, takes {nats(step.nll_nats - most.nll_nats)} of it"
        fall = (step.nll_nats - most.nll_nats) / np.log10(most.k / step.k)
        text += f", which is {nats(fall)} for ten times as many draws"
    if exact is not None:
        text += f"; {nats(most.nll_nats - exact)} above the sum over all codes"
    off = f". Bars: 95 %. Off the chart: {', '.join(far)}." if far else ". Bars: 95 %."
    return figure, "Importance bound on the NLL by number of draws, with baselines", text + off


def sweep(widths: pd.DataFrame, discrete: bool, colour: str):
    """The bound on validation images by the width of the proposal; the chosen one is ringed."""
    first = first_seed(widths).reset_index(drop=True)
    best = first.loc[first.nll_nats.idxmin()]
    behind = np.sort(first.nll_nats - best.nll_nats)
    near = first.nll_nats - best.nll_nats <= OFF * max(np.median(behind), 0.1)
    name = "temperature of the proposal" if discrete else "variance of the proposal, times the posterior's"
    figure, axes = panel(name, "bound on the NLL of validation images, nats")
    axes.plot(first.scale[near], first.nll_nats[near], color=colour, marker="o", markersize=5)
    ring = {"markersize": 11, "markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 1.2}
    axes.plot(best.scale, best.nll_nats, "o", **ring)
    axes.set_xscale("log")
    axes.set_xticks(first.scale, [f"{scale:g}" for scale in first.scale])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.margins(x=0.08, y=0.15)
    which = f"temperature {best.scale:g}" if discrete else f"{best.scale:g} times the posterior's variance"
    text = (
        f"Proposals of several {'temperatures' if discrete else 'widths'}, each with {count(int(best.draws))} draws for "
        f"{count(int(best.images))} validation images: the bound is lowest with {which} (ringed), which is used on test images"
    )
    trained = first[first.scale == 1.0]
    if best.scale == 1.0:
        rest = first[first.scale != 1.0]
        second = rest.loc[rest.nll_nats.idxmin()]
        text += f". That is the posterior as it was trained; the next best, {second.scale:g}, is "
        text += f"{nats(second.nll_nats - best.nll_nats)} nats worse."
    elif len(trained):
        text += f". The posterior as it was trained, 1, is {nats(trained.nll_nats.iloc[0] - best.nll_nats)} nats worse."
    else:
        text += "."
    if best.scale in (first.scale.max(), first.scale.min()) and best.scale != 1.0:
        text += " It is the last that was tried: one beyond it might do better still."
    if not near.all():
        off = ", ".join(f"{row.scale:g} at {nats(row.nll_nats)}" for row in first[~near].itertuples())
        text += f" Off the chart: {off}."
    return figure, f"Bound on the NLL of validation images by {name}", text


def trust(likelihood: pd.DataFrame, estimates: pd.DataFrame, colour: str):
    """Effective draws and Pareto's k of each test image; None where the weights have no tail."""
    first = first_seed(likelihood)
    shown = first[first.pareto_k.notna()]
    if shown.empty:
        return None
    figure, axes = panel("effective draws of an image", "shape of its weights' tail (Pareto's k)")
    heavy = shown.pareto_k > HEAVY
    for some, tone, mark in ((~heavy, colour, "o"), (heavy, INK, "D")):
        axes.plot(shown.ess[some], shown.pareto_k[some], mark, color=tone, markersize=3, alpha=0.6, markeredgewidth=0)
    worst = shown.sort_values("pareto_k", ascending=False, kind="stable").head(NAMED)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.margins(x=0.05, y=0.12)
    axes.plot([shown.ess.median()], [HEAVY], linestyle="")  # the line is seen, whatever the images
    axes.set_ylim(max(LIGHT, axes.get_ylim()[0]), axes.get_ylim()[1])
    references(axes, [(HEAVY, "not to be relied on above 0.7", MUTED)], shown[["ess", "pareto_k"]].to_numpy())
    text = weights(likelihood, estimates)
    if heavy.any():
        names = ", ".join(f"{row.image:.0f} ({row.pareto_k:.2f})" for row in worst.itertuples())
        text += (
            f" For {percent(heavy.mean())} of the images the tail is so heavy (k above {HEAVY:g}) that the estimate cannot be "
            f"relied on; the worst are images {names}."
        )
    else:
        text += f" No image has a tail too heavy to be relied on: the largest k is {shown.pareto_k.max():.2f}."
    if len(shown) < len(first):
        text += f" Of {count(len(first) - len(shown))} images the largest weights are all alike: they have no tail."
    if below := (shown.pareto_k < LIGHT).sum():
        text += f" Off the chart, below: {count(below)}."
    return figure, "Effective draws and Pareto's k of each test image", text


def weights(likelihood: pd.DataFrame, estimates: pd.DataFrame) -> str:
    """How many draws count, in a sentence; nothing where none were weighed."""
    first, sampled = first_seed(likelihood), estimates[estimates.estimator == "importance"]
    if not len(sampled) or first.ess.isna().all():
        return ""
    few = first.loc[first.ess.idxmin()]
    text = (
        f"Of {count(int(sampled.draws.iloc[0]))} draws the median image has an effective {first.ess.median():,.0f}, the worst "
        f"(image {few.image:.0f}) {few.ess:,.1f}"
    )
    if first.max_weight.notna().any():
        text += (
            f"; the largest weight makes up {percent(first.max_weight.median())} of the sum in the median, "
            f"{percent(first.max_weight.max())} at most"
        )
    return text + "."

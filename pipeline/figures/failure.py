"""The figures of a proposal that is too narrow: importance sampling stays wrong, and its weights do not say so."""

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from pipeline.figures.style import BLUE, INK, LINE, MUTED, PAPER, VERMILLION, WIDTH, Figure, legend, panel
from pipeline.figures.words import count, nats, percent, small

FALSE = 4  # times its stated error: an error from which on the statement is false


def widths(found: dict) -> list[float]:
    """Of the proposals that were tried on `line`."""
    return sorted(float(name.split("x")[1]) for name in found["line"] if name.startswith("importance, x"))


def tone_of(width: float, chosen: float) -> str:
    return {1.0: VERMILLION, chosen: BLUE}.get(width, MUTED)


def failure(found: dict, arrays: dict):
    """How far the mean bound is from the truth by the number of draws, a curve for each width of the proposal."""
    figure, axes = panel("importance draws per image", "nats between the mean bound and the true log p(x)", height=2.9)
    axes.set_position([0.115, 0.46 / 2.9, 0.62, 1 - 0.76 / 2.9])  # names stand at the right
    axes.set_title(axes.get_title(loc="left"), loc="left", x=-0.115 / 0.62, pad=9, fontsize=8.5, color=MUTED)
    truth, chosen, ends = arrays["line_truth"], found["line"]["importance"]["scale"], []
    axes.set_xscale("log")
    axes.set_yscale("log")
    for width in widths(found):
        k, mean = arrays[f"line_k_{width:g}"], (arrays[f"line_curve_{width:g}"] - truth).mean(axis=1)
        tone = tone_of(width, chosen)
        axes.plot(k, np.abs(mean), color=tone, marker="o", markersize=4, zorder=2 if tone == MUTED else 3)
        ends.append((abs(mean[-1]), f"× {width:g}{named(width, chosen)}", tone))
    axes.set_xticks(k, [count(int(each)) for each in k])
    axes.xaxis.set_minor_locator(NullLocator())
    plainly(axes.yaxis)
    axes.margins(x=0.05, y=0.08)
    axes.set_ylim(axes.get_ylim())
    lowest, shift = -np.inf, axes.transData.transform
    for value, name, tone in sorted(ends):
        at = shift((k[-1], value))[1] * 72 / figure.dpi
        lowest = max(at, lowest + LINE)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center", "fontsize": 8.5}
        axes.annotate(name, (1, value), (4, lowest - at), color=INK if tone == MUTED else tone, **place)
    return figure, "Error of the importance bound by draws, for several widths of the proposal", failed(found)


def named(width: float, chosen: float) -> str:
    return {1.0: ", as trained", chosen: ", chosen"}.get(width, "")


def plainly(axis) -> None:
    """Powers of ten as people write them."""
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def failed(found: dict) -> str:
    """What happens to the proposal that is best for the ELBO, and what mends it."""
    line, first = found["line"], widths(found)[0]
    narrow, chosen = line[f"importance, x{first:g}"], line["importance"]
    off, stated = abs(narrow["bias_nats"]), narrow["claimed_se"]
    name = "The proposal that is best for the ELBO" if first == 1.0 else f"The narrowest proposal, × {first:g},"
    if off > FALSE * stated:
        text = (
            f"{name} is too narrow for importance sampling: with all its draws the bound is still {nats(off)} nats off the "
            f"truth, and the error it states of itself is {small(stated)}."
        )
    else:
        text = (
            f"{name} is {small(off)} nats off the truth with all its draws and states {small(stated)}: here it does not fail."
        )
    text += (
        f" With {chosen['scale']:g} times the trained variance, which validation images choose, the bound is off by "
        f"{small(abs(chosen['bias_nats']))} and states {small(chosen['claimed_se'])}."
    )
    if "narrow" in found and "annealed_gain_nats" in found["narrow"]:
        flagged = "likelier" in found["narrow"]["flags"]
        text += (
            f" Annealing, started from the narrow one, finds the images {nats(found['narrow']['annealed_gain_nats'])} nats "
            f"likelier, {'and such a run is flagged' if flagged else 'yet such a run is not flagged'}."
        )
    return text


def honesty(found: dict):
    """The error that each proposal states beside the one it has, and annealing's."""
    line, tried = found["line"], widths(found)
    chosen = line["importance"]["scale"]
    rows = [(f"× {w:g}{named(w, chosen)}", line[f"importance, x{w:g}"]) for w in tried]
    rows += [("annealing", line["annealed"])]
    height = 0.75 + 0.29 * len(rows)
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0.26, 0.48 / height, 0.72, 1 - 0.75 / height))
    for y, (name, one) in enumerate(reversed(rows)):
        stated, true = one["claimed_se"], abs(one["bias_nats"])
        tone = VERMILLION if true > FALSE * stated else BLUE
        axes.plot([stated, true], [y, y], color=tone, linewidth=1.4, alpha=0.6)
        axes.plot(stated, y, "o", color=tone, markerfacecolor=PAPER, markersize=6.5, markeredgewidth=1.5)
        axes.plot(true, y, "o", color=tone, markersize=6.5)
        axes.text(-0.36, y, name, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    axes.set_xscale("log")
    plainly(axes.xaxis)
    axes.margins(x=0.08)
    axes.grid(True, axis="x")
    axes.set(ylim=(-0.6, len(rows) - 0.4), yticks=[])
    axes.set_xlabel("nats, of the mean over images")
    legend(figure, [("stated error", MUTED, "$○$"), ("true error", MUTED, "o")])
    false = [name.split(",")[0] for name, one in rows if abs(one["bias_nats"]) > FALSE * one["claimed_se"]]
    ratio = abs(rows[0][1]["bias_nats"]) / rows[0][1]["claimed_se"]
    heavy = [percent(line[f"importance, x{w:g}"]["heavy_tailed"]) for w in tried]
    effective = [f"{line[f'importance, x{w:g}']['ess_median']:,.0f}" for w in tried]
    text = (
        f"With × {tried[0]:g} the true error is {ratio:,.1f} times as large as the stated one. It is more than {FALSE} times "
        f"as large with {', '.join(false) or 'none'} (orange). Pareto's k is, from narrow to wide, above 0.7 for "
        f"{', '.join(heavy)} of the images; the effective draws of the median image are {', '.join(effective)}."
    )
    return figure, "Stated and true error of importance sampling by the width of its proposal, and of annealing", text

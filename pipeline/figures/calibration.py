"""The figures of the estimators beside the truth. Each claim is decided by pipeline/verdict.py, none here."""

import numpy as np

from pipeline.figures.annealing import ACCEPTED, PERCENT
from pipeline.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    SOLID,
    WIDTH,
    Figure,
    along,
    legend,
    panel,
    references,
)
from pipeline.figures.words import count, nats, percent

CASES = {"line": "line: a linear model", "plane": "plane: two latent dimensions", "codes": "codes: discrete"}
NAMES = {
    "importance": "importance sampling",
    "annealed": "annealing",
    "forward": "annealing, own images",
    "reverse": "reverse, own images",
}
SIDES = {"below": (BLUE, ">"), "above": (ORANGE, "<")}  # the mark points to where the truth must lie
CLEAR = 1.96  # standard errors
TABLE = (
    "An unbiased estimate of p(x), or from above of 1 / p(x), is off by some standard errors; a bound's mean logarithm may lie "
    "beyond the truth by no more than chance."
)


def headline(rows: list[dict], chosen: dict) -> list[str]:
    """How many claims hold, and which do not."""
    wrong = [f"{row['case']}: {row['claim']}" for row in rows if not row["holds"]]
    first = f"**{len(rows) - len(wrong)} of {len(rows)}** claims about the estimators hold where log p(x) is known."
    second = (
        "An estimator of log p(x) can be wrong without a sign of it. So each is tried on models whose log p(x) is known in "
        "closed form, by quadrature or as a sum, with the evidence settings "
        f"**{chosen['latent']}** and, for discrete codes, **{chosen['codes']}**."
    )
    return [first + (f" Broken: {'; '.join(wrong)}." if wrong else ""), second]


def table(rows: list[dict]) -> list[dict]:
    return [
        {
            "case": row["case"],
            "claim": row["claim"],
            "found": f"{row['found']:.4f}".replace("-", "−"),
            "limit": row["limit"].replace("<=", "≤").replace(">=", "≥").replace("-", "−"),
            "holds": "holds" if row["holds"] else "BROKEN",
        }
        for row in rows
    ]


def signed(value: float, error: float) -> str:
    return f"{value:+.3f} ± {error:.3f}".replace("-", "−")


def bias(found: dict):
    """Each estimator's mean difference from the truth, with 95 % bars, all on one axis."""
    groups = {case: [name for name in NAMES if name in found[case]] for case in CASES if case in found}
    row, head = 0.27, 0.3
    height = 0.75 + sum(head + row * len(names) for names in groups.values())
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0.44, 0.48 / height, 0.54, 1 - 0.75 / height))
    y, rows = 0.0, []
    for case, names in groups.items():
        box = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
        axes.text(-0.815, y - head / 2, CASES[case], color=MUTED, **box)
        y -= head
        for name in names:
            one = found[case][name]
            rows.append((case, name, one))
            tone, mark = SIDES[one["side"]]
            mean, error, at = one["bias_nats"], CLEAR * one["bias_se"], y - row / 2
            axes.plot([mean - error, mean + error], [at, at], color=tone, linewidth=2.2, solid_capstyle="round")
            axes.plot(mean, at, mark, color=tone, markerfacecolor=PAPER, markersize=6.5, markeredgewidth=1.5, zorder=5)
            axes.text(-0.815, at, NAMES[name], **box)
            y -= row
    axes.axvline(0, color=INK, linewidth=1)
    axes.set(ylim=(y, 0), yticks=[])
    axes.margins(x=0.08)
    axes.grid(True, axis="x")
    axes.set_xlabel("estimate less the true log p(x), nats")
    legend(figure, [(f"bound from {side}", tone, mark) for side, (tone, mark) in SIDES.items()])
    case, name, worst = max(rows, key=lambda each: abs(each[2]["bias_nats"]))
    text = (
        f"On average the estimators are at most {nats(abs(worst['bias_nats']))} nats off: “{NAMES[name]}” of "
        f"{case} is {signed(worst['bias_nats'], worst['bias_se'])}. Bars: 95 % over images. Own images are "
        "drawn from the model: there annealing can run in reverse, which bounds from above."
    )
    if bound := found.get("codes", {}).get("bound"):
        off = f" The bound that a single map of codes gives is off the chart at {nats(bound['bias_nats'])}"
        text += off + (", and above the truth for no image." if bound["highest_nats"] <= 0 else ".")
    return figure, "Mean difference of each estimator from the true log p(x), with 95 % bars", text


def sandwich(found: dict, arrays: dict, case: str):
    """Both bounds of annealing beside the truth, of each image that the model made."""
    truth = arrays[f"{case}_simulated_truth"]
    below, above = (arrays[f"{case}_simulated_{way}"] - truth for way in ("forward", "reverse"))
    order = np.argsort(below, kind="stable")
    figure, axes = panel(f"images that {case} made, sorted by the lower bound", "bound less the true log p(x), nats")
    at = np.arange(1, len(truth) + 1)
    axes.vlines(at, below[order], above[order], color=MUTED, alpha=0.35, linewidth=0.8)
    for values, (tone, mark) in zip((below, above), SIDES.values(), strict=True):
        axes.plot(at, values[order], {">": "^", "<": "v"}[mark], color=tone, markersize=2.8, markeredgewidth=0, alpha=0.9)
    axes.axhline(0, color=INK, linewidth=1)
    axes.margins(x=0.02)
    legend(figure, [("lower", BLUE, "^"), ("upper", ORANGE, "v")])
    gap = found[case]["gap"]
    lower, upper = (signed(found[case][way]["bias_nats"], found[case][way]["bias_se"]) for way in ("forward", "reverse"))
    text = (
        f"On {count(len(truth))} images that {case} made, annealing's lower bound is {lower} nats from the truth on average, "
        f"the upper {upper}; they are {gap['nats']:.3f} ± {gap['se']:.3f} apart. For {percent(gap['inside'])} of the images "
        "the truth lies between them, give or take two standard errors of each, where an image's error counts as no less than "
        f"the root mean square over images; with the error that its few chains state, for {percent(gap['inside_stated'])}."
    )
    return figure, f"Annealing's two bounds beside the true log p(x) of images that {case} made", text


def accepted(arrays: dict):
    """The share of moves accepted by temperature, on the test images of `line` and `plane`."""
    figure, axes = panel("temperature, from where chains start at 0 to p(x, z) at 1", "moves accepted")
    cases = {"line": BLUE, "plane": GREEN}
    lines = []
    for case, tone in cases.items():
        x, y = arrays[f"{case}_temperatures"], arrays[f"{case}_accepted"]
        axes.plot(x, y, color=tone, linewidth=1.2)
        lines.append(along(x, y))
    axes.set(ylim=(0, 1.04), xlim=(-0.02, 1.02))
    axes.yaxis.set_major_formatter(PERCENT)
    references(axes, [(ACCEPTED, f"aimed at {100 * ACCEPTED:.0f} %", MUTED)], np.concatenate(lines))
    legend(figure, [(case, tone, SOLID) for case, tone in cases.items()])
    said = [
        f"{percent(arrays[f'{case}_accepted'].min())} to {percent(arrays[f'{case}_accepted'].max())} on {case}"
        for case in cases
    ]
    text = (
        f"Accepted moves: {' and '.join(said)}, over {count(len(arrays['line_temperatures']))} temperatures. Steps are tuned "
        "on validation images and then frozen: a chain that tunes itself while it is weighed is biased."
    )
    return figure, "Share of annealing's moves that are accepted, by temperature, on line and plane", text

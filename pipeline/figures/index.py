"""The figures and tables of the page that shows all runs side by side."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.figures import paired, pictures
from pipeline.figures.parts import link
from pipeline.figures.style import DOTS, GREEN, INK, MUTED, PAPER, VERMILLION, WIDTH, Figure, colour, interval
from pipeline.figures.words import KINDS, big, count, kind, nats

MARKS = {"exact": "o", "estimate": "D", "bound": "<"}
STRIP = 10  # images of each run
FEW = 10  # runs that are compared one by one


def headline(runs: dict, evidence: dict[str, dict]) -> list[str]:
    """How much there is, and the best of each data set; mass and density apart."""
    first = (
        f"{plural(len(runs), 'run')} on {plural(len({run['data'] for run in runs.values()}), 'data set')}. "
        "Lower is better, and only numbers on the same data can be compared."
    )
    best = []
    for data, measure, ranked, _ in groups(runs, evidence):
        if ranked:
            one = evidence[ranked[0]]
            best.append(
                f"{data}: **{ranked[0]}** is ahead with **{nats(one['nll_nats'])}** "
                f"{'nats of a density' if measure == 'density' else 'nats'} per image "
                f"({kind(one)}; 95 % interval {nats(one['nll_low'])} to {nats(one['nll_high'])})."
            )
    return [first, *best]


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def groups(runs: dict, evidence: dict[str, dict]) -> list[tuple[str, str | None, list[str], list[str]]]:
    """(data, measure, runs with an NLL, the best first, runs without): what may stand in one chart and one column."""
    found = []
    for data in dict.fromkeys(run["data"] for run in runs.values()):
        names = [name for name, run in runs.items() if run["data"] == data]
        without = [name for name in names if kind(evidence[name]) == "none"]
        ranked = sorted(set(names) - set(without), key=lambda name: (evidence[name]["nll_nats"], name))
        measures = sorted({evidence[name]["measure"] for name in ranked}, reverse=True) or [None]
        for measure in measures:
            some = [name for name in ranked if evidence[name]["measure"] == measure]
            found.append((data, measure, some, without if measure == measures[0] else []))
    return found


def arranged(names: list[str], runs: dict) -> list[str]:
    """Where there are many, family by family, that of the best run first; a few stand as they are ranked."""
    if len(names) <= FEW:
        return names
    families = list(dict.fromkeys(runs[name]["family"] for name in names))
    return sorted(names, key=lambda name: families.index(runs[name]["family"]))


def title(data: str, measure: str | None, others: list[str]) -> tuple[str, str]:
    """The heading of a group and what is missing from its chart."""
    text = "The nats are those of a density, not of a probability. " if measure == "density" else ""
    if others:
        text += f"Not in the chart, without an NLL: {', '.join(others)}."
    return data, text.strip()


def nll(names: list[str], runs: dict, evidence: dict[str, dict]):
    """One row per run, the best on top; baselines and the floor as lines; the mark says what kind of number it is."""
    references = lines(evidence[names[0]]) + aims(names, runs)
    row, head, foot = 0.5, 0.16 * len(references) + 0.08, 0.62
    height = head + row * len(names) + foot
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0, foot / height, 1, row * len(names) / height))
    shown = arranged(names, runs)
    for y, name in enumerate(reversed(shown)):
        above = shown[len(shown) - y - 2] if y + 1 < len(shown) else None
        if len(names) > FEW and (above is None or runs[above]["family"] != runs[name]["family"]):
            rule(axes, y, runs[name]["family"], above is not None)
        one = evidence[name]
        sort, tone = kind(one), colour(runs[name]["model"])
        mark = ">" if sort == "bound" and one["direction"] == "nll_too_low" else MARKS[sort]
        bar = (one["nll_low"], one["nll_nats"], one["nll_high"])
        interval(axes, y, name, nats(one["nll_nats"]), bar, tone, mark, sort == "exact")
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_yticks([])
    axes.plot([value for _, value, _ in references], [0] * len(references), linestyle="")  # widens the axis only
    axes.margins(x=0.05)
    axes.set_xlim(axes.get_xlim())
    for level, (name, value, tone) in enumerate(references):
        where, y = axes.get_xaxis_transform(), 1 + (0.16 * (len(references) - level) - 0.08) / (row * len(names))
        axes.plot([value] * 2, [0, y], color=tone, linewidth=1, linestyle=DOTS, zorder=0, transform=where, clip_on=False)
        right = value < sum(axes.get_xlim()) / 2
        place = {"xycoords": where, "textcoords": "offset points", "ha": "left" if right else "right", "va": "center"}
        axes.annotate(f"{name} {nats(value)}", (value, y), (4 if right else -4, 0), color=tone, fontsize=8, **place)
    axes.set_xlabel("test NLL, nats per image; lower is better")
    legend(figure, {kind(evidence[name]) for name in names}, height)
    text = " ".join([said(names, evidence), *aimed(names, runs, evidence)])
    return figure, "Test NLL of each run with 95 % intervals, baselines and floor", text


def rule(axes, y: int, family: str, line: bool) -> None:
    """The name of a family beside the first of its runs, and a line that parts it from the family before."""
    if line:
        axes.axhline(y + 0.62, color=MUTED, linewidth=0.6, alpha=0.6, zorder=0)
    box = {"transform": axes.get_yaxis_transform(), "va": "center", "bbox": {"fc": PAPER, "ec": "none", "pad": 1}}
    axes.text(0.86, y + 0.17, family, ha="right", color=MUTED, fontsize=8, **box)


def lines(one: dict) -> list[tuple[str, float, str]]:
    known = (
        ("floor_nats", "floor", GREEN),
        ("chain_nats", "regression chain", MUTED),
        ("independent_nats", "independent", MUTED),
    )
    return [(name, one[key], tone) for key, name, tone in known if one.get(key) is not None]


def aims(names: list[str], runs: dict) -> list[tuple[str, float, str]]:
    """The published numbers that runs are to reach."""
    return [(f"{name} aims at", aim["nats"], VERMILLION) for name in names if (aim := runs[name].get("aims"))]


def aimed(names: list[str], runs: dict, evidence: dict[str, dict]) -> list[str]:
    found = []
    for name in names:
        if aim := runs[name].get("aims"):
            off = evidence[name]["nll_nats"] - aim["nats"]
            met = "not reached" if off > aim["within"] else "reached"
            met = "better than that, so look twice" if off < -aim["within"] else met
            far = f"{off:+.2f}".replace("-", "−")
            found.append(f"{name} aims at {nats(aim['nats'])} ± {nats(aim['within'])} ({aim['source']}): {met}, {far}.")
    return found


def legend(figure: Figure, sorts: set[str], height: float) -> None:
    x = 0.0
    axes = figure.add_axes((0, 0, 1, 0.2 / height))
    axes.axis("off")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    for sort in KINDS:
        if sort in sorts:
            axes.plot(x + 0.015, 0.55, MARKS[sort], color=INK, markerfacecolor=INK if sort == "exact" else PAPER, markersize=6)
            axes.text(x + 0.045, 0.55, sort, va="center", fontsize=8.5)
            x += 0.075 + 0.024 * len(sort)


def said(names: list[str], evidence: dict[str, dict]) -> str:
    """What the chart shows: the first two and whether their intervals overlap."""
    best = evidence[names[0]]
    if len(names) == 1:
        text = f"{names[0]} is the only run with a likelihood here: {nats(best['nll_nats'])} nats."
    else:
        second = evidence[names[1]]
        overlap = second["nll_low"] <= best["nll_high"]
        text = (
            f"{names[0]} is {nats(second['nll_nats'] - best['nll_nats'])} nats ahead of {names[1]}; their intervals "
            f"{'overlap: paired differences say more' if overlap else 'do not overlap'}."
        )
    return text + " Bars: 95 % over test images."


def strip(names: list[str], galleries: dict, tests: np.ndarray, levels: int | None):
    """Real images, then a row of each run: what it draws, or what it reconstructs where it cannot draw."""
    rows = [("real test images", np.asarray(tests[: pictures.MOST]))]
    drawn = 0
    for name in names:
        if "samples" in galleries[name]:
            rows.append((f"{name}, samples", galleries[name]["samples"]))
            drawn += 1
        elif "reconstructions" in galleries[name]:
            rows.append((f"{name}, reconstructions (it cannot draw)", galleries[name]["reconstructions"]))
    text = f"{plural(drawn, 'run')} can draw images; the first {STRIP} of each, none picked."
    if len(rows) - 1 > drawn:
        text += " A reconstruction starts from a real image and is no sample."
    return pictures.strips(rows, levels, STRIP), "Real images above a row of images of each run", text


TABLE = (
    "In the tables: behind the best is the mean difference per image to the first run, ± its standard error, on the same "
    "images; recon. MSE is per pixel, on a scale from 0 to 1; Fréchet is how far samples are from test images, as a run's "
    "page explains; probe is the accuracy of logistic regression on the codes of 100 labelled images. Multiply-adds "
    "are those of matrix products and convolutions: of a training step (three times those of its loss, also where a part is "
    "frozen) and of drawing one image."
)


def rows(names: list[str], evidence: dict, training: dict, representation: dict, quality: dict, behind: dict) -> list[dict]:
    """The table of a data set; where a run has nothing to say the cell is empty."""
    table = []
    for name in names:
        one, sort = evidence[name], kind(evidence[name])
        numbers, code = sort != "none", representation[name]
        table.append(
            {
                "run": link(name, f"{name}.html"),
                "NLL (nats)": nats(one["nll_nats"]) if numbers else "",
                "95 % interval": f"{nats(one['nll_low'])} – {nats(one['nll_high'])}" if numbers else "",
                "behind the best": behind.get(name, ""),
                "bits/dim": f"{one['bits_per_dim']:.3f}" if "bits_per_dim" in one else "",
                "kind": sort if numbers else "not estimated" if one["likelihood"] != "none" else "no likelihood",
                "recon. MSE": f"{code['reconstruction_mse']:.4f}" if "reconstruction_mse" in code else "",
                "Fréchet": f"{quality[name]['frechet']:.3g}" if quality[name] else "",
                "probe": f"{100 * code['probe_100']:.1f} %" if "probe_100" in code else "",
                "parameters": count(training[name]["parameters"]),
                "epochs": count(training[name]["epochs"]),
                "step, mult.-adds": big(training[name]["step_multiply_adds"]),
                "sample, mult.-adds": big(code["sample_multiply_adds"]) if "sample_multiply_adds" in code else "",
            }
        )
    return table


def differences(names: list[str], likelihoods: dict[str, pd.DataFrame]) -> dict[str, str]:
    """How far each run is behind the best on the same images: the mean difference and its standard error, in nats."""
    each = {name: paired.by_image(likelihoods[name]) for name in names}
    out = {}
    for name in names[1:]:
        apart = paired.between(each[name], each[names[0]])
        out[name] = f"{nats(apart['difference_nats'])} ± {nats(apart['se'])}"
    return out


def flagged(names: list[str], evidence: dict[str, dict]) -> list[dict]:
    """What a reader has to know of a run, one by one."""
    return [{"run": link(name, f"{name}.html"), "flags": words} for name in names if (words := evidence[name]["flags"])]


def leftovers(root: Path, runs: dict) -> list[str]:
    """Outputs of runs that params.yaml no longer has."""
    folders = [path for path in (root / "results").glob("*") if path.is_dir() and any(path.iterdir())]
    files = [*(root / "artifacts" / "gallery").glob("*.npz"), *(root / "artifacts" / "likelihood").glob("*.csv")]
    found = [path for path in folders if path.name not in runs] + [path for path in files if path.stem not in runs]
    return sorted(path.relative_to(root).as_posix() for path in found if not path.name.startswith("."))

"""The figures of one run's page. Each function returns the figure, its alt text and the sentence it proves."""

import ast

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullLocator

from pipeline.figures import pictures
from pipeline.figures.style import GREEN, INK, MODELS, MUTED, PAPER, panel
from pipeline.figures.words import count, nats, percent

SHOWN = 600  # codes on the map at most


def docstring(source: str) -> str:
    """What a model's file says of itself, read without importing it."""
    return ast.get_docstring(ast.parse(source)) or "The file has no docstring."


def losses(history: pd.DataFrame, colour: str):
    figure, axes = panel("epoch", "loss per image")
    first = history[history.seed == history.seed.iloc[0]]
    for seed, one in history.groupby("seed"):
        others = {"alpha": 0.35, "linewidth": 0.9} if seed != first.seed.iloc[0] else {}
        axes.plot(one.epoch, one.loss, color=MUTED, **others)
        axes.plot(one.epoch, one.valid_loss, color=colour, **others)
    best = first.loc[first.valid_loss.idxmin()]
    axes.plot(best.epoch, best.valid_loss, "o", color=colour, markerfacecolor=PAPER, markersize=6)
    cut = spread(axes, first.loss, first.valid_loss)
    last = first.iloc[-1]
    key(axes, {"train": MUTED, "validation": colour})
    rise = last.valid_loss - best.valid_loss
    end = f"{nats(rise)} higher at the end" if rise >= 0.005 else "no higher at the end"
    text = (
        f"Validation loss is lowest at epoch {best.epoch:.0f} of {last.epoch:.0f} ({nats(best.valid_loss)}, ringed), "
        f"{end}; there the training loss is {nats(best.loss)}."
    )
    return figure, "Training and validation loss by epoch", text + cut


def terms(history: pd.DataFrame, colour: str):
    """Distortion and rate of the validation images, first seed."""
    figure, axes = panel("epoch", "nats per image, validation")
    first = history[history.seed == history.seed.iloc[0]]
    axes.plot(first.epoch, first.valid_distortion, color=colour)
    axes.plot(first.epoch, first.valid_rate, color=MUTED, linestyle=(0, (4, 1.5)))
    cut = spread(axes, first.valid_distortion, first.valid_rate)
    key(axes, {"distortion": colour, "rate": MUTED})
    best = first.loc[first.valid_loss.idxmin()]
    share = best.valid_rate / (best.valid_rate + best.valid_distortion)
    text = (
        f"At epoch {best.epoch:.0f} the code costs {nats(best.valid_rate)} nats (rate) and the image, given the code, "
        f"{nats(best.valid_distortion)} (distortion): {percent(share)} of the bound is spent on the code."
    )
    return figure, "Distortion and rate of the validation images by epoch", text + cut


def spread(axes, *curves: pd.Series) -> str:
    """Leave out the fall of the first epochs where it would press all that follows flat; say so."""
    low, high = min(curve.min() for curve in curves), max(curve.max() for curve in curves)
    late = max(curve.iloc[len(curve) // 20 :].max() for curve in curves)
    top = high if high - low < 2 * (late - low) else late
    margin = 0.06 * (top - low)
    axes.set_ylim(low - margin, top + margin)
    return " The first epochs run off the top." if top < high else ""


def key(axes, lines: dict[str, str]) -> None:
    """Names in the colours of their lines, in the corner where falling curves leave room."""
    for row, (name, colour) in enumerate(lines.items()):
        axes.plot([0.70, 0.76], [0.93 - 0.1 * row] * 2, color=colour, transform=axes.transAxes, linewidth=2.4)
        axes.text(0.785, 0.93 - 0.1 * row, name, transform=axes.transAxes, va="center", fontsize=8.5)


def k_curve(curve: pd.DataFrame, evidence: dict, colour: str):
    figure, axes = panel("importance draws per image", "NLL, nats per image")
    first = curve[curve.seed == curve.seed.iloc[0]]
    axes.errorbar(
        first.k, first.nll_nats, 1.96 * first.nll_se, color=colour, marker="o", markersize=5, capsize=2.5, elinewidth=1
    )
    axes.set_xscale("log")
    axes.set_xticks(first.k, [count(k) for k in first.k])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.08)
    for field, name, tone in (
        ("independent_nats", "independent pixels", MUTED),
        ("chain_nats", "logistic chain", MUTED),
        ("floor_nats", "floor", GREEN),
    ):
        if evidence.get(field) is not None:
            axes.axhline(evidence[field], color=tone, linewidth=1, linestyle=(0, (2, 2)))
            axes.annotate(
                f"{name} {nats(evidence[field])}", (1, evidence[field]), (0, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize=8, color=tone,
            )  # fmt: skip
    one, most = first.iloc[0], first.iloc[-1]
    text = (
        f"From {count(int(one.k))} to {count(int(most.k))} draws the bound falls by "
        f"{nats(one.nll_nats - most.nll_nats)} nats, to {nats(most.nll_nats)}"
    )
    if len(first) > 2:
        step = first.iloc[-2]
        text += f"; the last step, from {count(int(step.k))}, takes {nats(step.nll_nats - most.nll_nats)} of it"
    return figure, "Importance bound on the NLL by number of draws, with baselines", text + ". Bars: 95 %."


def real(images: np.ndarray, levels: int | None):
    shown = images[:64]
    text = f"Real: the first {len(shown)} of {count(len(images))} test images."
    return pictures.grid(shown, levels, 8), "A sheet of real test images", text


def samples(images: np.ndarray, tests: np.ndarray, levels: int | None):
    """Mean grey of samples and data: the crudest thing that can differ, said before the eye decides."""
    scale = levels - 1 if levels else 1
    drawn, data = float(images.mean()) / scale, float(np.asarray(tests).mean()) / scale
    text = (
        f"Drawn by the model: {len(images)} images x ~ p(x), none picked. Their mean intensity is {drawn:.3f}, "
        f"that of the test images {data:.3f}."
    )
    return pictures.grid(images, levels, 8), "A sheet of images drawn by the model", text


def reconstructions(originals: np.ndarray, means: np.ndarray, levels: int | None, error: float | None):
    pairs = np.concatenate([[a, b] for a, b in rows_of(originals, means, 8)]).reshape(-1, *originals.shape[1:])
    text = "In each pair of rows: test images above, and below what the decoder makes of their codes."
    if error is not None:
        text += f" Over all test images the mean squared error per pixel is {error:.4f}, on a scale from 0 to 1."
    return pictures.grid(pairs, levels, 8, group=2), "Test images above their reconstructions", text


def rows_of(first: np.ndarray, second: np.ndarray, columns: int):
    count = len(first) // columns * columns
    for start in range(0, count, columns):
        yield first[start : start + columns], second[start : start + columns].astype(np.float64)


def traversals(images: np.ndarray, values: np.ndarray, levels: int | None):
    dims, steps = images.shape[:2]
    moved = images.reshape(dims, steps, -1)
    change = np.sqrt(((moved[:, -1] - moved[:, 0]) ** 2).mean(axis=1))
    order = np.argsort(-change, kind="stable")
    labels = [f"z{dim + 1}" for dim in order]
    text = (
        f"One row per dimension of the code, from {values[order[0]].min():.1f} to {values[order[0]].max():.1f}, "
        f"the others held still; rows in order of how much they change the image. {labels[0]} changes it most"
        + (f", {labels[-1]} {change[order[0]] / max(change[order[-1]], 1e-9):.1f} times less." if dims > 1 else ".")
    )
    sheet = images[order].reshape(-1, *images.shape[2:])
    return pictures.grid(sheet, levels, steps, labels), "What each dimension of the code does to the image", text


def code_map(codes: np.ndarray, labels: np.ndarray | None):
    """The plane of the first two principal components; a class is its own numeral, so colour is not needed to read it."""
    centred = np.asarray(codes, np.float64) - np.mean(codes, axis=0)
    _, scale, axes_of = np.linalg.svd(centred, full_matrices=False)
    axes_of = axes_of[:2] * np.sign(axes_of[:2][np.arange(len(axes_of[:2])), np.abs(axes_of[:2]).argmax(axis=1)])[:, None]
    plane = centred @ axes_of.T
    if plane.shape[1] == 1:
        plane = np.column_stack([plane, np.zeros(len(plane))])
    share = float((scale[:2] ** 2).sum() / (scale**2).sum())
    shown = plane[:SHOWN]
    figure, axes = panel("first principal component of the codes", "second", height=3.4)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    if labels is None:
        axes.plot(*shown.T, "o", color=MUTED, markersize=3, alpha=0.6)
    else:
        for label in np.unique(labels[:SHOWN]):
            points = shown[labels[:SHOWN] == label]
            style = {"marker": f"${label}$", "markersize": 5.5, "markeredgewidth": 0, "linestyle": ""}
            axes.plot(*points.T, color=(*MODELS, INK, MUTED)[int(label) % 8], **style)
    text = f"{count(len(shown))} test images; the plane holds {percent(share)} of the variance of {codes.shape[1]} dimensions."
    if labels is not None:
        text += f" In it, {percent(neighbours(plane, labels))} of the images lie nearest to one of their own class."
    return figure, "Map of the codes of test images", text


def neighbours(plane: np.ndarray, labels: np.ndarray) -> float:
    """Share of points whose nearest other point has their label."""
    plane, labels = plane[:2000], np.asarray(labels[:2000])
    distance = ((plane[:, None] - plane[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argmin(axis=1)] == labels).mean())


def probes(numbers: dict, colour: str):
    """Accuracy of logistic regression by number of labels: on codes, raw pixels and PCA."""
    sizes = [name.removeprefix("probe_") for name in numbers if name.startswith("probe_") and not name.endswith("_sd")]
    figure, axes = panel("labels of the training set", "accuracy on test images")
    for shift, (kind, name, tone, marker) in enumerate(
        (("probe", "codes", colour, "o"), ("raw", "raw pixels", INK, "s"), ("pca", "PCA", MUTED, "D"))
    ):
        x = np.arange(len(sizes)) + (shift - 1) * 0.07
        y = [numbers.get(f"{kind}_{size}", np.nan) for size in sizes]
        sd = [numbers.get(f"{kind}_{size}_sd", 0.0) for size in sizes]
        axes.errorbar(x, y, sd, color=tone, marker=marker, markersize=5, capsize=2.5, elinewidth=1, linewidth=1.3)
        axes.plot(0.62, 0.28 - 0.1 * shift, marker, color=tone, transform=axes.transAxes, markersize=5)
        axes.text(0.65, 0.28 - 0.1 * shift, name, transform=axes.transAxes, va="center", fontsize=8.5)
    axes.set_xticks(range(len(sizes)), sizes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    few = sizes[0]
    parts = [f"{name} {percent(numbers[f'{kind}_{few}'])}" for kind, name in
             (("probe", "codes"), ("raw", "raw pixels"), ("pca", "PCA")) if f"{kind}_{few}" in numbers]  # fmt: skip
    text = f"With {few} labels: {', '.join(parts)}. Bars: one standard deviation over draws of the labels."
    return figure, "Accuracy of logistic regression by number of labels", text


def extremes(likelihood: pd.DataFrame, images: np.ndarray, levels: int | None, most: bool):
    """The 16 most or least likely test images, by the first seed."""
    first = likelihood[likelihood.seed == likelihood.seed.iloc[0]]
    ranked = first.sort_values("log_prob_nats", ascending=not most, kind="stable").head(16)
    word = "Most" if most else "Least"
    low, high = sorted((-ranked.log_prob_nats.iloc[0], -ranked.log_prob_nats.iloc[-1]))
    text = (
        f"{word} likely: NLL from {nats(low)} to {nats(high)} nats; over all test images the median is "
        f"{nats(-first.log_prob_nats.median())}."
    )
    shown = np.asarray(images)[ranked.image.to_numpy()]
    return pictures.grid(shown, levels, 8), f"The {len(ranked)} {word.lower()} likely test images", text

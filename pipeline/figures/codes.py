"""The figures of what a model makes of images: its codes, what moves them, what can be read off them."""

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from pipeline.figures import pictures
from pipeline.figures.style import DOTS, INK, MODELS, MUTED, PAPER, legend, panel
from pipeline.figures.words import count, nats, percent

SHOWN = 600  # codes on the map at most
UNUSED = 0.01  # nats below which a dimension of the code says nothing
RIGHT = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "right"}


def traversals(images: np.ndarray, values: np.ndarray, levels: int | None):
    """Rows come sorted: the dimension that varies most over training images first."""
    dims, steps = images.shape[:2]
    labels = [f"±{(value.max() - value.min()) / 2:.1f}" for value in values]
    moved = images.reshape(dims, steps, -1)
    change = np.sqrt(((moved[:, -1] - moved[:, 0]) ** 2).mean(axis=1)) / (levels - 1 if levels else 1)
    text = (
        "One dimension of the code per row, from 3 standard deviations below its mean to 3 above (their size stands left), the "
        f"others held at their means. From end to end a pixel changes by {change.max():.2f} of the scale in the row that does "
        f"most and by {change.min():.2f} in the one that does least."
    )
    sheet = images.reshape(-1, *images.shape[2:])
    return pictures.grid(sheet, levels, steps, labels), "What each dimension of the code does to the image", text


def rates(kl: np.ndarray, found: dict, colour: str, size: int | None = None):
    """KL(q(z_i | x) || p(z_i)) on test images, sorted, of each dimension, or of each part where a code of that size is priced
    by groups or as a whole; dots, as a bar has no foot on a log scale."""
    part = "dimension" if size in (None, len(kl)) else "part"
    kl = np.sort(np.asarray(kl, np.float64))[::-1]
    used = int((kl > UNUSED).sum())
    figure, axes = panel(f"{part} of the code, sorted", "nats that it costs per test image")
    low = min(UNUSED / 4, max(kl.min(), 1e-5) / 2)
    at = np.arange(1, len(kl) + 1)
    for some, tone, fill in ((at <= used, colour, colour), (at > used, MUTED, PAPER)):
        shown = np.maximum(kl[some], low)
        axes.vlines(at[some], low, shown, color=tone, linewidth=1.2, alpha=0.5)
        axes.plot(at[some], shown, "o", color=tone, markerfacecolor=fill, markersize=5)
    axes.set_yscale("log")
    axes.set_ylim(low, 1.6 * max(kl.max(), UNUSED))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_xlim(0.3, len(kl) + 0.7)
    axes.axhline(UNUSED, color=MUTED, linewidth=1, linestyle=DOTS, zorder=0)
    box = {"fc": PAPER, "ec": "none", "pad": 0.5}  # the stems stop at the words
    axes.annotate(f"unused below {UNUSED:g}", (1, UNUSED), (-2, -10), **RIGHT, color=MUTED, fontsize=8, bbox=box)
    text = (
        f"The code of a test image costs {nats(found.get('kl_nats', kl.sum()))} nats, {percent(kl[0] / kl.sum())} of them in "
        f"the costliest {part}; {count(used)} of {count(len(kl))} cost more than {UNUSED:g} nats each"
    )
    if "active_units" in found:
        text += (
            f", and {count(found['active_units'])} dimensions are active: over training images their means vary by over 0.01"
        )
    return figure, f"What each {part} of the code costs, sorted", text + "."


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
    figure, axes = panel("first principal component of the codes", "second principal component", height=3.3)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    if labels is None:
        axes.plot(*shown.T, "o", color=MUTED, markersize=3, alpha=0.6)
    else:
        for label in np.unique(labels[:SHOWN]):
            points = shown[labels[:SHOWN] == label]
            style = {"marker": f"${label}$", "markersize": 6.5, "markeredgewidth": 0, "linestyle": ""}
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
    figure, axes = panel("labels of the training set", "accuracy, test")
    series = (("probe", "codes", colour, "o"), ("raw", "raw pixels", INK, "s"), ("pca", "PCA", MUTED, "D"))
    for shift, (what, _, tone, marker) in enumerate(series):
        x = np.arange(len(sizes)) + (shift - 1) * 0.07
        y = [numbers.get(f"{what}_{size}", np.nan) for size in sizes]
        sd = [numbers.get(f"{what}_{size}_sd", 0.0) for size in sizes]
        axes.errorbar(x, y, sd, color=tone, marker=marker, markersize=5, capsize=2.5, elinewidth=1, linewidth=1.3)
    axes.set_xticks(range(len(sizes)), sizes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    legend(figure, [(name, tone, marker) for _, name, tone, marker in series])
    few = "100" if "100" in sizes else sizes[0]
    parts = [f"{name} {percent(numbers[f'{what}_{few}'])}" for what, name, _, _ in series if f"{what}_{few}" in numbers]
    text = f"With {few} labels: {', '.join(parts)}. Bars: one standard deviation over draws of the labels."
    return figure, "Accuracy of logistic regression by number of labels", text


def factors(numbers: dict) -> list[dict]:
    """One row for each seed, none of them left out, and their mean."""
    names = {"mig": "MIG", "dci": "disentanglement", "completeness": "completeness", "factors_told": "factors told"}
    seeds = [name.removeprefix("mig_") for name in numbers if name.startswith("mig_")]
    rows = [(f"seed {seed}", f"_{seed}") for seed in seeds] + [("mean", "")] * (len(seeds) > 1)
    return [{"": row, **{head: f"{numbers[name + end]:.3f}" for name, head in names.items()}} for row, end in rows]

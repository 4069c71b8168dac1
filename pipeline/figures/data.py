"""The figures of a data set's page. Each function returns the figure, its alt text and the sentence it proves."""

import numpy as np
from IPython.display import HTML
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.figures import pictures
from pipeline.figures.style import BLUE, INK, MUTED, legend, panel, reference
from pipeline.figures.words import count, nats, percent


def levels_of(split: str, meta: dict) -> int | None:
    """Grey levels of a split as stored: training images that are drawn anew each epoch are kept as intensities."""
    return meta["redraw"] + 1 if meta["redraw"] and split == "train" else meta["levels"]


def headline(name: str, meta: dict, baselines: dict) -> list[str]:
    height, width, channels = meta["shape"]
    values = f"{meta['levels']} levels" if meta["levels"] else "real values"
    colours = "" if channels == 1 else f" in {channels} channels"
    first = (
        f"**{name}** holds {count(sum(meta['counts'].values()))} images of {height} × {width} pixels{colours}, each pixel "
        f"one of {values}" + (f", in {meta['classes']} classes." if meta["classes"] else ".")
    )
    if not meta["levels"]:
        first = first.replace("each pixel one of real values", "with real-valued pixels")
    if meta["binarised"] != "no":
        first += f" Binarised: {meta['binarised']}."
    if baselines.get("floor_nats") is not None:
        floor = (
            f"Its distribution is known: the test images cost **{nats(baselines['floor_nats'])} nats** each under it, and "
            "no model can do better on average."
        )
    else:
        floor = "Its distribution is not known, so there is no floor to compare with, only baselines to beat."
    return [first, floor]


def summary(meta: dict) -> dict:
    found = {f"{split} images": count(number) for split, number in meta["counts"].items()}
    found |= {"shape": " × ".join(map(str, meta["shape"])), "levels": str(meta["levels"] or "real")}
    if meta["classes"]:
        found["classes"] = count(meta["classes"])
    if meta["factors"]:
        found["known factors"] = ", ".join(meta["factors"])
    return found


def hashes(meta: dict) -> list[dict]:
    return [{"array": f"{name}.npy", "sha256": HTML(f"<code>{value}</code>")} for name, value in meta["sha256"].items()]


def split_sheet(split: str, x: np.ndarray, y: np.ndarray | None, meta: dict):
    """Rows by class where there are labels, in the order of the files elsewhere."""
    levels = levels_of(split, meta)
    classes = [] if y is None else [label for label in np.unique(y) if (np.asarray(y) == label).sum() >= 8][:16]
    if not classes:  # no labels, or too few images of each for a row
        shown = np.asarray(x[:64])
        text = f"The first {len(shown)} of {count(len(x))} {split} images."
        return pictures.grid(shown, levels, 8), f"A sheet of {split} images", text
    y = np.asarray(y)
    chosen = np.concatenate([np.flatnonzero(y == label)[:8] for label in classes])
    sizes = [int((y == label).sum()) for label in np.unique(y)]
    least = f"{count(min(sizes))} to " if min(sizes) < max(sizes) else ""
    text = f"{split}: {count(len(x))} images, a class per row; {least}{count(max(sizes))} of each class."
    figure = pictures.grid(np.asarray(x)[chosen], levels, 8, [str(label) for label in classes])
    return figure, f"A sheet of {split} images, one class per row", text


def histogram(images, meta: dict):
    """How often each grey level, or each range of values, occurs in the training and test images."""
    figure, axes = panel("value of a pixel", "share of pixels")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=meta["levels"] is not None))
    train, test = np.asarray(images.train.x), np.asarray(images.test.x)
    if meta["levels"] is None or levels_of("train", meta) > 64:
        edges = np.linspace(min(train.min(), test.min()), max(train.max(), test.max()), 41)
    else:
        edges = np.arange(levels_of("train", meta) + 1) - 0.5
    middle = (edges[1:] + edges[:-1]) / 2
    shares = np.histogram(train, edges)[0] / train.size
    axes.bar(middle, shares, (0.8 if len(middle) > 4 else 0.4) * (edges[1] - edges[0]), color=BLUE)
    if levels_of("train", meta) == levels_of("test", meta):
        axes.plot(middle, np.histogram(test, edges)[0] / test.size, "o", color=INK, markersize=3.5)
        legend(figure, [("train", BLUE, "s"), ("test", INK, "o")])
    top = int(shares.argmax())
    means = [x.mean() / ((levels_of(name, meta) or 2) - 1) for name, x in (("train", train), ("test", test))]
    text = (
        f"{percent(shares[0])} of all training pixels have the lowest value and {percent(shares[-1])} the highest; the most "
        f"frequent is {middle[top]:g}. The mean is {means[0]:.3f}, that of the test images {means[1]:.3f}"
        f"{', on a scale from 0 to 1.' if meta['levels'] else '.'}"
    )
    return figure, "Histogram of pixel values", text


def means(x: np.ndarray, y: np.ndarray | None, meta: dict):
    """The mean training image, and that of each class."""
    x, levels = np.asarray(x, np.float64), levels_of("train", meta)
    shown, text = [x.mean(axis=0)], "The mean of all training images"
    if y is not None:
        labels = np.unique(y)[:23]
        shown += [x[np.asarray(y) == label].mean(axis=0) for label in labels]
        text += f", then of each class from {labels[0]} to {labels[-1]}"
    deviation = x.std(axis=0) / (levels - 1 if levels else 1)
    still = int((deviation == 0).sum())
    text += f". Of the {count(deviation.size)} dimensions {count(still) if still else 'none'} never change"
    text += f"; the standard deviation is {deviation.max():.2f} at most{', on a scale from 0 to 1.' if levels else '.'}"
    return pictures.grid(np.stack(shown), levels, min(len(shown), 6)), "Mean images", text


def pca(baselines: dict):
    """What linear reconstruction costs by number of components."""
    figure, axes = panel("principal components", "mean squared error per pixel")
    sizes, errors = [int(size) for size in baselines["pca_mse"]], list(baselines["pca_mse"].values())
    axes.plot(sizes, errors, "o-", color=BLUE, markersize=5)
    reference(axes, baselines["mean_mse"], "mean image", MUTED, left=False)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_ylim(0, 1.15 * baselines["mean_mse"])
    text = (
        f"PCA with {sizes[-1]} components leaves {errors[-1]:.4f} of the {baselines['mean_mse']:.4f} that the mean image "
        "leaves: an autoencoder of that dimension has to beat it."
    )
    return figure, "Error of linear reconstruction by number of principal components", text


NAMES = {
    "uniform": ("uniform", "every value equally likely"),
    "independent": ("independent pixels", "each pixel by itself"),
    "chain": ("regression chain", "each pixel from those before it, by a linear regression or a logistic one"),
    "floor": ("floor", "the distribution the images were drawn from"),
}


def baseline_rows(baselines: dict) -> list[dict]:
    return [
        {
            "baseline": HTML(f"{name}<small>{meaning}</small>"),
            "test NLL": nats(baselines[f"{key}_nats"]),
            "±": nats(baselines[f"{key}_se"]) if baselines.get(f"{key}_se") else "",
        }
        for key, (name, meaning) in NAMES.items()
        if baselines.get(f"{key}_nats") is not None
    ]


def left_out(baselines: dict) -> str:
    why = baselines.get("chain_why")
    return f"In nats per image, ± one standard error over images.{f' No regression chain: {why}.' if why else ''}"

"""The figures of a model that draws an image pixel by pixel: what each pixel costs, what may follow, a row per class."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures import pictures
from pipeline.figures.style import MUTED, VERMILLION, WIDTH, scale
from pipeline.figures.words import count, nats, percent

MAPPED, COLUMNS = 16, 8  # images with their maps; in a row
EACH = 8  # completions of an image
LINE = 0.8  # width in points of the line below what was given


def likelihood_map(images: np.ndarray, log_probs: np.ndarray, levels: int | None):
    """-log p(x_i | x_<i) of every pixel [N, H, W], below its image. One pixel in two hundred may run off the scale."""
    images, costs = np.asarray(images[:MAPPED]), -np.asarray(log_probs[:MAPPED], np.float64)
    density = bool(costs.min() < 0)  # then nats may be negative, and a share of them means nothing
    low, high = (float(costs.min()) if density else 0.0), float(np.quantile(costs, 0.995))
    high = high if high > low else low + 1.0
    maps = 255 * scale(np.clip((costs - low) / (high - low), 0, 1))
    grey = 255 * pictures.colours(images, levels)
    columns = min(COLUMNS, len(images))
    rows = [part[i : i + columns] for i in range(0, len(images), columns) for part in (grey, maps)]
    if len(images) % columns:  # a last row that is not full would not stand under its images
        rows = rows[:-2]
    figure = pictures.grid(np.concatenate(rows), 256, columns, group=2, foot=0.42)
    bar(figure, low, high, "nats of a pixel", over=bool(costs.max() > high))
    totals = costs.sum(axis=(1, 2))
    text = (
        "Below each test image, what its pixels cost, from left to right and top to bottom: −log p(x_i | x_<i), each given "
        f"those before it. A map sums to the NLL of its image: {nats(totals.min())} to {nats(totals.max())} nats here, "
        f"{nats(totals.mean())} on average."
    )
    if not density:
        text += f" The costliest tenth of the pixels pays {percent(costliest(costs))} of it."
    if costs.max() > high:
        text += f" The lightest colour is for all from {nats(high)} nats up to {nats(costs.max())}."
    return figure, "Test images above maps of the nats that each of their pixels costs", text


def costliest(costs: np.ndarray, share: float = 0.1) -> float:
    """The share of an image's nats that its costliest pixels pay, over all images."""
    each = np.sort(costs.reshape(len(costs), -1), axis=1)[:, ::-1]
    return float(each[:, : max(1, round(share * each.shape[1]))].sum() / each.sum())


def bar(figure, low: float, high: float, name: str, over: bool) -> None:
    """The colour scale below a sheet, its name on the right."""
    height = figure.get_figheight()
    axes = figure.add_axes((0, 0.19 / height, 0.56, 0.09 / height))
    axes.imshow(scale(np.linspace(0, 1, 128))[None], aspect="auto", extent=(low, high, 0, 1))
    axes.grid(False)
    axes.set_yticks([])
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(axis="x", length=0, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.text(0.58, 0.235 / height, f"{name}{' or more' if over else ''}", color=MUTED, va="center", fontsize=8.5)


def completions(originals: np.ndarray, completed: np.ndarray, levels: int | None):
    """Each row: a test image, then what the model puts below its upper half, which is above the line."""
    begun = np.asarray(originals[: len(completed) // EACH])
    groups = np.asarray(completed).reshape(len(begun), EACH, *completed.shape[1:])
    rows, space, head = begun.shape[1] // 2, 0.16, 0.2
    left, right = pictures.sheet(begun, levels, 1), pictures.sheet(np.asarray(completed), levels, EACH)
    size = (WIDTH - space) / (left.shape[1] + right.shape[1])  # inches of a pixel
    tall, tile, start = left.shape[0] * size, left.shape[1] * size / WIDTH, (left.shape[1] * size + space) / WIDTH
    figure = Figure((WIDTH, tall + head))
    high = tall / (tall + head)
    pictures.place(figure, left, 0, 0, tile, high)
    pictures.place(figure, right, start, 0, 1 - start, high)
    for y in pictures.heights(begun, 1, rows):
        figure.add_artist(Line2D([start, 1], [y * high] * 2, color=VERMILLION, linewidth=LINE))
    for x, name in ((0, "real"), (start, "given above the line, drawn by the model below it")):
        figure.text(x, 1 - 0.06 / (tall + head), name, va="center", fontsize=8.5)
    drawn, real = (pictures.unit(part, levels)[..., rows:, :, :] for part in (groups, begun))
    apart = np.sqrt(np.square(drawn[:, :, None] - drawn[:, None]).sum() / (drawn.size * (EACH - 1)))
    from_real = np.sqrt(np.square(drawn - real[:, None]).mean())
    text = (
        f"Left, {count(len(begun))} test images; right of each, {EACH} lower halves that the model draws for its upper half. "
        f"Two of them differ by {apart:.2f} of the scale in a pixel (root mean square), one of them and the "
        f"real one by {from_real:.2f}: on average they are alike where the model is right about what may follow."
    )
    return figure, "Test images and other lower halves drawn by the model", text


def class_samples(images: np.ndarray, tests: np.ndarray, labels: np.ndarray | None, levels: int | None):
    """A row per class; the nearest test image says whether the class asked for is the one that came."""
    asked = np.repeat(np.arange(len(images) // COLUMNS), COLUMNS)
    text = f"{COLUMNS} images of each class, x ~ p(x | y), none picked."
    if labels is not None:
        known, labels = flat(tests), np.asarray(labels)
        right, among = (labels[nearest(flat(images), known)] == asked).mean(), (labels[itself(known)] == labels).mean()
        text += (
            f" The test image nearest to a sample is of the class that was asked for in {percent(right)} of them; among test "
            f"images the nearest other one is of the same class for {percent(among)}."
        )
    names = [str(label) for label in range(len(images) // COLUMNS)]
    return pictures.grid(images, levels, COLUMNS, names), "Images drawn by the model, one class per row", text


def flat(images: np.ndarray) -> np.ndarray:
    return np.asarray(images, np.float64).reshape(len(images), -1)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1)


def nearest(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    return distances(images, known).argmin(axis=1)


def itself(known: np.ndarray) -> np.ndarray:
    """The nearest other one of each."""
    far = distances(known, known)
    np.fill_diagonal(far, np.inf)
    return far.argmin(axis=1)

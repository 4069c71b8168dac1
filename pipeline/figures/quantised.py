"""The figures of a model with a map of discrete codes: which are used, where they stand, what they look like, what they cost.

A code is called by its rank: 1 stands most often in the training set. One scale of colours says the rank in all figures.
"""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.figures import pictures
from pipeline.figures.style import MUTED, PAPER, WIDTH, panel, reference, scale
from pipeline.figures.words import count, percent

STEEP = 8  # times an even share: from here on the heights of bars are square roots
PICTURED = 64  # codes that are shown as pictures
NUMBERED = 0.17  # inches of a cell that has room for its number
DARK, LIGHT = "#000001", "#fffffe"  # on a colour that is the same on every page, so no variable of the page's


def ranks(counts: np.ndarray) -> np.ndarray:
    """Of each code, from 0; equals keep their order."""
    order = np.argsort(-np.asarray(counts), kind="stable")
    return np.argsort(order, kind="stable")


def tones(codes: int) -> np.ndarray:
    """A colour of each rank, the first the darkest: what is frequent recedes."""
    return scale(np.linspace(0, 1, codes))


def usage(counts: np.ndarray, found: dict):
    """Sorted shares of all places of all training images' maps."""
    shares = np.sort(np.asarray(counts, np.float64))[::-1] / np.sum(counts)
    figure, axes = panel("code, by rank", "share of all places in training images' maps")
    axes.bar(np.arange(1, len(shares) + 1), shares, 0.84, color=tones(len(shares)))
    steep = shares[0] * len(shares) > STEEP
    if steep:  # otherwise one bar would press all others flat; unlike a logarithm, a root has a zero to stand on
        axes.set_yscale("function", functions=(np.sqrt, np.square))
        axes.set_yticks([tick for tick in (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1) if tick <= 1.05 * shares[0]])
        axes.set_ylim(0, 1.05 * shares[0])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set_xlim(0.4, len(shares) + 0.6)
    reference(axes, 1 / len(shares), "all alike", MUTED, left=False)
    text = (
        f"{count(found['codes_used'])} of {count(len(shares))} codes are used. Their perplexity is {found['perplexity']:.1f}: "
        f"so many codes would be as diverse if all were equally frequent. The first one has {percent(shares[0])} of all places"
    )
    half = int(np.searchsorted(shares.cumsum(), 0.5)) + 1
    text += f", the first {count(half)} have half of them." if half > 1 else "."
    text += " Heights are square roots of the shares." if steep else ""
    return figure, "How often each code is used, sorted", text


def grid_of(sites: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a map: as an image is halved on both sides alike, the map keeps its shape."""
    rows = round(math.sqrt(sites * shape[0] / shape[1]))
    return rows, sites // rows


def maps(images: np.ndarray, codes: np.ndarray, counts: np.ndarray, levels: int | None):
    """Test images above their maps, each cell in the colour of its code's rank and, where there is room, with its number."""
    rows, across = grid_of(codes.shape[1], images.shape[1:])
    columns = 8 if across < 4 else 4
    columns = min(columns, len(images))
    shown = min(len(images) // columns, max(1, columns // 2)) * columns
    placed = ranks(counts)[np.asarray(codes[:shown])].reshape(shown, rows, across)
    gap = pictures.GAP
    tile = WIDTH / (columns + (columns - 1) * gap)
    tall = tile * images.shape[1] / images.shape[2]
    step = 2 * tall + tile * (0.12 + 0.3)
    height = shown // columns * step - 0.3 * tile
    figure = Figure((WIDTH, height))
    colours = tones(len(counts))
    cell = tile / across
    for index in range(shown):
        x, y = index % columns * tile * (1 + gap), height - index // columns * step - tall
        if index % columns == 0:
            row = images[index : index + columns]
            pictures.place(figure, pictures.sheet(row, levels, columns), 0, y / height, 1, tall / height)
        y -= tall + gap * tile
        for (a, b), code in np.ndenumerate(placed[index]):
            where = (x + b * cell, y + (rows - 1 - a) * tall / rows)
            square(figure, where, cell, tall / rows, colours[code], str(code + 1) if cell > NUMBERED else "")
    first, used = placed[0].ravel() + 1, len(np.unique(placed))
    again = alike(codes)
    text = (
        f"Below each test image its map of {rows} × {across} codes; a code is called by its rank in the training set, and the "
        f"lighter it is the rarer. These {count(shown)} maps have {count(used)} different codes; "
        + (f"{percent(again)} of all test images share their" if again else "no test image shares its")
        + " whole map with another one."
    )
    if len(first) <= 4:
        text += f" The first reads {', '.join(map(str, first))}."
    return figure, "Test images above their maps of codes", text


def square(figure: Figure, where: tuple[float, float], width: float, height: float, tone: np.ndarray, number: str) -> None:
    """A cell in inches, its number in black or white, whichever is further from its colour."""
    wide, high = figure.get_size_inches()
    x, y = where[0] / wide, where[1] / high
    line = {"linewidth": 0.7, "edgecolor": PAPER}
    figure.add_artist(Rectangle((x, y), width / wide, height / high, facecolor=tone, **line))
    if number:
        ink = DARK if tone @ (0.299, 0.587, 0.114) > 0.45 else LIGHT
        place = {"ha": "center", "va": "center_baseline", "fontsize": 7.5, "color": ink}
        figure.text(x + width / wide / 2, y + height / high / 2, number, **place)


def alike(codes: np.ndarray) -> float:
    """The share of maps that occur more than once."""
    _, which, times = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    return float((times[which.ravel()] > 1).mean())


def patterns(images: np.ndarray, codes: np.ndarray, counts: np.ndarray, levels: int | None):
    """The mean of the pieces of test images at the places where a code stands, by rank."""
    rows, across = grid_of(codes.shape[1], images.shape[1:])
    n, height, width, channels = images.shape
    pieces = np.asarray(images, np.float64).reshape(n, rows, height // rows, across, width // across, channels)
    pieces = pieces.transpose(0, 1, 3, 2, 4, 5).reshape(-1, height // rows, width // across, channels)
    placed = ranks(counts)[np.asarray(codes)].ravel()
    found = [rank for rank in range(min(len(counts), PICTURED)) if (placed == rank).any()]
    means = np.stack([pieces[placed == rank].mean(axis=0) for rank in found])
    rest = sum(np.square(pieces[placed == rank] - pieces[placed == rank].mean(axis=0)).sum() for rank in set(placed))
    explained = 1 - rest / np.square(pieces - pieces.mean(axis=0)).sum()
    columns = 10  # so that a rank is found at a glance
    lines = found[-1] // columns + 1
    gap = pictures.GAP * 2
    tile = WIDTH / (columns + (columns - 1) * gap)
    tall, label = tile * means.shape[1] / means.shape[2], 0.22
    step = tall + label
    size = lines * step
    figure = Figure((WIDTH, size))
    grey, shades = 255 * pictures.colours(means, levels), tones(len(counts))
    for index, rank in enumerate(found):
        x, y = rank % columns * tile * (1 + gap), size - rank // columns * step - tall
        pictures.place(figure, pictures.sheet(grey[index][None], 256, 1), x / WIDTH, y / size, tile / WIDTH, tall / size)
        chip = {"facecolor": shades[rank], "edgecolor": "none"}
        figure.add_artist(Rectangle((x / WIDTH, (y - 0.045) / size), tile / WIDTH, 0.03 / size, **chip))
        figure.text(
            (x + tile / 2) / WIDTH, (y - 0.115) / size, str(rank + 1), ha="center", va="center", fontsize=7, color=MUTED
        )
    absent = min(len(counts), PICTURED) - len(found)
    text = (
        "What a code stands for: the mean of the pieces of test images at its places, by rank. A decoder that saw no more than "
        f"the code of a place could explain {percent(explained)} of the variance of the pixels there"
        + (f"; {count(absent)} of the codes {'stands' if absent == 1 else 'stand'} in no test image." if absent else ".")
    )
    return figure, "The mean piece of image at the places of each code", text


def cost(found: dict, evidence: dict, colour: str):
    """Bits of a code map: each code alike, the codes of a place by their frequency, the prior that sees the codes before."""
    rows = [
        ("all codes alike", found["uniform_code_bits"], MUTED),
        ("the frequencies of each place", found["independent_code_bits"], MUTED),
        ("the prior, given the codes before", found["code_bits"], colour),
    ]
    row, foot = 0.46, 0.5
    height = row * len(rows) + foot
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0, foot / height, 1, row * len(rows) / height))
    for y, (name, bits, tone) in enumerate(reversed(rows)):
        axes.barh(y - 0.24, bits, 0.26, color=tone)
        box = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8.5}
        axes.text(0, y + 0.12, name, **box)
        axes.text(1, y + 0.12, f"{bits:.1f}", ha="right", **box)
    axes.grid(False)
    axes.set(ylim=(-0.5, len(rows) - 0.5), xlim=(0, max(bits for _, bits, _ in rows)), yticks=[])
    axes.set_xlabel("bits per image of the code map")
    saved = found["independent_code_bits"] - found["code_bits"]
    text = (
        f"The prior writes a map of codes in {found['code_bits']:.1f} bits, {abs(saved):.1f} "
        f"{'fewer' if saved >= 0 else 'more'} than codes that know nothing of each other."
    )
    if "raw_bits" in found:
        text += (
            f" The pixels as they are have {found['raw_bits']:.1f} bits, {found['compression']:.1f} times as many, but the map "
            "alone does not give them back."
        )
    if "elbo_nats" in evidence and "raw_bits" in found:
        whole = -evidence["elbo_nats"] / math.log(2)
        text += f" With what p(x | codes) still has to say of them, an image takes {whole:.1f} bits without loss."
    return figure, "What the map of codes costs", text

"""Sheets of images: every pixel enlarged without smoothing, gaps transparent. Images of one row, two columns and real values
are points of a plane, and are shown as that."""

import numpy as np
from matplotlib.figure import Figure

from pipeline.figures.style import INK, MUTED, WIDTH

TILE = 48  # pixels of a tile at least: the page's width of 8 tiles
GAP = 0.12  # of a tile
MOST = 500  # points that one panel shows


def unit(images: np.ndarray, levels: int | None) -> np.ndarray:
    """On a scale from 0 to 1: that of the levels, or from the least to the largest value there is."""
    grey = np.asarray(images, np.float64)
    low, high = (0.0, levels - 1.0) if levels else (float(grey.min()), float(grey.max()))
    return np.clip((grey - low) / max(high - low, 1e-12), 0, 1)


def colours(images: np.ndarray, levels: int | None) -> np.ndarray:
    """Red, green and blue from 0 to 1."""
    grey = unit(images, levels)
    return grey if grey.shape[-1] == 3 else np.repeat(grey.mean(axis=-1, keepdims=True), 3, axis=-1)


def sheet(images: np.ndarray, levels: int | None, columns: int, group: int = 1) -> np.ndarray:
    """[N, H, W, C] -> RGBA [rows, columns, 4], row by row; after every `group` rows the gap is wider."""
    count, height, width, _ = images.shape
    zoom = max(1, round(TILE / max(height, width)))
    tiles = np.rint(255 * colours(images, levels)).astype(np.uint8).repeat(zoom, axis=1).repeat(zoom, axis=2)
    height, width = height * zoom, width * zoom
    gap = max(2, round(GAP * width))
    rows = -(-count // columns)
    canvas = np.zeros((top(rows - 1, height, gap, group) + height, columns * (width + gap) - gap, 4), np.uint8)
    for index, tile in enumerate(tiles):
        y, x = top(index // columns, height, gap, group), index % columns * (width + gap)
        canvas[y : y + height, x : x + width, :3] = tile
        canvas[y : y + height, x : x + width, 3] = 255
    return canvas


def top(row: int, height: int, gap: int, group: int) -> int:
    """Where a row starts."""
    return row * (height + gap) + (row // group * 2 * gap if group > 1 else 0)


def grid(images: np.ndarray, levels: int | None, columns: int, labels=(), group: int = 1, foot: float = 0.0) -> Figure:
    """A sheet as a figure; `labels`, if any, stand left of the rows; below it `foot` inches are left free."""
    if points(images, levels):
        return plane(parted(images, columns, labels, group))
    canvas = sheet(images, levels, columns, group)
    margin = 0.1 + 0.075 * max((len(label) for label in labels), default=0) if labels else 0.0
    size = (WIDTH - margin) / canvas.shape[1]  # inches of a pixel
    high = canvas.shape[0] * size
    figure = Figure((WIDTH, high + foot))
    place(figure, canvas, margin / WIDTH, foot / (high + foot), 1 - margin / WIDTH, high / (high + foot))
    rows = -(-len(images) // columns)
    for row, label in enumerate(labels):
        figure.text(0, 1 - (row + 0.5) / rows * high / (high + foot), label, color=MUTED, va="center", fontsize=8.5)
    return figure


def heights(images: np.ndarray, columns: int, row: int) -> list[float]:
    """How far up a figure, from 0 to 1, the upper edge of a pixel row lies in each row of a sheet without a foot."""
    tile, canvas = sheet(images[:columns], 2, columns).shape[0], sheet(images, 2, columns).shape[0]
    rows = -(-len(images) // columns)
    pitch = (canvas - tile) / max(rows - 1, 1)
    return [1 - (index * pitch + tile * row / images.shape[1]) / canvas for index in range(rows)]


def strips(rows: list[tuple[str, np.ndarray]], levels: int | None, columns: int) -> Figure:
    """One row of images for each (label, images), the label above its row."""
    if all(points(images, levels) for _, images in rows):
        return plane(rows)
    sheets = [(label, sheet(images[:columns], levels, columns)) for label, images in rows]
    tall = [canvas.shape[0] / canvas.shape[1] * WIDTH for _, canvas in sheets]
    label, space = 0.2, 0.13
    height = sum(tall) + len(sheets) * (label + space) - space
    figure = Figure((WIDTH, height))
    y = height
    for (text, canvas), inches in zip(sheets, tall, strict=True):
        figure.text(0, (y - 0.12) / height, text, fontsize=8.5)
        y -= label + inches
        place(figure, canvas, 0, y / height, 1, inches / height)
        y -= space
    return figure


def points(images: np.ndarray, levels: int | None) -> bool:
    return levels is None and images.shape[1:] == (1, 2, 1)


def parted(images: np.ndarray, columns: int, labels, group: int) -> list[tuple[str, np.ndarray]]:
    """What stands in rows of a sheet, by the label of its row, or by its place in a group of rows."""
    row = np.arange(len(images)) // columns
    if len(labels) or group == 1:
        return [(label, images[row == i]) for i, label in enumerate(labels)] or [("", images)]
    return [(("above", "below")[i], images[row % group == i]) for i in range(group)]


def plane(rows: list[tuple[str, np.ndarray]]) -> Figure:
    """A panel for each (label, points), all of one scale; two side by side where there are several."""
    across, rows = min(2, len(rows)), [(label, np.reshape(images[:MOST], (-1, 2))) for label, images in rows]
    side, space = WIDTH / across, 0.28 if len(rows) > 1 else 0.0
    height = -(-len(rows) // across) * (side + space)
    figure, far = Figure((WIDTH, height)), 1.05 * max(float(np.abs(xy).max()) for _, xy in rows)
    for index, (label, xy) in enumerate(rows):
        y = height - (index // across + 1) * (side + space)
        axes = figure.add_axes((index % across * side / WIDTH + 0.02, y / height, side / WIDTH - 0.04, side / height * 0.98))
        axes.scatter(*xy.T, s=5, color=INK, alpha=0.5, linewidths=0)
        axes.set(xlim=(-far, far), ylim=(-far, far), aspect="equal")
        axes.axis("off")
        axes.axhline(0, color=MUTED, linewidth=0.4, zorder=0)
        axes.axvline(0, color=MUTED, linewidth=0.4, zorder=0)
        figure.text(axes.get_position().x0, (y + side + 0.06) / height, label, fontsize=8.5)
    return figure


def place(figure: Figure, canvas: np.ndarray, *where: float) -> None:
    axes = figure.add_axes(where)
    axes.imshow(canvas, aspect="auto", interpolation="none")
    axes.axis("off")

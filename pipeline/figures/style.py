"""How every page looks: one palette, one kind of panel, one way to put a figure and its sentence on a page."""

import io
import itertools
import re
import zlib
from html import escape
from pathlib import Path

import matplotlib
import numpy as np
from IPython.display import HTML, display
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK, MUTED, RULE, PAPER = "#1c1d20", "#66686e", "#d9d8d3", "#fdfdfb"
# Okabe & Ito 2008, without its yellow and black, which one of the two backgrounds would swallow.
ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7"
MODELS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
# In an inline SVG a colour is a variable that style.css sets for light and for dark; outside a page it is itself.
VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"} | {c: f"model-{i}" for i, c in enumerate(MODELS)}

# A user's matplotlibrc must not reach a page.
matplotlib.rcdefaults()
matplotlib.rcParams.update(
    {
        "axes.edgecolor": RULE,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 8.5,
        "axes.spines.left": False,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.size": 9,
        "grid.color": RULE,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "legend.labelcolor": INK,
        "lines.linewidth": 1.7,
        "svg.fonttype": "none",  # text stays text: the reader's font, sharp, can be searched
        "svg.hashsalt": "pages",  # otherwise ids are random
        "text.color": INK,
        "xtick.color": RULE,
        "xtick.labelcolor": MUTED,
        "xtick.labelsize": 8.5,
        "ytick.color": RULE,
        "ytick.labelcolor": MUTED,
        "ytick.labelsize": 8.5,
        "ytick.left": False,
    }
)

# Perceptually uniform, read alike by all kinds of colour vision; its darkest end would be lost on a dark page.
SCALE = matplotlib.colormaps["viridis"]

SOLID, DASHES, DOTS = "-", (0, (4, 1.5)), (0, (2, 2))
LINES = (SOLID, DASHES, DOTS)
LETTER, LINE = 4.4, 10.0  # points that a letter and a line of a name take up
SHIFTS = (3, -10, 13, -20, 23, -30, 33)  # of a name from its line
WIDTH = 4.2  # inches of every figure: a phone shows them one below the other at their size, a desk two side by side


def colour(model: str) -> str:
    """A model's colour on all pages: by its name, because a run's page must not change when another run comes or goes."""
    return MODELS[zlib.crc32(model.encode()) % len(MODELS)]


def scale(values: np.ndarray) -> np.ndarray:
    """Red, green and blue from 0 to 1 of numbers from 0 to 1."""
    return SCALE(0.12 + 0.88 * np.asarray(values))[..., :3]


def panel(xlabel: str = "", ylabel: str = "", height: float = 2.5):
    """A figure with one plot; the y label lies flat above it, where it is read first."""
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0.115, 0.46 / height, 0.865, 1 - 0.76 / height))
    axes.set_xlabel(xlabel)
    axes.set_title(ylabel, loc="left", x=-0.133, pad=9, fontsize=8.5, color=MUTED)
    return figure, axes


def legend(figure: Figure, entries: list[tuple[str, str, str]]) -> None:
    """(name, colour, line style or marker), in one row at the top right, where no curve runs."""
    y = 1 - 0.138 / figure.get_figheight()
    x = 0.995 - sum(0.095 + 0.0145 * len(name) for name, _, _ in entries)
    for name, tone, mark in entries:
        x += 0.035
        if mark in LINES:
            figure.add_artist(Line2D([x - 0.018, x + 0.018], [y, y], color=tone, linestyle=mark, linewidth=1.7))
        else:
            figure.add_artist(Line2D([x], [y], color=tone, marker=mark, markersize=5, linestyle=""))
        figure.text(x + 0.032, y, name, va="center_baseline", fontsize=8.5)
        x += 0.06 + 0.0145 * len(name)


def interval(axes, y: int, name: str, said: str, bar: tuple[float, float, float], tone: str, mark="o", full=False) -> None:
    """A row of a chart: a name and what is said of it, below them low, value and high of `bar`."""
    low, value, high = bar
    axes.plot([low, high], [y - 0.2] * 2, color=tone, linewidth=2.6, solid_capstyle="round")
    fill = tone if full else PAPER
    axes.plot(value, y - 0.2, mark, color=tone, markerfacecolor=fill, markersize=7, markeredgewidth=1.6, zorder=5)
    box = {"transform": axes.get_yaxis_transform(), "va": "center", "bbox": {"fc": PAPER, "ec": "none", "pad": 1}}
    axes.text(0, y + 0.17, name, **box)
    axes.text(1, y + 0.17, said, ha="right", **box)


def reference(axes, value: float, name: str, tone: str, left: bool) -> None:
    """A horizontal line to compare with, its name at the end where no curve runs."""
    axes.axhline(value, color=tone, linewidth=1, linestyle=DOTS, zorder=0)
    place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": "left" if left else "right"}
    shift = (3, -10) if left else (-3, 3)
    axes.annotate(name, (0 if left else 1, value), shift, color=tone, fontsize=8, **place)


def references(axes, lines: list[tuple[float, str, str]], busy: np.ndarray) -> None:
    """Horizontal lines (value, name, colour). A name stands where no other name, no point of `busy` [N, 2] and no line is.

    Limits of the axes must stand, as distances are those on the page.
    """

    def points(xy) -> np.ndarray:
        return (axes.transData.transform(xy) - axes.bbox.p0) * 72 / axes.figure.dpi

    wide, high = axes.bbox.size * 72 / axes.figure.dpi
    curve, taken = points(np.atleast_2d(busy)), []
    heights = [points((axes.get_xlim()[0], value))[1] for value, _, _ in lines]
    for (value, name, tone), height in zip(lines, heights, strict=True):
        axes.axhline(value, color=tone, linewidth=1, linestyle=DOTS, zorder=0)
        length, found = LETTER * len(name), []
        for shift, left in itertools.product(SHIFTS, np.linspace(1, 0, 9)):
            x, y = left * (wide - length), height + shift
            over = sum(abs(y - b) < LINE and x < a + n and a < x + length for a, b, n in taken)
            inside = ((curve > (x - 3, y - 2)) & (curve < (x + length + 3, y + LINE))).all(axis=1).sum()
            crossed = sum(y - 1 < other < y + LINE for other in heights)
            outside = not 0 <= y <= high - LINE / 2
            found.append(
                (1000 * over + 100 * outside + 10 * inside + 5 * crossed + abs(shift) / 2 + (0 < left < 1), x, y, shift)
            )
        _, x, y, shift = min(found, key=lambda place: place[0])
        taken.append((x, y, length))
        left = x / (wide - length)
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        side = {0.0: "left", 1.0: "right"}.get(left, "center")
        at = left if side != "center" else (x + length / 2) / wide
        axes.annotate(name, (at, value), ((1 - 2 * left) * 3, shift), ha=side, color=tone, fontsize=8, **place)


def along(x: np.ndarray, y: np.ndarray, log: bool = False) -> np.ndarray:
    """Points [N, 2] on the lines between points, for names to keep clear of."""
    x, y = np.log(x) if log else np.asarray(x, np.float64), np.asarray(y, np.float64)
    at = np.linspace(0, len(x) - 1, 20 * len(x))
    dense = np.interp(at, np.arange(len(x)), x)
    return np.stack([np.exp(dense) if log else dense, np.interp(at, np.arange(len(y)), y)], axis=1)


def plain(text: str) -> str:
    """Escaped, and no line ends between a number, its sign and its error."""
    return re.sub(r"(?<=\d) (?=[%±])|(?<=±) ", "\u00a0", escape(text))


def svg(figure: Figure, alt: str) -> str:
    """An inline SVG without a font's name, a date or an id that another figure on the page may have."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' id="([\w.]+_\d+|image\w+)"| xmlns\S+| version="1.1"| transform="rotate\(-0 [^"]*"', "", text)
    text = re.sub(r'font-family: [^;"]+;? ?', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>f{zlib.crc32(text.encode()):08x}-", text)
    text = text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
    for value, name in VARIABLES.items():
        text = text.replace(value, f"var(--{name}, {value})")
    return text


def show(figure: Figure, alt: str, caption: str, small: bool = False) -> None:
    """Put a figure on the page, two or (small) three in a row: the alt text says what is drawn, the caption what it shows."""
    kind = ' class="small"' if small else ""
    display(HTML(f"<figure{kind}>\n{svg(figure, alt)}<figcaption>{plain(caption)}</figcaption>\n</figure>"))


def css() -> str:
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")

"""The figures of a page of claims. What came out is said from the numbers, whichever way it is."""

import numpy as np
from matplotlib.ticker import FuncFormatter
from scipy.stats import kstwo, norm

from pipeline.figures import pictures
from pipeline.figures.style import DOTS, INK, MUTED, PAPER, WIDTH, Figure, colour, legend, panel
from pipeline.figures.verdicts import CLEAR, KINDS, apart, of, share, signed
from pipeline.figures.words import percent, small

UNIT = 2  # images are on the unit scale, as pictures with two levels are
SOURCES = {
    "test": "real test images",
    "vae_standard": "VAE, z ~ N(0, I)",
    "ae_mixture": "AE, z ~ 10 Gaussians fitted to its codes",
    "ae_normal": "AE, z ~ the Gaussian fitted to its codes",
    "ae_standard": "AE, z ~ N(0, I)",
    "pixels": "independent pixels",
}


def decoded(found: dict):
    """A row per source of codes, real images on top."""
    height = 0.44 * len(SOURCES) + 0.75
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0.02, 0.5 / height, 0.86, 1 - 0.55 / height))
    for y, (key, name) in enumerate(reversed(SOURCES.items())):
        one = found["decoded"][key]
        tone = MUTED if key in ("test", "pixels") else colour(key.split("_")[0])
        width = CLEAR * one["recognised_se"]
        axes.plot([max(0, one["recognised"] - width), one["recognised"] + width], [y - 0.2] * 2, color=tone, linewidth=2.6)
        axes.plot(one["recognised"], y - 0.2, "o", color=tone, markerfacecolor=PAPER, markersize=6.5, markeredgewidth=1.6)
        axes.text(0, y + 0.17, name, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
        axes.text(1.13, y - 0.2, percent(one["recognised"]), transform=axes.get_yaxis_transform(), ha="right", va="center")
    axes.set_ylim(-0.6, len(SOURCES) - 0.5)
    axes.set_xlim(-0.02, None)
    axes.set_yticks([])
    axes.grid(True, axis="x")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.set_xlabel("images recognised")
    parts = found["decoded"]
    words = {1: "more than", 0: "not clearly other than", -1: "less than"}
    vae = parts["vae_standard"]
    text = (
        f"Of what the VAE decodes from N(0, I), {share(vae, 'recognised')} are recognised, "
        f"{words[apart(vae, parts['ae_standard'], 'recognised')]} of the AE's from there "
        f"({share(parts['ae_standard'], 'recognised')}) "
        f"and {words[apart(vae, parts['ae_mixture'], 'recognised')]} of the AE's from a mixture fitted to its codes "
        f"({share(parts['ae_mixture'], 'recognised')}); of real images it is {share(parts['test'], 'recognised')}. Bars: 95 %."
    )
    return figure, "Share of decoded images that are recognised, by where the code comes from", text


def sheet(gallery: dict, found: dict):
    rows = [(name, gallery[f"decoded_{key}"]) for key, name in SOURCES.items()]
    confidence = [found["decoded"][key]["confidence"] for key in SOURCES]
    text = (
        f"The first 10 of each, none picked. The mean share of votes for the class that gets most, from top to bottom: "
        f"{', '.join(f'{value:.2f}' for value in confidence)}."
    )
    return pictures.strips(rows, UNIT, 10), "Images decoded from codes of several sources, between real and random ones", text


def noise(found: dict, name: str):
    """`name`: mse, or same."""
    axis = {"mse": "MSE to the clean image", "same": "class kept"}[name]
    figure, axes = panel("standard deviation of the noise on the input", axis)
    sizes = np.array([float(size) for size in found])
    for shift, kind in ((-0.002, "ae"), (0.002, "vae")):
        values, errors = (np.array([one[kind][f"{name}{end}"] for one in found.values()]) for end in ("", "_se"))
        axes.errorbar(
            sizes + shift, values, CLEAR * errors, color=colour(kind), marker="o", markersize=5, capsize=2.5, elinewidth=1
        )
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.margins(y=0.1)
    if name == "same":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    legend(figure, [(label, colour(kind), "o") for kind, label in KINDS.items()])
    size, last = list(found.items())[-1]
    if name == "same":
        better = {1: "oftener than", 0: "not clearly oftener or less often than", -1: "less often than"}[of(last, "same")]
        text = (
            f"With noise of {size}, the VAE's reconstruction keeps the class of that of the clean input {better} the AE's: a "
            f"difference of {signed(100 * last['difference']['same'], 100 * last['difference']['same_se'], 1)} points."
        )
    else:
        rise = {-1: "less than", 0: "not clearly otherwise than", 1: "more than"}[of(last, "rise")]
        level = {-1: "lower", 0: "not clearly higher or lower", 1: "higher"}[of(last, "mse")]
        text = (
            f"With noise of {size}, the VAE's error rises {rise} the AE's: a difference of "
            f"{signed(last['difference']['rise'], last['difference']['rise_se'])} on the same images and noise. The error "
            f"itself is then {level} ({signed(last['difference']['mse'], last['difference']['mse_se'])}) than the AE's."
        )
    return figure, f"{axis}, by noise on the input, AE and VAE", f"{text} Bars: 95 %."


def inputs(gallery: dict, found: dict):
    size = list(found)[-1]
    rows = [("clean", gallery["noisy"][0]), (f"with noise of {size}", gallery["noisy"][-1])]
    return pictures.strips(rows, UNIT, 10), "Inputs without and with noise", "The first 10 test images, as they go in."


def outputs(gallery: dict, found: dict):
    size, last = list(found.items())[-1]
    rows = [(f"{label}'s reconstruction from noise of {size}", gallery[f"{kind}_noisy"][-1]) for kind, label in KINDS.items()]
    errors = [f"{label} {last[kind]['mse']:.4f} (without noise {found['0'][kind]['mse']:.4f})" for kind, label in KINDS.items()]
    text = f"What comes out. The error to the clean images, over all test images: {', '.join(errors)}."
    return pictures.strips(rows, UNIT, 10), "What AE and VAE make of noisy inputs", text


def normality(gallery: dict, found: dict, kind: str):
    """How far the distribution of each number of a code is from N(0, 1), beside how far chance would take it."""
    z, numbers = gallery[f"{kind}_z"], found["normal"][kind]
    figure, axes = panel("z", f"share of codes below z, less that of N(0, 1): {KINDS[kind]}", height=2.3)
    at = np.linspace(-3, 3, 241)
    for column in z.T:
        axes.plot(at, np.searchsorted(np.sort(column), at, side="right") / len(column) - norm.cdf(at), color=colour(kind), lw=1)
    limit = kstwo.isf(0.05 / z.shape[1], len(z))
    for edge in (-limit, limit):
        axes.axhline(edge, color=INK, linewidth=1, linestyle=DOTS)
    top = 1.25 * max(0.1, numbers["ks_max"], limit)
    axes.set_ylim(-top, top)
    axes.set_xlim(-3, 3)
    what = "draws from q(z | x)" if kind == "vae" else "codes by the training codes' means and standard deviations"
    text = (
        f"{KINDS[kind]}, {what}: {numbers['rejected']} of {numbers['dimensions']} dimensions leave the dotted lines, between "
        f"which all true normals stay in 95 % of cases (largest distance {numbers['ks_max']:.3f}, median "
        f"{numbers['ks_median']:.3f}). Jointly, the energy distance is {numbers['energy']:.4f}; of {numbers['codes']} true "
        f"draws 95 % stay below {numbers['energy_null']:.4f}: {'rejected' if numbers['energy_p'] < 0.05 else 'not rejected'} "
        f"(p {small(numbers['energy_p'])})."
    )
    return figure, f"Distance of each dimension's distribution from the standard normal, {KINDS[kind]}", text


def ways(gallery: dict, found: dict, kind: str):
    images, numbers = gallery[f"{kind}_ways"], found["moved"][kind]
    text = (
        f"{KINDS[kind]}: the code of the first test image, one number per row led from −2 to +2 standard deviations. Over all "
        f"test images {share(numbers, 'recognised')} of such images are recognised, the class changes along "
        f"{share(numbers, 'changes')} of the ways, and from end to end a pixel moves by {numbers['moved']:.2f} of the scale."
    )
    rows, steps = images.shape[:2]
    return (
        pictures.grid(images.reshape(-1, *images.shape[2:]), UNIT, steps),
        f"{KINDS[kind]}: {rows} numbers of a code moved",
        text,
    )


def control(found: dict) -> str:
    """In a sentence."""
    moved = found["moved"]
    more = {1: "more", 0: "not clearly more or fewer", -1: "fewer"}[of(moved, "recognised")]
    still = " It also moves the image less." if of(moved, "moved") < 0 else ""
    return (
        f"Turning one number leaves {more} of the VAE's images recognisable than of the AE's "
        f"({signed(100 * moved['difference']['recognised'], 100 * moved['difference']['recognised_se'], 1)} points).{still}"
    )

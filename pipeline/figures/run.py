"""The figures of one run's page. Each function returns the figure, its alt text and the sentence it proves."""

import ast

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from pipeline.figures import pictures
from pipeline.figures.style import DASHES, INK, MUTED, PAPER, SOLID, legend, panel
from pipeline.figures.words import big, count, kind, nats, percent, small

COPIES = 0.5  # of the distance of test images to training images: samples nearer than that are looked at with suspicion


def docstring(source: str) -> str:
    """What a model's file says of itself, read without importing it."""
    return ast.get_docstring(ast.parse(source)) or "The file has no docstring."


def title(docstring: str) -> str:
    """ "Variational autoencoder: auto-encoding variational Bayes." -> "Variational autoencoder"."""
    return docstring.splitlines()[0].split(":")[0].rstrip(".")


def summary(evidence: dict, training: dict, representation: dict, codes: int = 0) -> dict:
    """The numbers most asked for, as far as the run has them. `codes`: how many a codebook holds."""
    found = {}
    if kind(evidence) != "none":
        found["test NLL, nats"] = f"{nats(evidence['nll_nats'])} ± {nats(evidence['nll_se'])}"
        if "bits_per_dim" in evidence:
            found["bits per dimension"] = f"{evidence['bits_per_dim']:.3f}"
        found["kind of number"] = kind(evidence)
        found["p(pixel)"] = evidence["likelihood"]
    if "given_class_nats" in evidence:
        found["NLL given the class"] = nats(evidence["given_class_nats"])
    if "perplexity" in representation:
        found["codes used"] = f"{count(representation['codes_used'])} of {count(codes)}"
        found["perplexity of the codes"] = f"{representation['perplexity']:.1f}"
        found["code map, bits"] = f"{representation['code_bits']:.1f}"
    elif "active_units" in representation:
        found["active dimensions"] = f"{representation['active_units']} of {representation['latent']}"
    elif "latent" in representation:
        found["code dimensions"] = count(representation["latent"])
    if "reconstruction_mse" in representation:
        found["reconstruction MSE"] = f"{representation['reconstruction_mse']:.4f}"
    found |= {"parameters": count(training["parameters"]), "best epoch": count(training["best_epoch"])}
    found["multiply-adds of a training step"] = big(training["step_multiply_adds"])
    if "sample_multiply_adds" in representation:
        found["multiply-adds of a sample"] = big(representation["sample_multiply_adds"])
    return found


def losses(history: pd.DataFrame, colour: str, phase: str = ""):
    """`phase`: its name, where training has several; the rows are its own."""
    named = f"{phase}: " if phase else ""
    bound = phase and "valid_rate" in history and "valid_distortion" in history
    figure, axes = panel("epoch", f"{named}bound on the NLL, nats per image" if bound else f"{named}loss per image")
    first = history[history.seed == history.seed.iloc[0]]
    for seed, one in history.groupby("seed"):
        others = {"alpha": 0.35, "linewidth": 0.9} if seed != first.seed.iloc[0] else {}
        axes.plot(one.epoch, one.loss, "o-" if len(one) == 1 else "-", color=MUTED, **others)
        axes.plot(one.epoch, one.valid_loss, color=colour, **others)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(first) == 1:
        axes.set_xlim(first.epoch.iloc[0] - 1, first.epoch.iloc[0] + 1)
    best = first.loc[first.valid_loss.idxmin()]
    axes.plot(best.epoch, best.valid_loss, "o", color=colour, markerfacecolor=PAPER, markersize=6)
    cut = spread(axes, first.loss, first.valid_loss)
    last = first.iloc[-1]
    legend(figure, [("train", MUTED, SOLID), ("validation", colour, SOLID)])
    rise = last.valid_loss - best.valid_loss
    end = f"{nats(rise)} higher at the end" if rise >= 0.005 else "no higher at the end"
    text = (
        f"{f'Phase “{phase}”: the validation' if phase else 'Validation'} loss is lowest at epoch {best.epoch:.0f} of "
        f"{last.epoch:.0f} ({nats(best.valid_loss)}, ringed), "
        f"{end}; there the training loss is {nats(best.loss)}."
    )
    parts = [name for name in history.columns if name.startswith("valid_") and name != "valid_loss"]
    if parts and "valid_rate" not in parts:
        text += f" In it, {' and '.join(f'{nats(best[name])} {name[6:]}' for name in parts)} on validation images."
    return figure, f"{named.capitalize()}{'t' if phase else 'T'}raining and validation loss by epoch", text + cut


def terms(history: pd.DataFrame, colour: str):
    """Distortion and rate of the validation images, first seed."""
    figure, axes = panel("epoch", "nats, validation")
    first = history[history.seed == history.seed.iloc[0]]
    mark = {"marker": "o", "markersize": 5} if len(first) == 1 else {}
    axes.plot(first.epoch, first.valid_distortion, color=colour, **mark)
    axes.plot(first.epoch, first.valid_rate, color=MUTED, linestyle=DASHES, **mark)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    cut = spread(axes, first.valid_distortion, first.valid_rate)
    legend(figure, [("distortion", colour, SOLID), ("rate", MUTED, DASHES)])
    best = first.loc[first.valid_loss.idxmin()]
    share = best.valid_rate / (best.valid_rate + best.valid_distortion)
    text = (
        f"At epoch {best.epoch:.0f} the code costs {nats(best.valid_rate)} nats (rate) and the image, given the code, "
        f"{nats(best.valid_distortion)} (distortion)"
        + (f": {percent(share)} of the bound is spent on the code." if best.valid_distortion > 0 else ".")
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


def surprise(likelihood: pd.DataFrame, colour: str):
    """How the NLL is spread over test images."""
    first = likelihood[likelihood.seed == likelihood.seed.iloc[0]]
    figure, axes = panel("NLL of an image, nats", "test images")
    axes.hist(-first.log_prob_nats, bins=30, color=colour, histtype="stepfilled")
    mean = -first.log_prob_nats.mean()
    axes.axvline(mean, color=INK, linewidth=1)
    axes.text(mean, 1.02, f"mean {nats(mean)}", transform=axes.get_xaxis_transform(), ha="center", fontsize=8)
    low, high = (-first.log_prob_nats).quantile([0.05, 0.95])
    text = f"Nine of ten test images have an NLL between {nats(low)} and {nats(high)} nats."
    return figure, "Histogram of the NLL of test images", text


def estimates(rows: pd.DataFrame) -> list[dict]:
    return [
        {
            "seed": str(row.seed),
            "estimator": row.estimator,
            "draws": count(int(row.draws)) if pd.notna(row.draws) else "",
            "scale": f"{row.scale:g}" if pd.notna(row.scale) and row.scale != 1 else "",
            "images": count(int(row.images)),
            "NLL, nats": nats(row.nll_nats),
            "± over images": nats(row.nll_se),
            "± of the estimator": small(row.nll_mc_se) if pd.notna(row.nll_mc_se) else "",
            "errs": {"nll_too_high": "too high", "nll_too_low": "too low"}.get(row.direction, ""),
            "measure": row.measure,
        }
        for row in rows.itertuples()
    ]


def gates(rows: pd.DataFrame) -> list[dict]:
    """One row for each gate, with what each seed made of it."""
    return [
        {
            "gate": gate,
            "found": ", ".join(f"{value:.4g}" for value in each.value),
            "has to be": f"{'≤' if each.sign.iloc[0] == '<=' else '≥'} {each.threshold.iloc[0]:g}",
            "passed": "yes" if each.passed.all() else f"{int(each.passed.sum())} of {len(each)} seeds",
        }
        for gate, each in rows.groupby("gate", sort=False)
    ]


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


def quality(found: dict) -> tuple[list[dict], str]:
    """Samples beside as many training images, and what is compared."""
    rows = [
        {
            "images": name,
            "Fréchet distance": f"{found[f'{key}frechet']:.3g}",
            "density": f"{found[f'{key}density']:.2f}",
            "coverage": percent(found[f"{key}coverage"]),
        }
        for name, key in (("samples", ""), ("training images", "training_"))
    ]
    knows = f", which is right about {percent(found['classifier_accuracy'])} of them," if "classifier_accuracy" in found else ""
    text = (
        f"{count(found['samples'])} samples beside as many training images, which stand for perfect ones, both against "
        f"{count(found['real'])} test images, in {found['features']}{knows} and not in pixels. Fréchet distance: the lower the "
        "better. Coverage: the share of test images that have a sample near; modes left out lower it. Density: how near to "
        "test images they are, about 1 for perfect ones."
    )
    return rows, text


def nearest(images: np.ndarray, known: np.ndarray, levels: int | None, found: dict):
    """Whether the model copies: its samples beside what they are most like among the images it learned from."""
    pairs = np.concatenate([[a, b] for a, b in rows_of(images, known, 8)][:2]).reshape(-1, *images.shape[1:])
    sampled, held_out = found["nearest_rms"], found["nearest_test_rms"]
    if sampled >= held_out:
        verdict = "no nearer to the training images than unseen images are"
    else:
        verdict = f"{percent(1 - sampled / held_out)} nearer to the training images than unseen images are"
        verdict += ", as copies would be: look closely" if sampled < COPIES * held_out else ""
    scale = ", on a scale from 0 to 1" if levels else ""
    text = (
        f"In each pair of rows: samples above, and below the training image nearest to each. The median sample differs from "
        f"it by {sampled:.3f} per pixel (root mean square{scale}), the median test image "
        f"by {held_out:.3f}: in the median, samples are {verdict}."
    )
    return pictures.grid(pairs, levels, 8, group=2), "Samples above the training images nearest to them", text


def reconstructions(originals: np.ndarray, means: np.ndarray, levels: int | None, found: dict):
    pairs = np.concatenate([[a, b] for a, b in rows_of(originals, means, 8)]).reshape(-1, *originals.shape[1:])
    text = "In each pair of rows: test images above, and below what the decoder makes of their codes."
    if "reconstruction_mse" in found:
        error = found["reconstruction_mse"]
        text += f" Over all test images the mean squared error per pixel is {error:.4f}, on a scale from 0 to 1"
        if "k_means_mse" in found:
            text += f"; k-means on pieces of images, with as many codes, leaves {found['k_means_mse']:.4f}"
        text += "."
    return pictures.grid(pairs, levels, 8, group=2), "Test images above their reconstructions", text


def rows_of(first: np.ndarray, second: np.ndarray, columns: int):
    count = len(first) // columns * columns
    for start in range(0, count, columns):
        yield first[start : start + columns], second[start : start + columns].astype(np.float64)


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

"""The figures of an encoder that only the KL term trains."""

import numpy as np
from matplotlib.ticker import FuncFormatter

from pipeline.figures.style import DASHES, DOTS, INK, MUTED, SOLID, colour, legend, panel
from pipeline.figures.words import nats

NOTES = -9.0  # log-variance, where the notes say the head ends
TARGET = 2 * np.log(0.01)


STARTS = (("zero", colour("vae"), SOLID), ("unit", colour("ae"), DASHES))


def heads(gallery: dict, near: bool):
    """Mean log-variance, and a band of one standard deviation over images and units. `near`: only what is close to the end."""
    figure, axes = panel("steps of Adam" + ("" if near else " (before the first: at 5)"), "log-variance")
    for start, tone, line in STARTS:
        steps, mean, sd = (gallery[f"heads_{start}_{part}"] for part in ("step", "log_var_mean", "log_var_sd"))
        at = np.where(steps == 0, 5, steps)
        axes.plot(at, mean, color=tone, linestyle=line)
        axes.fill_between(at, mean - sd, mean + sd, color=tone, alpha=0.18, linewidth=0)
    last = int(at[-1])
    axes.set_xscale("log")
    axes.set_xticks([*(tick for tick in (10, 100, 300) if tick < last and (tick > 50 or not near)), last])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.minorticks_off()
    legend(figure, [("begun at 0", STARTS[0][1], SOLID), ("begun at N(0, 1)", STARTS[1][1], DASHES)])
    axes.axhline(NOTES, color=MUTED, linewidth=1)
    axes.axhline(TARGET, color=INK, linewidth=1, linestyle=DOTS)
    if near:
        axes.set_xlim(last / 10, last * 1.05)
        axes.set_ylim(TARGET - 0.3, NOTES + 0.2)
        for value, name in ((NOTES, "notes: −9"), (TARGET, "ln 0.0001")):
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "fontsize": 8}
            axes.annotate(name, (0, value), (3, 3), color=INK, **place)
        return figure, "Log-variance head by steps, close to its target", close(gallery)
    return figure, "Log-variance head by steps", course(gallery)


def course(gallery: dict) -> str:
    """What the heads do on the way, and that the other one ends at 0."""
    lowest = {start: gallery[f"heads_{start}_log_var_mean"].min() for start, _, _ in STARTS}
    deep = min(lowest, key=lowest.get)
    begun = {"zero": "begun at 0", "unit": "begun at N(0, 1)"}[deep]
    step = gallery[f"heads_{deep}_step"][gallery[f"heads_{deep}_log_var_mean"].argmin()]
    means = [(gallery[f"heads_{start}_mu_mean"][-1], gallery[f"heads_{start}_mu_sd"][-1]) for start, _, _ in STARTS]
    ends = " and ".join(f"{mean:.4f} (sd {sd:.4f})".replace("-", "−") for mean, sd in means)
    far = (
        f" On the way the heads {begun} pass it, down to {nats(lowest[deep])} at step {step:.0f}." if lowest[deep] < -10 else ""
    )
    return f"Trained with KL(q(z | x) || N(0, 0.01²)) alone, the means end at {ends}.{far} Bands: one standard deviation."


def close(gallery: dict) -> str:
    ends = [(gallery[f"heads_{start}_log_var_mean"][-1], gallery[f"heads_{start}_log_var_sd"][-1]) for start, _, _ in STARTS]
    values = " and ".join(f"{mean:.3f} (sd {sd:.3f})".replace("-", "−") for mean, sd in ends)
    nearer = all(abs(mean - TARGET) < abs(mean - NOTES) for mean, _ in ends)
    return (
        f"The log-variances end at {values}: {'at' if nearer else 'not at'} ln 0.01² = {nats(TARGET)} (dotted)"
        f"{', which −9 rounds' if nearer else ''}, however they began and whatever the image."
    )

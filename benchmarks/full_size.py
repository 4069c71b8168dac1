"""What the profiles of published data sets take, reckoned from measured speeds: python -m benchmarks.full_size, some
minutes; or of one of the profiles: python -m benchmarks.full_size cifar10.

Each run of profiles/mnist-static, mnist-dynamic and cifar10 is built at its full size and trained for a few steps on random
images of the right shape, and its likelihood estimated with a few draws: seconds per step and per draw of an image, on this
machine and the profile's backend. Times what the profile asks for they are hours, which docs/full-size.md shows with all that
they are made of. The ends of epochs are counted with 20 images to validate on, so most of what
validation takes is left out, and annealing, pictures and pages are.
"""

import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from itertools import pairwise
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.results import keep, kept, places, put, seconds
from pipeline import backend, params
from pipeline.data.store import Images, Split
from stages.train import phases

PROFILES = ("mnist-static", "mnist-dynamic", "cifar10")
SHAPES = {"mnist": ((28, 28, 1), 60_000, 10_000), "cifar10": ((32, 32, 3), 50_000, 10_000)}  # known and test images
STEPS, EPOCHS, ASKED, DRAWS = 20, 4, 64, 200  # of training, the first epoch not counted; images and draws of an estimate
DOCUMENT = params.ROOT / "docs" / "full-size.md"


def random_images(block: dict, train: int, others: int) -> Images:
    """Of the shape and the levels of such a data set."""
    shape, rng = SHAPES[block["source"]][0], np.random.default_rng(0)
    binarised = block.get("binarised", "none")
    levels = 256 if binarised == "none" else 2

    def split(count: int, top: int = levels) -> Split:
        return Split(rng.integers(0, top, (count, *shape)).astype("uint8"), rng.integers(0, 10, count))

    redraw = 255 if binarised == "dynamic" else None
    return Images(split(train, 256 if redraw else levels), split(others), split(others), levels, 10, redraw=redraw)


def model_of(run: dict, images: Images):
    from pipeline import models

    spec = {"shape": images.train.x.shape[1:], "levels": images.levels, "classes": images.classes}
    return models.build(run["family"], run["model"], spec, run["network"], 0)


def step_seconds(model, run: dict, data: dict, phase: str, steps: int = STEPS) -> float:
    from pipeline import training

    how, ends = phases(model, run["training"])[phase], []
    images = random_images(data, max(steps * how["batch_size"], run["network"].get("codes", 0)), 20)

    class Watch(training.Watch):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            ends.append(perf_counter())

    plain, training.Watch = training.Watch, Watch
    try:
        training.fit(model, images, 0, phase, **(how | {"epochs": EPOCHS}))
    finally:
        training.Watch = plain
    return median(b - a for a, b in pairwise(ends)) / (len(images.train.x) // how["batch_size"])


def draw_seconds(model, data: dict) -> float:
    """For one draw of one image."""
    from pipeline.evidence import importance

    x, sampler = random_images(data, 1, ASKED).test.x, importance.Importance(model, 0)
    sampler.estimate(x, DRAWS)
    return median(seconds(lambda: sampler.estimate(x, DRAWS)) for _ in range(3)) / (ASKED * DRAWS)


def main(asked: list[str]) -> None:
    """Of the profiles that are not asked for, the speeds and their dates are those that were kept."""
    rows, found, before = [], {}, kept() if set(asked) < set(PROFILES) else {}

    def speed(key: str, measured: Callable) -> float:
        if profile in asked:
            found[key] = measured()
        return (before | found)[key]

    for profile in PROFILES:
        settings = params.read(params.ROOT / "profiles" / profile / "params.yaml")
        backend.start(**settings["compute"])
        from pipeline.base import Latent
        from pipeline.evidence import importance

        for name, run in settings["runs"].items():
            data, evidence = settings["data"][run["data"]], settings["evidence"][run["evidence"]]
            _, known, test = SHAPES[data["source"]]
            model, steps = model_of(run, random_images(data, 1, 1)), STEPS if run["network"].get("body") == "dense" else 2
            when = speed(f"full_size.{name}.date", lambda: date.today().isoformat())
            for phase, how in phases(model, run["training"]).items():
                count = how["epochs"] * ((known - data["valid"]) // how["batch_size"]) * len(run["seeds"])
                each = speed(f"full_size.{name}.{phase}.step_s", partial(step_seconds, model, run, data, phase, steps))
                rows.append((name, f"training, {phase}", f"{count:,} steps of {how['batch_size']}", each, count, when))
            if isinstance(model, Latent) and evidence.get("draws"):
                swept = importance.SWEPT * min(importance.SWEEP_DRAWS, evidence["draws"]) * len(evidence.get("scales", ()))
                count = (test * evidence["draws"] + swept) * len(run["seeds"])
                each = speed(f"full_size.{name}.draw_s", partial(draw_seconds, model, data))
                rows.append((name, "importance sampling", f"{count:,} draws", each, count, when))
    rows = [(name, what, often, each, count * each / 3600, when) for name, what, often, each, count, when in rows]
    print(
        *(
            f"{name:<22}{what:<21}{often:<28}{each:.2e} s {hours:>9.1f} h  {when}"
            for name, what, often, each, hours, when in rows
        ),
        sep="\n",
    )
    keep(found)
    lines = ["| run | what | how often | seconds of one | hours | measured |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {what} | {often} | {each:.2g} | {hours:.3g} | {when} |" for name, what, often, each, hours, when in rows
    ]
    put(DOCUMENT, "\n".join([*lines, "", *places("full_size")]))


if __name__ == "__main__":
    main(sys.argv[1:] or [*PROFILES])

"""How time and memory grow when something grows tenfold: python -m benchmarks.growth, some minutes.

images, draws, pixels, parameters: of importance sampling with a decoder 16-512-784
training-images: of a hundred steps of training, whose images lie in a file as after `prepare`

Each size in a process of its own. Seconds are the median of three calls after a first one, of training of three epochs; memory
is the peak beyond what the process had when the framework was imported, with the pages of the file that were looked at. An
exponent of 1 is proportional, of 0 not growing at all.
"""

import json
import resource
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.results import HEAD, keep, report, seconds
from pipeline import backend
from pipeline.params import ROOT, read

NETWORK = {"latent": 16, "body": "dense", "widths": [512], "likelihood": "bernoulli"}
SIZES = {
    "images": (128, 384, 1280),
    "draws": (500, 1500, 5000),
    "pixels": (14 * 14, 25 * 25, 44 * 44),
    "parameters": (128, 400, 1280),  # hidden units, to which the decoder's parameters are proportional
    "training-images": (10_000, 100_000, 1_000_000),
}
STEPS, BATCH, MOST = 100, 100, 1.5  # of training; GB that a million images may take


def resident() -> float:
    """The peak so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def estimating(kind: str, size: int):
    from pipeline import models
    from pipeline.evidence import importance

    side = round(size**0.5) if kind == "pixels" else 28
    network = NETWORK | ({"widths": [size]} if kind == "parameters" else {})
    model = models.build("latent", "vae", {"shape": [side, side, 1], "levels": 2, "classes": None}, network, 0)
    x = np.random.default_rng(0).integers(0, 2, (size if kind == "images" else 64, side, side, 1)).astype("uint8")
    sampler = importance.Importance(model, 0)
    return lambda: sampler.estimate(x, size if kind == "draws" else 500)


def training(size: int, folder: Path):
    """Trains epochs of a hundred steps; the seconds from the end of one to that of the next, median of three."""
    from pipeline import models, training
    from pipeline.data import batches, store
    from pipeline.data.store import Images, Split

    small = Split(np.zeros((500, 28, 28, 1), "uint8"))
    store.write(folder / "data", Images(small, small, small, levels=2), {})
    with (folder / "data" / "train_x.npy").open("wb") as file:  # not through memory of this process
        header = {"descr": "|u1", "fortran_order": False, "shape": (size, 28, 28, 1)}
        np.lib.format.write_array_header_1_0(file, header)
        for first in range(0, size, 10_000):
            file.write(np.random.default_rng(first).integers(0, 2, (10_000, 28, 28, 1), "uint8").tobytes())
    images = store.read(folder / "data")
    model = models.build("latent", "vae", {"shape": [28, 28, 1], "levels": 2, "classes": None}, NETWORK, 0)
    begin, ends = batches.Training.__init__, []

    def short(self, *given) -> None:
        begin(self, *given)
        self.steps = min(self.steps, STEPS)  # of the same order of all images

    class Watch(training.Watch):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            ends.append(perf_counter())

    batches.Training.__init__, training.Watch = short, Watch
    training.fit(model, images, 0, epochs=4, batch_size=BATCH, learning_rate=1e-3)
    return median(b - a for a, b in pairwise(ends))


def measure(kind: str, size: int) -> dict[str, float]:
    backend.start(**read()["compute"])
    with tempfile.TemporaryDirectory() as folder:
        before = resident()
        if kind == "training-images":
            took = training(size, Path(folder))
        else:
            work = estimating(kind, size)
            work()
            took = median(seconds(work) for _ in range(3))
        return {"seconds": took, "gb": resident() - before}


def exponent(sizes, values) -> float:
    """The slope of log values over log sizes."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0])


def main() -> None:
    print(f"{'what grows':<18}{'sizes':<26}{'seconds':<22}{'exponent':>9}   {'GB':<20}{'exponent':>9}")
    found = {}
    for kind, sizes in SIZES.items():
        took = []
        for size in sizes:
            command = [sys.executable, "-m", "benchmarks.growth", kind, str(size)]
            said = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
            took.append(json.loads(said.splitlines()[-1]))
        times, gb = [each["seconds"] for each in took], [each["gb"] for each in took]
        found[f"growth.{kind}.seconds_exponent"] = exponent(sizes, times)
        found[f"growth.{kind}.memory_exponent"] = exponent(sizes, gb)
        found[f"growth.{kind}.details"] = {"sizes": sizes, "seconds": times, "gb": gb}
        columns = (" ".join(f"{each:{form}}" for each in some) for some, form in ((sizes, ","), (times, ".2f"), (gb, ".2f")))
        sized, timed, held = columns
        print(
            f"{kind:<18}{sized:<26}{timed:<22}{exponent(sizes, times):>9.2f}   {held:<20}{exponent(sizes, gb):>9.2f}",
            flush=True,
        )
    keep(found)
    print(HEAD)
    report("growth", "million-images", {"ours": gb[-1:], "limit": [MOST]}, {}, {"limit": 1.0})  # GB, not seconds


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
    else:
        main()

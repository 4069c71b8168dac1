"""How fast a PixelCNN draws images: python -m benchmarks.sampling, a few minutes.

Three things are timed, one after the other in one process, medians of five:

forward: all parameters of all pixels at once, compiled with XLA or without, whichever is faster
sample:  the cached sampler, compiled with XLA as one function
naive:   a sampler without a cache, which calls the faster forward pass once per pixel; timed on 20 pixels, scaled to all

Of 28x28 binary images, 64 features, 7 layers, kernel 7. Targets: with batches of 64 at most 2 forward passes for the plain
stack, and 300 times as fast as the naive sampler at least; at most 2.5 for the gated one; at most 4 with single images.
"""

from statistics import median
from time import perf_counter

import numpy as np

from pipeline import backend
from pipeline.params import read

REPEATS, PIXELS = 5, 20
NETWORK = {"features": 64, "layers": 7, "kernel": 7, "likelihood": "bernoulli"}
TARGETS = {("plain", 64): (2.0, 300.0), ("gated", 64): (2.5, None), ("plain", 1): (4.0, None), ("gated", 1): (4.0, None)}


def seconds(function, *arguments) -> float:
    """Of a call, after a first one that compiles."""
    function(*arguments)
    took = []
    for _ in range(REPEATS):
        started = perf_counter()
        function(*arguments)
        took.append(perf_counter() - started)
    return median(took)


def naive(forward, draw, uniform: np.ndarray, pixels: int) -> np.ndarray:
    """The first pixels of images in raster order, each from a whole forward pass."""
    x = np.zeros(uniform.shape, "uint8")
    for i in range(pixels):
        at = np.unravel_index(i, uniform.shape[1:3])
        x[:, *at] = draw(forward(x), uniform)[:, *at]
    return x


def measure(stack: str, batch: int, size: int = 28, pixels: int = PIXELS, **network) -> dict[str, float]:
    """Seconds of one forward pass, of the cached sampler and of the naive one, for `batch` images."""
    from pipeline import models  # keras starts with it, so only after backend.start

    spec = {"shape": [size, size, 1], "levels": 2, "classes": None}
    model = models.build("autoregressive", "pixelcnn", spec, NETWORK | network | {"stack": stack}, 0)
    noise = model.noise(batch, np.random.default_rng(0))
    x = (noise["x"] < 0.5).astype("uint8")
    either = {fused: backend.compiled(lambda x: model.network(x), fused=fused) for fused in (False, True)}
    took = {fused: seconds(forward, x) for fused, forward in either.items()}
    fast = min(took, key=took.get)
    draw = backend.compiled(lambda params, uniform: model.network.likelihood.sample(params, uniform))
    part = max(1, pixels // REPEATS)  # every repeat draws its share of the pixels
    return {
        "forward": took[fast],
        "sample": seconds(backend.compiled(lambda noise: model.sample(noise), fused=True), noise),
        "naive": seconds(naive, either[fast], draw, noise["x"], part) / part * size * size,
    }


def line(stack: str, batch: int, took: dict[str, float]) -> str:
    passes, faster = took["sample"] / took["forward"], took["naive"] / took["sample"]
    most, least = TARGETS[stack, batch]
    met = passes <= most and faster >= (least or 0)
    times = "".join(f"{took[name]:>11.4f}" for name in ("forward", "sample", "naive"))
    target = f"<= {most:g}" + (f", >= {least:g} x" if least else "")
    return f"{stack:<8}{batch:>5}{times}{passes:>9.2f}{faster:>9.0f} x   {target:<16}{'yes' if met else 'no'}"


def main() -> None:
    backend.start(**read()["compute"])
    names = "".join(f"{name:>11}" for name in ("forward s", "sample s", "naive s"))
    print(f"{'stack':<8}{'batch':>5}{names}{'passes':>9}{'faster':>11}   {'target':<16}met")
    for stack, batch in TARGETS:
        print(line(stack, batch, measure(stack, batch)), flush=True)


if __name__ == "__main__":
    main()

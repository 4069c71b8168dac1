"""How fast a PixelCNN draws images: python -m benchmarks.sampling, some minutes.

Three things are timed in one process, in turns:

ours:    the cached sampler, compiled with XLA as one function
forward: all parameters of all pixels at once, compiled with XLA or without, whichever is faster
naive:   a sampler without a cache, which calls the faster forward pass once per pixel; timed on 20 pixels, scaled to all

Of binary 8x8 and 28x28 images, and of 32x32 RGB with 256 levels: 64 features, 7 layers, kernel 7. The targets
are for 28x28: with batches of 64 at most 2 forward passes for the plain stack, and 300 times as fast as the naive sampler at
least; at most 2.5 for the gated one; at most 4 with single images.
"""

import numpy as np

from benchmarks.results import HEAD, REPEATS, report, seconds, timed
from pipeline import backend
from pipeline.params import read

PIXELS = 20
NETWORK = {"features": 64, "layers": 7, "kernel": 7}
SIZES = {
    "8x8": ([8, 8, 1], 2, "bernoulli"),
    "28x28": ([28, 28, 1], 2, "bernoulli"),
    "32x32": ([32, 32, 3], 256, "logistic-mixture"),
}
BATCHES = {"8x8": (1, 64), "28x28": (1, 64), "32x32": (1, 64)}
TARGETS = {
    "28x28-plain-64": {"forward": 1 / 2, "naive": 300},
    "28x28-gated-64": {"forward": 1 / 2.5},
    "28x28-plain-1": {"forward": 1 / 4},
    "28x28-gated-1": {"forward": 1 / 4},
}


def naive(forward, draw, uniform: np.ndarray, pixels: int) -> np.ndarray:
    """The first pixels of images in raster order, each from a whole forward pass."""
    x = np.zeros(uniform.shape, "uint8")
    for i in range(pixels):
        at = np.unravel_index(i, uniform.shape[1:3])
        x[:, *at] = draw(forward(x), uniform)[:, *at]
    return x


def measure(stack: str, batch: int, size: str = "28x28", pixels: int = PIXELS, **network) -> tuple[dict, dict]:
    """Seconds of each, and what compiling took."""
    from pipeline import models  # keras starts with it, so only after backend.start

    shape, levels, likelihood = SIZES[size]
    spec = {"shape": shape, "levels": levels, "classes": None}
    model = models.build(
        "autoregressive", "pixelcnn", spec, NETWORK | {"likelihood": likelihood} | network | {"stack": stack}, 0
    )
    noise = model.noise(batch, np.random.default_rng(0))
    x = (noise["x"] * levels).astype("uint8")
    either = {fused: backend.compiled(lambda x: model.network(x), fused=fused) for fused in (False, True)}
    for forward in either.values():
        forward(x)
    fast = min(either, key=lambda fused: min(seconds(lambda: either[fused](x)) for _ in range(3)))
    draw = backend.compiled(lambda params, uniform: model.network.likelihood.sample(params, uniform))
    part = max(1, pixels // REPEATS)  # every repeat draws its share of the pixels
    sample = backend.compiled(lambda noise: model.sample(noise), fused=True)
    took, start = timed(
        {
            "ours": lambda: sample(noise),
            "forward": lambda: either[fast](x),
            "naive": lambda: naive(either[fast], draw, noise["x"], part),
        }
    )
    took["naive"] = [each / part * shape[0] * shape[1] for each in took["naive"]]
    return took, start


def main() -> None:
    backend.start(**read()["compute"])
    print(HEAD)
    for size, batches in BATCHES.items():
        for stack in ("plain", "gated"):
            for batch in batches:
                case = f"{size}-{stack}-{batch}"
                report("sampling", case, *measure(stack, batch, size), TARGETS.get(case), batch)


if __name__ == "__main__":
    main()

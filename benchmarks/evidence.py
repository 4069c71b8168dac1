"""How fast log p(x) is estimated: python -m benchmarks.evidence, a minute or two.

A VAE's decoder 16-512-784 with Bernoulli pixels is asked about 28x28 images, in one process, medians of five, alternating:

importance: image-samples per second of the estimator as `dvc repro` runs it, its noise and sums included
products:   the same for nothing but the decoder's two matrix products, in float32, on arrays of the same shapes
annealing:  gradients of log p(x, z) per second and chain, which HMC takes

Targets: 100,000 image-samples per second, and 60 % of the matrix products. At last, the memory that 10,000 images take.
"""

import resource
from statistics import median
from time import perf_counter

import numpy as np

from pipeline import backend
from pipeline.params import read

REPEATS, IMAGES, DRAWS, CHAINS, TEMPERATURES = 5, 26, 5000, 16, 50
NETWORK = {"latent": 16, "body": "dense", "widths": [512], "likelihood": "bernoulli"}


def seconds(functions: dict) -> dict[str, float]:
    """The median of each, taken in turns after a first call that compiles."""
    took = {name: [] for name in functions}
    for repeat in range(REPEATS + 1):
        for name, function in functions.items():
            started = perf_counter()
            function()
            if repeat:
                took[name].append(perf_counter() - started)
    return {name: median(times) for name, times in took.items()}


def main() -> None:
    backend.start(**read()["compute"])
    from pipeline import models
    from pipeline.evidence import annealing, importance

    spec = {"shape": [28, 28, 1], "levels": 2, "classes": None}
    model = models.build("latent", "vae", spec, NETWORK, 0)
    rng = np.random.default_rng(0)
    x = (rng.random((10_000, 28, 28, 1)) < 0.3).astype("uint8")
    sampler, chains = importance.Importance(model, 0), annealing.Annealing(model, 0, CHAINS)
    kernels = [np.asarray(layer.kernel) for layer in model.decoder.layers if hasattr(layer, "kernel")]
    rows = 100 * min(64, importance.TOGETHER // (100 * 28 * 28 * 2))  # draws of a block, images of a tile
    z = rng.standard_normal((rows, 16)).astype("float32")
    products = backend.compiled(lambda z: ((z @ kernels[0]) @ kernels[1])[:1, :1])
    steps = annealing.Steps(annealing.temperatures(TEMPERATURES), np.full(TEMPERATURES, 0.1))
    took = seconds(
        {
            "importance": lambda: sampler.estimate(x[:IMAGES], DRAWS),
            "products": lambda: [products(z) for _ in range(IMAGES * DRAWS // rows)],
            "annealing": lambda: chains.estimate(x[: chains.tile], steps),
        }
    )
    rate = IMAGES * DRAWS / took["importance"]
    share = rate / (IMAGES * DRAWS // rows * rows / took["products"])
    print(f"importance: {rate:,.0f} image-samples/s (target 100,000: {'yes' if rate >= 1e5 else 'no'})")
    print(f"of the matrix products alone: {100 * share:.0f} % (target 60 %: {'yes' if share >= 0.6 else 'no'})")
    gradients = chains.tile * CHAINS * TEMPERATURES * annealing.LEAPFROGS
    print(f"annealing: {gradients / took['annealing']:,.0f} gradients/s, of {chains.tile} images with {CHAINS} chains at once")
    sampler.estimate(x, 100)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"memory: {memory:.2f} GB after 10,000 images with 100 draws each; it does not grow with draws")


if __name__ == "__main__":
    main()

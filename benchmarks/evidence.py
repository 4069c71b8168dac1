"""How fast log p(x) is estimated: python -m benchmarks.evidence, some minutes; wants requirements-bench.txt.

A VAE's decoder 16-512-784 with Bernoulli pixels is asked about 28x28 images, in one process, in turns:

importance  ours:     the estimator as `dvc repro` runs it, its noise and sums included, and its errors
            products: nothing but the decoder's two matrix products, in float32, on arrays of the same shapes
            pythae:   the `get_nll` of its VAE with the same decoder, at the best of its batch sizes
annealing   ours:     annealed importance sampling; its gradients of log p(x, z) per second are HMC's steps
            products: the matrix products that these gradients take, there and back

Seconds for the same work: draws for images, or gradients; `per s` is these. Before, the memory that many images with few
draws take, and few with many.
"""

import resource
from statistics import median

import numpy as np

from benchmarks.results import HEAD, keep, report, seconds, timed
from pipeline import backend
from pipeline.params import read

IMAGES, DRAWS, CHAINS, TEMPERATURES = 64, 5000, 16, 50  # as many images as a tile holds
NETWORK = {"latent": 16, "body": "dense", "widths": [512], "likelihood": "bernoulli"}
BATCHES, FEW = (100, 500, 1000, 5000), 4  # of get_nll, and images that are enough to time it
TARGETS = {"products": 0.6, "pythae": 3.0}


def get_nll(x: np.ndarray):
    """pythae's estimate for `FEW` images, at the batch size that is fastest; and that size."""
    import torch

    from benchmarks.training import pythae_model

    torch.set_num_threads(2)
    model, data = pythae_model("mlp").train(False), torch.from_numpy(x[:FEW].astype("float32").reshape(-1, 1, 28, 28))

    def ask(batch: int) -> None:
        with torch.no_grad():
            model.get_nll(data, DRAWS, batch)

    ask(BATCHES[0])
    best = min(BATCHES, key=lambda batch: median(seconds(lambda: ask(batch)) for _ in range(3)))
    return lambda: ask(best), best


def main() -> None:
    backend.start(**read()["compute"])
    from pipeline import models
    from pipeline.evidence import annealing, importance

    spec = {"shape": [28, 28, 1], "levels": 2, "classes": None}
    model = models.build("latent", "vae", spec, NETWORK, 0)
    rng = np.random.default_rng(0)
    x = (rng.random((10_000, 28, 28, 1)) < 0.3).astype("uint8")
    sampler, chains = importance.Importance(model, 0), annealing.Annealing(model, 0, CHAINS)
    first, second = [np.asarray(layer.kernel) for layer in model.decoder.layers if hasattr(layer, "kernel")]
    rows = 100 * min(64, importance.TOGETHER // (100 * 28 * 28 * 2))  # draws of a block, images of a tile
    z = rng.standard_normal((rows, 16)).astype("float32")
    products = backend.compiled(lambda z: ((z @ first) @ second)[:1, :1])
    steps = annealing.Steps(annealing.temperatures(TEMPERATURES), np.full(TEMPERATURES, 0.1))
    sampler.estimate(x, 100)
    sampler.estimate(x[:200], DRAWS)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # before PyTorch comes
    peer, batch = get_nll(x)

    print(HEAD)
    took, start = timed(
        {
            "ours": lambda: sampler.estimate(x[:IMAGES], DRAWS),
            "products": lambda: [products(z) for _ in range(IMAGES * DRAWS // rows)],
            "pythae": peer,
        }
    )
    took["pythae"] = [each * IMAGES / FEW for each in took["pythae"]]
    report("evidence", "importance", took, start, TARGETS, IMAGES * DRAWS)

    gradients = TEMPERATURES * annealing.LEAPFROGS
    many = z[: chains.tile * CHAINS]
    there = backend.compiled(lambda z: ((((z @ first) @ second) @ second.T) @ first.T)[:1, :1])
    ways = {
        "ours": lambda: chains.estimate(x[: chains.tile], steps),
        "products": lambda: [there(many) for _ in range(gradients)],
    }
    slow, start = timed(ways)
    report("evidence", "annealing", slow, start, None, gradients * len(many))

    rate, speed = IMAGES * DRAWS / median(took["ours"]), gradients * len(many) / median(slow["ours"])
    keep(
        {
            "evidence.samples_per_s": round(rate),
            "evidence.gradients_per_s": round(speed),
            "evidence.memory_gb": round(memory, 2),
        }
    )
    met = "yes" if rate >= 1e5 else "no"
    print(f"importance: {rate:,.0f} image-samples/s (target 100,000: {met}); pythae in batches of {batch}")
    print(f"annealing: {speed:,.0f} gradients/s, of {chains.tile} images with {CHAINS} chains at once")
    print(f"memory: {memory:.2f} GB after 10,000 images with 100 draws and 200 images with {DRAWS} (target 2)")


if __name__ == "__main__":
    main()

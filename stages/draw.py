"""What a run makes of images: samples, reconstructions, traversals, codes and how well labels can be read off them."""

import numpy as np
from threadpoolctl import threadpool_limits

import stages
from pipeline import backend, params, quality, quantisation, representation, store
from pipeline.data import store as data_store

SAMPLES, SHOWN, TRAVERSED, STEPS = 64, 32, 16, 11
EACH, COMPLETED = 8, 8  # samples of each class; test images of which the lower half is drawn anew


def draw(run: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    from pipeline import cost
    from pipeline.base import Autoregressive, Discrete, Encodes, Latent, Samples, generator

    images = data_store.read(store.data(chosen["data"]))
    seed = store.seeds(run)[0]
    model = store.load(run, seed)
    gallery, found, drawn = {}, {}, {}
    train_x = data_store.training_images(images)
    if isinstance(model, Autoregressive):
        complete, sample = completing(model, images.test.x)
        gallery |= pixel_by_pixel(model, images.test.x, complete, seed)
    elif isinstance(model, Samples):
        sample = backend.compiled(model.sample, fused=isinstance(model, Discrete))  # whose prior draws code by code
    if isinstance(model, Samples):
        gallery["samples"] = sample(model.noise(SAMPLES, generator(seed, "samples")))
        many = [sample(model.noise(SAMPLES, generator(seed, "quality", i))) for i in range(quality.SAMPLES // SAMPLES)]
        with threadpool_limits(limits=1):  # as in baselines.py
            drawn = quality.compared(images, np.concatenate(many), generator(seed, "features"), train_x)
        found["sample_multiply_adds"] = cost.multiply_adds(model.sample, model.noise(1, generator(seed, "samples")))
        more, facts = neighbours(gallery["samples"], images, train_x)
        gallery, found = gallery | more, found | facts
    if isinstance(model, Encodes):
        encode, decode = backend.batched(model.encode), backend.batched(model.decode)
        codes = {"train": encode(train_x), "test": encode(images.test.x)}
        more, facts = reconstructions(decode, images, codes["test"])
        gallery, found = gallery | more, found | {"latent": codes["train"].shape[1]} | facts
        if isinstance(model, Discrete):
            more, facts = compression(model, images, train_x, generator(seed, "k-means"))
            gallery, found = gallery | more, found | facts
        else:
            gallery |= traversals(decode, codes["train"])
            if isinstance(model, Latent) and not model.dequantises:
                more, facts = rates(model, images.test.x, codes["train"], generator(seed, "rates"))
                gallery, found = gallery | more, found | facts
                if images.factors:
                    found |= factors(run, images, train_x)
        if images.train.y is not None and len(np.unique(images.train.y)) > 1:
            print(f"{run}: probes with few and all labels", flush=True)
            with threadpool_limits(limits=1):  # as in baselines.py
                found |= probes(images, train_x, images.test.x, codes["train"], codes["test"], seed)
    with store.writing(store.gallery(run)) as path:
        np.savez_compressed(path, **gallery)
    store.write_json(store.result(run, "representation.json"), found)
    store.write_json(store.result(run, "quality.json"), drawn)


def completing(model, x: np.ndarray):
    """(noise, rows) -> SAMPLES images that begin with so many rows of the first test images; noise -> samples."""
    complete = backend.compiled(model.complete, fused=True)  # compiled once: a sample is a completion of no rows
    begun = np.repeat(np.asarray(x[np.arange(COMPLETED) % len(x)]), SAMPLES // COMPLETED, axis=0)
    return lambda noise, rows: complete(noise, begun, np.int32(rows)), lambda noise: complete(noise, begun, np.int32(0))


def pixel_by_pixel(model, x: np.ndarray, complete, seed: int) -> dict:
    """Other lower halves for the first test images, what each of their pixels costs, samples of each class."""
    from pipeline.base import generator

    shown = np.asarray(x[:SHOWN])
    found = {
        "completions": complete(model.noise(SAMPLES, generator(seed, "completions")), x.shape[1] // 2),
        "originals": shown,
        "likelihood_map": backend.compiled(model.log_probs)(shown),
    }
    if model.conditional:
        y = np.repeat(np.arange(model.spec.classes, dtype="int32"), EACH)
        draw = backend.compiled(model.sample, fused=True)
        found["class_samples"] = draw(model.noise(len(y), generator(seed, "class samples")), y)
    return found


def neighbours(samples: np.ndarray, images, train_x: np.ndarray) -> tuple[dict, dict]:
    """The training image nearest to each sample, and whether samples are nearer to one than test images are: copies are."""
    scale, test = 1 if images.levels is None else images.levels - 1, np.asarray(images.test.x)
    with threadpool_limits(limits=1):
        (index, sampled), (_, held_out) = (representation.nearest(x, train_x) for x in (samples, test))
    facts = {"nearest_rms": float(np.median(sampled)) / scale, "nearest_test_rms": float(np.median(held_out)) / scale}
    return {"nearest": np.asarray(train_x)[index]}, facts


def reconstructions(decode, images, codes: np.ndarray) -> tuple[dict, dict]:
    found, x = decode(codes), images.test.x
    scale = 1 if images.levels is None else images.levels - 1
    error = float(np.mean(np.square((found - x) / scale, dtype="float64")))
    return {"originals": np.asarray(x[:SHOWN]), "reconstructions": found[:SHOWN], "codes": codes}, {"reconstruction_mse": error}


def traversals(decode, codes: np.ndarray) -> dict:
    """One number of the code moves, the others stay at their means; the numbers that vary most over training images."""
    mean, spread = codes.mean(axis=0), codes.std(axis=0)
    steps = mean[:, None] + spread[:, None] * np.linspace(-3, 3, STEPS)
    widest = np.argsort(-spread, kind="stable")[:TRAVERSED]
    moved = np.repeat(mean[None], len(widest) * STEPS, axis=0).reshape(len(widest), STEPS, -1)
    for row, unit in enumerate(widest):
        moved[row, :, unit] = steps[unit]
    decoded = decode(moved.reshape(-1, moved.shape[-1]))
    return {"traversals": decoded.reshape(*moved.shape[:2], *decoded.shape[1:]), "traversal_values": steps[widest]}


def rates(model, x: np.ndarray, means: np.ndarray, rng: np.random.Generator) -> tuple[dict, dict]:
    """What each dimension of the code costs on test images, and how many dimensions move with x on training images."""

    def of(x, eps):
        q = model.posterior(x)
        z, log_q = model.propose(q, {name: leaf[None] for name, leaf in eps.items()})
        return model.rates(q, z, log_q)[0]

    eps = model.eps(len(x), rng)
    kl = backend.batched(lambda x, *leaves: of(x, dict(zip(eps, leaves, strict=True))))(x, *eps.values())
    kl = kl.mean(axis=0, dtype="float64")
    each = {f"kl_{i:02}": float(value) for i, value in enumerate(kl)}
    return {"kl": kl}, {"active_units": representation.active_units(means), "kl_nats": float(kl.sum()), **each}


def factors(run: str, images, train_x: np.ndarray) -> dict:
    """Whether each number of the code is one factor, of every seed's code: it depends on the seed (Locatello et al., ICML 2019,
    https://arxiv.org/abs/1811.12359). A code is a draw from q(z | x): a mean may tell what the noise drowns."""
    from pipeline.base import generator

    found, parts = [], {"train": train_x, "test": images.test.x}
    known, held_out = (np.asarray(images.splits[name].factors) for name in parts)
    for seed in store.seeds(run):
        print(f"{run}, seed {seed}: factors", flush=True)
        model = store.load(run, seed)
        draw_codes = code_drawn(model)
        codes = [draw_codes(x, generator(seed, "factors", name)) for name, x in parts.items()]
        with threadpool_limits(limits=1):
            importance, accuracy = representation.importances(codes[0], known, codes[1], held_out)
            found.append(
                {
                    "mig": representation.gap(codes[0], known),
                    "dci": representation.disentanglement(importance),
                    "completeness": representation.disentanglement(importance.T),
                    "factors_told": accuracy,
                }
            )
    means = {name: float(np.mean([each[name] for each in found])) for name in found[0]}
    each = {f"{name}_{seed}": scores[name] for seed, scores in zip(store.seeds(run), found, strict=True) for name in scores}
    return means | each


def code_drawn(model):
    """A function of images and a generator, compiled once: z ~ q(z | x) [N, d]."""
    names = list(model.eps(1, np.random.default_rng(0)))

    def of(x, *leaves):
        return model.propose(model.posterior(x), {name: leaf[None] for name, leaf in zip(names, leaves, strict=True)})[0][0]

    compiled = backend.batched(of)
    return lambda x, rng: compiled(x, *model.eps(len(x), rng).values())


def compression(model, images, train_x: np.ndarray, rng: np.random.Generator) -> tuple[dict, dict]:
    """Which codes are used, what a code map costs in bits, and what k-means on patches does with as many codes."""
    quantise = backend.batched(model.quantise)
    train, test = quantise(train_x), quantise(images.test.x)
    counts, perplexity = quantisation.usage(train, model.codes)
    scale = 1 if images.levels is None else images.levels - 1
    with threadpool_limits(limits=1):
        error = quantisation.k_means_error(train_x / scale, images.test.x / scale, model.grid, model.codes, rng)
    bits = -backend.batched(lambda z: model.log_prior(z[None])[0])(test).mean(dtype="float64") / np.log(2)
    found = {
        "codes_used": int((counts > 0).sum()),
        "perplexity": perplexity,
        "code_bits": float(bits),
        "independent_code_bits": quantisation.independent_bits(train, test, model.codes),
        "uniform_code_bits": float(model.sites * np.log2(model.codes)),
        "k_means_mse": error,
    }
    if images.levels is not None and bits > 0:
        found["raw_bits"] = float(model.spec.dims * np.log2(images.levels))
        found["compression"] = found["raw_bits"] / found["code_bits"]
    return {"code_counts": counts, "code_maps": test}, found


def probes(images, train_x, test_x, train, test, seed: int) -> dict:
    """Accuracies on the codes `train` and `test`, on raw pixels and on PCA of the codes' dimension, for the same labels."""
    pixels, test_pixels = (np.reshape(x, (len(x), -1)).astype("float64") for x in (train_x, test_x))
    pca = representation.principal_components(pixels, test_pixels, train.shape[1])
    from pipeline.base import generator

    found = {}
    for name, (x, held_out) in {"probe": (train, test), "raw": (pixels, test_pixels), "pca": pca}.items():
        scores = representation.probe(x, images.train.y, held_out, images.test.y, generator(seed, "probes"))
        found |= {f"{name}_{key}": value for key, value in scores.items()}
    return found


if __name__ == "__main__":
    stages.run(draw, "run")

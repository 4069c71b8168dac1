"""What a run makes of images: samples, reconstructions, traversals, codes and how well labels can be read off them."""

import numpy as np
from threadpoolctl import threadpool_limits

import stages
from pipeline import backend, params, representation, store
from pipeline.data import store as data_store

SAMPLES, SHOWN, TRAVERSED, STEPS, CHUNK = 64, 32, 16, 11, 500


def draw(run: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "runs", run)
    backend.start(**settings["compute"])
    from pipeline.base import Encodes, Latent, Samples, generator

    images = data_store.read(store.data(chosen["data"]))
    seed = store.seeds(run)[0]
    model = store.load(run, seed)
    gallery, found = {}, {}
    if isinstance(model, Samples):
        gallery["samples"] = backend.compiled(model.sample)(model.noise(SAMPLES, generator(seed, "samples")))
    if isinstance(model, Encodes):
        encode, decode = chunked(backend.compiled(model.encode)), chunked(backend.compiled(model.decode))
        train_x, test_x = data_store.training_images(images), images.test.x
        train, test = encode(train_x), encode(test_x)
        reconstructions = decode(test)
        spread = train.std(axis=0)
        steps = train.mean(axis=0)[:, None] + spread[:, None] * np.linspace(-3, 3, STEPS)
        widest = np.argsort(-spread, kind="stable")[:TRAVERSED]
        moved = np.repeat(train.mean(axis=0)[None], len(widest) * STEPS, axis=0).reshape(len(widest), STEPS, -1)
        for row, unit in enumerate(widest):
            moved[row, :, unit] = steps[unit]
        gallery |= {
            "originals": np.asarray(test_x[:SHOWN]),
            "reconstructions": reconstructions[:SHOWN],
            "traversals": decode(moved.reshape(-1, moved.shape[-1])).reshape(*moved.shape[:2], *test_x.shape[1:]),
            "traversal_values": steps[widest],
            "codes": test,
        }
        scale = 1 if images.levels is None else images.levels - 1
        found["latent"] = train.shape[1]
        found["reconstruction_mse"] = float(np.mean(np.square((reconstructions - test_x) / scale, dtype="float64")))
        if isinstance(model, Latent):
            found["active_units"] = representation.active_units(train)
        if images.train.y is not None and len(np.unique(images.train.y)) > 1:
            print(f"{run}: probes with few and all labels", flush=True)
            with threadpool_limits(limits=1):  # as in baselines.py
                found |= probes(images, train_x, test_x, train, test, seed)
    with store.writing(store.gallery(run)) as path:
        np.savez_compressed(path, **gallery)
    store.write_json(store.result(run, "representation.json"), found)


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


def chunked(function):
    """`function` on as many rows as there are, in pieces of one size, so that it is compiled once."""

    def call(rows):
        padded = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % CHUNK, axis=0)])
        return np.concatenate([function(padded[i : i + CHUNK]) for i in range(0, len(padded), CHUNK)])[: len(rows)]

    return call


if __name__ == "__main__":
    stages.run(draw, "run")

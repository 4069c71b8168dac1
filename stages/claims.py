"""What notes claim of a VAE against an AE, measured on a run of each: numbers, and a few of the images they are about."""

import numpy as np
from threadpoolctl import threadpool_limits

import stages
from pipeline import Refusal, backend, params, store
from pipeline import claims as measures
from pipeline.data import store as data_store

DRAWS, SHOWN = 1000, 10
NOISE = (0.0, 0.1, 0.2, 0.3)  # standard deviations on the unit scale


@threadpool_limits.wrap(limits=1)  # of scikit-learn's and numpy's: their number changes the last bits
def claims(name: str) -> None:
    settings = params.read()
    chosen = params.block(settings, "claims", name)
    backend.start(**settings["compute"])
    from pipeline.base import generator

    images = data_store.read(store.data(chosen["data"]))
    if images.levels is None or images.train.y is None or len(np.unique(images.train.y)) < 2:
        raise Refusal(f"params.yaml: claims.{name}.data: {chosen['data']} has no levels or no classes to be recognised")
    top = images.levels - 1
    train, test = np.array(data_store.training_images(images)), np.array(images.test.x)
    votes = measures.classifier(train / top, images.train.y)
    drawn = {"test": test / top, "pixels": measures.independent_pixels(train, DRAWS, generator(0, "pixels")) / top}
    eps = generator(0, "noise").standard_normal(test.shape)
    noisy = np.stack([measures.noisy(test, sd, images.levels, eps) for sd in NOISE])
    gallery, normal, sizes, moved = {"noisy": noisy[:, :SHOWN] / top}, {}, {}, {}
    for kind in ("ae", "vae"):
        print(f"{name}: {chosen[kind]}", flush=True)
        model = store.load(chosen[kind])
        encode, decode = backend.batched(model.encode), backend.batched(model.decode)
        codes, held_out = encode(train), encode(test)
        for source, z in sources(model, codes).items():
            drawn[f"{kind}_{source}"] = decode(z) / top
        z = gallery[f"{kind}_z"] = one_each(model, test, held_out, codes)
        others = len(codes) if kind == "ae" else None
        normal[kind] = measures.normality(z, generator(0, "normality", kind), others)
        made = np.stack([decode(encode(x)) / top for x in noisy])
        sizes[kind] = [measures.noise(made[0], each, test / top, votes) for each in made]
        ways = measures.moves(held_out, codes)
        ways = decode(ways.reshape(-1, held_out.shape[1])).reshape(*ways.shape[:3], *test.shape[1:]) / top
        moved[kind] = measures.control(ways, votes)
        gallery |= {f"{kind}_noisy": made[:, :SHOWN], f"{kind}_ways": ways[0]}
    gallery |= {f"decoded_{source}": x[:SHOWN] for source, x in drawn.items()}
    found = {
        "differs": differences(*(chosen[kind] for kind in ("ae", "vae"))),
        "decoded": {source: measures.recognised(votes(x)) for source, x in drawn.items()},
        "noise": {f"{sd:g}": measures.paired(*pair) for sd, *pair in zip(NOISE, sizes["ae"], sizes["vae"], strict=True)},
        "normal": normal,
        "moved": measures.paired(moved["ae"], moved["vae"]),
    }
    with store.writing(store.claims(name)) as path:
        np.savez_compressed(path, **{key: np.asarray(values, "float32") for key, values in gallery.items()})
    store.write_json(store.claims_result(name), found)


def differences(first: str, second: str) -> str:
    """Settings of the networks that are not the same, in words: whatever comes out may be due to them, too."""
    one, other = (
        store.read_json(store.weights(run) / str(store.seeds(run)[0]) / "config.json")["network"] for run in (first, second)
    )
    names = sorted(name for name in one | other if one.get(name) != other.get(name))
    return ", ".join(f"{name} ({one.get(name, 'none')} and {other.get(name, 'none')})" for name in names)


def sources(model, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Where codes to decode may come from, beside images: N(0, I), and without a prior what is fitted to training codes."""
    from pipeline.base import Latent, generator

    found = {"standard": generator(0, "standard").standard_normal((DRAWS, codes.shape[1]))}
    if not isinstance(model, Latent):
        found["normal"] = measures.fitted_normal(codes, DRAWS, generator(0, "normal"))
        found["mixture"] = measures.fitted_mixture(codes, DRAWS, generator(0, "mixture"))
    return {source: z.astype("float32") for source, z in found.items()}


def one_each(model, x: np.ndarray, held_out: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """A code of each image that the claim says is standard normal: a draw from q(z | x), or the code by the training codes'
    means and standard deviations."""
    import keras

    from pipeline.base import Latent, generator

    if not isinstance(model, Latent):
        return np.asarray((held_out - codes.mean(axis=0)) / codes.std(axis=0), "float64")
    eps = keras.tree.map_structure(lambda part: part[None], model.eps(len(x), generator(0, "posterior")))
    z, _ = backend.compiled(lambda x, eps: model.propose(model.posterior(x), eps))(x, eps)
    return np.asarray(z[0], "float64")


if __name__ == "__main__":
    stages.run(claims, "name")

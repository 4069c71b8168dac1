"""Models whose likelihood is known, for the estimators to be tried on. What they find is written down here, not judged.

line: a VAE with one linear layer either way, x = W z + e, whose factors overlap, so that p(z | x) is correlated. Its encoder
    is the best Gaussian with independent dimensions that there is for the ELBO: mean (W'W + I)^-1 W'x, variances the
    inverse diagonal of W'W + I (e ~ N(0, I)). log p(x) is known in closed form.
plane: a VAE with two latent dimensions, trained on binary digits; quadrature.
codes: a VQ-VAE with few codes, trained on the same; a sum over all code maps.
pixels: a PixelCNN of 4x4 binary images, trained on their middle; it has no estimator: all its probabilities sum to 1.
heads: an encoder of digits that only a KL term trains, whose end is known: pipeline/heads.py.
"""

from collections.abc import Callable

import numpy as np

from pipeline import backend, heads, models, training
from pipeline.base import Spec, generator
from pipeline.data import digits
from pipeline.data.store import Images, Split
from pipeline.evidence import annealing, importance, integral, pairs, score, summary
from pipeline.evidence.tiles import Kept, silent

SIZE, LATENT, OVERLAP = 32, 8, 1.5  # of x and z of `line`; how much of each factor all have in common
HOW = {"batch_size": 64, "learning_rate": 3e-3, "schedule": "cosine"}  # all are trained
BASELINES = {"independent_nats": np.inf, "chain_nats": None}  # nothing here is to beat them


def line(count: int) -> tuple:
    """The model, and images that it made."""
    rng = generator(0, "line")
    w = 0.7 * rng.standard_normal((SIZE, LATENT)) + OVERLAP * rng.standard_normal((SIZE, 1))
    network = {"latent": LATENT, "body": "dense", "widths": [], "likelihood": "normal"}
    model = models.build("latent", "vae", {"shape": [SIZE, 1, 1], "levels": None, "classes": None}, network, 0)
    precision = w.T @ w + np.eye(LATENT)
    mean = np.linalg.solve(precision, w.T).T
    model.encoder.layers[-1].kernel.assign(np.concatenate([mean, np.zeros_like(mean)], axis=1))
    model.encoder.layers[-1].bias.assign(np.concatenate([np.zeros(LATENT), -np.log(np.diag(precision))]))
    model.decoder.layers[0].kernel.assign(w.T)
    x = [rng.standard_normal((count, LATENT)) @ w.T + rng.standard_normal((count, SIZE)) for _ in range(2)]
    valid, test = (Split(part.astype("float32").reshape(count, SIZE, 1, 1)) for part in x)
    return model, Images(valid, valid, test, levels=None)


def few(images: Images, count: int) -> Images:
    test = Split(images.test.x[:count], images.test.y[:count])
    return Images(images.train, images.valid, test, images.levels, images.classes)


def plane(count: int, epochs: int, kept: Kept) -> tuple:
    images = digits.images(binarised="static", seed=0)
    network = {"latent": 2, "body": "dense", "widths": [64], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", {"shape": [8, 8, 1], "levels": 2, "classes": 10}, network, 0)
    training.fit(model, images, 0, kept=kept, epochs=4 * epochs, **HOW)  # which are short
    return model, few(images, count)


def quantised(count: int, epochs: int, kept: Kept) -> tuple:
    images = digits.images(binarised="static", seed=0)
    network = {"codes": 8, "dimension": 4, "widths": [16, 16], "residual": 0, "likelihood": "bernoulli", "decay": 0.95}
    network |= {"restarts": 100, "prior_features": 16, "prior_layers": 1}
    model = models.build("quantised", "vqvae", {"shape": [8, 8, 1], "levels": 2, "classes": 10}, network, 0)
    for phase in model.phases:
        training.fit(model, images, 0, phase, kept, epochs=epochs, **HOW)
    return model, few(images, count)


def pixels(epochs: int, kept: Kept) -> tuple:
    """The model, and all 65,536 images."""
    images = digits.images(binarised="static", seed=0)
    train, valid = (Split(np.ascontiguousarray(split.x[:, 2:6, 2:6])) for split in (images.train, images.valid))
    network = {"stack": "gated", "features": 16, "layers": 2, "kernel": 5, "likelihood": "bernoulli"}
    model = models.build("autoregressive", "pixelcnn", {"shape": [4, 4, 1], "levels": 2, "classes": None}, network, 0)
    training.fit(model, Images(train, valid, valid, levels=2), 0, kept=kept, epochs=epochs, **HOW)
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    return model, bits.reshape(-1, 4, 4, 1).astype("uint8")


def ends_of_heads() -> dict[str, dict[str, np.ndarray]]:
    """By where they begin, the course of an encoder's heads."""
    images = digits.images(binarised="none", seed=0)
    x = np.asarray(Spec(images.train.x.shape[1:], images.levels).scaled(images.train.x))
    return {start: heads.train(x, start, 0) for start in heads.STARTS}


def compared(log_prob: np.ndarray, truth: np.ndarray, variance: np.ndarray, side: str) -> dict:
    """An estimate of log p(x) beside the truth. `side`: `below` or `above`, where the mean of its logarithm lies.

    From below, exp(log_prob - truth) is 1 on average, from above exp(truth - log_prob): unbiased, whatever the model.
    """
    n = len(truth)
    ratio = np.exp(log_prob - truth if side == "below" else truth - log_prob)
    error = score.standard_error(ratio)
    return {
        "side": side,
        "images": n,
        "bias_nats": float((log_prob - truth).mean()),
        "bias_se": score.standard_error(log_prob - truth),
        "claimed_se": score.noise(variance),
        "ratio": float(ratio.mean()),
        "ratio_se": error,
        "z": float((ratio.mean() - 1) / error) if error > 0 else 0.0,
    }


def flags(sampler: importance.Importance, images: Images, wished: dict, kept: Kept) -> dict:
    """What a run with these settings would say of itself."""
    model = sampler.model
    tables = score.score(model, images, 0, wished, kept, silent, sampler)
    found = summary.headline(score.kinds(model), model.spec, tables, "", None, BASELINES, [])
    names = ("nll_nats", "nll_mc_se", "ess_median", "heavy_tailed", "annealed_gain_nats", "annealed_gain_se", "flags")
    return {name: found[name] for name in names if name in found}


def sandwich(
    chains: annealing.Annealing, steps: annealing.Steps, x: np.ndarray, z, truth: np.ndarray, kept: Kept
) -> tuple[dict, dict]:
    """Annealing from both sides, on images that the model made from z; and the arrays behind it.

    A jackknife over few chains is itself uncertain: an image's error is taken to be no less than the images' root mean square.
    """
    below, above = chains.estimate(x, steps, "simulated", kept), chains.reverse(x, z, steps, kept)
    low, high = (np.sqrt(np.maximum(each.variance, each.variance.mean())) for each in (below, above))
    inside, stated = (
        ((below.log_prob - 2 * a <= truth) & (truth <= above.log_prob + 2 * b)).mean()
        for a, b in ((low, high), (np.sqrt(below.variance), np.sqrt(above.variance)))
    )
    apart = above.log_prob - below.log_prob
    gap = {"nats": float(apart.mean()), "se": score.standard_error(apart), "inside": float(inside)}
    found = {
        "forward": compared(below.log_prob, truth, below.variance, "below"),
        "reverse": compared(above.log_prob, truth, above.variance, "above"),
        "gap": gap | {"inside_stated": float(stated)},
    }
    arrays = {"truth": truth, "forward": below.log_prob, "reverse": above.log_prob, "accepted": below.accepted}
    return found, arrays


def estimators(
    model, images: Images, truth: np.ndarray, wished: dict, kept: Kept, every: bool = False
) -> tuple[dict, dict, importance.Importance, float]:
    """Importance sampling with the proposal that validation images choose, and at `every` width; the k-curves behind it."""
    sampler, x = importance.Importance(model, 0, wished["defensive"]), images.test.x
    scale = importance.best(sampler.sweep(images.valid.x, wished["draws"], wished["scales"], kept))
    found, arrays = {}, {"truth": truth}
    for width in wished["scales"] if every else [scale]:
        by = sampler.estimate(x, wished["draws"], width, kept)
        arrays |= {f"k_{width:g}": np.array([*by.curve]), f"curve_{width:g}": np.stack([*by.curve.values()])}
        said = {"ess_median": float(np.median(by.ess)), "heavy_tailed": float((by.pareto_k > summary.HEAVY).mean())}
        row = compared(by.log_prob, truth, by.variance, "below") | said
        if every:
            found[f"importance, x{width:g}"] = row
        if width == scale:
            found["importance"], arrays["importance"] = row | {"scale": width}, by.log_prob
    return found, arrays, sampler, scale


def calibrate(latent: dict, codes: dict, images: int, epochs: int, begin: Callable[[str], Kept]) -> tuple[dict, dict]:
    """All there is to know, by case and estimator; and arrays for the page.

    `begin`: where a case keeps what is finished of it. Nothing is done twice, which two of its estimates have in common.
    """
    latent, found, arrays = latent | {"integral": None}, {}, {}  # which here is the truth, not the headline
    cases = {
        "line": (lambda kept: line(images), integral.gaussian),
        "plane": (lambda kept: plane(images // 2, epochs, kept), lambda *given: integral.quadrature(*given)[0]),
    }
    for name, (make, truth_of) in cases.items():
        kept = begin(name)
        model, data = make(kept)
        made, z = pairs.simulated(model, 0, len(data.test.x), kept)
        truth, truth_of_made = np.split(truth_of(model, np.concatenate([data.test.x, made])), 2)
        found[name], arrays[name], sampler, scale = estimators(model, data, truth, latent, kept, every=name == "line")
        chains = annealing.Annealing(model, 0, latent["chains"], scale, latent["start"] == "prior")
        steps = chains.pilot(data.valid.x, latent["temperatures"], kept)
        by = chains.estimate(data.test.x, steps, kept=kept)
        found[name]["annealed"] = compared(by.log_prob, truth, by.variance, "below")
        arrays[name] |= {"annealed": by.log_prob, "temperatures": steps.betas[1:], "accepted": by.accepted}
        both, more = sandwich(chains, steps, made, z, truth_of_made, kept)
        found[name] |= both
        arrays[name] |= {f"simulated_{key}": values for key, values in more.items()}
        if name == "line":
            found["narrow"] = flags(sampler.undefended, data, latent | {"scales": [1.0], "defensive": 0.0}, kept)
            found["narrow"]["bias_nats"] = float(-found["narrow"]["nll_nats"] - truth.mean())
            found["chosen"] = flags(sampler, data, latent, kept)
    kept = begin("codes")
    model, data = quantised(images // 2, epochs, kept)
    truth = integral.enumeration(model, data.test.x)
    found["codes"], arrays["codes"], *_ = estimators(model, data, truth, codes, kept)
    single = integral.bound(model, data.test.x)
    found["codes"]["bound"] = {"side": "below", "images": len(truth), "bias_nats": float((single - truth).mean())}
    found["codes"]["bound"]["highest_nats"] = float((single - truth).max())  # of one image: no draw is involved
    model, x = pixels(epochs, begin("pixels"))
    found["pixels"] = {"images": len(x), "total": float(np.exp(backend.batched(model.log_prob, 4096)(x).astype(float)).sum())}
    begin("heads")
    traced = ends_of_heads()
    found["heads"] = {start: {what: float(values[-1]) for what, values in trace.items()} for start, trace in traced.items()}
    arrays |= {f"heads_{start}": trace for start, trace in traced.items()}
    return found, {f"{name}_{key}": np.asarray(values) for name, each in arrays.items() for key, values in each.items()}

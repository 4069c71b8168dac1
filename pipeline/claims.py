"""What notes claim of variational autoencoders against plain ones, measured on arrays: codes, images, functions of them.

A classifier that knows neither model says what a decoded image is: a forest fitted on the training images, whose votes
spread over the classes where an image is none. "Recognised" is an image that gets more than CONFIDENT of the votes.
Every mean comes with its standard error: over draws, or over test images, for these models and this classifier.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import pdist
from scipy.special import gammaln, hyp1f1
from scipy.stats import kstest
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture

CONFIDENT = 0.8
TREES = 300
COMPONENTS = 10  # of the mixture
STEPS = np.linspace(-2, 2, 9)  # standard deviations
LEVEL = 0.05  # of tests
SIMULATIONS = 200

Votes = Callable[[np.ndarray], np.ndarray]  # images [N, ...] on the unit scale -> shares of votes [N, classes]
Images = Callable[[np.ndarray], np.ndarray]  # codes [N, d], or images, -> images


def mean(values: np.ndarray, name: str) -> dict[str, float]:
    """{name: the mean, name_se: its standard error}"""
    values = np.asarray(values, "float64")
    return {name: float(values.mean()), f"{name}_se": float(values.std(ddof=1) / np.sqrt(len(values)))}


def classifier(x: np.ndarray, y: np.ndarray) -> Votes:
    forest = RandomForestClassifier(TREES, random_state=0, n_jobs=1).fit(x.reshape(len(x), -1), y)
    return lambda images: forest.predict_proba(images.reshape(len(images), -1))


def recognised(votes: np.ndarray) -> dict[str, float]:
    """The share of images with more than CONFIDENT of the votes [N, classes] for one class, and the mean of that most."""
    confidence = votes.max(axis=-1)
    return mean(confidence > CONFIDENT, "recognised") | mean(confidence, "confidence")


def independent_pixels(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Each pixel of an image from another image: all that is right is how often each value occurs where."""
    chosen = rng.integers(0, len(x), (n, *x.shape[1:]))
    return np.take_along_axis(x, chosen, axis=0)


def fitted_normal(codes: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    codes = codes.astype("float64")
    return rng.multivariate_normal(codes.mean(axis=0), np.cov(codes.T).reshape(codes.shape[1], -1), n)


def fitted_mixture(codes: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """In random order: scikit-learn draws one component after another."""
    mixture = GaussianMixture(min(COMPONENTS, len(codes)), reg_covar=1e-4, n_init=3, random_state=0)
    return mixture.fit(codes.astype("float64")).sample(n)[0][rng.permutation(n)]


def noisy(x: np.ndarray, sd: float, levels: int, eps: np.ndarray) -> np.ndarray:
    """x + sd eps, `sd` on the unit scale, clipped and rounded to the levels again."""
    return np.rint(np.clip(x + sd * (levels - 1) * eps, 0, levels - 1)).astype(x.dtype)


def noise(clean: np.ndarray, disturbed: np.ndarray, x: np.ndarray, votes: Votes) -> dict[str, np.ndarray]:
    """Per image, all on the unit scale: `mse` of the reconstruction from a noisy input to the clean image x, its `rise` above
    that from the clean input, and whether both reconstructions are of the `same` class."""
    error, least = (np.square(each - x, dtype="float64").mean(axis=(1, 2, 3)) for each in (disturbed, clean))
    same = votes(disturbed).argmax(axis=-1) == votes(clean).argmax(axis=-1)
    return {"mse": error, "rise": error - least, "same": same.astype("float64")}


def paired(first: dict, second: dict) -> dict[str, dict]:
    """Means of the measures of two models on the same images, and of the second's less the first's."""
    return {
        "ae": summary(first),
        "vae": summary(second),
        "difference": summary({name: np.subtract(second[name], first[name]) for name in first}),
    }


def summary(measures: dict[str, np.ndarray]) -> dict[str, float]:
    return {key: value for name, values in measures.items() for key, value in mean(values, name).items()}


def normality(z: np.ndarray, rng: np.random.Generator, standardised_by: int | None = None) -> dict[str, float]:
    """Are codes [N, d] draws from N(0, I)? Each dimension by itself (Kolmogorov-Smirnov), and all of them together.

    `energy` is the energy distance to N(0, I) (Szekely & Rizzo 2005, https://doi.org/10.1016/j.jmva.2003.12.002), `energy_null`
    what 95 % of as many true draws stay below, `energy_p` the share of simulations that reach it. Where codes were standardised
    by the means and deviations of so many others, simulated ones are, too.
    """
    tests = [kstest(column, "norm") for column in z.T]
    statistics, found = [test.statistic for test in tests], energy(z)
    null = []
    for _ in range(SIMULATIONS):
        draws, others = rng.standard_normal(z.shape), rng.standard_normal((standardised_by or 1, z.shape[1]))
        null.append(energy((draws - others.mean(axis=0)) / others.std(axis=0) if standardised_by else draws))
    return {
        "dimensions": z.shape[1],
        "codes": len(z),
        "ks_median": float(np.median(statistics)),
        "ks_max": float(max(statistics)),
        "rejected": sum(bool(test.pvalue < LEVEL / z.shape[1]) for test in tests),  # Bonferroni
        "energy": found,
        "energy_null": float(np.quantile(null, 1 - LEVEL)),
        "energy_p": float((1 + np.sum(np.array(null) >= found)) / (1 + SIMULATIONS)),
    }


def energy(z: np.ndarray) -> float:
    """2 E|z - y| - E|z - z'| - E|y - y'|, y and y' ~ N(0, I); the expectations over y in closed form."""
    n, d = z.shape
    scale = np.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
    to_normal = np.sqrt(2) * scale * hyp1f1(-0.5, d / 2, -0.5 * np.square(z).sum(axis=1))
    return float(2 * to_normal.mean() - 2 * pdist(z).sum() / n**2 - 2 * scale)


def moves(codes: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Codes [N, d] with one number at a time led through STEPS of the training codes: [N, d, steps, d]."""
    (n, d), values = codes.shape, train.mean(axis=0)[:, None] + train.std(axis=0)[:, None] * STEPS
    moved = np.broadcast_to(codes[:, None, None], (n, d, len(STEPS), d)).copy()
    for unit in range(d):
        moved[:, unit, :, unit] = values[unit]
    return moved


def control(images: np.ndarray, votes: Votes) -> dict[str, np.ndarray]:
    """Per image, of the images [N, d, steps, H, W, C] that moving one number of its code gives: the share `recognised`, the
    share of the d ways along which the class `changes`, and how far a pixel is `moved` from end to end (root mean square)."""
    n, d, steps = images.shape[:3]
    shares = votes(images.reshape(n * d * steps, *images.shape[3:])).reshape(n, d, steps, -1)
    classes = shares.argmax(axis=-1)
    ends = np.square(images[:, :, -1] - images[:, :, 0], dtype="float64").mean(axis=(2, 3, 4))
    return {
        "recognised": (shares.max(axis=-1) > CONFIDENT).mean(axis=(1, 2)),
        "changes": (classes != classes[..., :1]).any(axis=-1).mean(axis=1),
        "moved": np.sqrt(ends).mean(axis=1),
    }

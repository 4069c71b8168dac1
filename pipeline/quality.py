"""How good samples are where no likelihood is asked: in the features of a classifier that has learned the data's labels.

M. Heusel, H. Ramsauer, T. Unterthiner et al., NeurIPS 2017, https://arxiv.org/abs/1706.08500
M. F. Naeem, S. J. Oh, Y. Uh et al., ICML 2020, https://arxiv.org/abs/2002.09797

    Frechet distance = |m - n|^2 + tr(A + B - 2 (A B)^(1/2)),   means m, n and covariances A, B of two sets of features  (6)
    density  = mean over samples of 1/k the number of balls that it is in: above 1 near the thick of the data               (3)
    coverage = the share of balls that some sample is in: what is left out lowers it                                        (4)

A ball is around each real image and reaches to its k-th nearest real one. Features are learned on training images, real
images are those of the test set. All three depend on how many samples there are, so the same is said of as many training
images, which is what perfect samples would have. Where there are no labels the features are principal components.
"""

import numpy as np
import scipy.linalg
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.neural_network import MLPClassifier

SAMPLES, REAL, LEARNED = 512, 2000, 5000  # drawn; test images, and training images that a classifier sees, at most
HIDDEN, FEATURES, NEAREST = 128, 32, 5


def flat(x: np.ndarray) -> np.ndarray:
    return np.reshape(x, (len(x), -1)).astype("float64")


def features(x: np.ndarray, y: np.ndarray | None, scale: float, seed: int):
    """A function images -> [N, d], what they are in words, and the classifier, where there is one."""
    x = flat(x[:LEARNED]) / scale
    if y is None or len(np.unique(y[:LEARNED])) < 2:
        pca = PCA(min(FEATURES, *x.shape), svd_solver="full").fit(x)
        return lambda images: pca.transform(flat(images) / scale), "principal components", None
    found = MLPClassifier((HIDDEN, FEATURES), random_state=seed, max_iter=60, early_stopping=True).fit(x, y[:LEARNED])

    def hidden(images: np.ndarray) -> np.ndarray:
        z = flat(images) / scale
        for weights, bias in zip(found.coefs_[:-1], found.intercepts_[:-1], strict=True):
            z = np.maximum(z @ weights + bias, 0.0)
        return z

    return hidden, "a classifier's last hidden layer", lambda images, y: float(found.score(flat(images) / scale, y))


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Between normal distributions with the means and covariances of two sets of features [N, d]."""
    first, second = (np.cov(each, rowvar=False) for each in (a, b))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(scipy.linalg.eigvalsh(root @ second @ root), 0.0)).sum()
    apart = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    return float(apart + np.trace(first) + np.trace(second) - 2.0 * cross)


def density_and_coverage(real: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    k = min(NEAREST, len(real) - 1)
    radius = np.sort(pairwise_distances(real), axis=1)[:, k]  # the nearest of all is itself
    inside = pairwise_distances(real, drawn) < radius[:, None]
    return float(inside.sum() / (k * len(drawn))), float(inside.any(axis=1).mean())


def compared(images, drawn: np.ndarray, rng: np.random.Generator, train: np.ndarray) -> dict:
    """quality.json: of samples, and of as many training images in their place. `images`: of data/store.py."""
    scale = 1.0 if images.levels is None else images.levels - 1.0
    y = None if images.train.y is None else np.asarray(images.train.y)
    extract, what, score = features(np.asarray(train), y, scale, int(rng.integers(2**31)))
    test = np.asarray(images.test.x[:REAL])
    known = np.asarray(train)[np.sort(rng.choice(len(train), min(len(drawn), len(train)), replace=False))]
    real, found = extract(test), {"features": what, "samples": len(drawn), "real": len(test)}
    if score is not None:
        found["classifier_accuracy"] = score(test, np.asarray(images.test.y[:REAL]))
    for name, each in (("", drawn), ("training_", known)):
        there = extract(each)
        density, coverage = density_and_coverage(real, there)
        found |= {f"{name}frechet": frechet(real, there), f"{name}density": density, f"{name}coverage": coverage}
    return found

"""What a code is good for: linear probes with few labels beside raw pixels and PCA, active units. What a sample repeats."""

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LABELS = (20, 50, 100)
DRAWS = 10


def probe(train: np.ndarray, y: np.ndarray, test: np.ndarray, test_y: np.ndarray, rng: np.random.Generator) -> dict:
    """Test accuracy of logistic regression on standardised features: {"20", "20_sd", ..., "all"}; 10 draws of the labels.

    The same rng gives the same draws for another feature, so that features can be compared pair by pair.
    """
    result = {}
    for labels in (size for size in LABELS if size < len(y)):
        scores = [accuracy(train[chosen], y[chosen], test, test_y) for chosen in (few(y, labels, rng) for _ in range(DRAWS))]
        result[str(labels)], result[f"{labels}_sd"] = float(np.mean(scores)), float(np.std(scores, ddof=1))
    result["all"] = accuracy(train, y, test, test_y)
    return result


def few(y: np.ndarray, labels: int, rng: np.random.Generator) -> np.ndarray:
    """That many images, with as equal a number of each class as there can be."""
    order = rng.permutation(len(y))
    rank = np.empty(len(y), int)  # how many of its class come before an image
    for label in np.unique(y):
        members = order[y[order] == label]
        rank[members] = np.arange(len(members))
    return order[np.argsort(rank[order], kind="stable")][:labels]


def accuracy(x: np.ndarray, y: np.ndarray, test: np.ndarray, test_y: np.ndarray) -> float:
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the ridge makes the last digits of the optimum immaterial
        return float(classifier.fit(x, y).score(test, test_y))


def active_units(means: np.ndarray) -> int:
    """Units whose posterior mean moves with x: Var_x E_q[z] > 0.01 (Burda et al. 2016, section 5.2)."""
    return int((means.var(axis=0) > 0.01).sum())


def principal_components(train: np.ndarray, test: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    size = min(size, *train.shape)
    pca = PCA(size, svd_solver="full").fit(train)
    return pca.transform(train), pca.transform(test)


def nearest(x: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The training image that is nearest to each image of x [N], and the root mean squared difference of their pixels [N]."""
    flat, known = (images.reshape(len(images), -1).astype("float64") for images in (x, train))
    index, distance = pairwise_distances_argmin_min(flat, known)
    return index, distance / np.sqrt(flat.shape[1])

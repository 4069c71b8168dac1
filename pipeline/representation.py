"""What a code is good for: linear probes with few labels beside raw pixels and PCA, active units, whether its numbers are the
factors that the images were made from. What a sample repeats."""

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, pairwise_distances_argmin_min
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LABELS = (20, 50, 100)
DRAWS = 10
BINS = 20  # of as many images each, that a number of the code is cut into
TREES, LEAF = 10, 10  # of a forest, and how many images a leaf has at least
SHUFFLES = 5  # of a number of the code, to see what forests lose by it


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


def gap(z: np.ndarray, factors: np.ndarray) -> float:
    """The mutual information gap of codes z [N, d] and factors v [N, K] (R. T. Q. Chen et al., NeurIPS 2018,
    https://arxiv.org/abs/1802.04942), j(k) the number of the code that says most about factor k:

        MIG = 1/K sum_k (I(z_j(k); v_k) - max_{j != j(k)} I(z_j; v_k)) / H(v_k)

    A histogram's I is too large by (bins - 1)(values - 1) / 2N, which is taken off.
    """
    ranks = z.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
    binned = ranks * BINS // len(z)
    gaps = []
    for factor in factors.T:
        surplus = (BINS - 1) * (len(np.unique(factor)) - 1) / (2 * len(z))
        found = np.sort([max(mutual_info_score(factor, each) - surplus, 0.0) for each in binned.T] + [0.0])
        gaps.append((found[-1] - found[-2]) / mutual_info_score(factor, factor))
    return float(np.mean(gaps))


def importances(z: np.ndarray, factors: np.ndarray, test: np.ndarray, test_factors: np.ndarray) -> tuple[np.ndarray, float]:
    """How much each number of the code does for telling each factor [d, K], and the mean test accuracy of forests. It is the
    accuracy that they lose on test images among which that number is shuffled, nothing where that is within two standard
    deviations of 0. The columns sum to 1, or 0 where a factor is not told better than its commonest value is, by three standard
    errors: forests make something of noise, too."""
    found, right = [], []
    for factor, held_out in zip(factors.T, test_factors.T, strict=True):
        forest = RandomForestClassifier(TREES, min_samples_leaf=LEAF, max_features=None, random_state=0).fit(z, factor)
        lost = permutation_importance(forest, test, held_out, n_repeats=SHUFFLES, random_state=0)
        lost = np.where(lost.importances_mean > 2 * lost.importances_std, lost.importances_mean, 0.0)
        right.append(forest.score(test, held_out))
        common = np.unique(held_out, return_counts=True)[1].max() / len(held_out)
        told = right[-1] > common + 3 * np.sqrt(common * (1 - common) / len(held_out))
        found.append(told * lost / max(lost.sum(), 1e-30))
    return np.array(found).T, float(np.mean(right))


def disentanglement(importance: np.ndarray) -> float:
    """Whether a number of the code serves one factor (C. Eastwood and C. K. I. Williams, ICLR 2018, section 2,
    https://openreview.net/forum?id=By-7dz-AZ), of importances R [d, K]:

        D = sum_i r_i (1 - H_K(P_i)),   P_ik = R_ik / sum_k R_ik,   r_i = sum_k R_ik / sum_ik R_ik

    with entropies to the base K. The same of the transpose is their completeness: whether one number serves a factor.
    """
    total = importance.sum(axis=1, keepdims=True)
    share = importance / np.where(total > 0, total, 1.0)
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1.0)), axis=1) / np.log(max(importance.shape[1], 2))
    return float((1 - entropy) @ total[:, 0] / max(total.sum(), 1e-30))


def principal_components(train: np.ndarray, test: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    size = min(size, *train.shape)
    pca = PCA(size, svd_solver="full").fit(train)
    return pca.transform(train), pca.transform(test)


def nearest(x: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The training image that is nearest to each image of x [N], and the root mean squared difference of their pixels [N]."""
    flat, known = (images.reshape(len(images), -1).astype("float64") for images in (x, train))
    index, distance = pairwise_distances_argmin_min(flat, known)
    return index, distance / np.sqrt(flat.shape[1])

"""What a model has to beat: simple densities and linear reconstructions.

Fitted on the training images, scored on the test images, in nats per image (of a density where the data are real-valued),
each with its standard error over images:

- uniform: every level equally likely.
- independent: each dimension (a channel of a pixel) by itself: a histogram with half a count added to every level, or a
  Gaussian. Gaussians keep at least 1e-5 of the variance of all pixels, or a constant pixel could have any density.
- chain, the fully visible belief network (Frey 1998): p(x) = prod_d p(x_d | x_<d) in raster order. Each factor is a
  (multinomial) logistic regression on all dimensions before it; for real values a linear-Gaussian one, and then the
  whole is a Gaussian with a full covariance. How much it is regularised is decided by the validation images.
- mean_mse, pca_mse: squared error per dimension of the mean image and of the reconstruction from k principal components,
  k below their rank, on the unit scale x / (levels - 1).
- floor: the exact density of the data, where it is known.

Where training images are redrawn in every epoch, counts and moments are exact expectations, and the chain sees 8 draws.

A chain takes some 1000 n D^2 k operations: 250 passes over n images of D dimensions, k logits each (the number of levels,
1 of 2); n counts as 1000 at least, since D^2 k coefficients take memory, too. Above 1e12, about a minute on one core, it is
left out and `chain_why` says so. Covariances, and so PCA, stop at 4096 dimensions.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from scipy.linalg import eigh, solve_triangular
from scipy.optimize import minimize
from scipy.special import expit, log_expit
from threadpoolctl import threadpool_limits

from pipeline.data.store import Images

COMPONENTS = (1, 2, 4, 8, 16, 32)
DIMENSIONS = 4096
DRAWS = 8
OPERATIONS = 1e12
PENALTIES = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)  # ridge, on all coefficients, inputs in [-1, 1]; the strongest first
SHRINKAGES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # of a covariance towards its diagonal; the strongest first

LogDensity = Callable[[np.ndarray], np.ndarray]  # images [N, D] -> log p(x) [N]


@threadpool_limits.wrap(limits=1)  # their number changes the last bits, and all that follows is keyed by these bytes
def baselines(images: Images) -> dict:
    train, valid, test = (split.x.reshape(len(split.x), -1) for split in images.splits.values())
    levels, redraw, d = images.levels, images.redraw, train.shape[1]
    mean, covariance = moments(train, 1.0 if levels is None else 1 / (redraw or levels - 1), redraw)
    why = too_large(len(train) * (DRAWS if redraw else 1), d, levels)
    if levels is None:
        variance = covariance.diagonal() if covariance.ndim == 2 else covariance
        floor = 1e-5 * (variance.mean() + mean.var() or 1.0)
        independent = partial(log_normal, mean, np.maximum(variance, floor))
        chains = gaussians(mean, covariance, floor)
    else:
        independent = partial(log_histogram, histogram(train, levels, redraw))
        chains = regressions(train, levels, redraw)

    found = {"uniform_nats": None if levels is None else d * float(np.log(levels))}
    found |= average("independent_nats", "independent_se", -independent(test))
    found |= average("chain_nats", "chain_se", None if why else -best(chains, valid)(test))
    found |= {"chain_why": why} if why else {}
    errors = reconstruction(test, 1.0 if levels is None else 1 / (levels - 1), mean, covariance)
    found |= average("mean_mse", "mean_se", errors.pop(0))
    pairs = {str(k): average("mse", "se", error) for k, error in errors.items()}
    found |= {f"pca_{kind}": {k: pair[kind] for k, pair in pairs.items()} for kind in ("mse", "se")}
    if images.test.log_prob is not None:
        found |= average("floor_nats", "floor_se", -images.test.log_prob)
    return found


def average(name: str, error_name: str, each: np.ndarray | None) -> dict:
    """The mean over images and its standard error; None where there is none."""
    if each is None:
        return {name: None, error_name: None}
    error = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else None
    return {name: float(each.mean()), error_name: error}


def too_large(n: int, d: int, levels: int | None) -> str | None:
    """Why a chain is not worth its time, or None."""
    if levels is None:
        return f"{d} dimensions, more than {DIMENSIONS}" if d > DIMENSIONS else None
    operations = 1000 * max(n, 1000) * d * d * logits(levels)
    return f"{operations:.1e} operations, more than {OPERATIONS:.0e}" if operations > OPERATIONS else None


def blocks(x: np.ndarray, width: int) -> Iterator[np.ndarray]:
    """x in consecutive parts [B, D] that become about a million numbers when every image becomes `width`."""
    step = max(1, 2**20 // width)
    return (x[start : start + step] for start in range(0, len(x), step))


def moments(x: np.ndarray, unit: float, redraw: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and covariance [D, D] of x * unit; beyond DIMENSIONS only variances [D]."""
    n, d = x.shape
    mean = sum((part * unit).sum(0, dtype=float) for part in blocks(x, d)) / n
    covariance = np.zeros((d, d) if d <= DIMENSIONS else d)
    for part in blocks(x, d):
        centred = part * unit - mean
        covariance += centred.T @ centred if d <= DIMENSIONS else (centred**2).sum(0)
        if redraw:  # Var(pixel) = Var(intensity) + E[intensity (1 - intensity)], pixels being drawn independently
            spread = (part * unit * (1 - part * unit)).sum(0)
            covariance += np.diag(spread) if d <= DIMENSIONS else spread
    return mean, covariance / n


def histogram(x: np.ndarray, levels: int, redraw: int | None) -> np.ndarray:
    """log p(level) of each dimension [D, levels]."""
    d = x.shape[1]
    if redraw:
        ones = sum(part.sum(0, dtype=float) for part in blocks(x, d)) / redraw
        counts = np.stack([len(x) - ones, ones], 1)
    else:
        cells = (part + levels * np.arange(d) for part in blocks(x, d))
        counts = sum(np.bincount(part.ravel(), minlength=d * levels) for part in cells).reshape(d, levels)
    return np.log((counts + 0.5) / (len(x) + 0.5 * levels))


def log_histogram(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    d = len(table)
    return np.concatenate([table[np.arange(d), part].sum(1) for part in blocks(x, d)])


def log_normal(mean: np.ndarray, variance: np.ndarray, x: np.ndarray) -> np.ndarray:
    constant = np.log(2 * np.pi * variance).sum()
    parts = [((part - mean) ** 2 / variance).sum(1) for part in blocks(x, len(mean))]
    return -0.5 * (np.concatenate(parts) + constant)


def gaussians(mean: np.ndarray, covariance: np.ndarray, floor: float) -> Iterator[LogDensity]:
    """Gaussians with ever less shrunken covariances."""
    variance = np.diag(np.maximum(covariance.diagonal(), floor))
    covariance = covariance - np.diag(covariance.diagonal()) + variance
    for shrinkage in SHRINKAGES:
        factor = np.linalg.cholesky((1 - shrinkage) * covariance + shrinkage * variance)
        yield partial(log_gaussian, mean, factor)


def log_gaussian(mean: np.ndarray, factor: np.ndarray, x: np.ndarray) -> np.ndarray:
    """log N(x; mean, factor factor^T) [N]."""
    constant = 2 * np.log(factor.diagonal()).sum() + len(mean) * np.log(2 * np.pi)
    parts = [(solve_triangular(factor, (part - mean).T, lower=True) ** 2).sum(0) for part in blocks(x, len(mean))]
    return -0.5 * (np.concatenate(parts) + constant)


def best(fits: Iterable[LogDensity], valid: np.ndarray) -> LogDensity:
    """The first of ever less regularised densities after which the validation images stop gaining."""
    kept, score = None, -np.inf
    for fit in fits:
        now = fit(valid).mean()
        if kept and now <= score:
            break
        kept, score = fit, now
    return kept


def regressions(train: np.ndarray, levels: int, redraw: int | None) -> Iterator[LogDensity]:
    """Chains of ever less penalised logistic regressions, each started from the one before."""
    copies = DRAWS if redraw else 1
    if redraw:
        train = np.random.default_rng(0).random((copies, *train.shape)) * redraw < train
    x = train.reshape(-1, train.shape[-1]).astype(np.uint8)
    weights = np.zeros((x.shape[1], x.shape[1], logits(levels)))
    for penalty in PENALTIES:
        weights = regress(x, levels, penalty * copies, weights)
        yield partial(log_chain, weights, levels)


def logits(levels: int) -> int:
    """Numbers that predict one dimension: one for each level, or the log-odds of 1 where there are two."""
    return 1 if levels == 2 else levels


def inputs(x: np.ndarray, levels: int) -> np.ndarray:
    """What dimension d is predicted from are the first d + 1 of these [B, D]: one, then x_0, ..., x_{D-2} in [-1, 1]."""
    return np.concatenate([np.ones((len(x), 1)), x[:, :-1] * (2 / (levels - 1)) - 1], 1)


def predict(weights: np.ndarray, levels: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log p(x) [B] under weights [D, D, logits], and the gradient of -log p(x) by the logits [B, D, logits]."""
    d, _, k = weights.shape
    a = (inputs(x, levels) @ weights.reshape(d, -1)).reshape(-1, d, k)
    seen = x[:, :, None].astype(int)
    if k == 1:
        return log_expit(np.where(seen, a, -a)).sum((1, 2)), expit(a) - seen
    a -= a.max(2, keepdims=True)
    log_prob = np.take_along_axis(a, seen, 2).sum((1, 2))
    np.exp(a, out=a)
    total = a.sum(2, keepdims=True)
    a /= total
    np.put_along_axis(a, seen, np.take_along_axis(a, seen, 2) - 1, 2)
    return log_prob - np.log(total).sum((1, 2)), a


def log_chain(weights: np.ndarray, levels: int, x: np.ndarray) -> np.ndarray:
    return np.concatenate([predict(weights, levels, part)[0] for part in blocks(x, weights[0].size)])


def regress(x: np.ndarray, levels: int, penalty: float, start: np.ndarray) -> np.ndarray:
    """All D regressions at once: weights [D (input), D (predicted), logits] that minimise the penalised loss.

    The loss curves at most as half a sum of squares of its inputs does, so L-BFGS walks in coordinates where that is the
    identity. Dimension d has the first d + 1 inputs, and the Cholesky factor of a leading block is the leading block of
    the factor: one triangular solve, masked, serves all D.
    """
    n, d = x.shape
    earlier = np.triu(np.ones((d, d)))[:, :, None]
    gram = sum(part.T @ part for part in (inputs(part, levels) for part in blocks(x, d)))
    factor = np.linalg.cholesky(0.5 * gram + penalty * np.eye(d))

    def solve(array: np.ndarray, transposed: bool) -> np.ndarray:
        solved = solve_triangular(factor, array.reshape(d, -1), lower=True, trans=int(transposed))
        return solved.reshape(start.shape)

    def loss(coordinates: np.ndarray) -> tuple[float, np.ndarray]:
        weights = solve(coordinates, transposed=True)
        value, slope = 0.5 * penalty * (weights**2).sum(), penalty * weights
        for part in blocks(x, start[0].size):
            log_prob, residual = predict(weights, levels, part)
            value -= log_prob.sum()
            slope += (inputs(part, levels).T @ residual.reshape(len(part), -1)).reshape(start.shape)
        return value / n, (earlier * solve(earlier * slope, transposed=False)).ravel() / n

    first = (factor.T @ start.reshape(d, -1)).ravel()
    options = {"maxiter": 250, "ftol": 1e-6, "gtol": 0}  # the last steps gain a hundredth of a nat at most
    return solve(minimize(loss, first, jac=True, method="L-BFGS-B", options=options).x, transposed=True)


def reconstruction(x: np.ndarray, unit: float, mean: np.ndarray, covariance: np.ndarray) -> dict[int, np.ndarray]:
    """Squared error per dimension of each image [N], by the number of principal components kept, from 0."""
    d = len(mean)
    components = np.zeros((d, 0))
    if covariance.ndim == 2:
        values, vectors = eigh(covariance, subset_by_index=[max(0, d - COMPONENTS[-1] - 1), d - 1])
        rank = int((values > values[-1] * d * np.finfo(float).eps).sum())
        components = vectors[:, ::-1][:, : max(rank - 1, 0)]
    errors = []
    for part in blocks(x, d):
        centred = part * unit - mean
        explained = np.cumsum((centred @ components) ** 2, 1)
        explained = np.concatenate([np.zeros((len(part), 1)), explained], 1)
        errors.append(np.maximum((centred**2).sum(1, keepdims=True) - explained, 0) / d)
    errors = np.concatenate(errors)
    return {k: errors[:, k] for k in (0, *COMPONENTS) if k < errors.shape[1]}

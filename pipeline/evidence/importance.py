"""Importance sampling of log p(x) (Burda, Grosse and Salakhutdinov, ICLR 2016, https://arxiv.org/abs/1509.00519).

    w_j = p(x, z_j) / q(z_j | x),   z_j ~ q,   L_k = E log (1/k) sum_{j<=k} w_j,   L_1 = ELBO <= L_k <= log p(x)

So -L_k is on average too high as a negative log-likelihood. All sums run in float64 over blocks of draws; the noise of a
block belongs to (seed, image, block), so neither tiles nor restarts can change it.
"""

import time
from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import logsumexp

from pipeline import backend
from pipeline.base import Latent, generator

TILE = 2**22  # floats that one compiled call may decode
CURVE = (1, 10, 100, 1000, 5000)
SWEPT, SWEEP_DRAWS = 100, 500  # validation images, and draws for each, with which a proposal is chosen


@dataclass(frozen=True)
class Estimates:
    """Per image, in nats. curve[k]: the mean of L_k over disjoint groups of k of the same draws."""

    log_prob: np.ndarray  # L_draws
    elbo: np.ndarray  # L_1
    variance: np.ndarray  # of log_prob over the estimator's noise: a jackknife over ten or more groups of draws
    ess: np.ndarray  # effective sample size, (sum w)^2 / sum w^2
    max_weight: np.ndarray  # the largest share that one draw has of the sum
    curve: dict[int, np.ndarray]


def best_scale(model: Latent, valid: np.ndarray, draws: int, scales: list[float], seed: int) -> float:
    """The proposal with the largest bound on validation images: all are lower bounds, so the largest is the tightest."""
    if len(scales) == 1:
        return scales[0]
    some = valid[:SWEPT]
    found = [estimate(model, some, min(draws, SWEEP_DRAWS), seed, scale).log_prob.mean() for scale in scales]
    return scales[int(np.argmax(found))]


def estimate(
    model: Latent, x: np.ndarray, draws: int, seed: int, scale: float = 1.0, progress=lambda done, left: None
) -> Estimates:
    """Encodes each image once; memory grows neither with the number of images nor, but for a sum per block, with draws."""
    cost = model.spec.dims * (model.spec.levels or 1)  # at most: floats that one draw for one image decodes
    block = max(size for size in (1, 10, 100) if size == 1 or (size <= draws // 10 and size * cost <= TILE))
    blocks = -(-draws // block)
    tile = max(1, min(64, len(x), TILE // (block * cost)))
    posterior = backend.compiled(model.posterior)
    weigh = backend.compiled(lambda x, q, eps: model.weigh(x, q, eps, None, scale))
    parts, started = [], time.monotonic()
    for first in range(0, len(x), tile):
        index = np.minimum(np.arange(first, first + tile), len(x) - 1)  # the last tile is filled up with its last image
        images = np.asarray(x[index])
        q = posterior(images)
        sums = Sums(draws, block, tile)
        for number in range(blocks):
            eps = [model.eps(block, generator(seed, "importance", int(image), number)) for image in index]
            eps = keras.tree.map_structure(lambda *leaves: np.stack(leaves, axis=1), *eps)
            sums.add(weigh(images, q, eps).astype("float64"))
        parts.append((sums.finish(), min(tile, len(x) - first)))
        done = min(first + tile, len(x))
        progress(done, (time.monotonic() - started) / done * (len(x) - done))

    def joined(get):
        return np.concatenate([get(part)[:kept] for part, kept in parts])

    curve = {k: joined(lambda part, k=k: part.curve[k]) for k in parts[0][0].curve}
    names = ("log_prob", "elbo", "variance", "ess", "max_weight")
    return Estimates(**{name: joined(lambda part, name=name: getattr(part, name)) for name in names}, curve=curve)


class Sums:
    """Streaming log-sum-exp of the log-weights of one tile; `draws` may end inside the last block."""

    def __init__(self, draws: int, block: int, tile: int):
        self.draws, self.block = draws, block
        self.seen = 0
        self.total = np.zeros(tile)
        self.blocks: list[np.ndarray] = []  # log sum w of each block
        self.squares = np.full(tile, -np.inf)  # log sum w^2
        self.largest = np.full(tile, -np.inf)
        self.small = {k: [] for k in CURVE if 1 < k < block}  # groups that lie inside a block

    def add(self, w: np.ndarray) -> None:
        w = w[: self.draws - self.seen]
        self.seen += len(w)
        self.total += w.sum(axis=0)
        self.blocks.append(logsumexp(w, axis=0))
        self.squares = np.logaddexp(self.squares, logsumexp(2 * w, axis=0))
        self.largest = np.maximum(self.largest, w.max(axis=0))
        for k, groups in self.small.items():
            whole = w[: len(w) // k * k].reshape(-1, k, w.shape[1])
            groups.extend(logsumexp(whole, axis=1) - np.log(k))

    def finish(self) -> Estimates:
        blocks = np.stack(self.blocks)
        total = logsumexp(blocks, axis=0)
        curve = {1: self.total / self.draws} | {k: np.mean(groups, axis=0) for k, groups in self.small.items()}
        for k in CURVE:
            if self.block <= k <= self.draws and k > 1:
                each = k // self.block
                whole = blocks[: self.draws // k * each].reshape(-1, each, blocks.shape[1])
                curve[k] = np.mean(logsumexp(whole, axis=1) - np.log(k), axis=0)
        curve[self.draws] = total - np.log(self.draws)
        return Estimates(
            log_prob=total - np.log(self.draws),
            elbo=self.total / self.draws,
            variance=self.jackknife(blocks, total),
            ess=np.exp(2 * total - self.squares),
            max_weight=np.exp(self.largest - total),
            curve=dict(sorted(curve.items())),
        )

    def jackknife(self, blocks: np.ndarray, total: np.ndarray) -> np.ndarray:
        """Variance of log mean w: leave out one of ten groups of blocks at a time."""
        sizes = np.full(len(blocks), self.block)
        sizes[-1] = self.draws - self.block * (len(blocks) - 1)
        groups = np.array_split(np.arange(len(blocks)), 10)
        left_out = []
        for group in groups:
            rest = np.setdiff1d(np.arange(len(blocks)), group)
            left_out.append(logsumexp(blocks[rest], axis=0) - np.log(sizes[rest].sum()))
        return (len(groups) - 1) * np.var(left_out, axis=0)

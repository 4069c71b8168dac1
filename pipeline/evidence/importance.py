"""Importance sampling of log p(x) (Burda, Grosse and Salakhutdinov, ICLR 2016, https://arxiv.org/abs/1509.00519).

    w_j = p(x, z_j) / q(z_j | x),   z_j ~ q,   L_k = E log (1/k) sum_{j<=k} w_j,   L_1 = ELBO <= L_k <= log p(x)

So -L_k is on average too high as a negative log-likelihood. Where the weights have no finite variance it stays too high for
any k that anyone can afford, and its stated error does not say so; the tail of the weights does, without saying by how much.
The best proposal for the ELBO is narrower than the posterior: so wider ones are tried, and annealing.py looks independently.

All sums run in float64 over blocks of draws. The noise of a draw belongs to (seed, image, draw).
"""

from copy import copy
from dataclasses import dataclass
from functools import cache, cached_property

import keras
import numpy as np
from arviz_stats.base import array_stats
from keras import ops
from scipy.special import logsumexp

from pipeline import Refusal, backend
from pipeline.base import Latent, generator
from pipeline.distributions import uniforms
from pipeline.evidence.tiles import Kept, silent, tiles

MEMORY, TOGETHER = 2**22, 2**24  # floats that one compiled call may decode: of one image at most, of several together
LEAST = -1e30  # a weight below counts as none
UNIT = 100  # draws whose noise is made together
CURVE = (1, 10, 100, 1000, 5000)
SWEPT, SWEEP_DRAWS = 100, 500  # validation images, and draws for each, with which a proposal is chosen


@dataclass(frozen=True)
class Estimates:
    """Per image, in nats. curve[k]: the mean of L_k over disjoint groups of k of the same draws."""

    log_prob: np.ndarray  # L_draws
    elbo: np.ndarray  # L_1
    variance: np.ndarray  # of log_prob over the estimator's noise: a jackknife over ten groups of draws
    ess: np.ndarray  # effective sample size, (sum w)^2 / sum w^2
    max_weight: np.ndarray  # the largest share that one draw has of the sum
    pareto_k: np.ndarray  # shape of the weights' tail; above 0.7 the number cannot be relied on, NaN where there is no tail
    curve: dict[int, np.ndarray]


class Importance:
    """The estimator for one model and seed. `defensive`: the share of draws from the prior, which bounds every weight."""

    def __init__(self, model: Latent, seed: int, defensive: float = 0.0):
        if defensive and type(model).log_q is Latent.log_q:
            raise Refusal("defensive: this model's posterior cannot score draws from the prior")
        self.model, self.seed, self.defensive = model, seed, defensive
        self.posterior = backend.compiled(model.posterior)
        self.weigh = backend.compiled(self.mixed if defensive else self.plain)

    @cached_property
    def undefended(self) -> "Importance":
        """The same with no draws from the prior."""
        if not self.defensive:
            return self
        found = copy(self)
        found.defensive, found.weigh = 0.0, backend.compiled(found.plain)
        return found

    def plain(self, x, q, eps, scale):
        """In two halves, of which the processor does one's products beside the other's sums: 3 to 5 % faster."""
        leaves = keras.tree.flatten(eps["q"])
        halves = 2 if leaves and leaves[0].shape[0] % 2 == 0 else 1
        parts = [keras.tree.map_structure(lambda leaf, i=i: ops.split(leaf, halves)[i], eps["q"]) for i in range(halves)]
        return ops.concatenate([self.model.weigh(x, q, part, None, scale) for part in parts])

    def mixed(self, x, q, eps, scale):
        """p(x, z) / ((1 - a) q(z | x) + a p(z)) for z ~ q or, with probability a, z ~ p."""
        model, share = self.model, self.defensive
        wide = eps["which"] < share

        def chosen(a, b):
            return ops.where(ops.reshape(wide, (*ops.shape(wide), *[1] * (len(a.shape) - 2))), a, b)

        z = keras.tree.map_structure(chosen, model.prior(eps["q"]), model.propose(q, eps["q"], scale)[0])
        prior = model.log_prior(z)
        proposal = ops.logaddexp(model.log_q(q, z, scale) + np.log1p(-share), prior + np.log(share))
        return model.log_likelihood(x, z) + prior - proposal

    def noise(self, image: int, unit: int, name: str = "importance") -> dict:
        rng = placed(self.seed, name, unit, image)
        found = {"q": self.model.eps(UNIT, rng)}
        return found | ({"which": uniforms((UNIT,), rng)} if self.defensive else {})

    def sweep(self, valid: np.ndarray, draws: int, scales: list[float], kept: Kept | None = None) -> list[dict]:
        """The bound on validation images by the width of the proposal, a row for each."""
        some, draws = valid[:SWEPT], min(draws, SWEEP_DRAWS)
        found = [self.estimate(some, draws, scale, kept, name="sweep").log_prob for scale in scales]
        return [
            {"scale": scale, "draws": draws, "images": len(some), "log_prob": each}
            for scale, each in zip(scales, found, strict=True)
        ]

    def estimate(
        self, x: np.ndarray, draws: int, scale: float = 1.0, kept: Kept | None = None, progress=silent, name="importance"
    ) -> Estimates:
        """Encodes each image once; memory grows not with the number of images, and with draws by a few bytes for ten."""
        spec = self.model.spec
        cost = spec.dims * (spec.levels or 1)  # at most: floats that one draw for one image decodes
        block = max(size for size in (1, 10, 100) if size == 1 or (size <= draws // 10 and size * cost <= MEMORY))
        tile = max(1, min(64, TOGETHER // (block * cost)))

        def compute(index: np.ndarray) -> dict[str, np.ndarray]:
            images, sums = np.asarray(x[index]), Sums(draws, block, tile)
            q = self.posterior(images)
            for first in range(0, draws, block):
                if first % UNIT == 0:
                    made = [self.noise(int(image), first // UNIT, name) for image in index]
                    unit = keras.tree.map_structure(lambda *leaves: np.stack(leaves, axis=1), *made)
                at = first % UNIT
                eps = keras.tree.map_structure(lambda leaf, at=at: leaf[at : at + block], unit)
                sums.add(self.weigh(images, q, eps, np.float32(scale)).astype("float64"))
            return sums.finish()

        key = f"{name}-{float(scale)!r}-{self.defensive!r}-{draws}"
        found = tiles(key, len(x), tile, compute, {} if kept is None else kept, progress)
        curve = {int(name[2:]): found.pop(name) for name in [*found] if name.startswith("L_")}
        return Estimates(**found, curve=dict(sorted(curve.items())))


@cache
def counting(seed: int, name: str) -> np.random.Generator:
    return generator(seed, name)


def placed(seed: int, name: str, unit: int, image: int) -> np.random.Generator:
    """One generator, set to a place: Philox counts, so its counter may say where. New ones take a third of the draws' time."""
    rng = counting(seed, name)
    key = rng.bit_generator.state["state"]["key"]
    counter = np.array([0, unit, image, 0], "uint64")
    rng.bit_generator.state |= {"state": {"key": key, "counter": counter}, "buffer_pos": 4, "has_uint32": 0, "uinteger": 0}
    return rng


def best(sweep: list[dict]) -> float:
    """The width with the largest bound: all are lower bounds, so the largest is the tightest."""
    return max(sweep, key=lambda row: row["log_prob"].mean())["scale"]


def tail(draws: int) -> int:
    """How many of the largest weights count as their tail (Vehtari et al., JMLR 2024, https://arxiv.org/abs/1507.02646)."""
    return int(min(draws / 5, 3 * np.sqrt(draws)))


def pareto_k(largest: np.ndarray) -> float:
    """The shape of the tail's generalised Pareto distribution, from the five times as many largest log-weights."""
    if len(largest) < 25 or np.ptp(np.sort(largest)[-(len(largest) // 5) :]) == 0:
        return np.nan
    with np.errstate(all="ignore"):  # a tail of a few values over and over, as of discrete codes, has no such shape
        _, found = array_stats.psislw(-largest, r_eff=0.0)  # which then takes a fifth of what it is given for the tail
    return float(found)


class Sums:
    """Streaming log-sum-exp of the log-weights of one tile; `draws` may end inside the last block."""

    def __init__(self, draws: int, block: int, tile: int):
        self.draws, self.block = draws, block
        self.seen = 0
        self.total = np.zeros(tile)
        self.blocks: list[np.ndarray] = []  # log sum w of each block
        self.squares = np.full(tile, -np.inf)  # log sum w^2
        self.largest = np.empty((0, tile))  # the largest weights, and at times as many again
        self.small = {k: [] for k in CURVE if 1 < k < block}  # groups that lie inside a block

    def add(self, w: np.ndarray) -> None:
        w = w[: self.draws - self.seen]
        self.seen += len(w)
        self.total += w.sum(axis=0)
        pivot = np.maximum(w.max(axis=0), LEAST)
        scaled = np.exp(w - pivot)
        with np.errstate(divide="ignore"):  # the logarithm of no weight at all
            self.blocks.append(pivot + np.log(scaled.sum(axis=0)))
            self.squares = np.logaddexp(self.squares, 2 * pivot + np.log(np.square(scaled).sum(axis=0)))
        self.largest = np.concatenate([self.largest, w])
        if len(self.largest) > 2 * 5 * tail(self.draws) + self.block:
            self.largest = self.most()
        for k, groups in self.small.items():
            whole = w[: len(w) // k * k].reshape(-1, k, w.shape[1])
            groups.extend(logsumexp(whole, axis=1) - np.log(k))

    def most(self) -> np.ndarray:
        kept = max(1, 5 * tail(self.draws))
        return np.partition(self.largest, max(0, len(self.largest) - kept), axis=0)[-kept:]

    def finish(self) -> dict[str, np.ndarray]:
        blocks, largest = np.stack(self.blocks), self.most()
        total = logsumexp(blocks, axis=0)
        curve = {1: self.total / self.draws} | {k: np.mean(groups, axis=0) for k, groups in self.small.items()}
        for k in CURVE:
            if self.block <= k <= self.draws and k > 1:
                each = k // self.block
                whole = blocks[: self.draws // k * each].reshape(-1, each, blocks.shape[1])
                curve[k] = np.mean(logsumexp(whole, axis=1) - np.log(k), axis=0)
        curve[self.draws] = total - np.log(self.draws)
        return {
            "log_prob": total - np.log(self.draws),
            "elbo": self.total / self.draws,
            "variance": self.jackknife(blocks, total),
            "ess": np.exp(2 * total - self.squares),
            "max_weight": np.exp(largest.max(axis=0) - total),
            "pareto_k": np.array([pareto_k(each) for each in largest.T]),
            **{f"L_{k}": values for k, values in curve.items()},
        }

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

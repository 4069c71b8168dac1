"""Annealed importance sampling (Neal, 2001, https://arxiv.org/abs/physics/9803008) by Hamiltonian dynamics, and its reverse.

    f_b(z) = s(z)^(1 - b) p(x, z)^b,   0 = b_0 < ... < b_T = 1,   s = q(z | x) or p(z)
    log w = sum_t (b_t - b_{t-1}) (log p(x, z_{t-1}) - log s(z_{t-1})),   E w = p(x),   so E log mean w <= log p(x)

z_0 ~ s, and z_t comes from z_{t-1} by a move that leaves f_{b_t} as it is. Run backwards from an exact draw of p(z | x) the
weights estimate 1 / p(x), a bound on the other side: bidirectional Monte Carlo (Grosse, Ghahramani and Adams, 2015,
https://arxiv.org/abs/1511.02543). Exact draws exist for images that the model made itself, so there the gap between the two
says how good these settings are; it bounds nothing on real images.

A chain that tuned its own steps would be biased: steps are tuned on validation images by a pilot, then frozen, and every
reported chain has noise of its own. The noise belongs to (seed, image, chain, step).
"""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from scipy.special import expit, logsumexp

from pipeline import Refusal, backend
from pipeline.base import Latent, generator
from pipeline.evidence.tiles import Kept, silent, tiles

LEAPFROGS, SEGMENT, TOGETHER = 5, 50, 16  # steps of a trajectory; temperatures, and chains of an image, in a compiled call
CACHE, SPREAD = 2**20, 100  # floats that one call may decode; proposals that say how wide z is
ACCEPTED, RATE, FIRST = 0.65, 0.15, 0.3  # the share of moves to be accepted; how fast the pilot learns; its first step


@dataclass(frozen=True)
class Steps:
    """What the pilot found: temperatures b_0..b_T and the step at each of the last T, in units of the posterior's width."""

    betas: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True)
class Annealed:
    log_prob: np.ndarray  # per image: a lower bound on average, of the reverse an upper one
    variance: np.ndarray  # over the estimator's noise: a jackknife over chains, of the reverse given where these began
    accepted: np.ndarray  # the share of moves per temperature, over images and chains


def temperatures(count: int) -> np.ndarray:
    """Close together at both ends."""
    ends = expit(np.linspace(-4, 4, count + 1))
    return (ends - ends[0]) / (ends[-1] - ends[0])


def log_mean(log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of weights [M, N], and its jackknife variance over the M chains."""
    chains = len(log_weights)
    left_out = [logsumexp(np.delete(log_weights, m, axis=0), axis=0) - np.log(chains - 1) for m in range(chains)]
    return logsumexp(log_weights, axis=0) - np.log(chains), (chains - 1) * np.var(left_out, axis=0)


class Annealing:
    """The estimator for one model and seed. `scale`: of the variance of the q that chains start from; `prior`: they start from
    p(z) instead, s(z) above."""

    def __init__(self, model: Latent, seed: int, chains: int, scale: float = 1.0, prior: bool = False):
        if type(model).log_q is Latent.log_q and not prior:
            raise Refusal("annealing: chains start from the posterior, and this model's cannot score what is not its own draw")
        self.model, self.seed, self.chains, self.scale = model, seed, chains, scale
        self.prior = prior
        cost = model.spec.dims * (model.spec.levels or 1)
        self.group = max((size for size in range(2, TOGETHER + 1) if chains % size == 0), default=chains)
        self.tile = max(1, min(32, CACHE // (self.group * cost)))
        self.begin = backend.compiled(self.started)
        self.forward = backend.compiled(lambda *given: self.segment(*given, back=False), fused=True)
        self.backward = backend.compiled(lambda *given: self.segment(*given, back=True), fused=True)

    def started(self, x, start, many):
        """q, how wide draws of s are, and z ~ s for each chain."""
        q = self.model.posterior(x)
        draws, z = (self.model.prior(eps) if self.prior else self.model.propose(q, eps, self.scale)[0] for eps in (many, start))
        return q, keras.tree.map_structure(lambda leaf: ops.std(leaf, axis=0), draws), z

    def segment(self, x, q, width, z, betas, sizes, rate, noise, back: bool):
        """Some temperatures of all chains: z, their log-weights [M, B], what was accepted [S, B], the steps used [S].

        `rate`: how fast sizes follow what is accepted; 0 for whatever is reported.
        """
        model = self.model

        def known(z):
            """log s and log p(x, .) at z [M, B], and their gradients."""
            begun = model.log_prior if self.prior else lambda z: model.log_q(q, z, self.scale)
            start, towards_start = backend.value_and_gradient(begun, z)
            joint, towards_joint = backend.value_and_gradient(lambda z: model.log_prior(z) + model.log_likelihood(x, z), z)
            return start, joint, towards_start, towards_joint

        def tempered(point, beta):
            start, joint, *gradients = point
            return (1.0 - beta) * start + beta * joint, keras.tree.map_structure(
                lambda a, b: (1.0 - beta) * a + beta * b, *gradients
            )

        def kinetic(momentum):
            return sum(0.5 * ops.sum(ops.square(p), axis=tuple(range(2, len(p.shape)))) for p in keras.tree.flatten(momentum))

        def moved(z, point, beta, size, step):
            """One trajectory from z, accepted or not: what leaves f_beta as it is."""
            length = size * (0.5 + step["length"])  # lengths vary, or a trajectory might come back to where it began

            def along(a, b, share):
                return keras.tree.map_structure(lambda a, b, w: a + share * _like(length, a) * w * b, a, b, width)

            def leap(_, carry):
                z, momentum, _ = carry
                z = along(z, momentum, 1.0)
                point = known(z)
                return z, along(momentum, tempered(point, beta)[1], 1.0), point

            before, slope = tempered(point, beta)
            momentum = step["momentum"]
            there, ends, found = ops.fori_loop(0, LEAPFROGS, leap, (z, along(momentum, slope, 0.5), point))
            after, slope = tempered(found, beta)
            ends = along(ends, slope, -0.5)
            gain = after - kinetic(ends) - before + kinetic(momentum)
            accepted = ops.log(step["accept"]) < gain  # what is not a number is not

            def kept(new, old):
                return ops.where(_like(accepted, new), new, old)

            # Leaf by leaf, since log s and log p are one number per chain and z has more.
            z, point = keras.tree.map_structure(kept, there, z), keras.tree.map_structure(kept, found, point)
            return z, point, ops.mean(ops.cast(accepted, "float32"), axis=0)

        def one(s, carry):
            z, point, weights, drift, accepted, used = carry
            size = ops.exp(drift) * sizes[s]
            step = keras.tree.map_structure(lambda leaf: leaf[s], noise)
            change = betas[s + 1] - betas[s]
            if not back:
                weights = weights + change * (point[1] - point[0])
            z, point, share = moved(z, point, betas[s if back else s + 1], size, step)
            if back:
                weights = weights + change * (point[1] - point[0])
            accepted = ops.slice_update(accepted, (s, 0), share[None])
            used = ops.slice_update(used, (s,), size[None])
            return z, point, weights, drift + rate * (ops.mean(share) - ACCEPTED), accepted, used

        count, tile = sizes.shape[0], x.shape[0]
        empty = (ops.zeros((self.group, tile)), ops.zeros(()), ops.zeros((count, tile)), ops.zeros((count,)))
        z, _, weights, _, accepted, used = ops.fori_loop(0, count, one, (z, known(z), *empty))
        return z, weights, accepted, used

    def noise(self, name: str, index: np.ndarray, groups: np.ndarray, part: int, z) -> dict:
        """Of the temperatures of one call, for each chain of each image's group: leaves [S, M, B, ...]."""
        shapes = keras.tree.map_structure(lambda leaf: leaf.shape[2:], z)

        def made(image: int, chain: int):
            rng = generator(self.seed, name, image, chain, part)
            return {
                "momentum": keras.tree.map_shape_structure(
                    lambda shape: rng.standard_normal((SEGMENT, *shape), "float32"), shapes
                ),
                "length": rng.random(SEGMENT, "float32"),
                "accept": 1.0 - rng.random(SEGMENT, "float32"),  # above 0, at most 1
            }

        rows = [[made(int(i), int(g) * self.group + m) for m in range(self.group)] for i, g in zip(index, groups, strict=True)]
        each = [keras.tree.map_structure(lambda *leaves: np.stack(leaves, axis=1), *chains) for chains in rows]
        return keras.tree.map_structure(lambda *leaves: np.stack(leaves, axis=2), *each)

    def run(self, name: str, x: np.ndarray, index: np.ndarray, groups: np.ndarray, steps: Steps, rate=0.0, exact=None):
        """One tile: log-weights [M, B], accepted [T, B], steps used [T]. `exact`: draws of p(z | x) to go back from."""

        def begun(i: int, group: int):
            eps = self.model.eps(self.chains, generator(self.seed, name, "start", i))
            return keras.tree.map_structure(lambda leaf: leaf[group * self.group :][: self.group], eps)

        start = [begun(int(i), int(group)) for i, group in zip(index, groups, strict=True)]
        many = [self.model.eps(SPREAD, generator(self.seed, name, "width", int(i))) for i in index]
        start, many = (keras.tree.map_structure(lambda *a: np.stack(a, axis=1), *each) for each in (start, many))
        q, width, z = self.begin(x, start, many)
        if exact is not None:
            z = keras.tree.map_structure(lambda leaf: np.repeat(np.asarray(leaf)[None], self.group, axis=0), exact)
        betas, sizes = (steps.betas, steps.sizes) if exact is None else (steps.betas[::-1], steps.sizes[::-1])
        count = len(sizes)
        over = -count % SEGMENT  # the last call is filled up with temperatures that change nothing
        betas, sizes = (np.concatenate([each, np.repeat(each[-1:], over)]).astype("float32") for each in (betas, sizes))
        weights, accepted, used = 0.0, [], []
        segment = self.forward if exact is None else self.backward
        for part, at in enumerate(range(0, count, SEGMENT)):
            noise = self.noise(name, index, groups, part, z)
            noise["accept"][count - at :] = np.inf
            if rate and used:
                sizes[at : at + SEGMENT] *= used[-1][-1] / sizes[at]  # the pilot goes on from where it is
            given = (betas[at : at + SEGMENT + 1], sizes[at : at + SEGMENT], np.float32(rate))
            z, gained, share, size = segment(x, q, width, z, *given, noise)
            weights = weights + gained.astype("float64")
            accepted.append(share)
            used.append(size)
        return weights, np.concatenate(accepted)[:count], np.concatenate(used)[:count]

    def pilot(self, valid: np.ndarray, count: int, kept: Kept | None = None) -> Steps:
        """Once through the temperatures on validation images, after some moves at the first one to find a step there."""
        betas, before = temperatures(count), max(SEGMENT, count // 10)
        steps = Steps(np.concatenate([np.zeros(before), betas]), np.full(before + count, FIRST))
        images = np.arange(self.tile) % len(valid)

        def compute(_) -> dict[str, np.ndarray]:
            return {"used": self.run("pilot", np.asarray(valid[images]), images, 0 * images, steps, RATE)[2][None]}

        used = tiles(self.key("pilot", count), 1, 1, compute, {} if kept is None else kept)["used"][0]
        width = max(1, count // 20)
        padded = np.pad(np.log(used[before:]), (width // 2, width - 1 - width // 2), mode="edge")
        return Steps(betas, np.exp(np.convolve(padded, np.full(width, 1 / width), mode="valid")))

    def key(self, name: str, count: int) -> str:
        return f"{name}-{self.prior}-{self.chains}-{float(self.scale)!r}-{count}"

    def estimate(self, x: np.ndarray, steps: Steps, name="annealing", kept: Kept | None = None, progress=silent) -> Annealed:
        """The lower bound."""
        return self.bound(x, steps, name, None, {} if kept is None else kept, progress)

    def reverse(self, x: np.ndarray, z, steps: Steps, kept: Kept | None = None, progress=silent) -> Annealed:
        """The upper bound, for images x and exact draws z ~ p(z | x), leaves [N, ...]."""
        return self.bound(x, steps, "reverse", z, {} if kept is None else kept, progress)

    def bound(self, x, steps, name, exact, kept, progress) -> Annealed:
        sign, each = (1.0 if exact is None else -1.0), self.chains // self.group

        def compute(rows: np.ndarray) -> dict[str, np.ndarray]:
            index, groups = np.divmod(rows, each)
            z = None if exact is None else keras.tree.map_structure(lambda leaf: np.asarray(leaf)[index], exact)
            weights, accepted, _ = self.run(name, np.asarray(x[index]), index, groups, steps, exact=z)
            accepted = accepted if exact is None else accepted[::-1]
            return {"weights": weights.T, "accepted": accepted.T}

        key, told = self.key(name, len(steps.sizes)), lambda done, left: progress(done // each, left)
        found = tiles(key, each * len(x), self.tile, compute, kept, told)
        log_prob, variance = log_mean(np.ascontiguousarray(found["weights"].reshape(len(x), self.chains).T))
        return Annealed(sign * log_prob, variance, found["accepted"].mean(axis=0))


def _like(value, leaf):
    """[M, B] with as many axes as the leaf [M, B, ...]; a scalar as it is."""
    return ops.reshape(value, (*value.shape, *[1] * (len(leaf.shape) - len(value.shape))))

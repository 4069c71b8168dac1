"""Models with a map of discrete codes: a bound from one code map, and log p(x) itself where all can be summed.

log p(x) = log sum_z p(z) p(x | z) >= log p(x | z_q(x)) + log p(z_q(x))
"""

import time

import numpy as np
from scipy.special import logsumexp

from pipeline import Refusal, backend
from pipeline.base import Discrete
from pipeline.evidence.exact import in_chunks

MOST = 1_000_000  # code maps that are summed at most
TILE = 2**24  # floats that one compiled call may compare with images


def bound(model: Discrete, x: np.ndarray) -> np.ndarray:
    """log p(x | z_q(x)) + log p(z_q(x)) of each image."""

    def one(x):
        z = model.quantise(x)[None]
        return (model.log_likelihood(x, z) + model.log_prior(z))[0]

    return in_chunks(one, x)


def enumerated(model: Discrete, x: np.ndarray, progress=lambda done, left: None) -> np.ndarray:
    """log p(x) of each image: every code map is decoded once and compared with every image; sums run in float64."""
    count = model.codes**model.sites
    if count > MOST:
        raise Refusal(f"evidence.<name>.enumeration: {model.codes}^{model.sites} code maps are more than {MOST:,}")
    cost = len(x) * model.spec.dims * (model.spec.levels or 1)
    chunk = int(min(count, max(1, TILE // cost)))
    weigh = backend.compiled(lambda x, z: model.log_likelihood(x, z[:, None]) + model.log_prior(z[:, None]))
    x, total, started = np.asarray(x), np.full(len(x), -np.inf), time.monotonic()
    for first in range(0, count, chunk):
        index = np.arange(first, first + chunk)
        maps = np.unravel_index(np.minimum(index, count - 1), (model.codes,) * model.sites)
        w = weigh(x, np.stack(maps, axis=-1).astype("int32"))[index < count].astype("float64")
        total = np.logaddexp(total, logsumexp(w, axis=0))
        done = min(first + chunk, count)
        if done % (chunk * 50) == 0 or done == count:
            progress(len(x) * done // count, (time.monotonic() - started) / done * (count - done))
    return total

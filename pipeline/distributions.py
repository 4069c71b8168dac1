"""Log-densities and divergences, in nats, a few lines each."""

import math

import numpy as np
from keras import ops

LOG_2PI = math.log(2.0 * math.pi)
ROW = 64  # factors of at least 1/2: 2^-64 is no trouble for float32, 2^-128 would be


def standard_normal(z):
    """log N(z; 0, I) summed over the last axis."""
    return -0.5 * ops.sum(ops.square(z) + LOG_2PI, axis=-1)


def normal(x, mean, log_var):
    """log N(x; mean, exp(log_var)), element by element."""
    return -0.5 * (ops.square(x - mean) * ops.exp(-log_var) + log_var + LOG_2PI)


def kl_to_standard_normal(mean, log_var):
    """KL(N(mean, exp(log_var)) || N(0, 1)) per dimension (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (ops.square(mean) + ops.exp(log_var) - log_var - 1.0)


def kl_of_normals(q, p):
    """KL(q || p), each a mean and a log-variance, per dimension."""
    return 0.5 * (ops.exp(q[1] - p[1]) + ops.square(q[0] - p[0]) * ops.exp(-p[1]) - q[1] + p[1] - 1.0)


def product_of_normals(one, other):
    """The density that is proportional to the product of two, each a mean and a log-variance."""
    log_var = -ops.logaddexp(-one[1], -other[1])
    return one[0] * ops.exp(log_var - one[1]) + other[0] * ops.exp(log_var - other[1]), log_var


# log erfc(u) = log t - u^2 + polynomial(t), t = 1 / (1 + u / 2), u >= 0: a Chebyshev fit whose relative error stays below
# 1.2e-7 arbitrarily far in the tail (Press et al., Numerical Recipes, section 6.2), where 1 - erf underflows.
ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)


def log_normal_cdf(x):
    """log Phi(x), accurate in both tails, with finite gradients."""
    u = ops.where(x > 0, x, -x) * math.sqrt(0.5)  # |x|, but with a slope at 0
    t = 1.0 / (1.0 + 0.5 * u)
    polynomial = ops.zeros_like(t)
    for coefficient in reversed(ERFC):
        polynomial = polynomial * t + coefficient
    left = ops.log(t) - ops.square(u) + polynomial - math.log(2.0)  # log Phi(-|x|)
    return ops.where(x > 0, ops.log1p(-ops.exp(ops.minimum(left, -math.log(2.0) * 0.999))), left)


def log_normal_mass(low, high):
    """log(Phi(high) - Phi(low)), low < high, without cancellation: an interval in the right tail is mirrored to the left."""
    mirror = low + high > 0
    a, b = ops.where(mirror, -high, low), ops.where(mirror, -low, high)
    log_a, log_b = log_normal_cdf(a), log_normal_cdf(b)
    gap = ops.minimum(log_a - log_b, -1e-7)  # log of 1 - exp(gap) must stay finite
    return log_b + ops.where(gap > -0.69, ops.log(-ops.expm1(gap)), ops.log1p(-ops.exp(gap)))


def normal_quantile(uniform):
    """The standard normal's inverse distribution function of u in (0, 1)."""
    return math.sqrt(2.0) * ops.erfinv(2.0 * uniform - 1.0)


def cell_edges(levels: int) -> np.ndarray:
    """Where one level ends and the next begins, on the scale [-1, 1]."""
    half = 1.0 / (levels - 1)
    return np.arange(1, levels, dtype="float32") * (2.0 * half) - 1.0 - half


def log_sigmoids(t):
    """log s(t) summed over an image, and its gradient: log s(t) = min(t, 0) + log s(|t|), and s(|t|) >= 1/2, so that a row's
    may be multiplied.

    One logarithm per row then; TensorFlow's softplus takes as long as half of a decoder's matrix products.
    """
    width = t.shape[-2]
    near = ops.sigmoid(ops.abs(t))
    rows = [ops.prod(near[..., first : first + ROW, :], axis=-2) for first in range(0, width, ROW)]
    found = ops.sum(ops.minimum(t, 0.0), axis=(-3, -2, -1)) + sum(ops.sum(ops.log(row), axis=(-2, -1)) for row in rows)

    def gradient(*given, upstream=None):
        upstream = given[0] if upstream is None else upstream
        return ops.reshape(upstream, (*ops.shape(upstream), 1, 1, 1)) * ops.sigmoid(-t)

    return found, gradient


def relaxed(logits, uniform, temperature):
    """y [..., K] on the simplex; where it is largest is an exact draw of the categorical distribution."""
    gumbel = -ops.log(-ops.log(uniform))
    return ops.softmax((logits + gumbel) / temperature, axis=-1)


SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of distances that count, in units of what two normal draws are apart


def multiquadratics(a, b):
    """k(a_i, b_j) = sum_s s C / (s C + |a_i - b_j|^2), C = 2 d [n, m]: heavy tails, so that what is far off is still pulled."""
    squared = ops.sum(ops.square(a), axis=-1)[:, None] + ops.sum(ops.square(b), axis=-1) - 2.0 * ops.matmul(a, ops.transpose(b))
    c = 2.0 * a.shape[-1]
    return sum(s * c / (s * c + ops.maximum(squared, 0.0)) for s in SCALES)


def squared_mmd(a, b):
    """The squared distance of two distributions, from n draws of each [n, d]: unbiased, and so below 0 by chance where they
    are the same; 0 of one draw, of which nothing can be said (A. Gretton et al., JMLR 2012, equation 3)."""
    n = ops.cast(ops.shape(a)[0], "float32")
    pairs = n * (n - 1.0)
    inside = ops.sum(multiquadratics(a, a)) + ops.sum(multiquadratics(b, b)) - 2.0 * n * len(SCALES)  # k(a, a) = len(SCALES)
    found = inside / ops.maximum(pairs, 1.0) - 2.0 * ops.mean(multiquadratics(a, b))
    return ops.where(pairs > 0.0, found, 0.0)


def uniforms(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """float32 in the open interval (0, 1)."""
    return ((rng.integers(0, 2**23, shape) + 0.5) / 2**23).astype("float32")

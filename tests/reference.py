"""PixelCNN a second time, in numpy and float64, from the docstrings and the papers: what pipeline/causal is compared with.

Of the layers it takes nothing but their weights. A convolution is written as a sum over what each tap of it sees, so that
no padding, mask or order of axes is shared with what is tested.
"""

import numpy as np
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def relu(x):
    return np.maximum(x, 0)


def gate(pair):
    a, b = np.split(pair, 2, axis=-1)
    return np.tanh(a) * expit(b)


def moved(x, down: int, right: int):
    """At each position of x [B, H, W, .] what lies so far below and to the right of it, zeros outside."""
    height, width = x.shape[1:3]
    padded = np.pad(x, ((0, 0), (abs(down),) * 2, (abs(right),) * 2, (0, 0)))
    return padded[:, abs(down) + down :, abs(right) + right :][:, :height, :width]


def numbers(weight):
    return np.asarray(weight, "float64")


def dense(layer, x):
    found = x @ numbers(layer.kernel)
    return found + numbers(layer.bias) if layer.use_bias else found


def conv(layer, x, taps: list):
    """`taps`: (row and column of the kernel, how far down and right it looks)."""
    kernel = numbers(layer.kernel)
    return sum(moved(x, down, right) @ kernel[a, b] for a, b, down, right in taps) + numbers(layer.bias)


def gated(stack, inputs, h):
    r = stack.reach
    v = conv(stack.above, inputs, [(a, b, a - r, b - r) for a in range(r) for b in range(2 * r + 1)])
    u = conv(stack.left, inputs, [(0, b, 0, b - r) for b in range(r)])
    for n in range(len(stack.out)):
        pair = conv(stack.vertical[n], elu(v), [(a, b, a - 1, b - 1) for a in range(2) for b in range(3)])
        v = v + gate(pair + (0 if h is None else dense(stack.condition["vertical"][n], h)))
        pair = conv(stack.horizontal[n], elu(u), [(0, b, 0, b - 1) for b in range(2)]) + dense(stack.down[n], v)
        u = u + dense(stack.out[n], gate(pair + (0 if h is None else dense(stack.condition["horizontal"][n], h))))
    return u


def before(reach: int, centre: bool) -> list:
    """The taps of a masked kernel: all rows above, then the columns to the left, and with mask B the centre."""
    square = [(a, b) for a in range(reach) for b in range(2 * reach + 1)] + [(reach, b) for b in range(reach + centre)]
    return [(a, b, a - reach, b - reach) for a, b in square]


def plain(stack, inputs, h):
    u = conv(stack.first, inputs, before(stack.reach, False))
    for n in range(len(stack.wide)):
        a = conv(stack.masked[n], relu(dense(stack.narrow[n], relu(u))), before(1, True))
        u = u + dense(stack.wide[n], relu(a + (0 if h is None else dense(stack.condition[n], h))))
    return u


def params(network, x, h=None):
    """[B, H, W, outputs] of p(x_i | x_<i, h), h [B, H or 1, W or 1, D]."""
    levels, x = network.spec.levels, np.asarray(x)
    known = x * (2.0 / (levels - 1)) - 1.0
    inputs = [known, np.ones_like(known[..., :1])] + ([] if levels == 2 else [(x == 0).astype(float)])
    h = None if h is None else np.asarray(h, "float64")
    stack = {"Gated": gated, "Plain": plain}[type(network.stack).__name__]
    hidden = dense(network.head.hidden, elu(stack(network.stack, np.concatenate(inputs, axis=-1), h)))
    told = [0, *(dense(layer, known[..., :n]) for n, layer in enumerate(network.head.earlier, 1))]
    return np.concatenate([dense(o, elu(hidden + t)) for o, t in zip(network.head.out, told, strict=True)], axis=-1)


def told(likelihood, found, x):
    """log p(x_i | ...) [B, H, W], and where on [0, 1] one level ends and the next begins [B, H, W, C, levels - 1].

    Each channel is given those before it in x.
    """
    found, x, levels = np.asarray(found, "float64"), np.asarray(x, int), likelihood.spec.levels
    kind = type(likelihood).__name__
    if kind == "LogisticMixture":
        return mixture(likelihood, found, x)
    logits = np.stack([np.zeros_like(found), found], axis=-1) if kind == "Bernoulli" else found.reshape(*x.shape, levels)
    log_p = np.take_along_axis(log_softmax(logits, axis=-1), x[..., None], axis=-1)[..., 0]
    return log_p.sum(-1), np.cumsum(softmax(logits, axis=-1), axis=-1)[..., :-1]


def mixture(likelihood, found, x):
    parts = np.split(found, likelihood.outputs // likelihood.width, axis=-1)
    levels, channels = likelihood.spec.levels, x.shape[-1]
    weights, value, cuts = log_softmax(parts[0], axis=-1), x * (2.0 / (levels - 1)) - 1.0, []
    edges = (np.arange(levels - 1) + 0.5) * (2.0 / (levels - 1)) - 1.0
    for c in range(channels):
        mean, s = parts[1 + c], np.exp(np.maximum(parts[1 + channels + c], -7.0))
        for e in range(c):
            mean = mean + np.tanh(parts[1 + 2 * channels + c * (c - 1) // 2 + e]) * value[..., e, None]
        share = softmax(weights, axis=-1)
        cuts.append((share[..., None] * expit((edges - mean[..., None]) / s[..., None])).sum(-2))
        low = np.concatenate([[-np.inf], edges])[x[..., c]][..., None]
        high = np.concatenate([edges, [np.inf]])[x[..., c]][..., None]
        mirror = np.where(low + high > 2 * mean, -1.0, 1.0)  # to the left tail, where the difference is not one of ones
        outer, inner = np.sort([log_expit(mirror * (low - mean) / s), log_expit(mirror * (high - mean) / s)], axis=0)
        weights = weights + inner + np.log1p(-np.exp(outer - inner))
    return logsumexp(weights, axis=-1), np.stack(cuts, axis=-2)


def ends(likelihood, found, x):
    return told(likelihood, found, x)[1]


def log_probs(network, x, h=None):
    """[B, H, W]."""
    return told(network.likelihood, params(network, x, h), x)[0]


def chosen(likelihood, cuts, uniform):
    """The level that each uniform number means; of two levels the upper one is at the lower end."""
    if type(likelihood).__name__ == "Bernoulli":
        return (uniform < 1.0 - cuts[..., 0]).astype(int)
    return (uniform[..., None] >= cuts).sum(-1)


def margin(likelihood, cuts, uniform):
    """How far each uniform number is from where it would have meant another level."""
    if type(likelihood).__name__ == "Bernoulli":
        return np.abs(uniform - (1.0 - cuts[..., 0]))
    return np.abs(uniform[..., None] - cuts).min(-1)


def sample(network, uniform, h=None):
    """Pixel by pixel and channel by channel, a whole network for each; and the least margin of all decisions."""
    x, least = np.zeros(uniform.shape, int), 1.0
    for i, j, c in np.ndindex(uniform.shape[1:]):
        at = (slice(None), slice(i, i + 1), slice(j, j + 1))
        cuts = ends(network.likelihood, params(network, x, h)[at], x[at])
        x[:, i, j, c] = chosen(network.likelihood, cuts, uniform[at])[:, 0, 0, c]
        least = min(least, margin(network.likelihood, cuts, uniform[at])[..., c].min())
    return x, least

"""Lossless coding of images with a model's own probabilities: how long a file they make, and whether it opens again.

Bits back with asymmetric numeral systems (J. Townsend, T. Bird and D. Barber, ICLR 2019, https://arxiv.org/abs/1901.04866): the
stream is a stack, and an image is put on it in three steps, of which the first takes off what the next image gets back:

    z off with q(z | x),   x on with p(x | z),   z on with p(z):   log q(z | x) - log p(x | z) - log p(z),   on average -ELBO

Every number of z lies in one of BUCKETS cells of equal mass under p(z) = N(0, I), and stands for the middle of that mass;
q(z | x) is what its normal distribution has in each of these cells. The first image has nothing to take off: its bits are lent.
A z is fairly drawn if the bits that it is made of are; they are mostly those of the z before. So a cell's number is put on as
so many further, modulo BUCKETS, as a random number says that the decoder knows: it costs nothing, and then they are.

With p(x) = prod_i p(x_i | x_<i) there is nothing to take off. Pixels are decoded in order, each of all images at once, so they
are put on from last to first.

The coder (R. Bamler 2022, https://arxiv.org/abs/2201.01741) makes tables of whole numbers of the probabilities, none of them 0.
Encoder and decoder have to give it the same ones, to the last bit: so both ask the network the same question in the same shape,
one image here, one pixel of all images there, with nought in place of all that is not decoded yet.
"""

import constriction
import numpy as np
from keras import ops
from scipy.special import ndtr, ndtri

from pipeline import backend
from pipeline.base import generator

BUCKETS = 2**12
IMAGES = 500  # at most: the decoder waits for one before it can begin with the next
SIDE = 8  # of images that are coded pixel by pixel, at most: the network runs once for each
LENT = 64  # words of 32 bits
DRAWS = 64  # of z for the mean that the length is compared with
NATS = np.log(2.0)

EDGES = ndtri(np.arange(BUCKETS + 1) / BUCKETS)
MIDDLES = ndtri((np.arange(BUCKETS) + 0.5) / BUCKETS)
TABLE = constriction.stream.model.Categorical(perfect=False)
UNIFORM = constriction.stream.model.Uniform(BUCKETS)


def simple(model) -> bool:
    """Does its likelihood give each number of an image a table of its own?"""
    return model.likelihood_name in ("bernoulli", "categorical")


def shares(likelihood, params):
    """Of the levels [..., H, W, C, levels]."""
    if likelihood.spec.levels == 2 and likelihood.width == 1:
        one = likelihood.mean(params)
        return ops.stack([1.0 - one, one], axis=-1)
    return likelihood.shares(params)


def put(coder, symbols: np.ndarray, tables: np.ndarray) -> None:
    """symbols [n] with tables [n, how many there are], on top of the stack; `take` gives them back."""
    coder.encode_reverse(symbols.astype("int32"), TABLE, np.ascontiguousarray(tables, "float64"))


def take(coder, tables: np.ndarray) -> np.ndarray:
    return coder.decode(TABLE, np.ascontiguousarray(tables, "float64"))


def cells(q: dict) -> np.ndarray:
    """What q(z | x) of one image has in each cell [d, BUCKETS]."""
    mean, deviation = np.asarray(q["mean"][0], "float64"), np.exp(0.5 * np.asarray(q["log_var"][0], "float64"))
    z = (EDGES - mean[:, None]) / deviation[:, None]
    low, high = z[:, :-1], z[:, 1:]
    return np.where(low > 0, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))  # in the right tail both are nearly 1


class BitsBack:
    """One stream of images of a model with q(z | x) = N(mu, diag s^2) and p(z) = N(0, I)."""

    def __init__(self, model, lent: np.ndarray):
        self.model, self.coder, self.count = model, constriction.stream.stack.AnsCoder(lent, True), 0
        self.posterior = backend.compiled(model.posterior)
        self.decoder = backend.compiled(lambda x, z: shares(model.likelihood, model.parameters(x, z)))
        self.blank = np.zeros((1, *model.spec.shape), "uint8")

    @property
    def bits(self) -> int:
        return self.coder.num_valid_bits()

    def pixels(self, index: np.ndarray) -> np.ndarray:
        """[H W C, levels]."""
        found = self.decoder(self.blank, MIDDLES[index][None].astype("float32"))
        return found.reshape(-1, found.shape[-1])

    def further(self) -> np.ndarray:
        return generator(0, "further", self.count).integers(0, BUCKETS, self.model.latent)

    def encode(self, x: np.ndarray) -> np.ndarray:
        """x [H, W, C]; the z that was chosen for it [d]."""
        index = take(self.coder, cells(self.posterior(x[None])))
        put(self.coder, x.ravel(), self.pixels(index))
        self.coder.encode_reverse(((index + self.further()) % BUCKETS).astype("int32"), UNIFORM)
        self.count += 1
        return MIDDLES[index]

    def decode(self) -> np.ndarray:
        """The image that came last."""
        self.count -= 1
        index = (self.coder.decode(UNIFORM, self.model.latent) - self.further()) % BUCKETS
        x = take(self.coder, self.pixels(index)).reshape(self.model.spec.shape).astype("uint8")
        put(self.coder, index, cells(self.posterior(x[None])))
        return x


def bits_back(model, x: np.ndarray) -> dict[str, float]:
    """Encodes and decodes x [N, H, W, C]: `images` that came back, where the stream did, too; its `net` bits, `lent` those
    that the first image took off; `one`, what the model says of x and the z that were chosen, and `bound`, the mean over all
    z, with its standard error for one draw of each, `bound_se`; all of N images together."""
    lent = generator(0, "lent").integers(0, 2**32, LENT, dtype="uint32")
    stream = BitsBack(model, lent)
    before, first = stream.bits, stream.coder.clone()
    take(first, cells(stream.posterior(x[:1])))
    z = np.stack([stream.encode(each) for each in x])
    net = stream.bits - before
    again = np.stack([stream.decode() for _ in x])[::-1]
    same = np.array_equal(stream.coder.get_compressed(), [*lent, 1])  # the coder marks the end with a 1
    eps = model.eps(DRAWS * len(x), generator(0, "bits back"))
    eps = {name: leaf.reshape(DRAWS, len(x), *leaf.shape[1:]) for name, leaf in eps.items()}
    log_w = backend.compiled(model.log_weights)(x, eps).astype("float64") / NATS
    return {
        "images": int(np.all(again == x, axis=(1, 2, 3)).sum()) if same else 0,
        "net": net,
        "lent": before - first.num_valid_bits(),
        "one": -chosen(model, x, z.astype("float32")).sum(),
        "bound": -log_w.mean(axis=0).sum(),
        "bound_se": float(np.sqrt(log_w.var(axis=0, ddof=1).sum() * (1 + 1 / DRAWS))),
    }


def chosen(model, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """log p(x, z) - log q(z | x) in bits [N], of one z [d] for each."""

    def weigh(x, z):
        return model.log_likelihood(x, z[None]) + model.log_prior(z[None]) - model.log_q(model.posterior(x), z[None])

    return backend.compiled(weigh)(x, z)[0].astype("float64") / NATS


def told(model):
    """What its network says of each pixel [N, H, W, 1, levels], of those before it."""
    return backend.compiled(lambda x: shares(model.network.likelihood, model.network(x)))


def conditionals(network, x: np.ndarray):
    """Of pixel after pixel of x [N, H, W, 1], what the network, which sees no pixel from there on, says of it [N, levels]."""
    seen = np.zeros_like(x)
    for i, j in np.ndindex(x.shape[1:3]):
        yield (i, j), network(seen)[:, i, j, 0]
        seen[:, i, j] = x[:, i, j]


def pixel_by_pixel(model, x: np.ndarray) -> dict[str, float]:
    """Encodes and decodes x [N, H, W, 1]: `images` that came back, `net` bits, `nll` in bits, all together."""
    coder = constriction.stream.stack.AnsCoder()
    network = told(model)
    for (i, j), tables in reversed(list(conditionals(network, x))):
        put(coder, x[:, i, j, 0], tables)
    bits, again = coder.num_valid_bits(), np.zeros_like(x)
    for (i, j), tables in conditionals(network, again):  # which sees what is filled in here
        again[:, i, j, 0] = take(coder, tables)
    nll = -float(np.sum(backend.compiled(model.log_prob)(x), dtype="float64")) / NATS
    return {"images": int(np.all(again == x, axis=(1, 2, 3)).sum()) if coder.is_empty() else 0, "net": bits, "nll": nll}

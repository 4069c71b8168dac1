"""Three models with a known likelihood, written here: the estimators know the protocol and nothing else."""

import zlib

import keras
import numpy as np
import scipy.stats
from keras import ops

from pipeline.base import Exact, Latent, Spec, Trainable
from pipeline.distributions import standard_normal


def place(seed: int, image: int, unit: int) -> np.random.Generator:
    """Where the noise of a hundred draws for an image is, among all that Philox can count under the seed's key."""
    key = np.random.SeedSequence([seed, zlib.crc32(b"importance")]).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, unit, image, 0]))


class Gaussian(Trainable, Latent):
    """z ~ N(0, I), x = W z + N(0, s^2): log p(x) is known. Proposes from the prior, deliberately poorly."""

    likelihood_name = "normal"

    def __init__(self, weights: np.ndarray, deviation: float):
        super().__init__(Spec((len(weights), 1, 1), None))
        self.weights_, self.deviation = weights.astype("float32"), deviation

    def terms(self, x, eps, y=None, training=False):
        return {"loss": -self.log_weights(x, {"z": eps["z"][None]})[0]}

    def eps(self, n, rng):
        return {"z": rng.standard_normal((n, self.weights_.shape[1]), "float32")}

    def noise(self, n, rng):
        return self.eps(n, rng)

    def sample(self, noise, y=None):
        return ops.matmul(noise["z"], self.weights_.T)[..., None, None]

    def posterior(self, x, y=None):
        return {"zero": ops.zeros((ops.shape(x)[0], self.weights_.shape[1]))}

    def propose(self, q, eps, scale=1.0):
        z = q["zero"] + ops.sqrt(scale) * eps["z"]
        return z, standard_normal(eps["z"]) - 0.5 * self.weights_.shape[1] * ops.log(scale)

    def prior(self, eps):
        return eps["z"]

    def log_prior(self, z):
        return standard_normal(z)

    def log_likelihood(self, x, z, y=None):
        error = (ops.reshape(x, (ops.shape(x)[0], -1)) - ops.matmul(z, self.weights_.T)) / self.deviation
        return standard_normal(error) - self.weights_.shape[0] * np.log(self.deviation)

    def encode(self, x, y=None):
        return self.posterior(x)["zero"]

    def decode(self, code, y=None):
        return ops.matmul(code, self.weights_.T)[..., None, None]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        covariance = self.weights_ @ self.weights_.T + self.deviation**2 * np.eye(len(self.weights_))
        return scipy.stats.multivariate_normal(np.zeros(len(covariance)), covariance).logpdf(x.reshape(len(x), -1))


class Halves(Gaussian):
    """`Gaussian` with z in two parts, one of them a matrix, in a dict: nothing in an estimator may mind."""

    def eps(self, n, rng):
        return {"a": rng.standard_normal((n, 1), "float32"), "b": rng.standard_normal((n, 1, 1), "float32")}

    def whole(self, z):
        return ops.concatenate([z["a"], z["b"][..., 0]], axis=-1)

    def propose(self, q, eps, scale=1.0):
        z = keras.tree.map_structure(lambda leaf: ops.sqrt(scale) * leaf, eps)
        return z, self.log_q(q, z, scale)

    def log_q(self, q, z, scale=1.0):
        wide = ops.sqrt(ops.cast(scale, "float32"))
        return standard_normal(self.whole(z) / wide) - 2 * ops.log(wide)

    def prior(self, eps):
        return {"a": eps["a"], "b": eps["b"]}

    def log_prior(self, z):
        return standard_normal(self.whole(z))

    def log_likelihood(self, x, z, y=None):
        return super().log_likelihood(x, self.whole(z))

    def sample(self, noise, y=None):
        return super().sample({"z": self.whole(noise)}) + self.deviation * noise["x"]

    def noise(self, n, rng):
        return {**self.eps(n, rng), "x": rng.standard_normal((n, len(self.weights_), 1, 1), "float32")}


class Coins(Trainable, Exact):
    """Independent fair coins: log p = -D log 2."""

    likelihood_name = "bernoulli"

    def __init__(self):
        super().__init__(Spec((2, 2, 1), 2))

    def terms(self, x, eps, y=None, training=False):
        return {"loss": -self.log_prob(x)}

    def noise(self, n, rng):
        return {"x": rng.random((n, 2, 2, 1), "float32")}

    def sample(self, noise, y=None):
        return ops.cast(noise["x"] < 0.5, "uint8")

    def log_prob(self, x, y=None):
        return ops.zeros((ops.shape(x)[0],)) - 4 * np.log(2.0)

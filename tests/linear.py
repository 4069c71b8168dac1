"""Latent models whose decoder is linear and whose likelihood is Gaussian: the posterior and log p(x) are known."""

import numpy as np

from pipeline import models
from pipeline.evidence import integral

SPEC = {"shape": [6, 1, 1], "levels": None, "classes": None}
NETWORK = {"latent": 3, "body": "dense", "widths": [], "likelihood": "normal"}


class Known:
    """A model of the latent family with a linear encoder, whose decoder is set: x = z W + b + N(0, v).

    p(z | x) = N(mean, precision^-1), mean = x `kernel` + `bias`.
    """

    def __init__(self, name: str, **network):
        rng = np.random.default_rng(0)
        self.model = models.build("latent", name, SPEC, NETWORK | network, 0)
        weights, shift, variance = 1 + 0.5 * rng.standard_normal((3, 6)), rng.standard_normal(6), 0.5  # z_i much alike
        self.model.decoder.set_weights([weights, shift])
        self.model.likelihood.log_variance.assign(np.log(variance))
        self.precision = np.eye(3) + weights @ weights.T / variance
        self.kernel = weights.T @ np.linalg.inv(self.precision) / variance
        self.bias = -shift @ self.kernel
        z, noise = rng.standard_normal((40, 3)), rng.standard_normal((40, 6))
        self.x = (z @ weights + shift + variance**0.5 * noise).reshape(40, 6, 1, 1).astype("float32")
        self.truth = integral.gaussian(self.model, self.x)
        self.eps = {"z": rng.standard_normal((4000, 40, 3)).astype("float32")}

    @property
    def factor(self) -> np.ndarray:
        """L of the exact posterior's covariance L L^T."""
        return np.linalg.cholesky(np.linalg.inv(self.precision))

    @property
    def independent_gap(self) -> float:
        """log p(x) less the bound of the best posterior whose dimensions are independent."""
        return 0.5 * float(np.log(np.diag(self.precision)).sum() - np.linalg.slogdet(self.precision)[1])

    def encode(self, kernel: np.ndarray, bias: np.ndarray, *rest: np.ndarray) -> None:
        """The encoder: an affine mean, then numbers that are the same for every image."""
        constant = np.concatenate([np.ravel(each) for each in rest])
        still = np.zeros((len(kernel), len(constant)))
        self.model.encoder.set_weights([np.concatenate([kernel, still], axis=1), np.concatenate([bias, constant])])

    def log_weights(self) -> np.ndarray:
        return np.asarray(self.model.log_weights(self.x, self.eps))


def within(found: np.ndarray, truth: np.ndarray, errors: float = 4.0) -> bool:
    """Means over images and draws [k, B] agree with those of the images [B], all images together."""
    off = (found - truth).mean(axis=1)
    return abs(off.mean()) < errors * off.std(ddof=1) / len(off) ** 0.5

"""The conventions and the protocol, stated once.

x is an image batch [B, H, W, C]. With `levels`, x holds integers 0..levels-1 and a log-probability is that of the discrete
image (measure "mass"); without, x is real and the number is a density (measure "density"). The two never share a column.
Log-probabilities are in nats, per image, [B]; a loss is minimised; `elbo` is a lower bound; nothing is averaged before the
end. Noise is an argument: a model draws nothing itself but dropout in training, so that chunks, restarts, workers and backends
cannot change which noise an image gets. State moves only inside a layer's `call` with training=True.
"""

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import keras
import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from keras import ops

# What constructor arguments may be; schema.py turns signatures into the schema of params.yaml.
Count = Annotated[int, Ge(1), Le(1_000_000)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True)
class Spec:
    """What the data decide. shape (H, W, C); levels per channel or None for real values; classes or None."""

    shape: tuple[int, int, int]
    levels: int | None
    classes: int | None = None

    @classmethod
    def of(cls, meta: dict) -> "Spec":
        return cls(tuple(meta["shape"]), meta["levels"], meta["classes"])

    @property
    def dims(self) -> int:
        return int(np.prod(self.shape))

    @property
    def measure(self) -> str:
        return "density" if self.levels is None else "mass"

    def scaled(self, x):
        """x as a network likes it: [-1, 1] for levels, as it is for real values; float32."""
        x = ops.cast(x, "float32")
        return x if self.levels is None else x * (2.0 / (self.levels - 1)) - 1.0

    def unscaled(self, x):
        """Back from `scaled`, neither rounded nor clipped: the units of x."""
        x = ops.cast(x, "float32")
        return x if self.levels is None else (x + 1.0) * ((self.levels - 1) / 2.0)


def generator(seed: int, *name: str | int) -> np.random.Generator:
    """A numpy generator that belongs to a seed and a name, so that a draw added elsewhere changes nothing here."""
    words = [part if isinstance(part, int) else zlib.crc32(part.encode()) for part in (seed, *name)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


class Trainable(keras.Model):
    """Anything with a loss per image. What is trained in parts names these in `phases`; `phase` is what `terms` is about."""

    phases: tuple[str, ...] = ("train",)

    def __init__(self, spec: Spec):
        super().__init__(dtype="float32")  # its layers may compute in less; noise, images and log-probabilities do not
        self.spec, self.phase = spec, self.phases[-1]

    def moves(self, phase: str) -> list[keras.layers.Layer]:
        """The layers, among the model's own, that learn in a phase."""
        return list(self.layers)

    def enter(self, phase: str) -> None:
        """From now on `terms` is about this phase, and only what learns in it is trainable."""
        self.phase, moving = phase, self.moves(phase)
        for layer in self.layers:
            layer.trainable = any(layer is each for each in moving)

    def adapt(self, x: np.ndarray, y: np.ndarray | None, rng: np.random.Generator) -> None:
        """Once, before the first step, with all training images: k-means, data-dependent initial weights."""

    def eps(self, n: int, rng: np.random.Generator) -> dict:
        """The noise that scoring n images takes: a dict of float32 arrays [n, ...], empty where none is needed."""
        return {}

    def training_noise(self, n: int, rng: np.random.Generator) -> dict:
        """That which `terms` takes, in training and in validation."""
        return self.eps(n, rng)

    def gates(self, images) -> list[dict]:
        """What it has to show, trained, on images of data/store.py: rows that gates.py makes. Imports what only it needs."""
        return []

    @abstractmethod
    def terms(self, x, eps: dict, y=None, training: bool = False) -> dict:
        """{"loss": [B], then what it is made of, each [B]}: minimised with training=True; reported and selected without."""

    # Keras's hooks, final: `fit` minimises the mean loss and averages every term over images.
    def call(self, batch: dict, training: bool = False):
        return self.terms(batch["x"], batch.get("eps", {}), batch.get("y"), training)

    def build(self, batch_shapes) -> None:
        """Nothing to do: `start` has called the layers. Keras warns of a model without this method."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(y_pred["loss"])

    def start(self, batch: dict) -> None:
        """Create all weights and one mean per term of any phase."""
        names = {}
        for phase in self.phases:  # builds the layers but not yet this one, which then may have no new state
            self.phase = phase
            names |= self.call(batch)
        self.means = {name: keras.metrics.Mean(name=name) for name in names if name != "loss"}
        self(batch)

    def compute_metrics(self, x, y, y_pred, sample_weight=None) -> dict:
        for name in y_pred:
            if name != "loss":
                self.means[name].update_state(y_pred[name])
        found = self.get_metrics_result()
        return {name: found[name] for name in y_pred}


class Encodes(ABC):
    @abstractmethod
    def encode(self, x, y=None):
        """The code of each image [B, d]; of a stochastic encoder, its mean."""

    @abstractmethod
    def decode(self, code, y=None):
        """The mean image of each code [B, H, W, C], in the units of x."""

    def reconstruct(self, x, y=None):
        """The mean of p(x' | z) at the code of x."""
        return self.decode(self.encode(x, y), y)


class Samples(ABC):
    @abstractmethod
    def noise(self, n: int, rng: np.random.Generator) -> dict:
        """All that `sample` needs to be a function: a dict of float32 arrays [n, ...]."""

    @abstractmethod
    def sample(self, noise: dict, y=None):
        """x ~ p(x), images of the data's own kind, not means."""


class Density(Samples):
    likelihood_name: str  # which p(x | ...) the number is about, in words
    bound = False  # True where E[exp w] < p(x)
    conditional = False  # True where p(x | y) is another number than p(x); without y, p(x) is meant

    def warnings(self, x) -> list[str]:
        """What a reader of the number has to know, in words, found on the images x."""
        return []

    @abstractmethod
    def log_weights(self, x, eps: dict, y=None):
        """w [k, B] from eps with leaves [k, B, ...]: E[exp w] = p(x), or below it where `bound` says so."""


class Exact(Density):
    @abstractmethod
    def log_prob(self, x, y=None):
        """log p(x) [B]."""

    def log_weights(self, x, eps: dict, y=None):
        return self.log_prob(x, y)[None]


class Autoregressive(Exact):
    """p(x) = prod_i p(x_i | x_<i), pixels in raster order."""

    @abstractmethod
    def log_probs(self, x, y=None):
        """log p(x_i | x_<i) of each pixel [B, H, W]; they sum to log_prob."""

    def log_prob(self, x, y=None):
        return ops.sum(self.log_probs(x, y), axis=(1, 2))

    @abstractmethod
    def complete(self, noise: dict, x, rows: int, y=None):
        """x ~ p(x | its first `rows` rows)."""


class Latent(Density, Encodes):
    """p(x) = integral of p(z) p(x | z). z, q and eps may be trees; here leading axes [k, B] are written out once. `sample`
    draws x ~ p(x | z) at z = prior(noise), so that (z, x) is a pair whose z is an exact draw from p(z | x)."""

    dequantises = False  # True where z holds the levels of its image, so that no other z belongs to it

    @abstractmethod
    def posterior(self, x, y=None):
        """What q(z | x) is made of, once per image; leaves [B, ...]."""

    @abstractmethod
    def propose(self, q, eps: dict, scale: float = 1.0):
        """z ~ q with its variance times `scale`, and log q(z | x) [k, B]; eps has leaves [k, B, ...]."""

    def log_q(self, q, z, scale: float = 1.0):
        """log q(z | x) [k, B] of any z, as `propose` draws them; None where only its own draws can be scored."""
        return None

    @abstractmethod
    def prior(self, eps: dict):
        """z ~ p(z), from the same noise that `propose` takes."""

    @abstractmethod
    def log_prior(self, z):
        """log p(z) [k, B]."""

    @abstractmethod
    def log_likelihood(self, x, z, y=None):
        """log p(x | z) [k, B]; x [B, H, W, C]."""

    def kl(self, q):
        """KL(q(z | x) || p(z)) per image and dimension [B, d], where there is a closed form."""
        return None

    def rates(self, q, z, log_q):
        """That KL [1, B, d], or where there is no closed form what it is the mean of, whole or by parts of z [k, B, parts]."""
        return ops.expand_dims(log_q - self.log_prior(z), -1) if (kl := self.kl(q)) is None else kl[None]

    def weigh(self, x, q, eps: dict, y=None, scale: float = 1.0):
        """log p(x, z) - log q(z | x) [k, B] for z proposed from q."""
        z, log_q = self.propose(q, eps, scale)
        return self.log_likelihood(x, z, y) + self.log_prior(z) - log_q

    def log_weights(self, x, eps: dict, y=None):
        return self.weigh(x, self.posterior(x, y), eps, y)


class Discrete(Latent):
    """z is a map of codes, int32 [..., sites] in {0..codes-1}. The proposal is wider the higher its temperature `scale`."""

    codes: int
    grid: tuple[int, int]  # rows and columns of the map

    @property
    def sites(self) -> int:
        return self.grid[0] * self.grid[1]

    @abstractmethod
    def quantise(self, x):
        """The one code map that an image is given [B, sites]: log p(x | z) + log p(z) <= log p(x) there."""

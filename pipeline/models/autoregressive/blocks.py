"""What autoregressive models share: p(x) as a mean over the classes where the model was trained given the class."""

import numpy as np
from keras import ops

from pipeline import Refusal
from pipeline.base import Autoregressive, Trainable
from pipeline.distributions import uniforms


class AutoregressiveModel(Trainable, Autoregressive):
    """loss = -log p(x), or -log p(x | y) where `conditional`. There, p(x) = sum_y p(y) p(x | y) with the classes' shares.

    conditional: whether the class of an image is given to the network
    """

    def __init__(self, spec, likelihood_name: str, conditional: bool):
        super().__init__(spec)
        if conditional and not spec.classes:
            raise Refusal("network.conditional: these images have no classes")
        self.likelihood_name, self.conditional = likelihood_name, conditional
        if conditional:
            self.shares = self.add_weight(name="shares", shape=(spec.classes,), initializer="ones", trainable=False)

    def adapt(self, x, y, rng):
        if self.conditional:
            counts = np.bincount(y, minlength=self.spec.classes) + 1.0  # a class that is absent is not impossible
            self.shares.assign(counts / counts.sum())

    def told(self, y):
        """The class as a condition [B, 1, 1, classes], or None."""
        return ops.one_hot(ops.cast(y, "int32"), self.spec.classes)[:, None, None] if self.conditional else None

    def terms(self, x, eps, y=None, training=False):
        return {"loss": -ops.sum(self.network.log_probs(x, self.told(y), training=training), axis=(1, 2))}

    def log_shares(self):
        return ops.log(self.shares / ops.sum(self.shares))

    def given_each_class(self, x):
        """log p(x_i | x_<i, y) for every y [B, classes, H, W]."""
        (batch, height, width, _), classes = x.shape, self.spec.classes
        told = self.told(ops.tile(ops.arange(classes), [batch]))
        return ops.reshape(self.network.log_probs(ops.repeat(x, classes, axis=0), told), (batch, classes, height, width))

    def log_probs(self, x, y=None):
        """Without y, p(x_i | x_<i) is a mean over the classes, weighted by what the pixels before say of them."""
        if not self.conditional or y is not None:
            return self.network.log_probs(x, self.told(y))
        each = self.given_each_class(x)
        upto = ops.cumsum(ops.reshape(each, (*each.shape[:2], -1)), axis=-1)
        joint = ops.logsumexp(self.log_shares()[:, None] + upto, axis=1)
        return ops.reshape(joint - ops.pad(joint[:, :-1], ((0, 0), (1, 0))), x.shape[:3])

    def warnings(self, x):
        """Is the likelihood's scale as small as it may be? Of a conditional model, given one class after the other."""
        y = ops.arange(ops.shape(x)[0]) % (self.spec.classes or 1)
        return self.network.likelihood.warnings(self.network(x, self.told(y)))

    def noise(self, n: int, rng: np.random.Generator) -> dict:
        return {"x": uniforms((n, *self.spec.shape), rng), "y": uniforms((n,), rng)}

    def sample(self, noise, y=None):
        return self.network.sample(noise["x"], self.told(self.drawn(noise, y)))

    def complete(self, noise, x, rows, y=None):
        return self.network.sample(noise["x"], self.told(self.drawn(noise, y, x, rows)), x, rows)

    def drawn(self, noise, y, x=None, rows=0):
        """A class by its share, or by what the first rows of x say of it, where none is given."""
        if not self.conditional or y is not None:
            return y
        weights = self.log_shares()[None]
        if x is not None:
            seen = ops.cast(ops.arange(x.shape[1])[:, None] < rows, "float32")
            weights = weights + ops.sum(self.given_each_class(x) * seen, axis=(2, 3))
        ends = ops.cumsum(ops.softmax(weights, axis=-1), axis=-1)[:, :-1]
        return ops.sum(ops.cast(noise["y"][:, None] >= ends, "int32"), axis=-1)

"""Fully visible sigmoid belief network: every pixel a logistic regression on the pixels before it.
R. M. Neal, Artificial Intelligence 56 (1992), https://doi.org/10.1016/0004-3702(92)90065-6
B. J. Frey, G. E. Hinton and P. Dayan, Does the wake-sleep algorithm produce good density estimators?, NeurIPS 1995

    p(x) = prod_i p(x_i | x_<i),   p(x_i = 1 | x_<i) = s(b_i + sum_{j < i} w_ij x_j)
    training   min  -mean log p(x) + penalty / 2 sum w_ij^2

With a penalty that is strictly convex in w: there is one model, whoever trains it, but for the biases of pixels that training
images have one way only, which never come to rest. Without one it learns images by heart.
"""

import numpy as np
from keras import ops

from pipeline import nn
from pipeline.base import NonNegative
from pipeline.models.autoregressive.blocks import BinaryChain

DIMENSIONS = 100  # at most, of images that are also given to scikit-learn
APART = 0.05  # nats that it may differ by


class Model(BinaryChain):
    """penalty: half of it times the squared weights is added to the loss in training"""

    def __init__(self, spec, *, penalty: NonNegative = 0.0):
        super().__init__(spec)
        self.penalty = penalty
        self.regressions = nn.Masked(spec.dims, spec.dims)
        self.before = np.triu(np.ones((spec.dims, spec.dims), "float32"), 1)  # from pixel j, a row, to i, a column: j < i

    def logits(self, x):
        return self.regressions(x, self.before)

    def terms(self, x, eps, y=None, training=False):
        loss = -self.log_prob(x)
        if training and self.penalty:
            loss = loss + 0.5 * self.penalty * ops.sum(ops.square(self.regressions.kernel * self.before))
        return {"loss": loss}

    def gates(self, images):
        """Is it the chain that scikit-learn finds? Of pixels that training images have either way."""
        from pipeline.gates import at_most, logistic_chain

        if not self.penalty or images.redraw is not None or self.spec.dims > DIMENSIONS:
            return []
        train, test = (np.reshape(split.x, (len(split.x), -1)) for split in (images.train, images.test))
        theirs = logistic_chain(train, test, self.penalty)
        ours = np.asarray(ops.mean(ops.softplus((1.0 - 2.0 * test) * self.logits(test.astype("float32"))), axis=0))
        off = abs(np.sum((ours - theirs)[~np.isnan(theirs)]))
        return [at_most("|NLL of test images - that of scikit-learn's logistic regressions|, nats", off, APART)]

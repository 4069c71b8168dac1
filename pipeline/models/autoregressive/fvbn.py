"""Fully visible sigmoid belief network: every pixel a logistic regression on the pixels before it.
R. M. Neal, Artificial Intelligence 56 (1992), https://doi.org/10.1016/0004-3702(92)90065-6
B. J. Frey, G. E. Hinton and P. Dayan, Does the wake-sleep algorithm produce good density estimators?, NeurIPS 1995

    p(x) = prod_i p(x_i | x_<i),   p(x_i = 1 | x_<i) = s(b_i + sum_{j < i} w_ij x_j)

The loss is convex; `training.weight_decay` keeps it from learning the training images by heart.
"""

import numpy as np

from pipeline import nn
from pipeline.models.autoregressive.blocks import BinaryChain


class Model(BinaryChain):
    def __init__(self, spec):
        super().__init__(spec)
        self.regressions = nn.Masked(spec.dims, spec.dims)
        self.before = np.triu(np.ones((spec.dims, spec.dims), "float32"), 1)  # from pixel j, a row, to i, a column: j < i

    def logits(self, x):
        return self.regressions(x, self.before)

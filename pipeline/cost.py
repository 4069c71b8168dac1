"""What a model costs: multiply-adds of its matrix products and convolutions, counted while it runs once on one image.

Nothing else is counted, as neither activations nor sums decide. A step of training is taken for three times its loss: on the
way back each product is needed once for the gradient of its input and once for that of its weights. That is too much where a
part is frozen, a Markov chain is run or a codebook follows averages, as no gradient goes there. What a batch's images have to
do with one another, the kernel of an MMD, is counted as in a batch of one. A gradient in the loss itself is taken for twice
what it is the gradient of.
"""

from collections.abc import Callable
from contextlib import contextmanager
from unittest import mock

import keras
import keras.src.ops  # what Keras's own layers call; keras.ops is what ours call
import numpy as np

from pipeline import backend

THERE_AND_BACK = 3


def multiply_adds(function: Callable, *arguments) -> int:
    """Of function(*arguments); what is compiled inside is counted when it is first traced only, so nothing may be."""
    with counting() as counts:
        function(*arguments)
    return sum(counts)


def of_step(model, x: np.ndarray, y: np.ndarray | None, batch_size: int) -> int:
    """Of a step in the model's present phase: the cost is the same for each image."""
    eps = model.training_noise(1, np.random.default_rng(0))
    kept = [np.array(variable) for variable in model.variables]  # a loss of training moves clocks, codebooks and seeds
    try:
        found = multiply_adds(lambda: model.terms(x[:1], eps, None if y is None else y[:1], training=True))
    finally:
        for variable, value in zip(model.variables, kept, strict=True):
            variable.assign(value)
    return found * batch_size * THERE_AND_BACK


def _product(a, b, found) -> int:
    return np.size(found) * a.shape[-1]


def _convolution(x, kernel, found) -> int:
    return np.size(found) * int(np.prod(kernel.shape[:-1]))


def _transposed(x, kernel, found) -> int:
    return np.size(x) * int(np.prod(kernel.shape[:-1]))


COUNTED = {"matmul": _product, "conv": _convolution, "conv_transpose": _transposed}
UNKNOWN = ("dot", "einsum", "tensordot", "depthwise_conv", "separable_conv", "scan", "while_loop")  # rather loud than wrong


@contextmanager
def counting():
    """The list that the cost of each operation is added to."""
    counts: list[int] = []

    def counted(name: str) -> Callable:
        plain = getattr(keras.ops, name)

        def call(a, b, *others, **named):
            found = plain(a, b, *others, **named)
            counts.append(COUNTED[name](a, b, found))
            return found

        return call

    def refused(name: str) -> Callable:
        def call(*others, **named):
            raise NotImplementedError(f"pipeline/cost.py does not know yet what {name} costs")

        return call

    def once(lower, upper, body, state):
        """Every turn of a loop costs the same, so one is enough; what comes out has the right shape and means nothing."""
        turns, before = int(upper) - int(lower), len(counts)
        if turns > 0:
            state = body(lower, state)
            counts.append((turns - 1) * sum(counts[before:]))
        return state

    def twice(function, z):
        """The way back to z takes each product once more."""
        before = len(counts)
        found = slope(function, z)
        counts.append(sum(counts[before:]))
        return found

    slope = backend.value_and_gradient
    changed = {name: counted(name) for name in COUNTED} | {name: refused(name) for name in UNKNOWN} | {"fori_loop": once}
    ours, keras_own = (mock.patch.multiple(each, **changed) for each in (keras.ops, keras.src.ops))
    with ours, keras_own, mock.patch.object(backend, "value_and_gradient", twice):
        yield counts

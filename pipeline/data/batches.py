"""Batches as functions of (seed, epoch, step): the order of the images, their redrawing and the model's noise."""

from collections.abc import Iterator

import keras
import numpy as np

from pipeline.base import Trainable, generator
from pipeline.data.store import Split

TOGETHER, VALIDATION = 50, 500  # steps of a call of training, at most; images of a batch of validation
BYTES = 2**26  # that the batches of a call may have, where it is more than one


class Training:
    """Every epoch another order, in whole batches; the few images left over differ from epoch to epoch."""

    def __init__(self, split: Split, model: Trainable, seed: int, size: int, redraw: int | None = None):
        self.split, self.model, self.seed, self.redraw = split, model, seed, redraw
        self.size = min(size, len(split.x))
        self.steps = len(split.x) // self.size
        self.enter(1)
        heavy = sum(leaf.nbytes for leaf in keras.tree.flatten(self.step(0)))
        self.together = max(1, min(TOGETHER, BYTES // heavy))

    @property
    def calls(self) -> int:
        """Of an epoch."""
        return -(-self.steps // self.together)

    def enter(self, epoch: int, done: int = 0) -> None:
        """Begin an epoch, counted from 1, of which some steps were done before."""
        self.epoch, self.done, self.at = epoch, done, 0
        self.order = generator(self.seed, "order", epoch).permutation(len(self.split.x))

    def take(self) -> list[dict]:
        """The next call's batches but for those that were done before."""
        first, self.at = self.at, min(self.at + self.together, self.steps)
        return [self.step(step) for step in range(max(first, self.done), self.at)]

    def step(self, step: int) -> dict:
        # Sorted, since a memory-mapped file is read faster in its own order and a batch has none.
        chosen = np.sort(self.order[step * self.size : (step + 1) * self.size])
        rng = generator(self.seed, "batch", self.epoch, step)
        x = self.split.x[chosen]
        if self.redraw:
            x = (rng.random(x.shape, "float32") * self.redraw < x).astype("uint8")
        return batch(x, self.model.training_noise(len(x), rng), self.split.y, chosen)


def validation(split: Split, model: Trainable, seed: int) -> Iterator[dict]:
    """All images in their own order, with the same noise at every epoch, so that epochs can be compared."""
    for number, first in enumerate(range(0, len(split.x), VALIDATION)):
        chosen = slice(first, first + VALIDATION)
        x = np.asarray(split.x[chosen])
        yield batch(x, model.training_noise(len(x), generator(seed, "validation", number)), split.y, chosen)


def batch(x: np.ndarray, eps: dict, y: np.ndarray | None, chosen) -> dict:
    """Keras takes neither None nor an empty dict as a part of a batch."""
    labels = {} if y is None else {"y": np.asarray(y[chosen], "int32")}
    return {"x": x} | ({"eps": eps} if eps else {}) | labels

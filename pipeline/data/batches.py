"""Batches as functions of (seed, epoch, step): the order of the images, their redrawing and the model's noise."""

from collections.abc import Iterator

import keras
import numpy as np

from pipeline.base import Trainable, generator
from pipeline.data.store import Split

TOGETHER, VALIDATION = 50, 500  # steps of an item of training; images of a batch of validation


class Training(keras.utils.PyDataset):
    """Every epoch another order, in whole batches; the few images left over differ from epoch to epoch.

    On TensorFlow an item is many steps, one above the other, see backend.many_steps; on JAX it is one. `epoch`, `first`: epochs
    that were done before, and steps of the next one.
    """

    def __init__(
        self, split: Split, model: Trainable, seed: int, size: int, redraw: int | None = None, epoch: int = 0, first: int = 0
    ):
        super().__init__()
        self.split, self.model, self.seed, self.redraw = split, model, seed, redraw
        self.size = min(size, len(split.x))
        self.steps = len(split.x) // self.size
        self.call = TOGETHER  # steps that are looked after together
        self.together = self.call if keras.backend.backend() == "tensorflow" else 1
        self.epoch, self.first, self.begun = epoch, first, False
        self.shuffle()

    def __len__(self) -> int:
        """Keras takes what it is at first for the length of every epoch."""
        return -(-(self.steps - (self.first if self.begun else 0)) // self.together)

    def shuffle(self) -> None:
        self.order = generator(self.seed, "order", self.epoch).permutation(len(self.split.x))

    def on_epoch_end(self) -> None:  # Keras calls it once before the first epoch, too, which so is epoch 1
        self.epoch += 1
        if self.begun:
            self.first = 0
        self.begun = True
        self.shuffle()

    def __getitem__(self, item: int):
        first = item * self.together + (self.first if self.begun else 0)
        if keras.backend.backend() != "tensorflow":
            return (self.step(first),)
        some = [self.step(step) for step in range(first, min(first + self.together, self.steps))]
        return (keras.tree.map_structure(lambda *leaves: np.stack(leaves), *some),)

    def step(self, step: int) -> dict:
        # Sorted, since a memory-mapped file is read faster in its own order and a batch has none.
        chosen = np.sort(self.order[step * self.size : (step + 1) * self.size])
        rng = generator(self.seed, "batch", self.epoch, step)
        x = self.split.x[chosen]
        if self.redraw:
            x = (rng.random(x.shape, "float32") * self.redraw < x).astype("uint8")
        return batch(x, self.model.eps(len(x), rng), self.split.y, chosen)


def validation(split: Split, model: Trainable, seed: int) -> Iterator[dict]:
    """All images in their own order, with the same noise at every epoch, so that epochs can be compared."""
    for number, first in enumerate(range(0, len(split.x), VALIDATION)):
        chosen = slice(first, first + VALIDATION)
        x = np.asarray(split.x[chosen])
        yield batch(x, model.eps(len(x), generator(seed, "validation", number)), split.y, chosen)


def batch(x: np.ndarray, eps: dict, y: np.ndarray | None, chosen) -> dict:
    """Keras takes neither None nor an empty dict as a part of a batch."""
    labels = {} if y is None else {"y": np.asarray(y[chosen], "int32")}
    return {"x": x} | ({"eps": eps} if eps else {}) | labels

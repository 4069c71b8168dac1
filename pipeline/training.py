"""Training: Keras's `fit` on batches that are functions of (seed, epoch, step); keeps the weights of the best epoch.

A checkpoint holds all that moves: weights and averages, codebooks, seeds, the optimizer's slots, the means of the epoch so far,
the history, the best weights. As a batch follows from its step, training that goes on from one makes the bytes of training that
never stopped.
"""

import json
import math
import time
from collections.abc import Callable, Iterable, MutableMapping
from typing import Annotated, Literal

import keras
import numpy as np
from annotated_types import Gt, Lt

from pipeline import Refusal, backend, sharing
from pipeline.base import Count, Fraction, NonNegative, Positive, Trainable, generator
from pipeline.data.batches import Training, validation
from pipeline.data.store import Images, training_images

SECONDS_BETWEEN = 2.0  # checkpoints, at least,
SHARE_OF_TIME = 0.05  # and they may not take more than this


def fit(
    model: Trainable,
    images: Images,
    seed: int,
    phase: str = "train",
    kept: MutableMapping | None = None,
    *,
    epochs: Count,
    batch_size: Count,
    learning_rate: Annotated[float, Gt(0), Lt(10)],
    schedule: Literal["constant", "cosine"] = "constant",
    warmup: Fraction = 0.0,
    clip_norm: Positive | None = None,
    weight_decay: NonNegative = 0.0,
    averaging: Annotated[float, Gt(0), Lt(1)] | None = None,
) -> list[dict]:
    """The history of one phase, a row per epoch; `model` is left with the weights whose validation loss was least.

    `kept`: where checkpoints are put, under the phase's name, and looked for.

    epochs: passes over the training images
    batch_size: images per step
    learning_rate: of Adam, at its highest
    schedule: constant, or cosine: falls to 1 % of the learning rate over the run
    warmup: the share of all steps in which the rate rises linearly before
    clip_norm: the largest norm of all gradients together; null: any
    weight_decay: decoupled, as in AdamW; of all weights but biases and learned variances
    averaging: the momentum of a moving average of the weights, which is then what is validated and kept; null: none
    """
    kept = {} if kept is None else kept
    found = kept.get(phase)
    at = json.loads(str(found["at"])) if found else {"epoch": 0, "step": 0, "rows": []}
    batches = Training(images.train, model, seed, batch_size, images.redraw)
    if phase == model.phases[0] and not found:
        model.adapt(training_images(images), images.train.y, generator(seed, "adapt"))
    model.enter(phase)
    if at["epoch"] == epochs:
        put(found, {"model": model.variables})
        return at["rows"]
    rate = learning_rates(learning_rate, schedule, warmup, epochs * batches.steps)
    optimizer = Adam(
        rate,
        global_clipnorm=clip_norm,
        weight_decay=weight_decay or None,
        use_ema=averaging is not None,
        ema_momentum=averaging or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "log_variance"])
    model.compile(optimizer, jit_compile=keras.backend.backend() == "jax")
    optimizer.build(model.trainable_variables)  # now, not in the first step, so that a checkpoint finds the slots
    watch = Watch(epochs, batches, lambda: validation(images.valid, model, seed), kept, phase, at, found)
    average = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if averaging else []
    try:
        backend.fit(model, batches, initial_epoch=at["epoch"], epochs=epochs, callbacks=[*average, watch])
    except FloatingPointError as error:
        why = blame(model, batches, kept[phase], watch.epoch) or error
        raise Refusal(f"training: {why}: try a smaller learning_rate") from None
    model.set_weights(watch.best_weights)
    kept[phase] = take({"model": model.variables}) | {"at": written(epochs, 0, watch.rows)}
    return watch.rows


class Adam(keras.optimizers.Adam):
    """Whose update is one pass over all weights: else it is a dozen operations for each, and half of an MLP's step."""

    def apply(self, grads, trainable_variables=None):
        for gradient, weight in zip(grads, trainable_variables or self._trainable_variables, strict=True):
            if gradient is None:
                raise Refusal(f"training: the loss does not depend on {weight.path}, which is to learn in this phase")
        backend.fused(lambda grads: super(Adam, self).apply(grads, trainable_variables), list(grads))


def learning_rates(peak: float, schedule: str, warmup: float, steps: int):
    if schedule == "constant" and not warmup:
        return peak
    rising = round(warmup * steps)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rising else peak,
        max(1, steps - rising),
        alpha=(0.01 if schedule == "cosine" else 1.0),
        warmup_target=peak if rising else None,
        warmup_steps=rising,
    )


def moving(model: Trainable) -> dict[str, list]:
    """All variables that a step changes."""
    return {"model": model.variables, "optimizer": model.optimizer.variables, "means": model.metrics_variables}


def take(variables: dict[str, list]) -> dict[str, np.ndarray]:
    return {f"{name}.{i}": np.array(each) for name, some in variables.items() for i, each in enumerate(some)}


def put(state: dict[str, np.ndarray], variables: dict[str, list]) -> None:
    for name, some in variables.items():
        for i, each in enumerate(some):
            each.assign(state[f"{name}.{i}"])


def written(epoch: int, step: int, rows: list[dict]) -> np.ndarray:
    """Where training is, as JSON, which keeps every bit of a float."""
    return np.array(json.dumps({"epoch": epoch, "step": step, "rows": rows}))


def blame(model: Trainable, batches: Training, state: dict[str, np.ndarray], last: int) -> str | None:
    """Which step made a number that is none, and of what: goes there again from a checkpoint, a step at a time."""
    put(state, moving(model))
    at = json.loads(str(state["at"]))
    for epoch in range(at["epoch"] + 1, last + 2):  # batches count them from 1
        batches.enter(epoch)
        for step in range(at["step"] if epoch == at["epoch"] + 1 else 0, batches.steps):
            terms = model.train_on_batch(batches.step(step), return_dict=True)
            where = f"in step {step + 1} of epoch {batches.epoch}"
            terms["loss"] = terms.pop("loss")  # last, as it is bad as soon as one of the others is
            bad = [f"{name} became {value}" for name, value in terms.items() if not math.isfinite(value)]
            if bad:
                return f"{' and '.join(bad)} {where}"
            for weight in model.trainable_variables:
                if not np.isfinite(np.asarray(weight)).all():
                    return f"the gradient of {weight.path} was not finite {where}, though the loss was {terms['loss']:.6g}"
    return None


class Watch(keras.callbacks.Callback):
    """A row and a line per epoch; remembers the best weights; keeps checkpoints; stops at the first number that is none."""

    def __init__(
        self,
        epochs: int,
        batches: Training,
        valid: Callable[[], Iterable[dict]],
        kept: MutableMapping,
        phase: str,
        at: dict,
        found: dict | None,
    ):
        super().__init__()
        self.epochs, self.batches, self.steps, self.valid = epochs, batches, batches.steps, valid
        self.kept, self.phase = kept, phase
        self.rows, self.began, self.first = at["rows"], at["epoch"], at["step"]
        self.best = min((row["valid_loss"] for row in self.rows), default=math.inf)
        self.goes_on_from = found

    def on_train_begin(self, logs=None):
        self.started = self.due = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        if self.goes_on_from:  # here, since Keras has just set the means to nought
            self.go_on(self.goes_on_from)
        else:
            self.first = 0
            self.keep(0)
        self.batches.enter(epoch + 1, self.first)

    def go_on(self, state: dict[str, np.ndarray]) -> None:
        self.goes_on_from = None
        put(state, moving(self.model))
        if self.rows:
            self.best_weights = [state[f"best.{i}"] for i in range(len(self.model.weights))]
        print(f"goes on after step {self.first} of {self.steps} of epoch {self.epoch + 1}", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        step = min((batch + 1) * self.batches.together, self.steps)
        for name, value in logs.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} became {value} up to step {step} of epoch {self.epoch + 1}")
        if self.first < step < self.steps:
            self.keep(step)

    def keep(self, step: int) -> None:
        """A checkpoint, if it is time for one."""
        began = time.monotonic()
        if began < self.due:
            return
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        state = take(moving(self.model) | ({"best": self.best_weights} if self.rows else {}))
        if all(np.isfinite(array).all() for array in state.values()):  # else the loss of the next step will not be
            self.kept[self.phase] = state | {"at": written(self.epoch, step, self.rows)}
        now = time.monotonic()
        self.due = now + max(SECONDS_BETWEEN, (now - began) / SHARE_OF_TIME)

    def validated(self) -> dict[str, float]:
        """The means of all terms over the validation images; of averaged weights, which are in their place by now."""
        sums, count = {}, 0
        with sharing.alone():
            for batch in self.valid():
                size = len(batch["x"])
                for name, mean in self.model.test_on_batch(batch, return_dict=True).items():
                    sums[name] = sums.get(name, 0.0) + size * float(mean)
                count += size
        return {f"valid_{name}": total / count for name, total in sums.items()}

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * self.steps,
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        row |= {name: float(value) for name, value in logs.items()} | self.validated()
        for name, value in row.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} became {value} in epoch {epoch + 1}")
        self.rows.append(row)
        if row["valid_loss"] < self.best:
            self.best, self.best_weights = row["valid_loss"], self.model.get_weights()
        left = (time.monotonic() - self.started) / (epoch + 1 - self.began) * (self.epochs - epoch - 1)
        print(
            f"epoch {epoch + 1}/{self.epochs}  loss {row['loss']:.4f}  valid {row['valid_loss']:.4f}  {left:.0f} s left",
            flush=True,
        )

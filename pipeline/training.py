"""Training: Keras's `fit` on batches that are functions of (seed, epoch, step); keeps the weights of the best epoch."""

import math
import time
from typing import Annotated, Literal

import keras
from annotated_types import Gt, Lt

from pipeline import Refusal
from pipeline.base import Count, Fraction, NonNegative, Positive, Trainable
from pipeline.data.batches import Training, Validation
from pipeline.data.store import Images, training_images

VALIDATION_BATCH = 500
STEPS_PER_CALL = 50  # of the compiled training function: Python between steps costs more than a small model's step


def fit(
    model: Trainable,
    images: Images,
    seed: int,
    phase: str = "train",
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

    epochs: passes over the training images
    batch_size: images per step
    learning_rate: of Adam, at its highest
    schedule: constant, or cosine: falls to 1 % of the learning rate over the run
    warmup: the share of all steps in which the rate rises linearly before
    clip_norm: the largest norm of all gradients together; null: any
    weight_decay: decoupled, as in AdamW; of all weights but biases and learned variances
    averaging: the momentum of a moving average of the weights, which is then what is validated and kept; null: none
    """
    batches = Training(images.train, model, seed, batch_size, images.redraw)
    if phase == model.phases[0]:
        model.adapt(training_images(images), images.train.y)
    model.enter(phase)
    rate = learning_rates(learning_rate, schedule, warmup, epochs * len(batches))
    optimizer = keras.optimizers.Adam(
        rate,
        global_clipnorm=clip_norm,
        weight_decay=weight_decay or None,
        use_ema=averaging is not None,
        ema_momentum=averaging or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "log_variance"])
    model.compile(
        optimizer,
        steps_per_execution=min(STEPS_PER_CALL, len(batches)) if keras.backend.backend() == "tensorflow" else 1,
        jit_compile=keras.backend.backend() == "jax",
    )
    watch = Watch(epochs, len(batches))
    average = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if averaging else []
    model.fit(
        batches,
        validation_data=Validation(images.valid, model, seed, VALIDATION_BATCH),
        epochs=epochs,
        shuffle=False,  # Keras would shuffle the steps by Python's own random numbers; batches come in random order already
        verbose=0,
        callbacks=[*average, watch],
    )
    model.set_weights(watch.best_weights)
    return watch.rows


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


class Watch(keras.callbacks.Callback):
    """A row and a line per epoch; remembers the best weights; stops at the first number that is none."""

    def __init__(self, epochs: int, steps: int):
        super().__init__()
        self.epochs, self.steps = epochs, steps
        self.rows, self.best = [], math.inf

    def on_train_begin(self, logs=None):
        self.started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        row = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * self.steps,
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        row |= {name.replace("val_", "valid_"): float(value) for name, value in logs.items()}
        for name, value in row.items():
            if not math.isfinite(value):
                raise Refusal(f"training: {name} became {value} in epoch {epoch + 1}: try a smaller learning_rate")
        self.rows.append(row)
        if row["valid_loss"] < self.best:
            self.best, self.best_weights = row["valid_loss"], self.model.get_weights()
        left = (time.monotonic() - self.started) / (epoch + 1) * (self.epochs - epoch - 1)
        print(
            f"epoch {epoch + 1}/{self.epochs}  loss {row['loss']:.4f}  valid {row['valid_loss']:.4f}  {left:.0f} s left",
            flush=True,
        )

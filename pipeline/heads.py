"""Where the two heads of an encoder go when nothing but the KL term moves them.

    q(z | x) = N(mu(x), exp(log_var(x))),   loss = sum_j KL(q(z_j | x) || N(0, s^2)),   s = 0.01
    KL = 1/2 sum_j ((mu_j^2 + v_j) / s^2 - log(v_j / s^2) - 1),   v_j = exp(log_var_j)

It is least, 0, where mu = 0 and log_var = log s^2 = log 1e-4 = -9.2103, whatever the image and wherever the heads began.
"""

import math

import keras
import numpy as np
from keras import ops

from pipeline import nn
from pipeline.distributions import kl_to_standard_normal

SD = 0.01
TARGET = 2 * math.log(SD)
STARTS = ("zero", "unit")
LATENT, WIDTHS, EPOCHS, BATCH, RATE = 8, [64], 80, 128, 0.02
NOTED = 10  # steps between two notes, which TensorFlow runs in one call


def train(x: np.ndarray, start: str, seed: int) -> dict[str, np.ndarray]:
    """Mean and standard deviation over images and units of `mu` and `log_var` by Adam's `step`; x [N, H, W, C] in [-1, 1].

    start: zero, the heads' weights are 0; unit, each output has mean 0 and standard deviation 1 over the images
    """
    keras.utils.set_random_seed(seed)
    encoder = nn.encoder("dense", WIDTHS, x.shape[1:], 2 * LATENT, 0.0)
    begin(encoder, x, start)
    rate = keras.optimizers.schedules.CosineDecay(RATE, EPOCHS * math.ceil(len(x) / BATCH), alpha=0.01)
    tensorflow = keras.backend.backend() == "tensorflow"
    encoder.compile(
        # The gradient falls by orders of magnitude on the way: with its usual memory of 1000 steps Adam would stand still.
        keras.optimizers.Adam(rate, beta_2=0.9),
        loss=kl,
        steps_per_execution=NOTED if tensorflow else 1,
        jit_compile=not tensorflow,
    )
    watch = Watch(x)
    encoder.optimizer.build(encoder.trainable_variables)  # in the first step it would have that compiled twice
    encoder.fit(x, x, batch_size=BATCH, epochs=EPOCHS, verbose=0, callbacks=[watch])
    return {name: np.array([row[name] for row in watch.rows]) for name in watch.rows[0]}


def kl(_, outputs):
    """To N(0, s^2): the KL of z / s to N(0, 1)."""
    mu, log_var = ops.split(outputs, 2, axis=-1)
    return ops.sum(kl_to_standard_normal(mu / SD, log_var - TARGET), axis=-1)


def begin(encoder: keras.Sequential, x: np.ndarray, start: str) -> None:
    kernel, bias = encoder.layers[-1].get_weights()
    if start == "zero":
        encoder.layers[-1].set_weights([0 * kernel, 0 * bias])
    else:
        outputs = np.asarray(encoder(x))
        sd = outputs.std(axis=0)
        encoder.layers[-1].set_weights([kernel / sd, (bias - outputs.mean(axis=0)) / sd])


class Watch(keras.callbacks.Callback):
    """Notes where the heads are before the first step and after every NOTED."""

    def __init__(self, x: np.ndarray):
        super().__init__()
        self.x, self.rows, self.epoch = x, [], 0

    def on_train_begin(self, logs=None):
        self.note(0)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        step = self.epoch * math.ceil(len(self.x) / BATCH) + batch + 1
        if step % NOTED == 0:
            self.note(step)

    def note(self, step: int) -> None:
        mu, log_var = np.split(np.asarray(self.model(self.x), "float64"), 2, axis=-1)
        moments = {"mu_mean": mu.mean(), "mu_sd": mu.std(), "log_var_mean": log_var.mean(), "log_var_sd": log_var.std()}
        self.rows.append({"step": step, **moments})

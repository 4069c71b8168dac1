"""Multiply-adds: known ones of known layers, and that a PixelCNN draws an image for those of one forward pass."""

import keras
import numpy as np
import pytest
from keras import ops

from pipeline import cost, models
from pipeline.base import generator

pytestmark = pytest.mark.backend
SPEC = {"shape": [8, 8, 1], "levels": 2, "classes": None}


@pytest.mark.parametrize(
    "layer, shape, known",
    [
        (keras.layers.Dense(5), (7,), 7 * 5),
        (keras.layers.Dense(5), (3, 7), 3 * 7 * 5),
        (keras.layers.Conv2D(4, 3, padding="same"), (6, 6, 2), 36 * 9 * 2 * 4),
        (keras.layers.Conv2D(4, 3, 2, "same"), (6, 6, 2), 9 * 9 * 2 * 4),
        (keras.layers.Conv2D(4, 3, padding="same", groups=2), (6, 6, 2), 36 * 9 * 4),
        (keras.layers.Conv2DTranspose(4, 4, 2, "same"), (3, 3, 2), 9 * 16 * 2 * 4),
    ],
)
def test_a_layer_costs_what_paper_and_pencil_say(layer, shape, known):
    x = np.ones((2, *shape), "float32")
    layer(x)
    assert cost.multiply_adds(layer, x) == 2 * known


def test_a_loop_costs_all_of_its_turns_and_so_does_one_in_another():
    a = ops.ones((2, 2))

    def inner(_, b):
        return ops.matmul(b, a)

    def outer(_, b):
        return ops.fori_loop(0, 3, inner, ops.matmul(b, a))

    assert cost.multiply_adds(lambda: ops.fori_loop(1, 6, outer, a)) == 5 * (1 + 3) * 8
    assert cost.multiply_adds(lambda: ops.fori_loop(2, 2, outer, a)) == 0
    assert ops.fori_loop(0, 3, inner, a)[0, 0] == 8  # outside, loops go round


def test_what_is_not_known_is_refused():
    with pytest.raises(NotImplementedError, match="einsum"):
        cost.multiply_adds(lambda: ops.einsum("ij,jk->ik", ops.ones((2, 2)), ops.ones((2, 2))))


def test_a_step_is_three_times_the_loss_of_its_images():
    network = {"latent": 3, "body": "dense", "widths": [10], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", SPEC, network, 0)
    forward = 64 * 10 + 10 * 6 + 3 * 10 + 10 * 64
    assert cost.of_step(model, np.zeros((5, 8, 8, 1), "uint8"), None, 20) == 3 * 20 * forward
    assert cost.multiply_adds(model.sample, model.noise(1, generator(0, "s"))) == 3 * 10 + 10 * 64


def test_a_step_costs_what_training_does_and_moves_nothing():
    """One-step chains of 16 pixels and 3 hidden units, where a validation loss sums 2^3 states; a critic beside its maker."""
    spec = {"shape": [4, 4, 1], "levels": 2, "classes": None}
    x = np.zeros((1, 4, 4, 1), "uint8")
    rbm = models.build("energy", "rbm", spec, {"hidden": 3, "steps": 1, "sample_steps": 1}, 0)
    assert cost.of_step(rbm, x, None, 5) == 3 * 5 * 4 * 16 * 3  # two energies and one step there and back
    network = {"latent": 3, "body": "dense", "widths": [10], "likelihood": "bernoulli", "beta_warmup": 4}
    vae = models.build("latent", "vae", spec, network, 0)
    before = vae.get_weights()
    cost.of_step(vae, x, None, 5)
    assert all(np.array_equal(a, b) for a, b in zip(before, vae.get_weights(), strict=True))

    def broken(rate):
        vae.clock(training=True)
        raise RuntimeError

    with pytest.raises(RuntimeError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae, "price", broken)
        cost.of_step(vae, x, None, 5)
    assert all(np.array_equal(a, b) for a, b in zip(before, vae.get_weights(), strict=True))
    network, maker, critic = {"latent": 3, "body": "dense", "widths": [10]}, 3 * 10 + 10 * 16, 16 * 10 + 10
    gan = models.build("implicit", "gan", spec, network, 0)
    assert cost.of_step(gan, x, None, 5) == 3 * 5 * (maker + 3 * critic)  # of a real one, of a fake one, and of it once more
    damped = models.build("implicit", "gan", spec, network | {"damping": 1.0}, 0)
    assert cost.of_step(damped, x, None, 5) == 3 * 5 * (maker + (3 + 2) * critic)


@pytest.mark.parametrize("stack, least", [("plain", 0.5), ("gated", 1.0)])
def test_drawing_an_image_costs_one_forward_pass_of_a_pixelcnn(stack, least):
    """Or less: a forward pass of the plain stack multiplies with the masked half of its kernels, too."""
    network = {"stack": stack, "features": 6, "layers": 2, "kernel": 5, "likelihood": "bernoulli"}
    model = models.build("autoregressive", "pixelcnn", SPEC, network, 0)
    drawn = cost.multiply_adds(model.sample, model.noise(1, generator(0, "s")))
    assert least <= drawn / cost.multiply_adds(model.log_prob, np.zeros((1, 8, 8, 1), "uint8")) <= 1

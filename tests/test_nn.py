"""What families share: decoders of which every layer sees the code."""

import keras
import numpy as np
import pytest
from keras import ops

from pipeline import Refusal, models, nn
from pipeline.base import generator

pytestmark = pytest.mark.backend
BODIES = pytest.mark.parametrize(("body", "widths"), [("dense", [7, 5, 6]), ("conv", [4, 3, 5])])


def made(body: str, widths: list[int], skip: bool) -> keras.Model:
    found, rng = nn.decoder(body, widths, 2, (8, 8, 3), 0.0, skip), generator(0)
    for weight in found.weights:
        weight.assign(0.5 * rng.standard_normal(weight.shape))
    return found


def kernels(network: keras.Model) -> list:
    return [layer.kernel for layer in network.layers if hasattr(layer, "kernel")]


def depends(network: keras.Model) -> bool:
    """On the code."""
    z = generator(1).standard_normal((2, 2), "float32")
    a, b = np.asarray(network(z))
    return not np.allclose(a, b, atol=1e-6)


@BODIES
@pytest.mark.parametrize("skip", [False, True])
def test_what_a_layer_does_not_pass_on_reaches_the_next_ones_only_with_skip(body, widths, skip):
    network = made(body, widths, skip)
    for number, kernel in enumerate(kernels(network)[:-1]):
        one = made(body, widths, skip)
        kernels(one)[number].assign(0 * kernel)
        assert depends(one) == skip
    assert depends(network)


@BODIES
def test_without_the_codes_own_weights_skip_is_no_skip(body, widths):
    """The code comes after what the layer before says; all else is the decoder that it was."""
    plain, skip = (made(body, widths, each) for each in (False, True))
    for a, b in zip(plain.weights, skip.weights, strict=True):
        transposed = "transpose" in b.path
        axis = 3 if transposed else len(b.shape) - 2
        lacks = [(0, 0)] * len(b.shape)
        if len(b.shape) > 1:
            lacks[axis] = (0, b.shape[axis] - a.shape[axis])
        b.assign(np.pad(np.asarray(a), lacks))
    z = generator(1).standard_normal((3, 2), "float32")
    np.testing.assert_allclose(plain(z), skip(z), rtol=1e-5, atol=1e-6)
    assert plain(z).shape == (3, 8, 8, 3)


def test_a_code_is_the_same_at_every_place_of_a_map():
    z = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    found = nn.spread(ops.convert_to_tensor(z), ops.zeros((2, 4, 6, 5)))
    np.testing.assert_array_equal(found, np.broadcast_to(z[:, None, None], (2, 4, 6, 2)))


def test_where_no_layer_could_miss_the_code_it_is_refused():
    with pytest.raises(Refusal, match=r"network\.skip: a decoder without hidden layers"):
        nn.decoder("dense", [], 2, (8, 8, 1), 0.0, skip=True)


def test_a_vae_takes_it():
    spec = {"shape": [8, 8, 1], "levels": 2, "classes": None}
    network = {"latent": 2, "body": "conv", "widths": [4, 3], "likelihood": "bernoulli"}
    plain, skip = (models.build("latent", "vae", spec, network | {"skip": each}, 0) for each in (False, True))
    assert skip.count_params() > plain.count_params()
    assert np.asarray(skip.decode(np.zeros((3, 2), "float32"))).shape == (3, 8, 8, 1)

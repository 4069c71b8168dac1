"""VQ-VAE: neural discrete representation learning.
A. van den Oord, O. Vinyals and K. Kavukcuoglu, NeurIPS 2017, https://arxiv.org/abs/1711.00937

    k = argmin_j |z_e(x) - e_j|,   z_q(x) = e_k                                                (1, 2)
    loss = -log p(x | z_q(x)) + |sg[z_e(x)] - e|^2 + beta |z_e(x) - sg[e]|^2                   (3)
    log p(x) = log sum_k p(x | z_k) p(z_k) >= log p(x | z_q(x)) + log p(z_q(x))                (section 3.2)

sg stops a gradient; the decoder's gradient is copied to z_e(x). With moving averages the second term is replaced by
e_k = m_k / N_k (appendix A.1). The prior over code maps is a PixelCNN, trained when the codes are (section 3.3).
"""

from typing import Annotated

import keras
from annotated_types import Ge, Le
from keras import ops

from pipeline import Refusal
from pipeline.base import Count, Fraction, NonNegative, Spec
from pipeline.causal.network import Codes, Network
from pipeline.likelihoods import Categorical, LikelihoodName, Variance, named
from pipeline.models.quantised.blocks import Codebook, Learning, Quantised


class Residual(keras.layers.Layer):
    """x + 1x1(ELU(3x3(ELU(x))))."""

    def __init__(self, channels: int, dropout: float):
        super().__init__()
        self.three, self.one = keras.layers.Conv2D(channels, 3, padding="same"), keras.layers.Conv2D(channels, 1)
        self.dropout = keras.layers.Dropout(dropout)

    def build(self, shape) -> None:
        self.three.build(shape)
        self.one.build(shape)

    def call(self, x, training=False):
        return x + self.one(self.dropout(ops.elu(self.three(ops.elu(x))), training=training))


class Model(Quantised):
    """widths: channels of the encoder's 4x4 convolutions, each of which halves the map; the decoder has them in reverse
    residual: residual blocks at the code map, on either side
    """

    def __init__(
        self,
        spec,
        *,
        codes: Annotated[int, Ge(2), Le(65536)],
        dimension: Count,
        widths: list[Count],
        residual: Annotated[int, Ge(0), Le(100)],
        likelihood: LikelihoodName,
        variance: Variance = "shared",
        components: Count = 5,
        learning: Learning = "ema",
        commitment: NonNegative = 0.25,
        decay: Fraction = 0.99,
        restarts: Annotated[int, Ge(0)] = 0,
        dropout: Fraction = 0.0,
        prior_features: Count,
        prior_layers: Count,
        prior_dropout: Fraction = 0.0,
    ):
        (height, width, _), stride = spec.shape, 2 ** len(widths)
        if not widths or height % stride or width % stride:
            raise Refusal(f"network.widths: {len(widths)} strides of 2 do not divide {height}x{width} images evenly")
        grid = (height // stride, width // stride)
        super().__init__(spec, likelihood, codes, grid, commitment)
        conv, back = keras.layers.Conv2D, keras.layers.Conv2DTranspose
        self.likelihood = named(likelihood, spec, variance, components)
        self.codebook = Codebook(codes, dimension, learning, decay, restarts)
        down = [conv(channels, 4, 2, "same", activation="elu") for channels in widths]
        middle = [Residual(widths[-1], dropout) for _ in range(residual)]
        self.encoder = keras.Sequential([keras.Input(spec.shape), *down, *middle, conv(dimension, 1, dtype="float32")])
        middle = [conv(widths[-1], 3, padding="same"), *(Residual(widths[-1], dropout) for _ in range(residual))]
        up = [back(channels, 4, 2, "same", activation="elu") for channels in reversed(widths)]
        out = conv(self.likelihood.outputs, 3, padding="same", dtype="float32")
        self.decoder = keras.Sequential([keras.Input((*grid, dimension)), *middle, *up, out])
        maps = Spec((*grid, 1), codes)
        self.network = Network(
            maps,
            Codes(codes, prior_features),
            Categorical(maps),
            stack="gated",
            features=prior_features,
            layers=prior_layers,
            kernel=max(3, 2 * max(grid) - 1),  # the first layer sees the whole map before it
            dropout=prior_dropout,
        )

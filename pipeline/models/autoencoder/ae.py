"""Autoencoder: reducing the dimensionality of data with neural networks.
G. E. Hinton and R. R. Salakhutdinov, Science 313 (2006), https://doi.org/10.1126/science.1127647

    z = f(x),   x' = g(z),   dim z < dim x
    loss = sum_d (x_d - x'_d)^2

With no hidden layer (`widths: []`) f and g are affine and the best z spans the principal subspace of that dimension
(Baldi & Hornik 1989). It has no p(x): what it draws from a random z is not a sample of anything.
"""

from pipeline import nn
from pipeline.base import Count, Fraction
from pipeline.models.autoencoder.blocks import Autoencoder


class Model(Autoencoder):
    def __init__(self, spec, *, latent: Count, body: nn.Body, widths: list[Count], dropout: Fraction = 0.0):
        super().__init__(spec)
        self.f = nn.encoder(body, widths, spec.shape, latent, dropout)
        self.g = nn.decoder(body, widths, latent, spec.shape, dropout)

    def encode(self, x, y=None, training=False):
        return self.f(self.spec.scaled(x), training=training)

    def decoded(self, code, training=False):
        return self.g(code, training=training)

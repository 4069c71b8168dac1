"""PixelVAE: a variational autoencoder whose decoder is a PixelCNN.
I. Gulrajani, K. Kumar, F. Ahmed et al., ICLR 2017, https://arxiv.org/abs/1611.05013
X. Chen, D. P. Kingma, T. Salimans et al., ICLR 2017, https://arxiv.org/abs/1611.02731

    p(x, z) = p(z) p(x | z),   p(z) = N(0, I),   q(z | x) = N(mu(x), diag s^2(x))
    p(x | z) = prod_i p(x_i | x_1, ..., x_{i-1}, h(z)),   pixels in raster order,   h(z) a map [H, W, D]
    log p(x) >= ELBO = E_q log p(x | z) - KL(q(z | x) || p(z))

What the PixelCNN can tell from the pixels before, z need not say, and since a code costs its rate, z then does not (section 2
of the second): with a window as large as the image z may be ignored. So the window, kernel // 2 + layers pixels above and to
either side, stays small: what lies near is left to the PixelCNN, the whole to z. Where it is large, free bits, a slow rise of
beta, or `skip` in the network that makes h, keep z from emptying. Every block of the PixelCNN sees h.

The mean of p(x | z) is a sum over all images. `decode` has an unbiased estimate of it instead, mean_n E[x_i | x^n_<i, z] over
DRAWN images x^n from p(x | z), whose noise is the same for every code.
"""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le
from keras import ops

from pipeline.base import Count, Fraction, generator
from pipeline.causal.network import Network, Pixels
from pipeline.causal.stacks import StackName
from pipeline.distributions import uniforms
from pipeline.models.latent.blocks import GaussianLatent

DRAWN = 16
SCORED = 500  # test images that are asked whether the decoder listens to their codes
HEARD = 0.5  # nats that a code has to be worth, and to cost


def strata(n: int, shape: tuple[int, ...]) -> np.ndarray:
    """Uniforms [n, *shape], always the same: at each place one in each n-th of (0, 1)."""
    rng = generator(0, "strata")
    order = rng.permuted(np.broadcast_to(np.arange(n).reshape(-1, 1, 1, 1), (n, *shape)), axis=0)
    return ((order + uniforms(order.shape, rng)) / n).astype("float32")


class Model(GaussianLatent):
    """depth: D, how many numbers of the map that z becomes stand at each pixel"""

    def __init__(
        self,
        spec,
        *,
        latent: Count,
        depth: Count,
        stack: StackName,
        features: Count,
        layers: Count,
        kernel: Annotated[int, Ge(3), Le(99)],
        dropout: Fraction = 0.0,
        **network,
    ):
        super().__init__(spec, latent, maps=depth, dropout=dropout, **network)
        self.held = self.skip or self.free_bits > 0 or self.clock.steps > 0  # something keeps z from emptying
        sizes = {"features": features, "layers": layers, "kernel": kernel, "dropout": dropout, "condition": depth}
        self.network = Network(spec, Pixels(spec), self.likelihood, stack=stack, **sizes)

    def parameters(self, x, z, training=False):
        x = ops.tile(x, (ops.shape(z)[0] // ops.shape(x)[0], 1, 1, 1))
        return self.network(x, self.decoder(z, training=training), training=training)

    def decode(self, code, y=None):
        """The mean, over DRAWN images, of what each pixel is expected to be after those before it."""
        h, uniform = self.decoder(code), ops.convert_to_tensor(strata(DRAWN, self.spec.shape))
        many = (code.shape[0], *self.spec.shape)

        def add(n, total):  # one after another: all at once would take DRAWN times the memory
            x = self.network.sample(ops.broadcast_to(uniform[n], many), h)
            return total + self.likelihood.mean(self.network(x, h))

        return ops.fori_loop(0, DRAWN, add, ops.zeros(many)) / DRAWN

    def sample(self, noise, y=None):
        return self.network.sample(noise["x"], self.decoder(self.prior(noise)))

    def gates(self, images):
        """Where something keeps z from emptying: that it is no noise which the decoder ignores."""
        from pipeline.gates import at_least

        rows = super().gates(images)
        if not self.held:
            return rows
        x = np.asarray(images.test.x[:SCORED])
        z, _ = self.propose(self.posterior(x), {"z": self.eps(len(x), generator(0, "own and other codes"))["z"][None]})
        own, other = (-float(ops.mean(self.log_likelihood(x, each))) for each in (z, ops.roll(z, 1, axis=1)))
        rate = self.mean_rate(x)
        rows.append(at_least("distortion with another image's code less that with its own, nats", other - own, HEARD))
        rows.append(at_least("KL of test images, nats", rate, HEARD))
        if self.free_bits:
            rows.append(at_least("KL of test images, share of the free bits", rate / (self.free_bits * self.latent), 0.9))
        return rows

"""Auto-decoder: each image owns a code, which is fitted to it; nothing encodes.
J. J. Park, P. Florence, J. Straub, R. Newcombe and S. Lovegrove (DeepSDF), CVPR 2019, https://arxiv.org/abs/1901.05103

    min_theta sum_i min_z [ |x_i - g_theta(z)|^2 + penalty |z|^2 ]                                              (9)
    z = argmin_z [ |x - g_theta(z)|^2 + penalty |z|^2 ],   theta fixed, of an image never seen                 (10)

The paper keeps a code for each training image and moves both at once. Here an image's code is found anew, by `steps` steps of
Adam from nought, whenever it is needed; then theta moves with the code held still. As the code is at its minimum, that is the
gradient of the minimum, and a code takes the same steps in training as on a test image. The penalised error is no bound on
any log p(x): nothing in it accounts for how sure a code is.
"""

import numpy as np
from keras import ops

from pipeline import backend, nn
from pipeline.base import Count, NonNegative, Positive, generator
from pipeline.models.autoencoder.blocks import Autoencoder

MEAN, SQUARE = 0.9, 0.99  # how much Adam remembers of gradients and of their squares
RESTARTS, IMAGES, SPREAD = 5, 200, 0.05  # of the gates: starts, test images, and how much the errors may differ
KNOWN = 10_000  # training images, at most, whose principal components are taken


class Model(Autoencoder):
    """penalty: of |z|^2, against the squared error of an image
    steps: of Adam to find a code
    rate: of the first of them; it falls evenly to nought
    """

    def __init__(
        self, spec, *, latent: Count, body: nn.Body, widths: list[Count], penalty: NonNegative, steps: Count, rate: Positive
    ):
        super().__init__(spec)
        self.latent, self.penalty, self.steps, self.rate = latent, penalty, steps, rate
        self.g = nn.decoder(body, widths, latent, spec.shape, 0.0)

    def decoded(self, code, training=False):
        return self.g(code, training=training)

    def parts(self, x, code, training=False):
        error = ops.sum(ops.square(self.spec.scaled(x) - self.decoded(code, training)), axis=(1, 2, 3))
        return error, self.penalty * ops.sum(ops.square(code), axis=-1)

    def fitted(self, x, start):
        """(10) from `start` [B, latent]; no gradient goes through it."""

        def step(t, carry):
            z, mean, square = carry
            slope = backend.value_and_gradient(lambda z: sum(self.parts(x, z)), z)[1]
            mean, square = MEAN * mean + (1 - MEAN) * slope, SQUARE * square + (1 - SQUARE) * ops.square(slope)
            done = ops.cast(t, "float32")
            size = self.rate * (1.0 - done / self.steps) / (1.0 - ops.power(MEAN, done + 1.0))
            scale = ops.sqrt(square / (1.0 - ops.power(SQUARE, done + 1.0))) + 1e-6
            return z - size * mean / scale, mean, square

        start = ops.convert_to_tensor(start)
        begun = (start, ops.zeros_like(start), ops.zeros_like(start))
        return ops.stop_gradient(ops.fori_loop(0, self.steps, step, begun)[0])

    def encode(self, x, y=None, training=False):
        return self.fitted(x, ops.zeros((ops.shape(x)[0], self.latent)))

    def terms(self, x, eps, y=None, training=False):
        error, penalty = self.parts(x, self.encode(x), training)
        return {"loss": error + penalty, "distortion": error, "penalty": penalty}

    def gates(self, images):
        """Is it the same code, or as good a one, wherever its search begins; does the decoder bend better than a plane?"""
        from pipeline.data.store import training_images
        from pipeline.gates import at_most

        x, rng = np.asarray(images.test.x[:IMAGES]), generator(0, "restarts")
        codes = np.asarray(self.encode(x))
        starts = [codes.std(axis=0) * rng.standard_normal(codes.shape).astype("float32") for _ in range(RESTARTS)]
        fit = backend.compiled(lambda x, start: self.parts(x, self.fitted(x, start))[0])
        errors = [float(np.mean(fit(x, start))) for start in [np.zeros_like(codes), *starts]]
        flat, held_out = (np.reshape(self.spec.scaled(each), (len(each), -1)) for each in (training_images(images)[:KNOWN], x))
        centre = flat.mean(axis=0)
        axes = np.linalg.eigh(np.cov(flat.T))[1][:, -self.latent :].T
        plane = np.square(held_out - centre - (held_out - centre) @ axes.T @ axes).sum(axis=1).mean()
        return [
            at_most("spread of the squared error over starts of the search, a share", np.ptp(errors) / min(errors), SPREAD),
            at_most("squared error over that of as many principal components", errors[0] / plane, 1.0),
        ]

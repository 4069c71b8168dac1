"""What autoencoders share."""

from keras import ops

from pipeline.base import Encodes, Trainable


class Autoencoder(Trainable, Encodes):
    """loss = |x - x'|^2 summed over the image, pixels scaled as the network sees them.

    latent: the dimension of z
    """

    def terms(self, x, eps, y=None, training=False):
        target = self.spec.scaled(x)
        error = ops.sum(ops.square(target - self.decoded(self.encode(x, y, training), training)), axis=(1, 2, 3))
        return {"loss": error, "distortion": error}

    def decode(self, code, y=None):
        return self.spec.unscaled(self.decoded(code))

"""PixelCNN: an image's probability as a product over its pixels, computed by one convolutional network.
A. van den Oord, N. Kalchbrenner and K. Kavukcuoglu, ICML 2016, https://arxiv.org/abs/1601.06759
A. van den Oord, N. Kalchbrenner, O. Vinyals et al., NeurIPS 2016, https://arxiv.org/abs/1606.05328
T. Salimans, A. Karpathy, X. Chen and D. P. Kingma, ICLR 2017, https://arxiv.org/abs/1701.05517

    p(x) = prod_i p(x_i | x_1, ..., x_{i-1}),   pixels in raster order                (1 of the first)
    p(x_i | x_<i) = p(R | x_<i) p(G | R, x_<i) p(B | R, G, x_<i)                      (2 of the first)
    y = tanh(W_f * x + V_f h) sigmoid(W_g * x + V_g h),   given h                     (4 of the second)

`stack: plain` is the masked network of the first paper, which cannot see some pixels above on the right (the blind spot);
`gated` has the two stacks of the second. Channels see each other in the last layers only, not by masked groups throughout.
"""

from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from pipeline.base import Count, Fraction
from pipeline.causal.network import Network, Pixels
from pipeline.causal.stacks import StackName
from pipeline.likelihoods import LikelihoodName, named
from pipeline.models.autoregressive.blocks import AutoregressiveModel


class Model(AutoregressiveModel):
    def __init__(
        self,
        spec,
        *,
        stack: StackName,
        features: Count,
        layers: Count,
        kernel: Annotated[int, Ge(3), Le(99)],
        likelihood: LikelihoodName,
        dropout: Fraction = 0.0,
        components: Count = 5,
        conditional: bool = False,
    ):
        super().__init__(spec, likelihood, conditional)
        self.network = Network(
            spec,
            Pixels(spec),
            named(likelihood, spec, components=components),
            stack=stack,
            features=features,
            layers=layers,
            kernel=kernel,
            dropout=dropout,
            condition=spec.classes if conditional else 0,
        )

    def gates(self, images):
        """Does coding pixel by pixel give the images back, for what the model says they cost?"""
        from pipeline import coding
        from pipeline.gates import at_least, at_most

        if not coding.simple(self) or self.conditional or self.spec.shape[-1] > 1 or max(self.spec.shape) > coding.SIDE:
            return []
        x = np.asarray(images.test.x[: coding.IMAGES])
        found = coding.pixel_by_pixel(self, x)
        return [
            at_least("coding: images that came back", found["images"], len(x)),
            at_most("coding: length off the NLL, a share", abs(found["net"] / found["nll"] - 1), 0.01),
        ]

"""p(x | h) = prod_i p(x_i | x_<i, h) over a map in raster order: embedding, stack, head, and fast exact sampling."""

from functools import partial

import keras
from keras import ops

from pipeline import Refusal
from pipeline.base import Spec
from pipeline.causal.stacks import Gated, Plain, row_of


class Pixels(keras.layers.Layer):
    """Levels as numbers, a one, since outside the image is not black, and of more than two levels whether it is the lowest."""

    def __init__(self, spec: Spec):
        super().__init__(dtype="float32")
        self.spec, self.size = spec, spec.shape[-1] * (1 if spec.levels == 2 else 2) + 1

    def call(self, x):
        known = self.spec.scaled(x)
        parts = [known, ops.ones_like(known[..., :1])]
        if self.spec.levels > 2:
            parts.append(ops.cast(ops.equal(x, 0), "float32"))
        return ops.concatenate(parts, axis=-1)


class Codes(keras.layers.Layer):
    """Codes are names, not amounts: each has a vector of its own, and a one as above."""

    def __init__(self, codes: int, size: int):
        super().__init__(dtype="float32")
        self.size = size + 1
        self.vectors = keras.layers.Embedding(codes, size, dtype="float32")

    def call(self, x):
        found = self.vectors(x[..., 0])
        return ops.concatenate([found, ops.ones_like(found[..., :1])], axis=-1)


class Head(keras.layers.Layer):
    """From a position's features to the parameters of its distribution; its later channels also see the earlier ones."""

    def __init__(self, spec: Spec, likelihood, features: int):
        super().__init__(dtype="float32")
        channels, dense = spec.shape[-1] if likelihood.by_channel else 1, partial(keras.layers.Dense, dtype="float32")
        self.spec, self.steps = spec, channels
        self.hidden = dense(features)
        self.earlier = [dense(features, use_bias=False) for _ in range(1, channels)]
        self.out = [dense(likelihood.outputs // channels) for _ in range(channels)]

    def call(self, features, x):
        """features [..., F], x [..., C] -> [..., outputs]; only channels before the last of x are looked at."""
        hidden = self.hidden(ops.elu(features))
        parts = [self.out[0](ops.elu(hidden))]
        for n, seen in enumerate(self.earlier, 1):
            parts.append(self.out[n](ops.elu(hidden + seen(self.spec.scaled(x[..., :n])))))
        return ops.concatenate(parts, axis=-1) if self.earlier else parts[0]


class Network(keras.layers.Layer):
    """`spec` is of the map: its shape and its levels, or codes. `condition`: the depth D of h [B, H or 1, W or 1, D], or 0."""

    def __init__(self, spec, embed, likelihood, *, stack, features, layers, kernel, dropout=0.0, condition=0):
        super().__init__(dtype="float32")
        if spec.levels is None:
            raise Refusal("network: pixels of real values have no levels to predict one by one")
        if kernel % 2 == 0:
            raise Refusal(f"network.kernel: expected an odd number, found {kernel}")
        self.spec, self.embed, self.likelihood = spec, embed, likelihood
        self.stack = {"plain": Plain, "gated": Gated}[stack](features, layers, kernel, dropout, condition > 0)
        self.head = Head(spec, likelihood, features)

    def build(self, shape) -> None:
        """Nothing to do: the first call builds the parts. Keras warns of a layer of layers without this method."""

    def call(self, x, h=None, training=False):
        """The parameters of p(x_i | x_<i, h) at every position i [B, H, W, outputs]."""
        return self.head(self.stack(self.embed(x), h, training=training), x)

    def log_probs(self, x, h=None, training=False):
        """log p(x_i | x_<i, h) [B, H, W]; their sum is log p(x | h)."""
        return self.likelihood.log_probs(x, self(x, h, training=training))

    def sample(self, uniform, h=None, given=None, rows=0):
        """x ~ p(x | h) [B, H, W, C] from uniform [B, H, W, C]; the first `rows` rows are those of `given`.

        Every activation is computed once: a row's share of the rows above when the row begins, the rest pixel by pixel.
        To be compiled as a whole (backend.compiled): otherwise it is correct, and slow.
        """
        (batch, height, width, channels), reach = uniform.shape, self.stack.reach
        depth = self.embed.size
        kernels = self.stack.kernels()  # cut out here: within the loops XLA would copy every slice again for every pixel
        uniform = ops.transpose(uniform, (1, 2, 0, 3))
        given = ops.zeros((height, width, batch, channels), "int32") if given is None else ops.transpose(given, (1, 2, 0, 3))
        given = ops.cast(given, "int32")

        def pixel(i, j, features):
            """The channels of one position, one after another [B, C]."""
            x = ops.zeros((batch, 1, 1, channels), "int32")
            drawn = None
            for n in range(self.head.steps):
                params = self.head(features[:, None, None], x)
                drawn = ops.cast(self.likelihood.sample(params, uniform[i, j][:, None, None]), "int32")
                x = ops.concatenate([drawn[..., : n + 1], x[..., n + 1 :]], axis=-1)
            return ops.where(i < rows, given[i, j], drawn[:, 0, 0])

        def draw_row(i, carry):
            x, inputs, memory = carry
            window = ops.slice(inputs, (0, i, 0, 0), (batch, reach, width + 2 * reach, depth))
            memory, terms = self.stack.row(window, memory, row_of(h, i))

            def draw_pixel(j, carry):
                row, left, carried, kept = carry
                term = keras.tree.map_structure(lambda each: each[j], terms)
                features, carried = self.stack.pixel(kernels, left, term, carried)
                found = pixel(i, j, features)
                seen = self.embed(found[:, None, None])[:, 0, 0]
                left = ops.concatenate([left[:, depth:], seen], axis=-1)
                return ops.slice_update(row, (j, 0, 0), found[None]), left, carried, self.stack.keep(kept, carried, j)

            empty = ops.zeros((width, batch, channels), "int32")
            left = ops.zeros((batch, reach * depth))
            begun = (empty, left, self.stack.begin(batch), self.stack.kept(batch, width))
            row, _, _, kept = ops.fori_loop(0, width, draw_pixel, begun)
            seen = self.embed(ops.transpose(row, (1, 0, 2))[:, None])
            inputs = ops.slice_update(inputs, (0, i + reach, reach, 0), seen)
            return ops.slice_update(x, (i, 0, 0, 0), row[None]), inputs, self.stack.finish(memory, kept)

        padded = ops.zeros((batch, height + reach, width + 2 * reach, depth))
        x = ops.zeros((height, width, batch, channels), "int32")
        x, _, _ = ops.fori_loop(0, height, draw_row, (x, padded, self.stack.start(batch, width)))
        return ops.cast(ops.transpose(x, (2, 0, 1, 3)), "uint8" if self.spec.levels <= 256 else "int32")

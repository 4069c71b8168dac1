"""MNIST: handwritten digits, 28x28, 256 levels (Y. LeCun, C. Cortes and C. J. C. Burges, 1998).

http://yann.lecun.com/exdb/mnist/. Two binary sets are made of it, and a likelihood of one says nothing about another: "static"
draws every pixel once with probability x / 255, "dynamic" those of the training images anew in every epoch. The static
one is this project's own draw, by its seed, and not the file of Larochelle and Murray (2011), for which most numbers for
"static" or "fixed" binarisation were published.
"""

from pathlib import Path
from typing import Literal

from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import Count, Images, Seed

AT = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
SHA256 = {  # of https://github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/mnist.txt
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
FILES = tuple(File(name, f"sha256:{digest}", AT) for name, digest in SHA256.items())


def images(*, path: Path, binarised: Literal["none", "static", "dynamic"], valid: Count, seed: Seed) -> Images:
    """60,000 training images, of which `valid` are for validation, and 10,000 test images, in their old order.

    binarised: none keeps 256 levels; static draws black or white in proportion, once, by the seed, and is not the file of
        Larochelle and Murray; dynamic draws training images anew in every epoch
    valid: training images that are kept for validation
    seed: decides which these are, and what is drawn
    """
    return published.from_idx(path, binarised=binarised, valid=valid, seed=seed)

"""Fashion-MNIST: articles of clothing, 28x28, 256 levels (H. Xiao, K. Rasul and R. Vollgraf, 2017).

https://github.com/zalandoresearch/fashion-mnist, https://arxiv.org/abs/1708.07747. In the form of MNIST; what "static" and
"dynamic" mean is said there, pipeline/data/mnist.py.
"""

from pathlib import Path
from typing import Literal

from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import Count, Images, Seed

AT = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
SHA256 = {  # of https://github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/fashion_mnist.txt
    "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
FILES = tuple(File(name, f"sha256:{digest}", AT) for name, digest in SHA256.items())


def images(*, path: Path, binarised: Literal["none", "static", "dynamic"], valid: Count, seed: Seed) -> Images:
    """60,000 training images, of which `valid` are for validation, and 10,000 test images, in their old order.

    binarised: none keeps 256 levels; static draws black or white in proportion, once, by the seed; dynamic draws training
        images anew in every epoch
    valid: training images that are kept for validation
    seed: decides which these are, and what is drawn
    """
    return published.from_idx(path, binarised=binarised, valid=valid, seed=seed)

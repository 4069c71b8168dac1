"""KMNIST: cursive Japanese characters, 28x28, 256 levels (T. Clanuwat et al., 2018).

https://github.com/rois-codh/kmnist, https://arxiv.org/abs/1812.01718. In the form of MNIST; what "static" and "dynamic" mean
is said there, pipeline/data/mnist.py.
"""

from pathlib import Path
from typing import Literal

from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import Count, Images, Seed

AT = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
SHA256 = {  # of https://github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/kmnist.txt
    "train-images-idx3-ubyte.gz": "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    "train-labels-idx1-ubyte.gz": "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    "t10k-images-idx3-ubyte.gz": "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    "t10k-labels-idx1-ubyte.gz": "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
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

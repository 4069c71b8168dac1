"""SVHN: house numbers, one digit in the middle, 32x32 in colour, 256 levels (Y. Netzer et al., 2011).

http://ufldl.stanford.edu/housenumbers/, the "cropped digits". The easier images of `extra` are left out, as is usual where
likelihoods are compared. The digit 0, which has the label 10 there, has the class 0 here.
"""

from pathlib import Path

from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import Count, Images, Seed, Split

AT = ("http://ufldl.stanford.edu/housenumbers/",)
FILES = (  # SHA-256 of https://github.com/tensorflow/datasets, tensorflow_datasets/url_checksums/svhn_cropped.txt
    File("train_32x32.mat", "sha256:435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8", AT),
    File("test_32x32.mat", "sha256:cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b", AT),
)


def images(*, path: Path, valid: Count, seed: Seed) -> Images:
    """73,257 training images, of which `valid` are for validation, and 26,032 test images, in their old order.

    valid: training images that are kept for validation
    seed: decides which these are
    """
    train, test = (split(published.find(path, file.name)) for file in FILES)
    return Images(*published.held_out(train, valid, seed), test, levels=256, classes=10)


def split(file: Path) -> Split:
    x, y = published.mat(file, X=4, y=2)
    return published.labelled(file, x.transpose(3, 0, 1, 2), y.ravel().astype(int) % 10, classes=10, shape=(32, 32, 3))

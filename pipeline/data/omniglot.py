"""OMNIGLOT, 28x28: handwritten characters of 50 alphabets (B. M. Lake, R. Salakhutdinov and J. B. Tenenbaum, 2015).

The smaller images and the split into training and test images are those of Y. Burda, R. Grosse and R. Salakhutdinov (2016),
https://github.com/yburda/iwae. Their intensities, real numbers in 0..1, become 256 levels, which moves the probability of
a pixel by 1 / 510 at most. As of MNIST, the draws of "static" are this project's own; several other splits and draws of
OMNIGLOT were published, and numbers of one say nothing about another.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from pipeline import Refusal
from pipeline.data import published
from pipeline.data.download import File
from pipeline.data.store import Count, Images, Seed, Split

FILES = (File("chardata.mat", None, ("https://github.com/yburda/iwae/raw/master/datasets/OMNIGLOT/",)),)


def images(*, path: Path, binarised: Literal["none", "static", "dynamic"], valid: Count, seed: Seed) -> Images:
    """24,345 training images, of which `valid` are for validation (1,345 in the paper), and 8,070 test images; y: the alphabet.

    binarised: none keeps 256 levels; static draws black or white in proportion, once, by the seed; dynamic draws training
        images anew in every epoch
    valid: training images that are kept for validation
    seed: decides which these are, and what is drawn
    """
    file = published.single(path, "chardata.mat")
    train, target, test, test_target = published.mat(file, data=2, target=2, testdata=2, testtarget=2)
    if len(target) != len(test_target):
        raise Refusal(f"{file.name}: {len(target)} alphabets of training images, but {len(test_target)} of test images")
    splits = [split(file, train, target), split(file, test, test_target)]
    return published.grey(*splits, binarised=binarised, valid=valid, seed=seed, classes=len(target))


def split(file: Path, pixels: np.ndarray, target: np.ndarray) -> Split:
    """pixels: an image per column, itself column by column [784, N]; target: a one for its alphabet [50, N]."""
    if len(pixels) != 784 or not np.isfinite(pixels).all() or pixels.min(initial=0) < 0 or pixels.max(initial=0) > 1:
        raise Refusal(f"{file.name}: expected columns of 784 numbers from 0 to 1, found {pixels.shape}")
    x = np.rint(pixels.T * published.TOP).astype(np.uint8).reshape(-1, 28, 28, 1).transpose(0, 2, 1, 3)
    return published.labelled(file, x, target.argmax(0), classes=len(target), shape=(28, 28, 1))

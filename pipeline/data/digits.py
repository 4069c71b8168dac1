"""Handwritten digits, 8x8: the set that ships with scikit-learn (E. Alpaydin and C. Kaynak, UCI, 1998).

https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits. Each pixel counts the black dots of a
4x4 cell, 0..16: 17 levels. Two binary sets are made of it, and a likelihood of one says nothing about another:
"static" sets a pixel where x >= 8, once and for all; "dynamic" sets it with probability x / 16, for validation and test
images once, for training images anew in every epoch.
"""

from typing import Literal

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from pipeline.data.store import Images, Seed, Split

TOP = 16


def images(*, binarised: Literal["none", "static", "dynamic"], seed: Seed) -> Images:
    """1257 training, 180 validation and 360 test images, every class in proportion; the same ones for every `binarised`.

    binarised: none keeps 17 levels, static thresholds them, dynamic draws black or white in proportion
    seed: decides which image belongs to which split, and what is drawn
    """
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.uint8).reshape(-1, 8, 8, 1)
    order = np.arange(len(x))
    others, test = train_test_split(order, test_size=360, stratify=y, random_state=seed)
    train, valid = train_test_split(others, test_size=180, stratify=y[others], random_state=seed)

    def binary(rows: np.ndarray, draw: int) -> np.ndarray:
        return (np.random.default_rng([seed, draw]).random(x[rows].shape) * TOP < x[rows]).astype(np.uint8)

    if binarised == "none":
        parts, levels, words = (x[train], x[valid], x[test]), TOP + 1, "no"
    elif binarised == "static":
        ink = (x >= TOP // 2).astype(np.uint8)
        parts, levels, words = (ink[train], ink[valid], ink[test]), 2, "x >= 8"
    else:
        parts = x[train], binary(valid, draw=0), binary(test, draw=1)
        levels, words = 2, "drawn with probability x / 16, training images anew in every epoch"
    splits = [Split(x=part, y=y[rows].astype(np.int64)) for part, rows in zip(parts, (train, valid, test), strict=True)]
    redraw = TOP if binarised == "dynamic" else None
    return Images(*splits, levels=levels, classes=10, binarised=words, redraw=redraw)

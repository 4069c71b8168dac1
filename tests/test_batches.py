"""Calls of training: as many steps as their bytes allow, and none twice after a resume."""

from itertools import chain

import models as small
import numpy as np
import pytest

from pipeline import models
from pipeline.data import batches
from pipeline.data.batches import Training
from pipeline.data.store import Split

pytestmark = pytest.mark.backend
NETWORK = {"latent": 2, "body": "dense", "widths": [4], "likelihood": "bernoulli"}


@pytest.fixture
def model():
    return models.build("latent", "vae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, NETWORK, 0)


@pytest.mark.parametrize(("done", "sizes"), [(0, [3, 3, 1]), (3, [0, 3, 1]), (6, [0, 0, 1])])
def test_calls_take_the_steps_that_are_left_some_at_a_time(monkeypatch, model, done, sizes):
    monkeypatch.setattr(batches, "TOGETHER", 3)
    split = Split(small.images(model, 29))
    some, whole = Training(split, model, 3, 4), Training(split, model, 3, 4)
    for epoch, left in ((2, done), (3, 0)):  # all of the next
        some.enter(epoch, left)
        whole.enter(epoch)
        found = [some.take() for _ in range(some.calls)]
        assert [len(each) for each in found] == (sizes if left else [3, 3, 1])
        for step, batch in enumerate(chain(*found), start=left):
            np.testing.assert_array_equal(batch["x"], whole.step(step)["x"])
            np.testing.assert_array_equal(batch["eps"]["z"], whole.step(step)["eps"]["z"])


def test_large_batches_are_taken_one_at_a_time(monkeypatch, model):
    """A batch has 4 * 16 bytes of images and 4 * 2 * 4 of noise."""
    split = Split(small.images(model, 29))
    monkeypatch.setattr(batches, "BYTES", 96 * 2 + 95)
    assert Training(split, model, 3, 4).together == 2
    monkeypatch.setattr(batches, "BYTES", 95)
    assert Training(split, model, 3, 4).together == 1

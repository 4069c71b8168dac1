"""Items of training: many steps one above the other where the backend takes many at once, and none twice after a resume."""

import keras
import models as small
import numpy as np
import pytest

from pipeline import models
from pipeline.data.batches import Training
from pipeline.data.store import Split

pytestmark = pytest.mark.backend


@pytest.mark.parametrize(("done", "items"), [(0, [3, 3, 1]), (3, [3, 1]), (6, [1])])
def test_items_are_the_steps_that_are_left_some_at_a_time(monkeypatch, done, items):
    monkeypatch.setattr("pipeline.data.batches.TOGETHER", 3)
    network = {"latent": 2, "body": "dense", "widths": [4], "likelihood": "bernoulli"}
    model = models.build("latent", "vae", {"shape": [4, 4, 1], "levels": 2, "classes": None}, network, 0)
    split = Split(small.images(model, 29))
    batches, whole = Training(split, model, 3, 4, first=done), Training(split, model, 3, 4)
    for each in (batches, whole):
        each.on_epoch_end()  # as Keras does before the first epoch
    if keras.backend.backend() != "tensorflow":
        items = [1] * (7 - done)
    found = [batches[item][0]["x"] for item in range(len(batches))]
    if keras.backend.backend() == "tensorflow":
        assert [len(each) for each in found] == items
        found = np.concatenate(found)
    assert len(found) == sum(items)
    for step, x in enumerate(found, start=done):
        np.testing.assert_array_equal(x, whole.step(step)["x"])
    batches.on_epoch_end()
    assert len(batches) == len(whole)  # all of the next

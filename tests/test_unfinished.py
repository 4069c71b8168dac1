"""An estimate in tiles: whatever stops it, however many images it has, the bytes are the same and the memory is bounded."""

import os
import subprocess
import sys

import models as small
import numpy as np
import pytest
from test_score import asked

from pipeline import calibration, models, store
from pipeline.evidence import importance
from pipeline.params import ROOT

pytestmark = pytest.mark.backend


def test_an_estimate_goes_on_where_it_was_stopped(tmp_path):
    """Tiles that are there are not computed, and the numbers have the same bytes."""
    model, images = calibration.line(100)
    wished = {"draws": 300, "scales": [4.0], "annealed": 40, "temperatures": 20, "chains": 4}
    whole = asked(model, images, {}, **wished)
    started = []

    def stop(done, left):
        started.append(done)
        if len(started) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), store.unfinished("estimate", "r", "f") as folder:
        asked(model, images, store.Finished(folder), stop, **wished)
    with store.unfinished("estimate", "r", "f") as folder:
        assert len(store.Finished(folder)) == 6  # two tiles of the estimate, two of the bound, the pilot, one of annealing
        before = {name: (folder / f"{name}.npz").stat().st_mtime_ns for name in store.Finished(folder)}
        again = asked(model, images, store.Finished(folder), **wished)
        assert {name: (folder / f"{name}.npz").stat().st_mtime_ns for name in before} == before
    for name, table in whole.items():
        assert table.equals(again[name]), name
    assert not (store.SCRATCH / "estimate" / "r").exists()


def test_what_other_inputs_left_is_not_used():
    with pytest.raises(KeyboardInterrupt), store.unfinished("estimate", "s", "old") as folder:
        store.Finished(folder)["tile"] = {"x": np.ones(2)}
        raise KeyboardInterrupt
    with store.unfinished("estimate", "s", "new") as folder:
        assert "tile" not in store.Finished(folder)
    assert not (store.SCRATCH / "estimate" / "s").exists()


@pytest.mark.parametrize("left", [0, 1, 100, -1])
def test_a_file_that_was_cut_off_is_not_finished(tmp_path, left):
    finished = store.Finished(tmp_path)
    finished["tile"] = {"x": np.arange(100.0)}
    path = tmp_path / "tile.npz"
    path.write_bytes(path.read_bytes()[:left])
    assert "tile" not in finished
    assert finished.get("tile") is None


MEMORY = """
import resource
import numpy as np
from pipeline import backend
backend.start(backend="tensorflow", threads=2, precision="float32")
from pipeline import models
from pipeline.evidence.importance import Importance
spec = {"shape": [14, 14, 1], "levels": 2, "classes": None}
network = {"latent": 8, "body": "dense", "widths": [64], "likelihood": "bernoulli"}
sampler = Importance(models.build("latent", "vae", spec, network, 0), 0)
x = (np.random.default_rng(0).random((1000, 14, 14, 1)) < 0.3).astype("uint8")
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
sampler.estimate(x[:100], 1000)
before = most()
sampler.estimate(x[:100], 10000)
more_draws = most() - before
sampler.estimate(x, 1000)
print(more_draws, most() - before - more_draws)
"""


def test_memory_grows_neither_with_draws_nor_with_images():
    env = os.environ | {"KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", MEMORY], env=env, capture_output=True, text=True, check=True, cwd=ROOT)
    more_draws, more_images = map(float, done.stdout.split())
    assert more_draws < 50
    assert more_images < 50


def test_a_tile_does_not_depend_on_how_many_images_there_are():
    """So that a few images at a time, or on several machines, give the bytes of all at once."""
    model = small.perturbed(
        models.build(
            "latent",
            "vae",
            {"shape": [4, 4, 1], "levels": 2, "classes": None},
            {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"},
            0,
        ),
        0,
        0.3,
    )
    x = small.images(model, 70)
    sampler = importance.Importance(model, 0)
    whole, few = sampler.estimate(x, 200), sampler.estimate(x[:5], 200)
    np.testing.assert_array_equal(whole.log_prob[:5], few.log_prob)

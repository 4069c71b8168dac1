"""Training that goes on from any checkpoint makes the bytes of training that never stopped; a number that is none is traced."""

import copy
import itertools

import models as small
import numpy as np
import pytest
from keras import ops

from pipeline import Refusal, models, store, training
from pipeline.base import Spec, Trainable
from pipeline.data import batches
from pipeline.data.store import Images, Split

pytestmark = pytest.mark.backend
SPEC = {"shape": [4, 4, 1], "levels": 2, "classes": None}
VAE = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli", "dropout": 0.2, "beta_warmup": 10}
CODES = {"codes": 4, "dimension": 2, "widths": [8], "residual": 1, "decay": 0.9, "restarts": 7, "dropout": 0.1}
PRIOR = {"prior_features": 4, "prior_layers": 2, "prior_dropout": 0.1, "likelihood": "bernoulli"}
HOW = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
EVERYTHING = HOW | {"averaging": 0.9, "schedule": "cosine", "warmup": 0.2, "clip_norm": 1.0, "weight_decay": 0.1}
RUNS = {"vae": ("latent", "vae", VAE, EVERYTHING), "vqvae": ("quantised", "vqvae", CODES | PRIOR, HOW)}
STEPS = 13  # of an epoch: with calls of 5, checkpoints are before an epoch and after its steps 5 and 10


class Recorded(dict):
    """Checkpoints, and what there was of them after each."""

    def __init__(self, past: list):
        super().__init__()
        self.past = past

    def __setitem__(self, name, value):
        super().__setitem__(name, value)
        self.past.append(copy.deepcopy(dict(self)))


@pytest.fixture(autouse=True)
def at_every_chance(monkeypatch):
    monkeypatch.setattr(training, "SECONDS_BETWEEN", 0)
    monkeypatch.setattr(training, "SHARE_OF_TIME", np.inf)
    monkeypatch.setattr(batches, "TOGETHER", 5)


def train(name: str, kept, steps: int = STEPS) -> tuple[list, list[np.ndarray]]:
    family, kind, network, how = RUNS[name]
    model = models.build(family, kind, SPEC, network, 5)
    x = small.images(model, 16 * steps + 43)
    images = Images(Split(x[: 16 * steps + 3]), Split(x[-40:-20]), Split(x[-20:]), levels=2)
    rows = [training.fit(model, images, 5, phase, kept, **how) for phase in model.phases]
    return rows, [np.array(each) for each in model.variables]


@pytest.mark.parametrize("name", RUNS)
def test_from_any_checkpoint_on_the_bytes_are_the_same(name, capsys):
    past: list[dict] = []
    rows, whole = train(name, Recorded(past))
    phases = len(rows)
    assert len(past) == phases * (3 * 3 + 1)  # three in each of three epochs, and the end of the phase
    capsys.readouterr()
    for i in {"vae": [1, 3, 8, 9], "vqvae": [4, 9, 15]}[name]:
        again, found = train(name, copy.deepcopy(past[i]))
        assert again == rows, i
        assert all(np.array_equal(a, b) for a, b in zip(whole, found, strict=True)), i
        said = capsys.readouterr().out
        epoch, step = divmod(i % 10, 3)
        expected = f"goes on after step {5 * step} of {STEPS} of epoch {epoch + 1}\n"
        assert said.startswith(expected) if i % 10 != 9 else "goes on" not in said


def test_also_where_the_steps_that_are_left_are_those_of_whole_calls():
    past: list[dict] = []
    rows, whole = train("vae", Recorded(past), 15)
    again, found = train("vae", copy.deepcopy(past[4]), 15)
    assert again == rows and all(np.array_equal(a, b) for a, b in zip(whole, found, strict=True))


def test_a_checkpoint_survives_a_file(tmp_path):
    kept = store.Finished(tmp_path)
    rows, whole = train("vae", kept)
    assert train("vae", store.Finished(tmp_path))[0] == rows
    assert np.array_equal(train("vae", store.Finished(tmp_path))[1][-1], whole[-1])


def test_checkpoints_take_a_small_share_of_the_time(monkeypatch):
    """None before its time is due, and the dearer they are the rarer."""
    clock = itertools.count()
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))  # every look takes a second, a checkpoint so as well
    monkeypatch.setattr(training, "SECONDS_BETWEEN", 2.0)
    monkeypatch.setattr(training, "SHARE_OF_TIME", 0.1)
    past: list[dict] = []
    train("vae", Recorded(past))
    assert 1 < len(past) < 1 + 1 + 9 * 2 / 10 + 1


class Sinking(Trainable):
    """A weight that loses 0.09 in each step: what is taken of it is no number once it is below zero."""

    def __init__(self, of):
        super().__init__(Spec((2, 2, 1), 2))
        self.of = of
        self.height = self.add_weight(shape=(), initializer="ones", name="height")

    def terms(self, x, eps, y=None, training=False):
        still = 0.0 * ops.sum(ops.cast(x, "float32"), axis=(1, 2, 3))
        what = still + self.of(self.height) if training else still
        return {"loss": self.height + what + still, "weight": self.height + still, "what": what}


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (lambda h: ops.log(ops.maximum(h, -1.0)) * 0.0, "what became nan and loss became nan in step 1 of epoch 4"),
        (
            lambda h: ops.where(h > 0, ops.exp(-5000 * h), 0.0),  # 0 * inf on the way back
            r"the gradient of .*height was not finite in step 1 of epoch 4, though the loss was -0\.0799",
        ),
    ],
    ids=["a term", "a gradient"],
)
@pytest.mark.parametrize("every", [0, 1e9], ids=["from the last checkpoint", "from the first"])
def test_a_number_that_is_none_is_traced_to_its_step(of, said, every, monkeypatch):
    """0.09 * 11 < 1 < 0.09 * 12: the thirteenth step, with four in an epoch the first of epoch 4."""
    monkeypatch.setattr(training, "SECONDS_BETWEEN", every)
    x = np.zeros((16, 2, 2, 1), "uint8")
    model, kept = Sinking(of), {}
    model.start({"x": x})
    images = Images(Split(x), Split(x), Split(x), levels=2)
    with pytest.raises(Refusal, match=said):
        training.fit(model, images, 0, "train", kept, epochs=9, batch_size=4, learning_rate=0.09)
    assert all(np.isfinite(array).all() for name, array in kept["train"].items() if name != "at")

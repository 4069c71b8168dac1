"""The profiles of published data sets build and learn at their real size, on random images; what they take is reckoned."""

import numpy as np
import pytest

from benchmarks import full_size, results
from pipeline import cost, params
from stages.train import phases
from tools import scaling

pytestmark = pytest.mark.backend
FILES = {path.parent.name: path for path in (params.ROOT / "profiles").glob("*/params.yaml")}  # none in copies of this project
RUNS = [(profile, name) for profile in full_size.PROFILES if profile in FILES for name in params.read(FILES[profile])["runs"]]


@pytest.mark.parametrize(("profile", "name"), RUNS, ids=[name for _, name in RUNS])
def test_a_step_of_every_phase_is_taken_at_full_size(profile, name, monkeypatch):
    settings = params.read(params.ROOT / "profiles" / profile / "params.yaml")
    run, data = settings["runs"][name], settings["data"][settings["runs"][name]["data"]]
    shape, known, test = full_size.SHAPES[data["source"]]
    images = full_size.random_images(data, 3, 2)
    assert images.train.x.shape == (3, *shape) and known > data["valid"] and test
    assert images.redraw == (255 if data.get("binarised") == "dynamic" else None)
    if "codes" in run["network"]:
        monkeypatch.setitem(run["network"], "codes", 4)  # there must be as many images
    model = full_size.model_of(run, images)
    for phase, how in phases(model, run["training"]).items():
        monkeypatch.setitem(how, "batch_size", 4)  # of such images a step takes as long as the suite may
        learning = [weight for layer in model.moves(phase) for weight in layer.weights]
        before = [np.array(weight) for weight in learning]
        monkeypatch.setattr(full_size, "EPOCHS", 2)
        assert full_size.step_seconds(model, run, data, phase, 1) > 0
        assert np.mean([np.array_equal(a, b) for a, b in zip(before, learning, strict=True)]) < 0.5


def test_every_run_is_in_the_table_of_hours():
    table = full_size.DOCUMENT.read_text(encoding="utf-8")
    named = {line.split(" | ")[0].removeprefix("| ") for line in table.splitlines() if " steps of " in line}
    assert named == {name for _, name in RUNS}


def test_a_table_goes_between_its_marks(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    results.put(path, "new")
    assert path.read_text() == f"before\n{results.BEGIN}\nnew\n{results.END}\nafter\n"


def test_the_plan_for_large_data_has_the_costs_of_its_model():
    settings = params.read(params.ROOT / "profiles" / "cifar10" / "params.yaml")
    run = settings["runs"]["cifar10-vqvae"]
    images = full_size.random_images(settings["data"]["cifar10"], run["network"]["codes"], 1)
    model = full_size.model_of(run, images)
    x, y = images.train.x[:1], images.train.y[:1]
    found = {"draw": cost.multiply_adds(model.log_weights, x, model.eps(1, np.random.default_rng(0)))}
    for phase in model.phases:
        model.enter(phase)
        found[phase] = cost.of_step(model, x, y, 1)
    assert found == scaling.COUNTED
    assert sum(np.size(weight) for weight in model.weights) == scaling.PARAMETERS
    assert settings["evidence"][run["evidence"]]["draws"] == scaling.VALUE["draws"]

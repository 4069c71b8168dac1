"""A file that is cut short or has a bit flipped is refused in one line that names it and says how to have it back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dvc_helpers import copy, dump, environment, small_params

from pipeline import Refusal, models, notebook, store
from pipeline.data import store as data_store
from pipeline.data.store import Images, Split

SPEC = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"}
WHAT = {"family": "latent", "model": "vae", "spec": SPEC, "network": NETWORK, "seed": 0}


def flipped(content: bytes, rng) -> bytes:
    at = rng.integers(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.integers(8))]) + content[at + 1 :]


def cut(content: bytes, rng) -> bytes:
    return content[: rng.integers(len(content))]


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(store, "ROOT", tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps({"compute": {}}))
    compute = {"backend": os.environ.get("KERAS_BACKEND", "tensorflow"), "threads": 2, "precision": "float32"}
    monkeypatch.setattr("pipeline.params.read", lambda: {"compute": compute})
    store.save(models.build(**WHAT), store.weights("r") / "0", WHAT)
    return store.weights("r") / "0"


@pytest.mark.backend
@pytest.mark.parametrize("harm", [flipped, cut])
def test_weights_that_are_not_those_that_were_saved(weights, harm, rng):
    assert store.load("r").count_params() > 0
    path = weights / "model.weights.h5"
    good = path.read_bytes()
    for _ in range(50):
        path.write_bytes(harm(good, rng))
        with pytest.raises(Refusal) as refused:
            store.load("r")
        assert str(refused.value).startswith(f"{path}: these are not the weights that were saved, md5 ")
        assert str(refused.value).endswith("`dvc checkout artifacts/weights/r` brings them back")


@pytest.mark.backend
def test_versions_that_shaped_the_numbers_are_kept_and_others_warned_of(weights, capsys):
    store.load("r")
    assert capsys.readouterr().err == ""
    config = json.loads((weights / "config.json").read_text())
    assert set(config["versions"]) == {"python", "keras", "numpy", os.environ.get("KERAS_BACKEND", "tensorflow")}
    (weights / "config.json").write_text(json.dumps(config | {"versions": config["versions"] | {"keras": "3.0.0"}}))
    store.load("r")
    said = capsys.readouterr().err
    assert said == "r was trained with keras 3.0.0: with other versions its numbers may differ a little\n"


@pytest.mark.parametrize("name", ["meta.json", "train_x.npy", "test_x.npy"])
def test_prepared_data_cut_short(tmp_path, name, rng):
    folder, x = tmp_path / "data" / "d", rng.integers(0, 2, (9, 4, 4, 1)).astype("uint8")
    data_store.write(folder, Images(Split(x), Split(x), Split(x), levels=2), {})
    path = folder / name
    good = path.read_bytes()
    for left in range(0, len(good) - 1, 7):  # but the last, a line's end that JSON can do without
        path.write_bytes(good[:left])
        with pytest.raises(Refusal) as refused:
            data_store.read(folder)
        assert str(refused.value).startswith(f"{path}: cannot be read (") and "\n" not in str(refused.value)
        assert str(refused.value).endswith("`dvc checkout data/d` brings it back")


STAGE = """
import sys
import stages

sys.argv[1:] = ["digits-vae"]
stages.run(lambda run: print("ran"), "run")
"""
INPUTS = {  # what is harmed: the output that it belongs to, and the stage that made that
    "artifacts/weights/digits-vae/0/model.weights.h5": ("artifacts/weights/digits-vae", "train@digits-vae"),
    "artifacts/gallery/digits-vae.npz": ("artifacts/gallery/digits-vae.npz", "draw@digits-vae"),
    "artifacts/likelihood/digits-vae.csv": ("artifacts/likelihood/digits-vae.csv", "estimate@digits-vae"),
    "data/digits/test_x.npy": ("data/digits", "prepare@digits"),
    "results/digits-vae/evidence.json": ("results/digits-vae/evidence.json", "estimate@digits-vae"),
    "results/digits-vae/history.csv": ("results/digits-vae/history.csv", "train@digits-vae"),
}


MADE = """
import json, sys
import stages

block, filled, settings = stages.declared(sys.argv[1])
names = [filled(entry) for entry in block["params"]]
values = {name: stages.lookup(settings, name) for name in names}
deps = [filled(dep) for dep in block["deps"]]
print(json.dumps({"cmd": filled(block["cmd"]), "params": {"params.yaml": values}, "deps": deps}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Inputs of a report, or of an estimate, and a dvc.lock that knows them and all that each was made from."""
    project = copy(tmp_path_factory.mktemp("files"), dump(small_params()))
    for name in INPUTS:
        path = project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(np.random.default_rng(1).bytes(300))
    stages: dict[str, dict] = {}
    for out, maker in INPUTS.values():
        if maker not in stages:
            made = json.loads(project.run(sys.executable, "-c", MADE, maker))
            for dep in made["deps"]:
                if not (project.path / dep).exists():
                    (project.path / dep).parent.mkdir(parents=True, exist_ok=True)
                    (project.path / dep).touch()
            made["deps"] = [{"path": dep, "md5": store.md5(project.path / dep)} for dep in made["deps"]]
            stages[maker] = made | {"outs": []}
        entry = stages[maker]
        entry["outs"].append({"path": out, "md5": store.md5(project.path / out)})
    (project.path / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    return project


def run(project, name: str) -> subprocess.CompletedProcess:
    stage = "estimate@digits-vae" if "weights" in name else "report@digits-vae"
    env = environment(project.path.parent) | {"DVC_STAGE": stage, "DVC_ROOT": str(project.path)}
    return subprocess.run([sys.executable, "-c", STAGE], cwd=project.path, env=env, capture_output=True, text=True)


def test_inputs_that_are_as_dvc_lock_has_them_pass(project):
    assert run(project, "weights").stdout == run(project, "report").stdout == "ran\n"


@pytest.mark.parametrize("harm", [flipped, cut])
@pytest.mark.parametrize("name", INPUTS)
def test_an_input_that_is_not_as_dvc_lock_has_it_is_refused(project, name, harm, rng):
    path = project.path / name
    good = path.read_bytes()
    path.write_bytes(harm(good, rng))
    try:
        done = run(project, name)
    finally:
        path.write_bytes(good)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    (out, maker), tool = INPUTS[name], "git" if name.startswith("results") else "dvc"
    assert done.stderr.startswith(f"{out}: expected md5 ")
    assert f"`{tool} checkout {out}` brings it back, `dvc repro {maker}` makes it again" in done.stderr


def test_an_input_that_was_made_anew_is_another_matter(project):
    """By hand, say, after an edit: then what made it is not as dvc.lock has it either."""
    path, source = project.path / "results" / "digits-vae" / "evidence.json", project.path / "pipeline" / "nn.py"
    good, before = path.read_bytes(), source.read_bytes()
    path.write_bytes(b"{}")
    try:
        assert run(project, "report").returncode == 2
        source.write_bytes(b"edited")
        assert run(project, "report").stdout == "ran\n"
        source.unlink()
        assert run(project, "report").stdout == "ran\n"
    finally:
        path.write_bytes(good)
        source.write_bytes(before)


def test_an_input_whose_maker_reads_more_than_it_did_is_another_matter(project):
    path, lock = project.path / "results" / "digits-vae" / "evidence.json", project.path / "dvc.lock"
    good, before = path.read_bytes(), lock.read_text()
    path.write_bytes(b"{}")
    content = json.loads(before)
    content["stages"]["estimate@digits-vae"]["deps"].pop()
    try:
        assert run(project, "report").returncode == 2
        lock.write_text(json.dumps(content))
        assert run(project, "report").stdout == "ran\n"
    finally:
        path.write_bytes(good)
        lock.write_text(before)


def test_an_input_that_was_made_with_other_parameters_is_another_matter(project):
    weights, params = project.path / "artifacts/weights/digits-vae/0/model.weights.h5", project.path / "params.yaml"
    good, before = weights.read_bytes(), params.read_text()
    weights.write_bytes(b"trained by hand")
    try:
        assert run(project, "weights").returncode == 2
        params.write_text(before.replace('"latent": 2', '"latent": 3'))
        assert params.read_text() != before and run(project, "weights").stdout == "ran\n"
    finally:
        weights.write_bytes(good)
        params.write_text(before)


@pytest.mark.parametrize("left", [0.3, 0.6, 0.95])
def test_a_dvc_lock_that_is_just_being_written_refuses_nothing(project, left):
    path = project.path / "dvc.lock"
    good = path.read_text()
    path.write_text(good[: int(left * len(good))])
    try:
        assert run(project, "report").stdout == "ran\n"
    finally:
        path.write_text(good)


@pytest.mark.parametrize("harm", [flipped, cut])
def test_a_template_that_is_no_notebook_any_more(tmp_path, monkeypatch, harm, rng):
    good = (notebook.ROOT / "reports" / "templates" / "run.ipynb").read_bytes()
    path = tmp_path / "reports" / "templates" / "run.ipynb"
    path.parent.mkdir(parents=True)
    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    refused = 0
    for _ in range(50):
        path.write_bytes(harm(good, rng))
        try:
            notebook.sound(path)
        except Refusal as refusal:
            refused += 1
            assert str(refusal).startswith("reports/templates/run.ipynb: no notebook (") and "\n" not in str(refusal)
            assert str(refusal).endswith("`git checkout reports/templates/run.ipynb` brings back the last one")
    assert refused == 50 if harm is cut else refused > 0  # a bit that is flipped in a word makes another word

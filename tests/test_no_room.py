"""A full disk, and a place that cannot be written to: one line, exit code 2, and what was there is there still."""

import subprocess
import sys

import pytest
from dvc_helpers import copy, dump, environment, small_params

from pipeline import store

SPEC = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 2, "body": "dense", "widths": [8], "likelihood": "bernoulli"}
WHAT = {"family": "latent", "model": "vae", "spec": SPEC, "network": NETWORK, "seed": 0}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """With a history of digits-vae and weights, or what passes for them, and all that their stages read."""
    project = copy(tmp_path_factory.mktemp("room"), dump(small_params()))
    for name in (
        "results/digits-vae/history.csv",
        "artifacts/weights/digits-vae/0/config.json",
        "data/digits/meta.json",
    ):
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_text("{}")
    return project


def run(project, stage: str, code: str) -> subprocess.CompletedProcess:
    env = environment(project.path.parent) | {"DVC_STAGE": stage, "DVC_ROOT": str(project.path)}
    return subprocess.run([sys.executable, "-c", code], cwd=project.path, env=env, capture_output=True, text=True)


WEIGHTS = """
import resource
import sys
import stages
from pipeline import backend, store

def stage(run):
    backend.start(backend="tensorflow", threads=2, precision="float32")
    from pipeline import models

    what = {what}
    model = models.build(**what)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
    with store.writing(store.weights(run)) as path:
        store.save(model, path / "0", what)

sys.argv[1:] = ["digits-vae"]
stages.run(stage, "run")
"""


@pytest.mark.parametrize("limit", [0, 10_000])
def test_weights_for_which_there_is_no_room_leave_those_that_were_there(project, limit):
    folder = project.path / "artifacts" / "weights" / "digits-vae"
    before = store.md5(folder)
    done = run(project, "train@digits-vae", WEIGHTS.format(what=WHAT, limit=limit))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "File too large; `dvc checkout` brings back" in done.stderr
    assert store.md5(folder) == before
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".")]


FULL = """
import resource
import sys
import numpy as np
import stages
from pipeline import store

resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

def stage(run):
    {before}
    with store.writing(store.result(run, {name!r})) as path:
        np.savez(path.open("wb"), x=np.zeros(10000))

sys.argv[1:] = ["digits-vae"]
stages.run(stage, "run")
"""


KINDS = {  # what is done before writing, what is written, what is said
    "a disk that is full": ("", "history.csv", "File too large"),
    "a place that is a file": ("", "history.csv/x", "File exists"),
    "a folder that may not be written to": (
        "import os; os.chmod(store.result(run, '.'), 0o555); os.geteuid() or os.seteuid(65534)",  # root may write anywhere
        "history.csv",
        "Permission denied",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_written_leaves_what_was_there(project, kind):
    folder = project.path / "results" / "digits-vae"
    before, name, said = KINDS[kind]
    was = (folder / "history.csv").read_bytes()
    code = FULL.format(before=before, name=name)
    try:
        done = run(project, "report@digits-vae", code)
    finally:
        folder.chmod(0o755)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert done.stderr.endswith("; `dvc checkout` brings back what DVC removed before\n")
    assert (folder / "history.csv").read_bytes() == was
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]

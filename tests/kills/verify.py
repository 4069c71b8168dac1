"""Twenty kills of the training and of the estimate of each family, one stage after the other: `make verify-kills`."""

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from dvc_helpers import Project, copy, dump, load
from test_kills import ROOT, kill, made

KILLS = 20
LONG = {
    "digits-vae": {"epochs": 48, "batch_size": 4, "learning_rate": 0.003, "averaging": 0.99, "schedule": "cosine"},
    "digits-pixelcnn": {"epochs": 12, "batch_size": 16, "learning_rate": 0.003, "averaging": 0.99},
    "digits-vqvae": {
        "codes": {"epochs": 8, "batch_size": 16, "learning_rate": 0.003},
        "prior": {"epochs": 8, "batch_size": 16, "learning_rate": 0.003, "schedule": "cosine"},
    },
}
DRAWS = {"quick": {"draws": 2000, "annealed": 64, "temperatures": 100}, "codes": {"draws": 500}}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    params = load((ROOT / "profiles" / "smoke" / "params.yaml").read_text(encoding="utf-8"))
    for name, training in LONG.items():
        params["runs"][name]["training"] = training
    for name, wished in DRAWS.items():
        params["evidence"][name] |= wished
    project = copy(tmp_path_factory.mktemp("kills"), dump(params))
    project.dvc("repro", "prepare@digits")
    return project


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("what", ["train", "estimate"])
def test_twenty_kills(project, what, name):
    stage = f"{what}@{name}"
    if what == "estimate":
        project.dvc("repro", "--single-item", f"train@{name}")  # nothing to do where its own kills came before
    began = time.monotonic()
    project.dvc("repro", "--single-item", stage)
    seconds, expected = time.monotonic() - began, made(project, stage)
    print(f"\n{stage}: {seconds:.1f} s when nothing stops it")
    went_on = kill(project, stage, expected, seconds, KILLS, lambda line: print(line, flush=True))
    print(f"{stage}: killed {KILLS} times, the same bytes; {went_on} trainings went on from a checkpoint")

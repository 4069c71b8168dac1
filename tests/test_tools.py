"""prune removes leftovers only; the table tells what each number is; a red step is a red end."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from dvc.repo import Repo
from dvc_helpers import ROOT, Project
from tiny import below, calls, params, tiny, tiny_project, write


@pytest.fixture
def project(tmp_path) -> Project:
    return tiny_project(tmp_path)


def prune(project: Project) -> list[str]:
    return sorted(project.run(sys.executable, "-m", "tools.prune").splitlines())


@pytest.mark.project
def test_prune_removes_what_no_stage_makes_and_nothing_else(project):
    write(project, "params.yaml", params("old", "usual"))
    project.dvc("repro")
    write(project, "params.yaml", params("usual"))
    strays = ("artifacts/claims/old.npz", "artifacts/gallery/old.npz", "artifacts/likelihood/old.csv", "reports/html/old.html")
    for stray in (*strays, "results/claims-old.json"):
        write(project, stray, "")
    write(project, "reports/html/data-old.html", "")
    kept = ("results/calibration.json", "data/notes/mine.txt", "artifacts/gallery/.other", "reports/plots/nll.csv")
    for name in kept:
        write(project, name, "")
    before = below(project.path)
    assert prune(project) == [
        "removing artifacts/claims/old.npz",
        "removing artifacts/gallery/old.npz",
        "removing artifacts/likelihood/old.csv",
        "removing artifacts/weights/old",
        "removing data/old",
        "removing reports/html/data-old.html",
        "removing reports/html/old.html",
        "removing results/claims-old.json",
        "removing results/old",
        "removing train@old from dvc.lock",
    ]
    gone = {f for f in before - below(project.path) if not f.startswith(".")}
    assert all("old" in f for f in gone) and not any("old" in f for f in below(project.path) if not f.startswith("."))
    lock = (project.path / "dvc.lock").read_bytes()
    assert b"train@usual" in lock and prune(project) == [] and (project.path / "dvc.lock").read_bytes() == lock
    calls(project)
    project.dvc("repro")
    assert calls(project) == []


def test_prune_keeps_everything_when_the_params_cannot_be_read(project):
    write(project, "results/usual/training.json", "{}")
    write(project, "params.yaml", "runs: {}\nruns: {}\n")
    assert project.run(sys.executable, "-m", "tools.prune", code=2).startswith("nothing pruned: ")
    assert (project.path / "results" / "usual").exists()


@pytest.mark.project
def test_prune_gives_way_to_a_running_dvc(project):
    write(project, "results/old/training.json", "{}")
    with Repo(project.path).lock:
        assert "lock" in project.run(sys.executable, "-m", "tools.prune", code=2)
    assert (project.path / "results" / "old").exists()


def test_prune_in_a_profile_leaves_the_project_alone(project):
    write(project, "results/old/training.json", "{}")
    write(project, "profiles/tiny/results/older/training.json", "{}")
    assert "removing results/older" in tiny(project, sys.executable, "-m", "tools.prune")
    assert (project.path / "results" / "old").exists()
    assert not (project.path / "profiles" / "tiny" / "results" / "older").exists()


RESULTS = {
    "digits-ae": {"measure": None, "estimator": "none", "direction": "none", "reconstruction_mse": 0.01234},
    "digits-made": {
        "measure": "mass",
        "estimator": "exact",
        "direction": "exact",
        "nll_nats": 123.456,
        "nll_se": 0.789,
        "bits_per_dim": 2.7831,
        "independent_nats": 150.0,
    },
    "digits-vae": {
        "measure": "mass",
        "estimator": "importance",
        "direction": "nll_too_high",
        "nll_nats": 130.0,
        "nll_se": 0.5,
        "bits_per_dim": 2.93,
        "independent_nats": 150.0,
        "flags": "collapsed",
        "reconstruction_mse": 0.03,
    },
    "faces-flow": {"measure": "density", "estimator": "exact", "direction": "exact", "nll_nats": -77.125, "nll_se": 0.25},
}


def test_the_table_tells_what_kind_of_number_each_is(project):
    write(project, "params.yaml", params(*RESULTS, "not-run-yet"))
    for run, found in RESULTS.items():
        evidence = {k: v for k, v in found.items() if k != "reconstruction_mse" and v is not None}
        write(project, f"results/{run}/evidence.json", json.dumps(evidence))
        write(project, f"results/{run}/training.json", json.dumps({"valid_loss": 1.5}))
        if "reconstruction_mse" in found:
            write(
                project, f"results/{run}/representation.json", json.dumps({"reconstruction_mse": found["reconstruction_mse"]})
            )
    said = project.run(sys.executable, "-m", "tools.table")
    assert max(map(len, said.splitlines()[:-1])) <= 100
    mass, density, none, missing = (part.splitlines() for part in said.strip().split("\n\n")[:4])
    assert "probability" in mass[0] and [line.split()[0] for line in mass[2:]] == ["digits-made", "digits-vae"]
    assert mass[1].split()[:3] == ["nll", "se", "errs"]
    assert mass[2].split()[1:4] == ["123.46", "0.79", "2.783"] and "too high" not in mass[2]
    assert "too high" in mass[3]
    assert "density" in density[0] and density[2].split()[:3] == ["faces-flow", "-77.12", "0.25"]
    assert "bits/dim" not in density[1]
    assert none[2].split()[:2] == ["digits-ae", "0.01234"] and "nll" not in none[1]
    assert missing[1].split() == ["not-run-yet"]
    assert "digits-vae: collapsed" in said
    assert said.splitlines()[-1] == f"pages: {project.path / 'reports' / 'html' / 'index.html'}"


def test_ci_runs_every_step_and_fails_when_one_does(tmp_path):
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    make = tmp_path / "make"
    env = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    steps = [
        "test",
        "lint",
        "verify",
        "PROFILE=smoke",
        "test-browser PROFILE=smoke",
        "test-project",
        "test-cluster",
        "test BACKEND=jax",
    ]
    for failing in (runs := (steps[0], steps[-1], None)):
        make.write_text(f'#!/bin/sh\necho "$*" >>calls\n[ "$*" != "{failing}" ]\n')
        make.chmod(0o755)
        done = subprocess.run([tmp_path / ".ci" / "run"], env=env, cwd="/", capture_output=True, text=True)
        assert (done.returncode == 0) == (failing is None)
        assert failing is None or f"== failed: make {failing}" in done.stderr
    assert (tmp_path / "calls").read_text().splitlines() == steps * len(runs)


def test_ci_ends_a_step_that_hangs_and_goes_on(tmp_path):
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "$*" >>calls\n[ "$*" != verify ] || exec sleep 600\n')
    make.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "LIMIT": "1"}
    done = subprocess.run([tmp_path / ".ci" / "run"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "== failed: make verify; \n" in done.stderr
    assert len((tmp_path / "calls").read_text().splitlines()) == 8

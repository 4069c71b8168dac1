"""`make time`: every stage that ran is noted, whole and from the start of Python; what came from the cache is told apart."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from dvc_helpers import ROOT, Project
from tiny import params, tiny, tiny_project, write

import stages

DVC_YAML = """
stages:
  train:
    foreach: ${runs}
    do:
      cmd: python -m stages.train ${key}
      deps: [stages/train.py]
      outs: ["artifacts/${key}"]
  index:
    cmd: python -m stages.index
    deps: [stages/index.py]
    outs: [artifacts/index]
"""
STAGE = """
import time
import stages
from pipeline import Refusal, store

def stage(name="index"):
    time.sleep(0.2)
    if name == "broken":
        raise Refusal("no")
    with store.writing(store.ROOT / "artifacts" / name) as path:
        path.write_text(name)

time.sleep(0.2)  # importing a framework
stages.run(stage, *{})
"""


@pytest.fixture
def project(tmp_path) -> Project:
    project = tiny_project(tmp_path)
    write(project, "dvc.yaml", DVC_YAML)
    write(project, "params.yaml", params("a", "b"))
    write(project, "stages/train.py", STAGE.format(["run"]))
    write(project, "stages/index.py", STAGE.format([]))
    return project


def noted(project: Project) -> list[list[str]]:
    path = project.path / ".scratch" / "times"
    return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []


def table(project: Project, code: int = 0) -> str:
    return project.run(sys.executable, "-m", "tools.time", code=code)


@pytest.mark.project
def test_what_dvc_runs_is_noted_and_what_it_takes_from_its_cache_is_told(project):
    project.dvc("repro")
    times = dict(noted(project))
    assert set(times) == {"train@a", "train@b", "index"} and all(0.4 <= float(took) < 60 for took in times.values())
    said = table(project)
    assert all(f"{float(took):.1f}" in said for took in times.values()) and "cache" not in said
    assert [path for path in project.git("status", "--porcelain").split() if "scratch" in path] == []

    project.dvc("repro", "--force", "train@a")
    assert [name for name, _ in noted(project)].count("train@a") == 2
    shutil.rmtree(project.path / ".scratch")
    shutil.rmtree(project.path / "artifacts")
    project.dvc("repro")
    assert noted(project) == []
    said = table(project)
    assert said.splitlines()[-1].startswith("cache: 3 of 3 stages came from DVC's cache")
    assert [line.split() for line in said.splitlines() if line.startswith("b")] == [["b", "cache", "0.0"]]


def test_a_stage_run_by_hand_is_noted_under_the_same_name_unless_it_failed(project):
    began = time.monotonic()
    project.run(sys.executable, "-m", "stages.train", "a")
    wall = time.monotonic() - began
    ((name, took),) = noted(project)
    assert name == "train@a" and 0.4 <= float(took) <= wall + 0.02
    project.run(sys.executable, "-m", "stages.train", "broken", code=2)
    project.run(sys.executable, "-m", "stages.train", code=2)
    table(project)  # which is no stage
    assert len(noted(project)) == 1


def test_the_start_of_python_counts():
    code = "import time; time.sleep(0.3); import stages; print(stages.age())"
    began = time.monotonic()
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    if sys.platform == "linux":
        assert 0.3 <= float(said) <= time.monotonic() - began + 0.02


def test_where_the_system_does_not_tell_it_counts_from_the_import(monkeypatch):
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert stages.age() == pytest.approx(time.monotonic() - stages.watch.IMPORTED, abs=0.05)


def test_stages_that_end_at_the_same_time_leave_each_others_lines_whole(project):
    code = "import stages, sys\nfor i in range(300): stages.note(sys.argv[1] * 64, i)"
    env = os.environ | {"PYTHONPATH": ""}
    running = [subprocess.Popen([sys.executable, "-c", code, each], cwd=project.path, env=env) for each in "abcd"]
    assert [each.wait() for each in running] == [0] * 4
    expected = [[each * 64, f"{i:.2f}"] for each in "abcd" for i in range(300)]
    assert sorted(noted(project)) == sorted(expected)


TIMES = "train@a 100\ntrain@gone 500\nindex 4\ntrain@a 12\n"
LOCK = "schema: '2.0'\nstages:\n  train@a: {}\n  train@b: {}\n"


def test_the_last_time_of_each_stage_counts_and_what_is_gone_does_not(project):
    write(project, "params.yaml", params("a", "b", "new"))
    write(project, ".scratch/times", TIMES)
    write(project, "dvc.lock", LOCK)
    *lines, last = [line for line in table(project).splitlines() if line]
    assert last == "cache: 1 of 4 stages came from DVC's cache, no run of theirs is on record here"
    assert [line.split() for line in lines[1:]] == [
        ["train", "sum"],
        ["a", "12.0", "12.0"],
        ["b", "cache", "0.0"],
        ["new", "-", "0.0"],
        ["train", "12.0", "75%", "#" * 30],
        ["index", "4.0", "25%", "#" * 10],
        ["total", "16.0"],
    ]


def test_a_profile_has_times_of_its_own(project):
    write(project, ".scratch/times", TIMES)
    tiny(project, "true")
    write(project, ".scratch/profiles/tiny/.scratch/times", "train@b 7\n")
    said = tiny(project, sys.executable, "-m", "tools.time").splitlines()
    assert said[-1].split() == ["total", "7.0"]


def test_a_damaged_record_is_refused_in_one_line(project):
    write(project, ".scratch/times", "train@a 1\ntrain@b\n")
    said = table(project, code=2)
    assert said.startswith(str(project.path / ".scratch" / "times")) and said.count("\n") == 1

"""Whatever kills a run, the next one goes on from there and ends with the same bytes: kill -9 of a stage or of DVC."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from dvc_helpers import Project, copy, dump, load, processes

from pipeline.params import ROOT

pytestmark = pytest.mark.project
TRAIN = "train@digits-vae"
KILLS = 6


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """All that a training of some ten seconds needs, after a start of about as many."""
    params = load((ROOT / "profiles" / "smoke" / "params.yaml").read_text(encoding="utf-8"))
    run = params["runs"]["digits-vae"]
    run["network"] |= {"dropout": 0.1}
    params["evidence"][run["evidence"]] |= {"draws": 20_000}
    run["training"] = {"epochs": 48, "batch_size": 4, "learning_rate": 0.003, "averaging": 0.99, "schedule": "cosine"}
    project = copy(tmp_path_factory.mktemp("kills"), dump(params))
    project.dvc("repro", "prepare@digits")
    return project


@pytest.fixture(scope="module")
def whole(project) -> tuple[dict, float]:
    """The hashes of a training that nothing stopped, and the seconds it took."""
    began = time.monotonic()
    project.dvc("repro", "--single-item", TRAIN)
    return made(project), time.monotonic() - began


def made(project: Project, stage: str = TRAIN) -> dict[str, str]:
    return {out["path"]: out["md5"] for out in load((project.path / "dvc.lock").read_text())["stages"][stage]["outs"]}


class Running:
    """`dvc repro` in a session of its own, as a terminal has it, and what it says."""

    def __init__(self, project: Project, stage: str = TRAIN):
        self.project, self.log, self.script = project, project.path.parent / "said", f"stages.{stage.split('@')[0]}"
        with self.log.open("wb") as log:
            # forced, or DVC would look into its cache
            command = [sys.executable, "-m", "dvc", "repro", "--single-item", "--force", stage]
            self.dvc = subprocess.Popen(
                command, cwd=project.path, env=project.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stage(self) -> int | None:
        """The process of the training, once there is one."""
        return next((each.pid for each in processes(self.project) if self.script in words(each)), None)

    def wait(self, what: str) -> None:
        while what not in self.said():
            assert self.dvc.poll() is None, self.said()
            time.sleep(0.05)


def words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended meanwhile
        return []


def gone(project: Project, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while processes(project):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def kill(project: Project, stage: str, expected: dict, seconds: float, kills: int, say=lambda line: None) -> int:
    """Kills a stage at moments spread over its wall time, then lets it end; how often it went on from a checkpoint.

    In turn the stage and its DVC, whose stage then ends by itself. What was done before its moment came begins anew.
    """
    rng, killed, went_on = random.Random(stage), 0, 0
    moments = [seconds * (i + rng.random()) / kills for i in range(kills)]
    rng.shuffle(moments)
    while True:
        running, moment = Running(project, stage), moments.pop() if moments else rng.uniform(0, seconds)
        try:
            running.dvc.wait(moment if killed < kills else 600)
        except subprocess.TimeoutExpired:
            own = running.stage() if killed % 2 else None
            with contextlib.suppress(ProcessLookupError):  # it ended just then
                os.kill(own or running.dvc.pid, signal.SIGKILL)
            killed += 1
            assert gone(project, 30), "an orphan goes on"
            running.dvc.wait(30)
            last = (running.said().strip().splitlines() or ["nothing"])[-1]
            say(f"{stage}: kill {killed} after {moment:.1f} s, of {'its process' if own else 'DVC'}; it had last said: {last}")
        else:
            broken = [name for name in ("dvc.lock", "RWLock-file") if name in running.said()]
            if broken and running.dvc.returncode == 255:  # DVC was killed as it wrote one of the two: make mends it
                assert "was cut short" in project.run(sys.executable, "-m", "stages.check")
                continue
            assert running.dvc.returncode == 0 and f"> python -m {running.script} " in running.said(), running.said()
            assert made(project, stage) == expected
        went_on += "goes on after step" in running.said()
        if killed == kills and running.dvc.returncode == 0:
            return went_on


def test_killed_at_any_moment_it_goes_on_and_ends_with_the_same_bytes(project, whole):
    assert kill(project, TRAIN, *whole, KILLS) > 0
    assert not (project.path / ".scratch" / "train" / "digits-vae").exists()
    assert not list((project.path / "artifacts" / "weights").glob(".*.[0-9]*"))

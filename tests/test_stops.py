"""Ctrl-C, and a dvc.lock that was cut short: nothing is lost."""

import os
import re
import signal
import sys
import time

import psutil
import pytest
from dvc_helpers import load
from test_kills import TRAIN, Running, gone, made, project, whole

__all__ = ["project", "whole"]  # fixtures
pytestmark = pytest.mark.project
PROMISED = 2.5  # seconds: 2, and half of one that a test machine may take to see it


@pytest.mark.parametrize("left", [0.0, 0.5, 0.999])
def test_a_dvc_lock_that_was_cut_short_is_mended_and_nothing_runs_again(project, whole, left):
    path = project.path / "dvc.lock"
    good = path.read_text()
    path.write_text(good[: int(left * len(good))])
    assert "dvc.lock was cut short" in project.run(sys.executable, "-m", "stages.check")
    assert "cut short" not in project.run(sys.executable, "-m", "stages.check")
    said = project.dvc("repro", TRAIN)
    assert "cached - skipping run" in said and "epoch" not in said
    assert load(path.read_text())["stages"][TRAIN] == load(good)["stages"][TRAIN]
    assert made(project) == whole[0]


def interrupt(running: Running, most: float) -> None:
    """Ctrl-C, after which the stage ends within `most` seconds, DVC a while later, in one line, and the locks are free."""
    assert running.stage(), running.said()
    own = psutil.Process(running.stage())
    began = time.monotonic()
    os.killpg(running.dvc.pid, signal.SIGINT)
    psutil.wait_procs([own], timeout=30)
    assert not own.is_running() and time.monotonic() - began < most
    assert running.dvc.wait(20) != 0
    assert gone(running.project, 2)
    assert running.said().count("stopped; `dvc repro` goes on with what is unfinished") == 1
    assert "Traceback" not in running.said()
    running.project.dvc("status")


def test_ctrl_c_ends_it_soon_and_nothing_is_lost(project, whole):
    running = Running(project)
    running.wait("epoch 30/48")
    interrupt(running, PROMISED)
    said = project.dvc("repro", "--single-item", "--force", TRAIN)
    step, epoch = map(int, re.search(r"goes on after step (\d+) of 314 of epoch (\d+)", said).groups())
    assert (epoch, step) > (1, 0)
    assert made(project) == whole[0]


def test_ctrl_c_while_a_model_is_built_and_compiled(project, whole):
    running = Running(project)
    running.wait("digits-vae, seed 0")
    time.sleep(0.5)
    assert "epoch" not in running.said()
    interrupt(running, 10)
    project.dvc("repro", "--single-item", "--force", TRAIN)
    assert made(project) == whole[0]


def test_ctrl_c_ends_an_estimate_and_what_is_finished_of_it_stays(project, whole):
    running = Running(project, "estimate@digits-vae")
    running.wait("digits-vae, seed 0: 64 images")
    interrupt(running, PROMISED)
    kept = project.path / ".scratch" / "estimate" / "digits-vae"
    tiles = {path.name: path.stat().st_mtime_ns for path in kept.rglob("*.npz")}
    assert tiles
    running = Running(project, "estimate@digits-vae")
    while kept.exists() and set(tiles) >= {path.name for path in kept.rglob("*.npz")}:
        assert running.dvc.poll() is None, running.said()
        time.sleep(0.1)
    assert {path.name: path.stat().st_mtime_ns for path in kept.rglob("*.npz") if path.name in tiles} == tiles  # not made again
    interrupt(running, PROMISED)

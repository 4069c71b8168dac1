"""Several runs at once leave what one after the other does; two DVCs at once do each other no harm."""

import subprocess
import sys

import pytest
from dvc_helpers import Stubbed, load, small_params, stubbed

pytestmark = pytest.mark.project


@pytest.fixture
def project(tmp_path) -> Stubbed:
    return stubbed(tmp_path, small_params())


def lock(project: Stubbed) -> dict:
    return load((project.path / "dvc.lock").read_text())


def test_runs_at_once_leave_the_lock_of_one_after_the_other(project, tmp_path_factory):
    said = project.run(sys.executable, "-m", "tools.parallel", "3")
    assert said.count(": done") == 3 * 3 + 1 and "failed" not in said
    assert "up to date" in project.dvc("status")
    assert project.repro() == set()
    alone = stubbed(tmp_path_factory.mktemp("alone"), small_params())
    alone.dvc("repro")
    assert lock(project) == lock(alone)


def test_a_run_that_fails_is_named_and_stops_no_other(project):
    project.env["STUB_FAILS"] = "train@mine-vae"
    said = project.run(sys.executable, "-m", "tools.parallel", "2", code=2)
    assert said.rstrip().endswith("failed: train@mine-vae")
    assert "draw@digits-vae: done" in said and "estimate@mine-vae" not in said
    assert "JOBS=none" in project.run(sys.executable, "-m", "tools.parallel", "none", code=2)


def test_two_at_once_end_well_or_say_that_the_other_has_the_lock(project):
    command = [sys.executable, "-m", "dvc", "repro"]
    both = [
        subprocess.Popen(
            command, cwd=project.path, env=project.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    said = [each.communicate()[0] for each in both]
    assert min(each.returncode for each in both) == 0
    for each, text in zip(both, said, strict=True):
        assert each.returncode == 0 or "lock" in text or "is busy" in text, text
    project.repro()
    assert "up to date" in project.dvc("status")

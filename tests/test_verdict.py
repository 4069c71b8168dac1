"""The last stage fails loudly where a claim of the calibration is broken, and marks only what holds as held."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import calibrated
import numpy as np
import pytest
from dvc_helpers import environment

from pipeline import params, verdict

BROKEN = {"pixels": calibrated.found()["pixels"] | {"total": 1.5}}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("verdict") / "project"
    for part in ("pipeline", "stages"):
        shutil.copytree(params.ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "models"))
    shutil.copy(params.ROOT / "dvc.yaml", root)
    (root / "params.yaml").write_text(json.dumps(calibrated.SETTINGS))
    calibrated.fill(root, np.random.default_rng(0))
    return root


@pytest.mark.parametrize("changed", [{}, BROKEN], ids=["well", "broken"])
def test_a_broken_claim_fails_the_stage_in_one_line_and_leaves_no_mark(project, changed):
    found, mark = calibrated.found(**changed), project / "artifacts" / "verdict"
    (project / "results" / "calibration.json").write_text(json.dumps(found))
    mark.unlink(missing_ok=True)
    command, env = [sys.executable, "-m", "stages.verdict"], environment(project.parent)
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True)
    count, wrong = len(verdict.claims(found)), len(changed)
    said = done.stdout.splitlines()
    assert [len(said), sum(line.startswith("BROKEN  pixels ") for line in said)] == [count, wrong]
    assert sum(line.startswith("holds ") for line in said) == count - wrong
    if changed:
        words = "probabilities of all images together"
        said = f"verdict: 1 of {count} claims about the estimators do not hold: {words}\n"
        assert (done.returncode, done.stderr, mark.exists()) == (2, said, False)
        assert [path for path in mark.parent.iterdir() if "verdict" in path.name] == []  # nor half of one
    else:
        assert (done.returncode, done.stderr, mark.read_text()) == (0, "", done.stdout)

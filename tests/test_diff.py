"""`make diff`: a commit's parameters, numbers and pictures beside those of now, numbers paired image by image."""

import json
import re
import shutil
import subprocess
import sys
from html import unescape

import numpy as np
import pandas as pd
import pytest
import test_reports as reports
from dvc_helpers import Project, environment

from pipeline import params
from pipeline.figures import changes
from pipeline.store import md5

VAE = "artifacts/likelihood/digits-vae.csv", "artifacts/gallery/digits-vae.npz"
AE = ("artifacts/gallery/digits-ae.npz",)


def record(project: Project, *kept: str) -> None:
    """dvc.lock as it would be, and DVC's cache with these files."""
    outs = [{"path": path, "md5": md5(project.path / path)} for path in (*VAE, *AE, "data/digits")]
    (project.path / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"all": {"cmd": "true", "outs": outs}}}))
    for path in kept:
        value = md5(project.path / path)
        target = project.path / ".dvc" / "cache" / "files" / "md5" / value[:2] / value[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project.path / path, target)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> str:
    """One run is 0.5 nats better than at the commit, with another parameter and other pictures; another run is new."""
    folder = tmp_path_factory.mktemp("diff")
    project, rng = Project(folder / "project", environment(folder)), np.random.default_rng(0)
    root = project.path
    for part in ("pipeline", "stages", "tools", "reports/templates"):
        shutil.copytree(params.ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "models"))
    (root / "dvc.yaml").write_text("stages: {}\n")
    (root / ".gitignore").write_text("/artifacts\n/data\n/.scratch\n")
    reports.fill(root, rng)
    shutil.rmtree(root / "results" / "gone")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").touch()
    record(project, *VAE)
    settings = json.loads((root / "params.yaml").read_text())
    (root / "params.yaml").write_text(
        json.dumps(settings | {"runs": {**settings["runs"], "old": settings["runs"]["digits-ae"]}})
    )
    shutil.copytree(root / "results" / "digits-ae", root / "results" / "old")
    project.git("init", "--quiet")
    project.commit("Then <b>")
    settings["runs"]["digits-vae"]["network"] = {"mean": "now"}
    settings["runs"]["new"] = settings["runs"]["digits-ae"]
    (root / "params.yaml").write_text(json.dumps(settings))
    shutil.copytree(root / "results" / "digits-ae", root / "results" / "new")
    likelihood = pd.read_csv(root / VAE[0])
    likelihood.log_prob_nats += 0.5 + 0.1 * rng.standard_normal(30)
    likelihood.to_csv(root / VAE[0], index=False)
    with np.load(root / VAE[1]) as gallery:
        np.savez(root / VAE[1], **{**gallery, "samples": gallery["samples"][::-1]})
    (root / "results/digits-vae/evidence.json").write_text(json.dumps(reports.EVIDENCE | {"nll_nats": 22.9}))
    record(project)
    said = project.run(sys.executable, "-m", "tools.diff", "HEAD")
    assert said == f"page: {root / '.scratch' / 'diff.html'}\n"
    return (root / ".scratch" / "diff.html").read_text(encoding="utf-8").replace("\u00a0", " ")


@pytest.fixture
def page(raw) -> str:
    return unescape(raw)


def test_names_and_messages_are_escaped(raw):
    assert "<script>x" not in raw and "Then <b>" not in raw


def test_parameters_stand_side_by_side(page):
    assert "<td>runs.digits-vae.network.mean</td><td><script>x</script></td><td>now</td>" in page
    assert re.search(r"Since HEAD \([0-9a-f]{7,}, Then <b>\)", page)


def test_numbers_are_compared_image_by_image(page):
    found = re.search(
        r'digits-vae</td><td class="number">23.46</td><td class="number">22.90</td><td[^>]*>(\S+) ± (\S+)</td>', page
    )
    assert float(found[1].replace("−", "-")) == pytest.approx(-0.5, abs=0.06)
    assert float(found[2]) == pytest.approx(0.1 / 30**0.5, abs=0.01)
    assert "Better now: digits-vae." in page
    assert re.search(r"<td>digits-vae</td><td>nll_nats</td><td[^>]*>23.4568</td><td[^>]*>22.9</td><td[^>]*>−0.5568</td>", page)


def test_pictures_stand_above_each_other_and_what_is_missing_is_said(page):
    assert 'aria-label="Images of digits-vae before and now"' in page
    assert 'aria-label="Images of digits-ae' not in page
    assert f"Not in DVC's cache here: <code>{AE[0]}</code>" in page
    assert "New runs: new." in page
    assert "Runs that are gone: old." in page


def test_other_data_are_not_compared(tmp_path):
    (tmp_path / "params.yaml").write_text("runs: {}\n")
    one, other = changes.State(tmp_path), changes.State(tmp_path)
    for state, value in ((one, "a"), (other, "b")):
        state.results, state.hashes = {"r": reports.EVIDENCE | {"data": "d"}}, {"data/d": value}
    other.results = {"r": reports.EVIDENCE | {"data": "d", "nll_nats": 1.0}}
    found, left = changes.differences(one, other)
    assert found.empty and left == {"r": "its data changed"}
    other.results["r"]["estimator"] = "enumeration"
    assert changes.differences(one, other)[1] == {"r": "its estimator was importance and is enumeration now"}


def test_a_revision_that_is_none_is_refused_in_one_line():
    done = subprocess.run([sys.executable, "-m", "tools.diff", "no-such"], cwd=params.ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("git log -1") and "no-such" in done.stderr and done.stderr.count("\n") == 1

"""What the README says works: its shell blocks are run, its YAML validates, its links lead somewhere."""

import contextlib
import re
import shutil
import site
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from dvc_helpers import Project, processes

from pipeline import params, schema
from pipeline.params import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def with_venv(project: Project) -> Project:
    """A .venv of the project's own, as `make setup` leaves it, that finds its packages where these tests do."""
    venv = project.path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "tests.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    shutil.copy(shutil.which("dvc", path=project.env["PATH"]), venv / "bin" / "dvc")
    (venv / "share").symlink_to(Path(sys.prefix) / "share")  # nbconvert's templates
    for requirements in ROOT.glob("requirements*.txt"):
        shutil.copy(requirements, venv)
    (venv / "made-in").write_text(str(project.path.resolve()) + "\n")
    return project


def test_every_shell_block_runs(smoke, tmp_path):
    """On a finished smoke project, one after the other. `make test` only collects here: it is what is running."""
    shutil.copytree(smoke.path, tmp_path / "project", symlinks=True)
    home = {"HOME": str(tmp_path), "PYTEST_ADDOPTS": "--collect-only -qq"}
    env = {name: value for name, value in smoke.env.items() if not name.startswith(("WATCH_", "PYTHONPATH"))} | home
    project = with_venv(Project(tmp_path / "project", env))
    said = [project.run("bash", "-euc", block) for block in blocks("sh")]
    assert "setup: removing" not in said[0]
    assert "reports/html/index.html" in said[0]
    assert re.search(r"runs\.digits-vae\.network\.latent +8 +4", said[1])
    assert re.search(r"results/digits-vae/evidence\.json +nll_nats +[\d.]+ +[\d.]+", said[1])
    end = time.monotonic() + 400
    while (status := project.dvc("queue", "status")).count("Success") < 2:
        assert "Failed" not in status, status
        assert time.monotonic() < end, status
        time.sleep(2)
    for worker in processes(project):  # DVC's workers of the queue end by themselves, but need not soon
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
    assert list((tmp_path / "dvc-store").rglob("*"))

    (python,) = blocks("python")
    code = python + "import numpy as np\nrng = np.random.default_rng(0)\n"
    code += "x = model.sample(model.noise(16, rng))\nassert x.shape == (16, 8, 8, 1)\n"
    code += "w = model.log_weights(x, {'z': rng.standard_normal((5, 16, model.latent), 'float32')})\nassert w.shape == (5, 16)"
    project.run("git", "checkout", "--quiet", ".")
    project.dvc("checkout")
    project.run(sys.executable, "-c", code)


@pytest.mark.parametrize("block", blocks("yaml"))
def test_the_blocks_for_params_yaml_make_sense(block, tmp_path):
    np.save(tmp_path / "mine.npy", np.zeros((10, 8, 8), "uint8"))
    settings = params.read()
    (tmp_path / "own.yaml").write_text(block)
    own = params.read(tmp_path / "own.yaml")
    for section, names in own.items():
        settings[section] |= names
    schema.check(settings, tmp_path)


def test_every_link_within_the_project_leads_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

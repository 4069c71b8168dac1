"""Two nodes of Ray on one machine do what a stage does alone, to the byte, even if one dies: `make test-cluster`."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would tell its makers
from dvc_helpers import ROOT, Project, copy, dump, environment, load
from ray.cluster_utils import Cluster

SMOKE = load((ROOT / "profiles" / "smoke" / "params.yaml").read_text(encoding="utf-8"))
NODE = {"num_cpus": SMOKE["compute"]["threads"], "object_store_memory": 200 * 2**20}
VAE = {
    "data": "digits",
    "family": "latent",
    "model": "vae",
    "network": {"latent": 8, "body": "dense", "widths": [128, 128], "likelihood": "categorical"},
}
# Some ten seconds of work each, in many parts: replicates to be trained, one estimate to be shared.
REPLICATES = VAE | {"seeds": [0, 1], "training": {"epochs": 30, "batch_size": 16, "learning_rate": 0.003}, "evidence": "none"}
SHARED = VAE | {"seeds": [0], "training": {"epochs": 1, "batch_size": 64, "learning_rate": 0.003}, "evidence": "long"}
LONG = {"draws": 4000, "scales": [1.0, 2.0]}


def outs(project: Project, *stages: str) -> dict:
    lock = load((project.path / "dvc.lock").read_text())["stages"]
    return {name: entry["outs"] for name, entry in lock.items() if not stages or name in stages}


def on(project: Project, address: str, **more) -> Project:
    """The same project, whose stages are done by a cluster from now on."""
    params = load((project.path / "params.yaml").read_text(encoding="utf-8"))
    (project.path / "params.yaml").write_text(dump(params | {"engine": {"kind": "ray", "address": address, **more}}))
    project.dvc("repro", "check")
    return project


@pytest.fixture
def cluster():
    """Two nodes, each with room for one task."""
    found = Cluster()
    found.nodes = [found.add_node(**NODE, include_dashboard=False) for _ in range(2)]
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Project:
    """What the kills are to come out like: trained and estimated without a cluster."""
    params = SMOKE | {"runs": {"replicates": REPLICATES, "shared": SHARED}, "claims": {}}
    params["evidence"] = SMOKE["evidence"] | {"long": LONG}
    project = copy(tmp_path_factory.mktemp("alone"), dump(params))
    project.dvc("repro", "train@replicates", "estimate@shared")
    return project


def test_the_smoke_profile_comes_out_the_same(cluster, tmp_path):
    """Training and estimation of every run again, on the cluster; and then nothing is left to do.

    In a copy of what `make PROFILE=smoke` has made here.
    """
    project = Project(tmp_path / "project", environment(tmp_path))
    shutil.copytree(ROOT / ".scratch" / "profiles" / "smoke", project.path, symlinks=True)
    expected = outs(project)
    said = on(project, cluster.address).dvc("repro", "--force", "train", "estimate")
    assert said.count("2 workers: ") > 0
    assert outs(project) == expected
    assert "Data and pipelines are up to date." in project.dvc("repro")


@pytest.mark.parametrize("workers", [1, 3])
def test_any_number_of_workers_makes_the_same(cluster, alone, workers):
    """Also more of one seed than have parts to do at once; of a third there is room after a node has joined."""
    cluster.add_node(**NODE)
    expected = outs(alone, "estimate@shared")
    said = on(alone, cluster.address, workers=workers).dvc("repro", "--single-item", "--force", "estimate@shared")
    assert f"{workers} worker{'s' * (workers > 1)}: " in said
    assert outs(alone, "estimate@shared") == expected


class Running:
    """`dvc repro` of a stage on the cluster, and how many parts of it are finished."""

    def __init__(self, project: Project, stage: str):
        self.project, self.log = project, project.path.parent / "said"
        self.parts = project.path / ".scratch" / stage.replace("@", "/")
        command = [sys.executable, "-m", "dvc", "repro", "--single-item", "--force", stage]
        with self.log.open("wb") as log:
            self.dvc = subprocess.Popen(
                command, cwd=project.path, env=project.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def finished(self) -> dict[Path, int]:
        found = {}
        for path in self.parts.rglob("[!.]*.npz"):
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_mtime_ns
        return found

    def wait_for_parts(self, count: int) -> None:
        until = time.monotonic() + 120
        while len(self.finished()) < count:
            assert self.dvc.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)

    def end(self) -> str:
        assert self.dvc.wait(400) == 0, self.log.read_text()
        return self.log.read_text()


@pytest.mark.parametrize(("stage", "parts"), [("estimate@shared", 6), ("train@replicates", 2)])
def test_a_node_may_die(cluster, alone, stage, parts):
    """There is room left for one task: it makes also what the other was at, or that begins again when it has ended."""
    expected = outs(alone, stage)
    running = Running(on(alone, cluster.address), stage)
    running.wait_for_parts(parts)
    cluster.remove_node(cluster.nodes[1], allow_graceful=False)
    said = running.end()
    assert outs(alone, stage) == expected, said
    assert not running.finished()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_who_waits_for_the_cluster_may_be_stopped(cluster, alone, how):
    """Killed, or by Ctrl-C, and started again: it finds what was finished, and nothing of that is made twice."""
    expected = outs(alone, "estimate@shared")
    running = Running(on(alone, cluster.address), "estimate@shared")
    running.wait_for_parts(6)
    os.killpg(running.dvc.pid, how)
    running.dvc.wait(10)
    if how == signal.SIGINT:
        assert "stopped; `dvc repro` goes on with what is unfinished" in running.log.read_text()
    before = running.finished()
    assert len(before) >= 6
    again = Running(alone, "estimate@shared")
    again.wait_for_parts(len(before) + 1)
    now = again.finished()
    assert {path: now[path] for path in before} == before
    again.end()
    assert outs(alone, "estimate@shared") == expected


def refused(project: Project, address: str, **more) -> str:
    """The one line in which `train` refuses; the cluster may have begun before."""
    said = on(project, address, **more).run(sys.executable, "-m", "stages.train", "shared", code=2)
    (line,) = [line for line in said.splitlines() if not re.match(r"\d workers?: ", line)]
    return line


def test_what_cannot_work_is_refused_in_one_line(cluster, alone, tmp_path):
    assert "engine.address: no cluster to work on at 127.0.0.1:9" in refused(alone, "127.0.0.1:9")
    assert "engine.address: no cluster to work on at nobody" in refused(alone, "nobody")
    said = refused(alone, cluster.address, resources={"gpus": 1})
    assert "engine.resources: a task wants 2 CPU, 1 GPU; the nodes have 2 CPU, 0 GPU; 2 CPU, 0 GPU" in said
    assert "a task wants 2 CPU, 5000 memory" in refused(alone, cluster.address, resources={"memory_gb": 5000})
    other = tmp_path / "scipy-0.0.1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: scipy\nVersion: 0.0.1\n")
    cluster.add_node(env_vars={"PYTHONPATH": str(tmp_path)}, **NODE)
    assert "has scipy 0.0.1, here " in refused(alone, cluster.address)


def test_what_a_model_refuses_is_said_as_without_a_cluster(cluster, alone):
    params = load((alone.path / "params.yaml").read_text(encoding="utf-8"))
    network = SHARED["network"] | {"body": "conv", "widths": [8, 8, 8, 8, 8]}
    params["runs"]["shared"] = SHARED | {"network": network}
    (alone.path / "params.yaml").write_text(dump(params | {"engine": {"kind": "local"}}))
    here = alone.run(sys.executable, "-m", "stages.train", "shared", code=2)
    assert "params.yaml: runs.shared.network" in here
    assert refused(alone, cluster.address) == here.splitlines()[-1]

"""Every stage reads only what dvc.yaml says it reads: its deps, params.yaml if it tracks any of it, and its own outputs."""

from pathlib import Path

import numpy as np
import pandas as pd
from dvc_helpers import Project, Watched, dump, environment, load

OUTSIDE = {".git", ".dvc", ".scratch", "__pycache__", "dvc.yaml"}


def undeclared(project: Watched) -> dict[str, set[str]]:
    """By stage: what it read or listed of the project without declaring it."""
    lock = load((project.path / "dvc.lock").read_text())["stages"]
    found = {stage: set() for stage in lock}
    for stage, event, path in project.reads():
        if not OUTSIDE & set(Path(path).parts) and not declared(lock[stage], Path(path)):
            found[stage].add(f"{event} {path}")
    return {stage: reads for stage, reads in found.items() if reads}


def declared(stage: dict, path: Path) -> bool:
    """In a dep, in an output or the temporary folder beside it, or params.yaml of a stage that tracks any of it."""
    outs = [Path(out["path"]) for out in stage["outs"]]
    known = [Path(dep["path"]) for dep in stage["deps"]] + [Path(name) for name in stage.get("params", {})] + outs
    return any(path.is_relative_to(folder) for folder in known) or any(
        folder.parent == out.parent and folder.name.startswith(f".{out.name}.")
        for folder in (path, *path.parents)
        for out in outs
    )


def test_every_stage_reads_only_what_it_declares(smoke):
    stages = load((smoke.path / "dvc.lock").read_text())["stages"]
    assert {stage for stage, _, _ in smoke.reads()} == set(stages)  # else one was not watched
    assert undeclared(smoke) == {}


def test_what_a_stage_declares_it_reads(smoke):
    """A dep that no run's stage reads would run them all again for nothing."""
    read, unread = {}, {}
    for stage, _, path in smoke.reads():
        read.setdefault(stage.split("@")[0], set()).update({path, *map(str, Path(path).parents)})
    for stage, said in load((smoke.path / "dvc.lock").read_text())["stages"].items():
        name = stage.split("@")[0]
        unread.setdefault(name, set()).update({dep["path"] for dep in said["deps"]} - read[name])
    order = {"artifacts/checked", "reports/html/index.html"}  # `check` comes first, `verdict` last
    empty = {path for path in unread["train"] if path.endswith("/blocks.py")}  # a family that shares nothing
    other = {"pipeline/data/published.py"}  # of sets that are downloaded, of which this project has none
    assert {name: paths for name in unread if (paths := unread[name] - order - empty - other)} == {}


def test_the_map_of_what_each_pixel_costs_sums_to_log_p(smoke):
    """Gallery and estimate are made by different stages, from the weights on disk."""
    found = 0
    for gallery in (smoke.path / "artifacts" / "gallery").glob("*.npz"):
        with np.load(gallery) as arrays:
            if "likelihood_map" in arrays:
                found += 1
                table = pd.read_csv(smoke.path / "artifacts" / "likelihood" / f"{gallery.stem}.csv")
                one = table[table.seed == table.seed.min()].log_prob_nats.to_numpy()
                drawn = arrays["likelihood_map"]
                np.testing.assert_allclose(drawn.sum(axis=(1, 2), dtype="float64"), one[: len(drawn)], rtol=1e-5)
    assert found


STAGE = """
import os, pathlib, shutil, subprocess, sys
import numpy
import helper, hidden

pathlib.Path("declared").read_text()
pathlib.Path("plain").read_text()
numpy.load("mapped.npy", mmap_mode="r")
os.close(os.open("low", os.O_RDONLY))
subprocess.run([sys.executable, "-c", "open('child')"], check=True)
list(pathlib.Path("listed").iterdir())
list(pathlib.Path("folder").rglob("*"))
pathlib.Path("only-written").write_text("x")
pathlib.Path(".out.1/inner").mkdir(parents=True)
pathlib.Path(".out.1/file").write_text("x")
pathlib.Path(".out.1/file").read_text()
shutil.rmtree(".out.1")
pathlib.Path("out").write_text("x")
"""


def test_the_watch_sees_every_way_to_read(tmp_path):
    path = tmp_path / "project"
    for name in ("folder/inside", "listed/inside", "declared", "plain", "low", "child", "helper.py", "hidden.py"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).touch()
    np.save(path / "mapped.npy", np.zeros(1))
    (path / "stage.py").write_text(STAGE)
    deps = ["declared", "folder", "helper.py", "stage.py"]
    stage = {"cmd": "python stage.py", "deps": deps, "outs": ["out"]}
    (path / "dvc.yaml").write_text(dump({"stages": {"fake": stage}}))
    project = Watched(Project(path, environment(tmp_path)))
    project.dvc("init", "--no-scm", "--quiet")
    project.dvc("repro")
    opened = {f"open {name}" for name in ("child", "hidden.py", "low", "mapped.npy", "plain")}
    assert undeclared(project) == {"fake": opened | {"os.listdir listed"}}

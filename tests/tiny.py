"""A small project with the real tools, whose only stage takes no time, and with a user's file that git does not know."""

import json
import shutil
import sys
from pathlib import Path

from dvc_helpers import ROOT, Project, environment

DVC_YAML = """
stages:
  train:
    foreach: ${runs}
    do:
      cmd: sh train.sh ${key}
      deps:
        - train.sh
        - ${item.reads}
      outs:
        - artifacts/weights/${key}
        - data/${key}
      metrics:
        - results/${key}/training.json:
            cache: false
"""
TRAIN = """set -e
echo $1 >>"$CALLS"
mkdir -p artifacts/weights/$1 results/$1 data/$1 && echo {} >data/$1/baselines.json
[ $1 != broken ] && echo '{"parameters": 1}' | tee artifacts/weights/$1/weights >results/$1/training.json
"""


def tiny_project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project", environment(tmp_path) | {"CALLS": str(tmp_path / "calls")})
    shutil.copytree(ROOT / "tools", project.path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    pipeline, stages = (
        ("pipeline/__init__.py", "pipeline/params.py", "pipeline/store.py"),
        ("stages/__init__.py", "stages/watch.py"),
    )
    for name in (*pipeline, *stages, ".dvc/config"):
        (project.path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, project.path / name)
    for name in (".gitignore", ".dvcignore", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, project.path / name)
    write(project, "dvc.yaml", DVC_YAML)
    write(project, "train.sh", TRAIN)
    write(project, "data/raw/mine.npy", "mine")
    write(project, "params.yaml", params("usual"))
    write(project, "profiles/tiny/params.yaml", params("a", "b"))
    project.git("init", "--quiet")
    project.commit("start")
    return project


def write(project: Project, name: str, text: str) -> None:
    (project.path / name).parent.mkdir(parents=True, exist_ok=True)
    (project.path / name).write_text(text)


def params(*runs: str) -> str:
    mine = {"reads": "data/raw/mine.npy"}
    return json.dumps({"data": {"mine": mine}, "runs": dict.fromkeys(runs, mine)})


def tiny(project: Project, *command: str, code: int = 0) -> str:
    return project.run(sys.executable, "-m", "tools.profiles", "tiny", *command, code=code)


def calls(project: Project) -> list[str]:
    """The runs that were trained since the last question."""
    path = Path(project.env["CALLS"])
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def below(folder: Path) -> set[str]:
    return {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file() and "__pycache__" not in f.parts}

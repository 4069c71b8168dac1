"""A copy of this project in a folder of its own, where tests may run DVC and git as they like."""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
LEFT = ("dvc.lock", "results/", "reports/plots/", "profiles/", "docs/example/")  # a copy starts without a past
LONGEST = 1200  # seconds; the smoke profile, run from nothing, takes a quarter of them

# What `small_params` makes dvc.yaml run, besides `check`.
OF_DATA = ("prepare", "describe")
OF_RUN = ("train", "estimate", "draw", "report")
OF_CLAIMS = ("claims", "argue")
CALIBRATION = {"calibrate", "explain"}
INDEX = {"compare", "verdict"}  # reads everything, so follows everything that says something new; and what comes last


def of(names: tuple[str, ...], *keys: str) -> set[str]:
    return {f"{name}@{key}" for name in names for key in keys}


def load(text: str) -> dict:
    return YAML(typ="safe").load(text)


def dump(params: dict) -> str:
    """As JSON, which is YAML without aliases: no block shares an edit with another."""
    return json.dumps(params, indent=2)


def environment(folder: Path) -> dict[str, str]:
    """The environment of the tests without what belongs to this repository or this user's git and DVC."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_", "KERAS_"))}
    env.pop("PYTHONPATH", None)
    return env | {
        "DVC_GLOBAL_CONFIG_DIR": str(folder / "dvc-config"),
        "DVC_SYSTEM_CONFIG_DIR": str(folder / "dvc-config"),
        "DVC_SITE_CACHE_DIR": str(folder / "dvc-site"),
        "DVC_NO_ANALYTICS": "1",
        "DVC_STUDIO_OFFLINE": "true",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]]),
    }


def killed(process: psutil.Process) -> list[str]:
    """What a process and all that it started were."""
    were = []
    for each in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            were.append(shlex.join(each.cmdline()))
            each.kill()
    return were


class Project:
    """A folder with git, DVC and an environment to call them in."""

    def __init__(self, path: Path, env: dict[str, str]):
        self.path, self.env = path, env

    def run(self, *command: str, code: int = 0) -> str:
        """What the command prints; it must exit with `code`, within a time that no command here needs.

        Files take what it prints: a pipe would be waited for as long as anything that the command left behind holds it.
        """
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            process = psutil.Popen(command, cwd=self.path, env=self.env, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            try:
                ended = f"exited with {process.wait(LONGEST)}"
            except psutil.TimeoutExpired:
                ended = f"did not end in {LONGEST} s, as these did not: {killed(process)}"
            out.seek(0)
            err.seek(0)
            said = out.read() + err.read()
        assert ended == f"exited with {code}", f"{' '.join(command)} {ended}\n{said}"
        return said

    def git(self, *arguments: str) -> str:
        return self.run("git", *arguments)

    def dvc(self, *arguments: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments, code=code)

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)


def processes(project: Project) -> list[psutil.Process]:
    """Those that work in the project's folder, and are Pythons."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(project.path.resolve()) and Path(process.cmdline()[0]).name.startswith("python"):
                found.append(process)
        except (psutil.Error, IndexError):  # ended meanwhile, or another user's
            continue
    return found


class Stubbed(Project):
    """A project whose stages are run by stub.py."""

    def ran(self, *arguments: str) -> set[str]:
        """The stages whose command a command of DVC has run."""
        log = Path(self.env["STUB_LOG"])
        log.write_text("")
        self.dvc(*arguments)
        return set(log.read_text().split())

    def repro(self, *arguments: str) -> set[str]:
        return self.ran("repro", *arguments)


def copy(folder: Path, params: str) -> Project:
    """All that git would carry, without results, under `folder`/project, with these params.yaml, committed."""
    project = Project(folder / "project", environment(folder))
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        if name and not name.startswith(LEFT) and (ROOT / name).is_file():
            (project.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, project.path / name)
    (project.path / "params.yaml").write_text(params, encoding="utf-8")
    project.git("init", "--quiet", "--initial-branch=main")
    project.commit("A copy")
    return project


class Watched(Project):
    """A project whose stages note what they read: see watch/sitecustomize.py."""

    def __init__(self, project: Project):
        self.log = project.path.parent / "reads"
        watch = {"PYTHONPATH": str(Path(__file__).with_name("watch")), "WATCH_LOG": str(self.log)}
        super().__init__(project.path, project.env | watch)

    def reads(self) -> set[tuple[str, str, str]]:
        """(stage, event, path)"""
        return {tuple(line.split("\t")) for line in self.log.read_text().splitlines()}


def smoke(folder: Path) -> Watched:
    """The smoke profile, its first run of each family and first data set of each source, made from nothing and committed."""
    params = load((ROOT / "profiles" / "smoke" / "params.yaml").read_text(encoding="utf-8"))
    params["runs"] = first(params["runs"], "family")
    used = {run["data"] for run in params["runs"].values()}
    sources = first(params["data"], "source")
    params["data"] = {name: block for name, block in params["data"].items() if name in used | set(sources)}
    params["evidence"]["quick"]["annealed"] = None  # the calibration anneals
    params["calibration"]["images"] = 120  # as few as what is claimed can be seen to hold on
    latent, codes = (params["evidence"][params["calibration"][name]] for name in ("latent", "codes"))
    latent |= {"draws": 1000, "scales": [2.0, 8.0], "annealed": 20, "chains": 4}
    codes |= {"draws": 2000, "scales": [4.0, 8.0]}
    project = Watched(copy(folder, dump(params)))
    project.dvc("repro")
    project.commit("All outputs")
    return project


def first(blocks: dict, *keys: str) -> dict:
    """Of the blocks that agree in these keys, the first."""
    found = {}
    for name, block in blocks.items():
        found.setdefault(tuple(block[key] for key in keys), name)
    return {name: blocks[name] for name in found.values()}


def small_params() -> dict:
    """params.yaml cut down: two families, a model twice on different data, one of them the user's file, two evidences
    and two more for the calibration."""
    training = {"epochs": 1, "batch_size": 64, "learning_rate": 0.003}
    ae = {"data": "digits", "family": "autoencoder", "model": "ae", "seeds": [0], "network": {"latent": 2}}
    vae = {"data": "digits", "family": "latent", "model": "vae", "seeds": [0], "network": {"latent": 2}}
    return load((ROOT / "params.yaml").read_text(encoding="utf-8")) | {
        "data": {
            "digits": {"source": "digits", "reads": "pipeline/data/digits.py", "binarised": "none", "seed": 0},
            "mine": {"source": "file", "reads": "mine.csv", "seed": 0},
        },
        "evidence": {
            "none": {},
            "quick": {"draws": 10},
            "standard": {"draws": 100},
            "tried": {"draws": 10, "annealed": 2},
            "tried-codes": {"draws": 10},
        },
        "calibration": {"latent": "tried", "codes": "tried-codes", "images": 10, "epochs": 1},
        "runs": {
            "digits-ae": ae | {"training": {**training}, "evidence": "none"},
            "digits-vae": vae | {"training": {**training}, "evidence": "standard"},
            "mine-vae": vae | {"data": "mine", "training": {**training}, "evidence": "quick"},
        },
        "claims": {"digits": {"data": "digits", "ae": "digits-ae", "vae": "digits-vae"}},
    }


def stubbed(folder: Path, params: dict) -> Stubbed:
    """A copy with these params, a user's file, and stub.py first on the PATH under the name of python."""
    project = copy(folder, dump(params))
    (project.path / "mine.csv").write_text("0,1\n1,0\n")
    project.commit("The user's file")
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).with_name("stub.py")}" "$@"\n')
    python.chmod(0o755)
    path = os.pathsep.join([str(python.parent), project.env["PATH"]])
    return Stubbed(project.path, project.env | {"PATH": path, "STUB_LOG": str(folder / "calls")})

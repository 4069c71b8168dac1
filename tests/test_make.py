"""`make` on machines that lack something: one clear line; on the others: what is needed, once. Nothing is installed here."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = (
    "awk",
    "cat",
    "cmp",
    "cp",
    "dirname",
    "git",
    "grep",
    "head",
    "id",
    "make",
    "mkdir",
    "paste",
    "rm",
    "sh",
    "tail",
    "tr",
)


def fake_python(version: str = "3.12", venv: int = 0, pip: int = 0) -> str:
    """A Python of that version, with venv and pip (exit code 0) or without; its pip fails where there is a file `pip-fails`."""
    return f"""#!/bin/sh
case "$*" in
*version_info*) echo {version} ;;
*ensurepip*) exit {venv} ;;
"-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && cp "$0" .venv/bin/python3 ;;
*"import pip"*) exit {pip} ;;
*"pip install"*) echo "$*" >>pip-calls; [ ! -e pip-fails ] || {{ echo "there is no such wheel"; exit 1; }} ;;
*) echo "${{KERAS_BACKEND:+$KERAS_BACKEND }}$*" >>python-calls ;;
esac
"""


BROKEN_SHIM = "#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n"


class Machine:
    """A fresh clone in `folder`/clone, and nothing on the PATH but COMMANDS and what a test adds."""

    def __init__(self, folder: Path, **pythons: str):
        self.bin, self.clone, home = folder / "bin", folder / "clone", folder / "home"
        home.mkdir()
        (self.clone / "tools").mkdir(parents=True)
        for name in ("Makefile", "tools/setup.sh"):
            shutil.copy(ROOT / name, self.clone / name)
        for name in ("", "-dev", "-jax"):
            (self.clone / f"requirements{name}.txt").write_text("numpy==2\n")
        self.bin.mkdir()
        for command in COMMANDS:
            (self.bin / command).symlink_to(shutil.which(command))
        for name, script in pythons.items():
            self.add(name.replace("_", "."), script)
        who = {f"GIT_{role}_{what}": "t@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.env = who | {"PATH": str(self.bin), "HOME": str(home), "GIT_CEILING_DIRECTORIES": str(folder)}

    def add(self, name: str, script: str) -> None:
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)

    def git(self, *command: str) -> None:
        subprocess.run(["git", *command], cwd=self.clone, env=self.env, check=True)

    def commit(self) -> "Machine":
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("commit", "-qm", "start")
        return self

    def make(self, *arguments: str, **env: str) -> subprocess.CompletedProcess:
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(command, cwd=self.clone, env=self.env | env, capture_output=True, text=True)

    def refuses(self, *arguments: str) -> str:
        """The one line that make says instead of doing anything."""
        done = self.make(*arguments)
        lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
        assert done.returncode != 0 and done.stdout == "" and len(lines) == 1, done.stdout + done.stderr
        assert not (self.clone / ".venv").exists()
        return lines[0]

    def does(self, *arguments: str, **env: str) -> str:
        done = self.make(*arguments, **env)
        assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
        return done.stdout

    def installed(self) -> list[str]:
        """The requirements files that pip was called for so far."""
        calls = self.clone / "pip-calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        assert all("--require-hashes" in line for line in lines)
        return [line.split()[-1] for line in lines]


@pytest.mark.parametrize(
    ("pythons", "said"),
    [
        ({}, "found none"),
        ({"python3": fake_python("3.10")}, "python3 is 3.10"),
        ({"python3": fake_python("3.14")}, "python3 is 3.14"),
        ({"python3": BROKEN_SHIM, "python3_13": BROKEN_SHIM}, "found none"),
        ({"python3": fake_python("3.11", venv=1)}, "python3 (3.11) lacks venv (Debian: apt-get install python3-venv)"),
    ],
    ids=["no python", "too old", "too new", "broken shims", "no venv"],
)
@pytest.mark.parametrize("target", ["all", "test"])
def test_without_a_suitable_python(tmp_path, pythons, said, target):
    line = Machine(tmp_path, **pythons).commit().refuses(target)
    assert line.startswith("setup: needs Python 3.11, 3.12 or 3.13") and line.endswith(said)


def test_without_git(tmp_path):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    (machine.bin / "git").unlink()
    assert machine.refuses().startswith("setup: git is missing")


def test_outside_a_repository(tmp_path):
    line = Machine(tmp_path, python3=fake_python()).refuses()
    assert line.startswith("setup: no usable git repository") and "git clone" in line


def test_before_the_first_commit(tmp_path):
    machine = Machine(tmp_path, python3=fake_python())
    machine.git("init", "-q")
    assert "no commit yet" in machine.refuses()


@pytest.mark.parametrize(("argument", "there_are"), [("PROFILE=smok", "default smoke"), ("BACKEND=torch", "tensorflow jax")])
def test_an_unknown_name_is_answered_with_those_there_are(tmp_path, argument, there_are):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    (machine.clone / "profiles" / "smoke").mkdir(parents=True)
    (machine.clone / "profiles" / "smoke" / "params.yaml").touch()
    done = machine.make(argument)
    assert done.returncode != 0 and re.fullmatch(rf".*{argument}: .*there are: {there_are}\. +Stop\.\n", done.stderr)


def test_the_first_python_that_runs_and_suits_is_taken(tmp_path):
    pythons = {"python3": BROKEN_SHIM, "python3_13": fake_python("3.13", venv=1), "python3_12": fake_python("3.12")}
    machine = Machine(tmp_path, **pythons).commit()
    assert "python3.12, Python 3.12" in machine.does("setup")


def test_the_python_that_was_asked_for_comes_first(tmp_path):
    machine = Machine(tmp_path, python3=fake_python("3.12"), mine=fake_python("3.11")).commit()
    assert "mine, Python 3.11" in machine.does("setup", PYTHON=str(machine.bin / "mine"))


def test_installs_each_requirements_file_once_and_again_when_it_changes(tmp_path):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    assert len(machine.does("setup").splitlines()) == 2
    assert machine.does("setup") == ""
    machine.does("setup-dev")
    machine.does("setup", "BACKEND=jax")
    assert machine.does("setup-dev", "BACKEND=jax") == ""
    assert machine.installed() == ["requirements.txt", "requirements-dev.txt", "requirements-jax.txt"]
    (machine.clone / "requirements.txt").write_text("numpy==3\n")
    assert "requirements.txt" in machine.does("setup")
    assert machine.installed()[3:] == ["requirements.txt"]


def test_make_test_and_make_lint_bring_their_tools(tmp_path):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    machine.does("test")
    assert (machine.clone / "python-calls").read_text().splitlines()[-1] == "-m pytest"
    assert machine.installed() == ["requirements.txt", "requirements-dev.txt"]
    machine.does("test", "BACKEND=jax")
    assert (machine.clone / "python-calls").read_text().splitlines()[-1] == "jax -m pytest -m backend"
    machine.does("lint")
    assert (machine.clone / "python-calls").read_text().splitlines()[-2:] == ["-m ruff check .", "-m ruff format --check ."]


def test_what_pip_says_is_shown_when_it_fails(tmp_path):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    machine.does("setup")
    (machine.clone / "pip-fails").touch()
    failed = machine.make("setup-dev")
    assert failed.returncode != 0 and "there is no such wheel" in failed.stderr and "run make again" in failed.stderr
    assert machine.does("setup") == ""  # which is whole still
    (machine.clone / "pip-fails").unlink()
    assert "requirements-dev.txt" in machine.does("setup-dev")


def test_a_first_installation_that_failed_starts_over(tmp_path):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    (machine.clone / "pip-fails").touch()
    assert machine.make("setup").returncode != 0
    (machine.clone / "pip-fails").unlink()
    assert "removing .venv: its installation was interrupted" in machine.does("setup")
    assert machine.does("setup") == ""


def test_an_installation_that_was_killed_starts_over(tmp_path):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    machine.does("setup")
    python = machine.clone / ".venv" / "bin" / "python"
    python.write_text(
        python.read_text().replace("case", 'case "$*" in *"pip install"*) kill -INT $PPID; exit 1 ;; esac\ncase', 1)
    )
    assert machine.make("setup-dev").returncode != 0
    assert "removing .venv: its installation was interrupted" in machine.does("setup-dev")


@pytest.mark.parametrize("damage", ["no Python", "another Python", "no pip"])
def test_a_broken_venv_is_built_anew(tmp_path, damage):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    machine.does("setup")
    python = machine.clone / ".venv" / "bin" / "python"
    scripts = {"no Python": BROKEN_SHIM, "another Python": fake_python("3.10"), "no pip": fake_python(pip=1)}
    python.write_text(scripts[damage])
    assert "removing .venv: it" in machine.does("setup")
    assert machine.does("setup") == ""


def test_a_folder_that_was_moved_gets_its_venv_anew(tmp_path):
    machine = Machine(tmp_path, python3=fake_python()).commit()
    machine.does("setup")
    machine.clone = machine.clone.rename(tmp_path / "with a space")
    assert f"it was made for {tmp_path / 'clone'}" in machine.does("setup")


def test_help_names_every_target_that_is_meant_for_people(tmp_path):
    machine = Machine(tmp_path)
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    said = re.findall(r"^make (\S*)  ", machine.does("help"), re.M)
    assert said == [{"all": ""}.get(t, t) for t in targets if t != "setup-dev"]


def test_the_report_is_served_to_this_machine_only(tmp_path):
    said = Machine(tmp_path, python3=fake_python()).commit().does("-n", "serve")
    assert "http.server --bind 127.0.0.1 " in said

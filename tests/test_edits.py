"""An edit during a run cannot lie: the stage fails and names what changed."""

import subprocess
import sys

import pytest
from dvc_helpers import copy, dump, small_params

from pipeline import Refusal, store

STAGE = """
import sys
import stages
from pipeline import store

edit = sys.argv.pop()
sys.argv.append("digits-vae")
stages.run(lambda run: exec(edit, globals() | {"run": run}), "run")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose data, weights and results are there, as far as `draw@digits-vae` declares them."""
    project = copy(tmp_path_factory.mktemp("edits"), dump(small_params()))
    for name in ("data/digits/meta.json", "artifacts/weights/digits-vae/0/config.json"):
        (project.path / name).parent.mkdir(parents=True)
        (project.path / name).write_text("{}")
    return project


def draw(project, edit: str) -> subprocess.CompletedProcess:
    env = project.env | {"DVC_STAGE": "draw@digits-vae", "DVC_ROOT": str(project.path)}
    return subprocess.run([sys.executable, "-c", STAGE, edit], cwd=project.path, env=env, capture_output=True, text=True)


UNSEEN = "import os; p = __import__('pathlib').Path({!r}); was = p.stat(); p.write_text(p.read_text().replace({!r}, {!r}))"
UNSEEN += "; os.utime(p, ns=(was.st_atime_ns, was.st_mtime_ns))"  # as long as before, and as old
APPEND = "p = __import__('pathlib').Path({!r}); p.write_text(p.read_text().replace({!r}, {!r}))"


@pytest.mark.parametrize(
    "edit, said",
    [
        (APPEND.format("pipeline/nn.py", '"""Blocks', '"""The blocks'), "pipeline/nn.py"),
        (APPEND.format("pipeline/models/latent/vae.py", "Variational", "A variational"), "pipeline/models/latent/vae.py"),
        (APPEND.format("data/digits/meta.json", "{}", "{ }"), "data/digits/meta.json"),
        ("__import__('pathlib').Path('data/digits/more').touch()", "data/digits/more"),
        (APPEND.format("params.yaml", '"threads": 2', '"threads": 1'), "params.yaml: compute"),
        (UNSEEN.format("pipeline/base.py", "conventions", "Conventions"), "pipeline/base.py"),
    ],
)
def test_what_changed_is_named(project, edit, said):
    done = draw(project, edit)
    assert done.returncode == 2
    assert done.stderr == f"{said}: changed while draw@digits-vae ran, so its outputs are not recorded: run it again\n"


ORPHAN = """
from stages import watch
watch.began_under[:] = [2**22 - 1]
with store.writing(store.gallery(run)) as path:
    path.write_bytes(b"of an orphan")
"""


def test_what_nobody_waits_for_puts_nothing_in_its_place(project):
    done = draw(project, ORPHAN)
    assert done.returncode == 2
    assert done.stderr == "draw@digits-vae: the DVC that started this was killed, so it ends, too\n"
    assert not (project.path / "artifacts" / "gallery" / "digits-vae.npz").exists()


def test_nothing_is_put_in_its_place_any_more(project):
    out = project.path / "artifacts" / "gallery" / "digits-vae.npz"
    out.parent.mkdir(exist_ok=True)
    out.write_text("before")
    write = f"\nwith store.writing(type(p)({str(out)!r})) as new: new.write_text('new')"
    done = draw(project, APPEND.format("data/digits/meta.json", "}", " }") + write)
    assert done.returncode == 2 and "changed while draw@digits-vae ran" in done.stderr
    assert (out.read_text(), [path.name for path in out.parent.iterdir()]) == ("before", [out.name])
    assert draw(project, "p = __import__('pathlib').Path()" + write).returncode == 0
    assert out.read_text() == "new"


@pytest.mark.parametrize(
    "edit",
    [
        "pass",
        APPEND.format("params.yaml", '"latent": 2', '"latent": 3'),  # draw does not track it
        APPEND.format("pipeline/figures/words.py", "import", "import"),
        "__import__('pathlib').Path('pipeline/models/__pycache__').mkdir(exist_ok=True)",
    ],
)
def test_what_the_stage_does_not_declare_may_change(project, edit):
    done = draw(project, edit)
    assert (done.returncode, done.stderr) == (0, "")


FINGERPRINT = """
import importlib.metadata
import sys
import stages

exec(sys.argv.pop())
sys.argv.append("digits-vae")
stages.run(lambda run: print(stages.fingerprint()), "run")
"""
OTHER = """
plain = importlib.metadata.distributions
stages.distributions = lambda: [each for each in plain() if each.name != "keras"]
"""


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        ("pass", True),
        (APPEND.format("README.md", "workbench", "bench"), True),
        (APPEND.format("pipeline/nn.py", "import", "import  "), False),
        (APPEND.format("data/digits/meta.json", "}", " }"), False),
        (APPEND.format("params.yaml", '"float32"', '"mixed_bfloat16"'), False),
        (OTHER, False),
    ],
    ids=["nothing", "a file that it does not read", "its code", "its data", "its parameters", "a package"],
)
def test_what_is_unfinished_is_known_by_all_that_it_was_made_from(project, edit, same):
    """A checkpoint of anything else is never gone on from."""
    env = project.env | {"DVC_STAGE": "draw@digits-vae", "DVC_ROOT": str(project.path)}
    said = [
        subprocess.run(
            [sys.executable, "-c", FINGERPRINT, what], cwd=project.path, env=env, capture_output=True, check=True
        ).stdout
        for what in ("pass", edit)
    ]
    assert len(said[0]) == 33
    assert (said[0] == said[1]) == same


def test_a_folder_or_file_is_written_whole_or_not_at_all(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "old").touch()
    with pytest.raises(Refusal), store.writing(kept) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        raise Refusal("no")
    assert list(tmp_path.iterdir()) == [kept]
    with store.writing(kept) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [file.name for file in tmp_path.rglob("*")] == ["kept", "new"]

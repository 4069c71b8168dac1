"""A profile runs in a copy that follows every edit, and only its small results come back."""

import fcntl
import shutil

import pytest
from dvc_helpers import Project
from tiny import TRAIN, below, calls, params, tiny, tiny_project, write

pytestmark = pytest.mark.project


@pytest.fixture
def project(tmp_path) -> Project:
    return tiny_project(tmp_path)


def test_a_profile_runs_apart_and_its_results_come_back(project):
    write(project, "results/usual/training.json", "{}")
    write(project, "dvc.lock", "schema: '2.0'\n")
    project.commit("results of the default profile")
    before = below(project.path)
    tiny(project, "dvc", "repro")
    assert calls(project) == ["a", "b"]
    new = {"dvc.lock", "results/a/training.json", "results/b/training.json"}
    assert below(project.path / "profiles" / "tiny") == new | {"params.yaml"}
    ours = {f for f in below(project.path) - before if not f.startswith((".scratch/", ".dvc/"))}
    assert ours == {f"profiles/tiny/{f}" for f in new}  # nothing was written elsewhere
    assert project.git("diff", "--name-only") == ""
    copy = project.path / ".scratch" / "profiles" / "tiny"
    assert (copy / "data" / "raw" / "mine.npy").read_text() == "mine"
    assert not (copy / ".dvc" / "cache").exists() and (project.path / ".dvc" / "cache" / "files").exists()

    assert (copy / "train.sh").stat().st_mtime_ns == (project.path / "train.sh").stat().st_mtime_ns
    stats = {f: (copy / f).stat() for f in below(copy) if not f.startswith((".dvc/", ".scratch/"))}
    tiny(project, "dvc", "repro")
    assert calls(project) == []
    for name, stat in stats.items():  # so that DVC need not read it again
        now = (copy / name).stat()
        assert (now.st_ino, now.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns), name

    shutil.rmtree(copy)  # with the results in git and the outputs in the cache nothing needs to be trained
    tiny(project, "dvc", "repro")
    assert calls(project) == []


def test_the_copy_follows_edits_new_and_deleted_files(project):
    copy = project.path / ".scratch" / "profiles" / "tiny"
    write(project, "old/gone.py", "1")
    (project.path / "link").symlink_to("train.sh")
    (project.path / "nowhere").symlink_to("to be made later")
    project.commit("more files")
    tiny(project, "true")
    assert (copy / "old" / "gone.py").exists() and (copy / "link").read_text() == TRAIN and (copy / "nowhere").is_symlink()
    assert not (copy / "profiles").exists()

    shutil.rmtree(project.path / "old")
    write(project, "train.sh", TRAIN + "# edited")
    write(project, "new.py", "not added to git")
    write(project, ".scratch/secret", "ignored by git")
    write(project, "data/raw/mine.npy", "other")
    write(project, "profiles/tiny/params.yaml", params("c"))
    tiny(project, "sh", "-c", "touch made-by-the-command")
    assert not (copy / "old").exists()
    assert (copy / "train.sh").read_text().endswith("# edited") and (copy / "new.py").exists()
    assert not (copy / ".scratch" / "secret").exists()
    assert (copy / "data" / "raw" / "mine.npy").read_text() == "other"
    assert (copy / "params.yaml").read_text() == params("c")


def test_what_is_finished_is_kept_when_a_stage_fails(project):
    write(project, "profiles/tiny/params.yaml", params("a", "broken"))
    tiny(project, "dvc", "repro", "--keep-going", code=255)
    kept = below(project.path / "profiles" / "tiny")
    assert "results/a/training.json" in kept and "results/broken/training.json" not in kept
    lock = (project.path / "profiles" / "tiny" / "dvc.lock").read_text()
    assert "train@a" in lock and "train@broken" not in lock


def test_a_copy_of_unknown_origin_is_made_anew(project):
    write(project, ".scratch/profiles/tiny/pipeline/stray.py", "1")
    tiny(project, "true")
    assert not (project.path / ".scratch" / "profiles" / "tiny" / "pipeline" / "stray.py").exists()


def test_an_edit_of_the_profile_during_the_run_stays(project):
    edit = f"cat >'{project.path}/profiles/tiny/params.yaml' <<'E'\n{params('edited')}\nE"
    tiny(project, "sh", "-c", edit)
    assert "edited" in (project.path / "profiles" / "tiny" / "params.yaml").read_text()


def test_the_profile_uses_the_cache_that_the_project_uses(project, tmp_path):
    project.dvc("cache", "dir", "--local", str(tmp_path / "elsewhere"))
    tiny(project, "dvc", "repro")
    assert (tmp_path / "elsewhere" / "files").exists() and not (project.path / ".dvc" / "cache" / "files").exists()


def test_a_profile_does_not_run_twice_at_once(project):
    folder = project.path / ".scratch" / "profiles"
    folder.mkdir(parents=True)
    with (folder / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert tiny(project, "true", code=2) == "profile tiny: already running in .scratch/profiles/tiny\n"


def test_data_that_cannot_be_copied_is_refused(project):
    write(project, "profiles/tiny/params.yaml", params("a").replace("data/raw", ".."))
    assert "put it, or a link to it, into the project" in tiny(project, "true", code=2)


def test_a_folder_of_data_comes_with_its_links(project):
    write(project, "profiles/tiny/params.yaml", params("a").replace("data/raw/mine.npy", "data/raw"))
    write(project, "data/more/2.npy", "2")
    (project.path / "data" / "raw" / "more").symlink_to("../more")
    tiny(project, "true")
    copied = project.path / ".scratch" / "profiles" / "tiny" / "data" / "raw"
    assert (copied / "mine.npy").read_text() == "mine" and (copied / "more" / "2.npy").read_text() == "2"

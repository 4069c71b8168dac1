"""`make verify`: one weight that is off by 1e-7 is found; on other machines numbers may differ by what is said, not by more."""

import json
import shutil
import subprocess

import h5py
import pytest

from pipeline import Refusal, models
from tools import verify

SPEC = {"shape": [4, 4, 1], "levels": 2, "classes": None}
WHAT = {
    "family": "autoencoder",
    "model": "ae",
    "spec": SPEC,
    "network": {"latent": 2, "body": "dense", "widths": [4]},
    "seed": 0,
}


@pytest.fixture
def folders(tmp_path):
    """Two copies of a finished little project."""
    from pipeline import store

    one, other = tmp_path / "one", tmp_path / "other"
    store.save(models.build(**WHAT), one / "artifacts" / "weights" / "r" / "0", WHAT)
    (one / "results").mkdir()
    (one / "results" / "a.json").write_text('{"nll_nats": 10.0}')
    outs = [{"path": name, "md5": store.md5(one / name)} for name in ("artifacts/weights/r", "results/a.json")]
    lock = {"stages": {"train@r": {"cmd": "x", "deps": [{"path": "d", "md5": "1"}], "outs": outs, "params": {"p": {"k": 1}}}}}
    (one / "dvc.lock").write_text(json.dumps(lock))
    shutil.copytree(one, other)
    return one, other


WEIGHTS = "artifacts/weights/r/0/model.weights.h5"


def plant(folder) -> None:
    """A ten millionth more in one weight."""
    with h5py.File(folder / WEIGHTS, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) and item.size else None)
        kernel = next(file[name] for name in names if file[name].ndim == 2)
        before = kernel[0, 0]
        kernel[0, 0] = before + 1e-7
        assert 0 < abs(kernel[0, 0] - before) < 2e-7


@pytest.mark.backend
def test_what_dvc_lock_says_is_compared_whatever_its_order(folders):
    one, other = folders
    lock = json.loads((one / "dvc.lock").read_text())
    found = verify.recorded(one / "dvc.lock")
    assert set(found) == {f"train@r: {what}" for what in ("d", "artifacts/weights/r", "results/a.json", "p k", "cmd")}
    lock["stages"]["train@r"]["params"]["p"]["k"] = 2
    (other / "dvc.lock").write_text(json.dumps(lock))
    assert verify.unlike(found, verify.recorded(other / "dvc.lock")) == ["train@r: p k"]


@pytest.fixture
def alone(folders, monkeypatch):
    """`verify` with a run that takes no time: it leaves the second folder."""
    one, other = folders
    monkeypatch.setattr(verify, "ROOT", one)
    monkeypatch.setattr(verify, "fresh", lambda profile, name: other)
    monkeypatch.setattr(verify, "start", lambda folder, way: subprocess.Popen(["true"], start_new_session=True))
    monkeypatch.setattr(verify, "finish", lambda folder, process: None)
    return one, other


@pytest.mark.backend
def test_the_default_profile_is_held_against_the_lock_in_git(alone, monkeypatch, capsys):
    monkeypatch.setattr(verify, "ROOT", alone[0])
    monkeypatch.setattr(verify, "where", lambda folder: folder.name)
    verify.verify("default")
    assert capsys.readouterr().out.endswith("5 entries of dvc.lock, all the same\n")
    lock = json.loads((alone[1] / "dvc.lock").read_text())
    lock["stages"]["train@r"]["outs"][0]["md5"] = "0"
    (alone[1] / "dvc.lock").write_text(json.dumps(lock))
    with pytest.raises(Refusal, match=r"^! train@r: artifacts/weights/r\nverify: 1 of 5 differ"):
        verify.verify("default")


@pytest.mark.backend
def test_a_profile_that_is_run_twice_is_held_against_itself_and_a_weight_off_by_a_ten_millionth_is_found(
    alone, monkeypatch, capsys
):
    given = []
    monkeypatch.setattr(verify, "fresh", lambda profile, name: alone[name == f"{profile}-2"])
    monkeypatch.setattr(verify, "where", lambda folder: folder.name)
    monkeypatch.setattr(verify, "give", lambda made, cache: given.append(made))
    monkeypatch.setattr(verify.profiles, "cache", lambda root: "cache")
    verify.verify("smoke")
    assert capsys.readouterr().out.endswith("3 files, all the same\n")
    plant(alone[1])
    with pytest.raises(Refusal) as refused:
        verify.verify("smoke")
    assert str(refused.value).startswith(f"! {WEIGHTS}\nverify: 1 of ")
    assert given == [alone[0] / ".dvc" / "cache"]  # nothing of what was not the same


@pytest.mark.parametrize(
    ("key", "now", "fine"),
    [
        ("nll_nats", 10.4, True),
        ("nll_nats", 10.6, False),
        ("nll_nats", float("nan"), False),
        ("best_epoch", 99, True),
        ("parameters", 11, False),
        ("estimator", "exact", False),
        ("flags", "collapsed", True),
    ],
)
def test_numbers_of_another_machine_may_differ_by_a_little(key, now, fine):
    before = {
        "a nll_nats": 10.0,
        "a nll_se": 0.01,
        "a best_epoch": 3,
        "a parameters": 10,
        "a estimator": "bound",
        "a flags": "",
    }
    bad, told = verify.judge(before, before | {f"a {key}": now})
    assert (len(bad), len(told)) == ((0, 1) if fine else (1, 0))
    assert (told + bad)[0].startswith(f"a {key}: ")


def test_three_standard_errors_are_allowed_and_a_number_that_is_gone_is_not():
    before = {"a nll_nats": 10.0, "a nll_se": 0.3}
    assert verify.judge(before, {"a nll_nats": 11.2, "a nll_se": 0.3})[0] == []
    assert verify.judge(before, {"a nll_nats": 11.4, "a nll_se": 0.3})[0] != []
    assert verify.judge(before, {"a nll_se": 0.3})[0] == ["a nll_nats: 10.0 -> None"]


def test_what_is_verified_is_given_to_the_projects_own_cache(tmp_path):
    made, cache = tmp_path / "made", tmp_path / "cache"
    for name in ("files/md5/ab/cd", "runs/ef/gh/ij"):
        (made / name).parent.mkdir(parents=True)
        (made / name).write_text(name)
    (cache / "files" / "md5" / "ab").mkdir(parents=True)
    there = cache / "files" / "md5" / "ab" / "cd"
    there.write_text("there before")
    there.chmod(0o444)  # as DVC leaves them
    verify.give(made, cache)
    assert there.read_text() == "there before"
    assert (cache / "runs" / "ef" / "gh" / "ij").read_text() == "runs/ef/gh/ij"

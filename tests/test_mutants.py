"""The deliberate mistakes of tests/mutants fit the code as it is; whether they are caught, `make mutants` tries."""

import re
import subprocess
from pathlib import Path

import pytest

from pipeline import Refusal
from pipeline.params import ROOT
from tools import mutants

ALL = mutants.mutants([])
CLASSIC = {"missing-prior", "sign-of-log-q", "missing-log-k", "float32-sums", "adapting-steps", "one-noise-for-all-images"}
CLASSIC |= {"min-pivot", "dropped-tile", "width-by-test-images", "mean-over-pixels", "sign-of-the-rate", "overlapping-groups"}


def test_there_are_many_and_each_is_another_mistake():
    assert {mutant.path.stem for mutant in ALL} >= CLASSIC
    diffs = {mutant.path.read_text(encoding="utf-8").split("\n", 2)[2] for mutant in ALL}
    assert len({mutant.wrong for mutant in ALL}) == len(diffs) == len(ALL) >= 12
    assert [mutant.path.stem for mutant in mutants.mutants(["missing-log-k", "min-pivot"])] == ["min-pivot", "missing-log-k"]
    with pytest.raises(Refusal, match=r"no such mutant: min-pivt; there are: .*, min-pivot, "):
        mutants.mutants(["min-pivt"])


def test_each_applies_and_changes_nothing_but_the_pipeline():
    for mutant in ALL:
        done = subprocess.run(["git", "apply", "--check", "--numstat", mutant.path], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, f"{mutant.path.name}: {done.stderr}"
        assert all(line.split("\t")[2].startswith("pipeline/") for line in done.stdout.splitlines())


def test_each_names_tests_that_there_are():
    for mutant in ALL:
        for test in mutant.tests:
            file, name = test.split("::")
            assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.M), f"{mutant.path.name}: {test}"


PATCH = "# one is two\n# tests: tests/test_a.py::test_a\ndiff --git a/code.py b/code.py\n--- a/code.py\n+++ b/code.py\n"
PATCH += "@@ -1 +1 @@\n-a = 1\n+a = 2\n"


@pytest.mark.parametrize(
    "code, said, expected",
    [
        (0, "1 passed", ("SURVIVED", "one is two")),
        (1, "FAILED tests/test_a.py::test_a[some thing] - assert 2 == 1", ("caught", "tests/test_a.py::test_a[some thing]")),
        (1, "FAILED tests/test_a.py::test_a - AssertionError: ", ("caught", "tests/test_a.py::test_a")),
        (1, "FAILED tests/test_a.py::test_a - NameError: b", ("BROKEN", "FAILED tests/test_a.py::test_a - NameError: b")),
        (1, "ERROR tests/test_a.py::test_a - assert 2 == 1", ("BROKEN", "ERROR tests/test_a.py::test_a - assert 2 == 1")),
        (2, "ERROR tests/test_a.py\n1 error", ("BROKEN", "ERROR tests/test_a.py")),
        (4, "no tests ran", ("BROKEN", "exit code 4")),
    ],
)
def test_only_an_assertion_that_fails_counts(tmp_path, monkeypatch, code, said, expected):
    mutant = made(tmp_path)
    seen = []

    def tested(copy: Path, tests: tuple) -> tuple[int, str]:
        seen.append((copy / "code.py").read_text())
        return code, said

    monkeypatch.setattr(mutants, "tested", tested)
    assert mutants.verdict(tmp_path / "copy", mutant) == expected
    assert seen == ["a = 2\n"]
    assert (tmp_path / "copy" / "code.py").read_text() == "a = 1\n"


def test_a_patch_that_does_not_apply_is_said_to_be_stale(tmp_path):
    mutant = made(tmp_path, "a = 3\n")
    assert mutants.verdict(tmp_path / "copy", mutant)[0] == "STALE"


def made(folder: Path, code: str = "a = 1\n") -> mutants.Mutant:
    (folder / "copy").mkdir()
    (folder / "copy" / "code.py").write_text(code)
    (folder / "one.patch").write_text(PATCH)
    return mutants.Mutant(folder / "one.patch", "one is two", ("tests/test_a.py::test_a",))

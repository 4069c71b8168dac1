"""Deliberate mistakes in the estimation of likelihoods, each of which the tests must catch: python -m tools.mutants [name ...]

A file tests/mutants/<name>.patch says in its first line what is wrong and in its second which tests are to turn red. One
after the other is tried in a copy of the project, where all these tests must be green first. To be caught an assertion has to
fail: a mistake that does not even run, or that breaks the tests themselves, proves nothing.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from pipeline import Refusal
from pipeline.params import ROOT
from tools.profiles import put

FOLDER = ROOT / "tests" / "mutants"
HEADER = re.compile(r"# (.+)\n# tests: (.+)\ndiff --git ")
RED = re.compile(r"^(?:FAILED|ERROR) .*", re.M)
CAUGHT = re.compile(r"FAILED (.+?) - (assert|AssertionError|Failed: DID NOT RAISE)")
# A patch may leave a file as long as it was, within the same second: no compiled one is kept. Long lines stay whole.
ENVIRONMENT = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}


class Mutant(NamedTuple):
    path: Path
    wrong: str
    tests: tuple[str, ...]


def mutants(names: list[str]) -> list[Mutant]:
    """In the order of their names; all where none is named."""
    found = {path.stem: path for path in sorted(FOLDER.glob("*.patch"))}
    if unknown := set(names) - set(found):
        raise Refusal(f"no such mutant: {', '.join(sorted(unknown))}; there are: {', '.join(found)}")
    heads = {found[name]: HEADER.match(found[name].read_text(encoding="utf-8")) for name in sorted(set(names) or found)}
    return [Mutant(path, head[1], tuple(head[2].split())) for path, head in heads.items()]


def applied(copy: Path, *patch: str | Path) -> bool:
    alone = ENVIRONMENT | {"GIT_CEILING_DIRECTORIES": str(copy.parent)}  # the copy is in no repository
    return subprocess.run(["git", "apply", *patch], cwd=copy, env=alone, stderr=subprocess.DEVNULL).returncode == 0


def tested(copy: Path, tests: list[str] | tuple[str, ...]) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-q", *tests]
    done = subprocess.run(command, cwd=copy, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def verdict(copy: Path, mutant: Mutant) -> tuple[str, str]:
    """caught, SURVIVED, BROKEN or STALE, and by which test, or why."""
    if not applied(copy, mutant.path):
        return "STALE", "the patch does not apply"
    code, said = tested(copy, mutant.tests)
    assert applied(copy, "--reverse", mutant.path)
    if code == 0:
        return "SURVIVED", mutant.wrong
    red = RED.search(said)
    caught = red and code == 1 and CAUGHT.match(red[0])
    return ("caught", caught[1]) if caught else ("BROKEN", red[0] if red else f"exit code {code}")


def main(chosen: list[Mutant], copy: Path) -> int:
    command, caught = ["git", "ls-files", "-coz", "--exclude-standard"], 0
    for name in subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            put(ROOT / name, copy / name)
    code, said = tested(copy, sorted({test for mutant in chosen for test in mutant.tests}))
    if code:
        raise Refusal(f"{said[-3000:]}\nthe tests are not green without a mistake")
    for mutant in chosen:
        started = monotonic()
        found, what = verdict(copy, mutant)
        caught += found == "caught"
        print(f"{found:8}  {mutant.path.stem:36} {monotonic() - started:3.0f} s  {what}", flush=True)
    print(f"{caught}/{len(chosen)} caught")
    return int(caught < len(chosen))


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(main(mutants(sys.argv[1:]), Path(folder).resolve() / "copy"))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(1)

"""What `dvc repro` runs again after an edit, and that taking the edit back runs nothing: the real dvc.yaml, stages stubbed."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc_helpers import CALIBRATION, INDEX, OF_CLAIMS, OF_DATA, OF_RUN, ROOT, Stubbed, dump, load, of, small_params, stubbed
from stub import outputs, paths, stages

pytestmark = pytest.mark.project
RUNS = ("digits-ae", "digits-vae", "mine-vae")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Stubbed:
    project = stubbed(tmp_path_factory.mktemp("caching"), small_params())
    of_data, of_runs = of(OF_DATA, "digits", "mine"), of(OF_RUN, *RUNS)
    assert project.repro() == {"check"} | of_data | of_runs | of(OF_CLAIMS, "digits") | CALIBRATION | INDEX
    return project


def line(text: str) -> str:
    return text + "# edited\n"


def setting(*keys: str, value) -> Callable[[str], str]:
    def edit(text: str) -> str:
        section = params = load(text)
        for key in keys[:-1]:
            section = section[key]
        section[keys[-1]] = value
        return dump(params)

    return edit


WIDE = small_params()["runs"]["digits-vae"] | {"network": {"latent": 16}}
EDITS = {
    "a training parameter": (
        ("params.yaml", setting("runs", "digits-vae", "training", "epochs", value=2)),
        {"check"} | of(OF_RUN, "digits-vae") | of(OF_CLAIMS, "digits") | INDEX,
    ),
    "a model": (
        ("pipeline/models/latent/vae.py", line),
        {"check"} | of(OF_RUN, "digits-vae", "mine-vae") | of(OF_CLAIMS, "digits") | CALIBRATION | INDEX,
    ),
    "an evidence block": (
        ("params.yaml", setting("evidence", "standard", "draws", value=200)),
        {"check"} | of(("estimate", "report"), "digits-vae") | INDEX,
    ),
    "an evidence block of the calibration": (
        ("params.yaml", setting("evidence", "tried", "draws", value=20)),
        {"check"} | CALIBRATION | INDEX,
    ),
    "how much is calibrated": (
        ("params.yaml", setting("calibration", "images", value=20)),
        {"check"} | CALIBRATION | INDEX,
    ),
    "an estimator": (
        ("pipeline/evidence/importance.py", line),
        {"check"} | of(("estimate", "report"), *RUNS) | CALIBRATION | INDEX,
    ),
    "how it is calibrated": (
        ("pipeline/calibration.py", line),
        CALIBRATION | INDEX,
    ),
    "what is claimed of estimators": (
        ("pipeline/verdict.py", line),
        {"explain", "verdict"},
    ),
    "what params.yaml may say": (
        ("pipeline/schema.py", line),
        {"check"},
    ),
    "the user's file": (
        ("mine.csv", line),
        of(OF_DATA, "mine") | of(OF_RUN, "mine-vae") | INDEX,
    ),
    "a figure": (
        ("pipeline/figures/run.py", line),
        of(("report",), *RUNS) | of(("describe",), "digits", "mine") | of(("argue",), "digits") | {"explain"} | INDEX,
    ),
    "how claims are measured": (
        ("pipeline/claims.py", line),
        of(OF_CLAIMS, "digits") | INDEX,
    ),
    "no claims": (
        ("params.yaml", setting("claims", value={})),
        {"check"} | INDEX,
    ),
    "a new run": (
        ("params.yaml", setting("runs", "digits-vae-wide", value=WIDE)),
        {"check"} | of(OF_RUN, "digits-vae-wide") | INDEX,
    ),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_runs_its_own_stages(project, what):
    """On top of those before it, which have run."""
    (name, edit), expected = EDITS[what]
    file = project.path / name
    file.write_text(edit(file.read_text()))
    assert project.repro() == expected


def test_taking_all_edits_back_runs_nothing(project):
    project.git("checkout", ".")
    project.run(sys.executable, "-m", "tools.prune")  # what a run that is gone left in results/ is read by the index
    assert project.repro() == set()


PIPELINE = load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PROFILES = [ROOT / "params.yaml", *sorted(ROOT.glob("profiles/*/params.yaml"))]


def test_nothing_in_dvc_yaml_turns_the_run_cache_off():
    for name, body in PIPELINE["stages"].items():
        body = body.get("do", body)
        assert body["desc"], name
        assert body["deps"], f"{name}: DVC never takes a stage without deps from the run-cache"
        assert not {"always_changed", "frozen"} & set(body), name
        for path, said in paths(body["outs"]).items():
            assert said.get("cache", True) and not said.get("persist"), path
        for kind in ("metrics", "plots"):  # in git instead: these do not turn it off
            assert all(said["cache"] is False for said in paths(body.get(kind, [])).values()), name


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.parent.name)
def test_every_dep_is_in_git_or_the_output_of_a_stage(profile):
    """What git does not track, experiments in their own folder do not find."""
    params = load(profile.read_text(encoding="utf-8"))
    given = {block["reads"] for block in params["data"].values() if block["source"] == "file"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\n")
    found = stages(PIPELINE, params)
    written = [path for stage in found.values() for path in outputs(stage)]
    known = {str(parent) for path in (*listed, *written) for parent in (Path(path), *Path(path).parents)}
    for name, stage in found.items():
        assert set(paths(stage["deps"])) - given <= known, name
    for artifact in PIPELINE["artifacts"].values():
        assert artifact["path"] in known

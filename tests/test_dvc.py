"""What people do with DVC beside `dvc repro`: compare, share, try out. The real dvc.yaml; most stages stubbed."""

import re

import h5py
import pytest
from dvc_helpers import INDEX, OF_CLAIMS, OF_RUN, Stubbed, dump, load, of, small_params, stubbed

pytestmark = pytest.mark.project
METRICS = ("training", "evidence", "representation", "quality")
LATENT = "runs.digits-vae.network.latent"
SHOW = ("exp", "show", "--only-changed", "--no-pager", "--drop", "artifacts|data|pipeline|stages|reports|results(?!.*:)")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Stubbed:
    """Two runs of one data set; a commit of their results, another after an edit of the second; pushed to a remote."""
    params = small_params()
    del params["runs"]["mine-vae"], params["data"]["mine"]
    project = stubbed(tmp_path_factory.mktemp("dvc"), params)
    project.dvc("remote", "add", "--default", "store", str(project.path.parent / "store"))
    project.repro()
    project.commit("One epoch")
    params["runs"]["digits-vae"]["training"] |= {"epochs": 2}
    (project.path / "params.yaml").write_text(dump(params))
    project.repro()
    project.commit("Two epochs")
    project.dvc("push")
    return project


@pytest.fixture
def clone(project, tmp_path) -> Stubbed:
    """A fresh clone: what is in git, and nothing in the cache."""
    project.git("clone", "--quiet", str(project.path), str(tmp_path / "clone"))
    return Stubbed(tmp_path / "clone", project.env | {"COLUMNS": "500"})


def rows(table: str, start: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if line.strip().startswith(start)]


def test_what_is_done_stays_done(project):
    assert project.repro() == set()
    assert "up to date" in project.dvc("status")
    assert project.git("status", "--porcelain") == ""


def test_done_again_it_is_the_same_to_the_byte(smoke):
    """Models and pages, the two kinds of output that are the least so by nature."""
    said = smoke.dvc("repro", "--force", "--single-item", "train@digits-vae", "report@digits-vae")
    assert said.count("Running stage") == 2
    assert smoke.git("status", "--porcelain") == ""
    assert "up to date" in smoke.dvc("status")


def test_pages_name_their_inputs_by_the_hashes_of_dvc_lock(smoke):
    stages = load((smoke.path / "dvc.lock").read_text())["stages"].values()
    known = {entry["path"]: entry["md5"] for stage in stages for part in ("deps", "outs") for entry in stage.get(part, ())}
    for page in (smoke.path / "reports" / "html").glob("*.html"):
        text = page.read_text(encoding="utf-8")
        named = dict(re.findall(r"<td>([^<]+)</td><td><code>([0-9a-f]{32}(?:\.dir)?)</code></td>", text))
        assert named and named.items() <= known.items(), page.name
        assert re.search(r"git log --reverse -S ([0-9a-f]+(?:\.dir)?) -- ", text)[1] in named.values()


def test_weights_are_of_the_best_epoch_and_nothing_else(smoke):
    """The optimizer's slots would be of the last one."""
    (file,) = (smoke.path / "artifacts" / "weights" / "digits-vae").rglob("*.h5")
    with h5py.File(file) as content:
        assert "optimizer" not in content


def test_commits_are_compared_without_cache_or_remote(clone):
    clone.dvc("remote", "modify", "--local", "store", "url", str(clone.path.parent / "nowhere"))
    shown = rows(clone.dvc("metrics", "show"), "results/")
    assert {path for path, number in shown if float(number)} == {
        f"results/{run}/{name}.json" for run in ("digits-ae", "digits-vae") for name in METRICS
    } | {"results/calibration.json", "results/claims-digits.json"}
    changed = rows(clone.dvc("metrics", "diff", "HEAD~1"), "results/")
    assert {path for path, *_ in changed} == {f"results/digits-vae/{name}.json" for name in METRICS} | {
        "results/claims-digits.json"
    }
    assert all(name == "nll_nats" and float(before) != float(after) for _, name, before, after, _ in changed)
    assert rows(clone.dvc("params", "diff", "HEAD~1"), "params.yaml") == [
        ["params.yaml", "runs.digits-vae.training.epochs", "1", "2"]
    ]
    clone.dvc("plots", "diff", "HEAD~1")
    page = (clone.path / "dvc_plots" / "index.html").read_text()
    for said in ("HEAD~1", "workspace", "valid_loss", "Test NLL of every run", "digits-vae, validation loss by epoch"):
        assert said in page
    assert clone.git("status", "--porcelain") == ""


def test_a_clone_pulls_and_has_nothing_to_run(clone):
    clone.dvc("pull")
    assert clone.repro() == set()
    assert clone.git("status", "--porcelain") == ""


def test_a_clone_has_nothing_to_run_and_need_not_pull(clone):
    assert clone.repro("--pull", "--allow-missing") == set()
    assert not (clone.path / "data").exists()
    assert clone.git("status", "--porcelain") == ""


def test_an_experiment_runs_what_it_changes(clone):
    clone.dvc("pull")
    expected = {"check"} | of(OF_RUN, "digits-vae") | of(OF_CLAIMS, "digits") | INDEX
    assert clone.ran("exp", "run", "--name", "wider", "--set-param", f"{LATENT}=4") == expected
    (shown,) = rows(clone.dvc(*SHOW), "└──")
    assert "[wider]" in shown
    assert shown[-1] == "4"
    assert "Key 'digits-vea' is not in struct" in clone.dvc(
        "exp", "run", "--set-param", "runs.digits-vea.network.latent=4", code=255
    )


@pytest.mark.parametrize(
    "before, after, said",
    [
        ('"compute": {', '"compute": {}, "compute": {', "duplicate key"),
        ('"family": "latent",', "", "item.family"),
        ('"runs": {', '"ruins": {', "runs"),
    ],
    ids=["a key twice", "a key missing", "a section missing"],
)
def test_params_that_dvc_cannot_read_are_refused_before_anything_is_deleted(clone, before, after, said):
    clone.dvc("pull")
    files = {file for file in clone.path.rglob("*") if not {".dvc", ".git"} & set(file.parts)}
    params = clone.path / "params.yaml"
    text = params.read_text()
    assert before in text
    params.write_text(text.replace(before, after, 1))
    refusal = clone.dvc("repro", code=255)
    assert said in refusal
    assert {file for file in clone.path.rglob("*") if not {".dvc", ".git"} & set(file.parts)} == files

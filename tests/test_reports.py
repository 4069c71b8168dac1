"""Pages: equal bytes, nothing asked of a network, no framework, numbers as in the files, and a way back when one fails."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import calibrated
import claimed
import nbformat
import numpy as np
import pandas as pd
import pytest
from dvc_data.hashfile.hash import file_md5
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.tree import Tree
from dvc_objects.fs import LocalFileSystem

from pipeline import params
from pipeline.data import store as data_store
from pipeline.figures.provenance import md5
from pipeline.gates import at_most

PAGES = {
    "digits-vae": "report('digits-vae')",
    "data-digits": "describe('digits')",
    "claims-digits": "argue('digits')",
    "calibration": "explain()",
    "index": "compare()",
}
RUNS = {
    "digits-ae": {"data": "digits", "family": "toy", "model": "ae", "seeds": [0], "network": {"latent": 2}},
    "digits-vae": {"data": "digits", "family": "toy", "model": "vae", "seeds": [0], "network": {"mean": "<script>x</script>"}},
}
EVIDENCE = calibrated.EVIDENCE
NO_EVIDENCE = {
    "data": "digits",
    "distribution": "none",
    "likelihood": "none",
    "estimator": "none",
    "direction": "none",
    "flags": "",
}
COSTS = {"step_multiply_adds": 11_627_520}
DRAWN = {"sample_multiply_adds": 405_504, "nearest_rms": 0.2, "nearest_test_rms": 0.25}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project in miniature, its outputs made up; each page rendered, the first time into first/."""
    root = tmp_path_factory.mktemp("project")
    for part in ("pipeline", "stages", "reports/templates"):
        shutil.copytree(params.ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "models"))
    shutil.copy(params.ROOT / "dvc.yaml", root)
    rng = np.random.default_rng(0)
    fill(root, rng)
    calls = "; ".join(f"{call}; move({name!r})" for name, call in PAGES.items())
    script = (
        "import shutil; from stages.argue import argue; from stages.compare import compare\n"
        "from stages.describe import describe; from stages.explain import explain; from stages.report import report\n"
        "def move(name): shutil.move(f'reports/html/{name}.html', f'first/{name}.html')\n"
        f"{calls}; report('digits-ae'); {'; '.join(PAGES.values())}\n"
    )
    (root / "first").mkdir()
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True)
    return root


def fill(root: Path, rng: np.random.Generator) -> None:
    x, y = rng.integers(0, 17, (60, 4, 4, 1), dtype=np.uint8), np.arange(60) % 2
    parts = {name: data_store.Split(x[i : i + 30], y[i : i + 30]) for i, name in ((0, "train"), (20, "valid"), (30, "test"))}
    baselines = {"uniform_nats": 45.3, "independent_nats": 31.2, "independent_se": 0.4, "chain_nats": None, "chain_se": None}
    baselines |= {"pca_mse": {"1": 0.05, "2": 0.03}, "mean_mse": 0.07}
    data_store.write(root / "data" / "digits", data_store.Images(**parts, levels=17, classes=2), baselines)
    claims = {"digits": {"data": "digits", "ae": "digits-ae", "vae": "digits-vae"}}
    settings = {"data": {"digits": {}}, "runs": RUNS, "claims": claims, **calibrated.SETTINGS}
    (root / "params.yaml").write_text(json.dumps(settings))  # a kind of YAML
    (root / "pipeline" / "models" / "toy").mkdir(parents=True)
    (root / "results" / "gone").mkdir(parents=True)
    (root / "results" / "gone" / "evidence.json").touch()
    for folder in ("claims", "gallery", "likelihood"):
        (root / "artifacts" / folder).mkdir(parents=True)
    np.savez(root / "artifacts" / "claims" / "digits.npz", **claimed.gallery(rng))
    (root / "results" / "claims-digits.json").write_text(json.dumps(claimed.found()))
    calibrated.fill(root, rng)
    for run, chosen in RUNS.items():
        (root / f"pipeline/models/toy/{chosen['model']}.py").write_text('"""A <i>toy</i>: p(x) > 0."""\nraise ImportError\n')
        vae = chosen["model"] == "vae"
        epochs = np.arange(1, 13)
        loss = {"loss": 30 / epochs + 24, "valid_loss": 31 / epochs + 25}
        terms = {"valid_distortion": 31 / epochs + 20, "valid_rate": 5 + 0 * epochs} if vae else {}
        history = pd.DataFrame({"seed": 0, "phase": "train", "epoch": epochs, **loss, **terms})
        rows = slice(None) if vae else slice(0)
        score = pd.DataFrame({"seed": 0, "image": np.arange(30), "log_prob_nats": -rng.normal(23, 3, 30)})
        score = calibrated.weighed(score)[rows]
        curve = pd.DataFrame({"seed": 0, "k": [1, 10, 100], "nll_nats": [25.0, 24.0, 23.5], "nll_se": 0.6})[rows]
        annealed = {**EVIDENCE, "estimator": "annealed", "draws": 4}
        estimates = pd.DataFrame([{"seed": 0, "scale": 1.0, **row} for row in (EVIDENCE, annealed)])[rows]
        tables = {"history": history, "k_curve": curve, "estimates": estimates}
        tables |= {"sweep": calibrated.sweep()[rows], "annealing": calibrated.moves()[rows]}
        tables["gates"] = pd.DataFrame([{"seed": 0} | at_most("off by so much", 0.05, 0.1)])[rows]
        arrays = {"originals": x[30:46], "reconstructions": x[30:46] * 0.9, "codes": rng.normal(size=(30, 2))}
        arrays |= {"traversals": rng.random((2, 5, 4, 4, 1)) * 16, "traversal_values": np.ones((2, 1)) * np.linspace(-3, 3, 5)}
        if vae:
            arrays["samples"] = arrays["nearest"] = rng.integers(0, 17, (64, 4, 4, 1))
        probes = {f"{kind}_{n}": 0.5 for kind in ("probe", "raw", "pca") for n in (20, 100, "all")}
        results = root / "results" / run
        results.mkdir()
        np.savez(root / f"artifacts/gallery/{run}.npz", **arrays)
        score.to_csv(root / f"artifacts/likelihood/{run}.csv", index=False)
        for name, table in tables.items():
            table.to_csv(results / f"{name}.csv", index=False)
        for name, content in {
            "training": {"parameters": 12345, "epochs": 12, "best_epoch": 12, "valid_loss": 27.6} | COSTS,
            "evidence": EVIDENCE if vae else NO_EVIDENCE,
            "quality": calibrated.QUALITY if vae else {},
            "representation": {"latent": 2, "reconstruction_mse": 0.01234, **probes, **(DRAWN if vae else {})},
        }.items():
            (results / f"{name}.json").write_text(json.dumps(content))


def text(project: Path, name: str, code: bool = True) -> str:
    """`code`: with that of the notebook at the end."""
    page = (project / "reports" / "html" / f"{name}.html").read_text(encoding="utf-8")
    before, mark, after = page.partition('<details class="code">')
    return before + mark + after if code else before


@pytest.mark.parametrize("name", PAGES)
def test_two_renders_are_equal_to_the_byte(project, name):
    page = (project / "first" / f"{name}.html").read_bytes()
    assert page == (project / "reports" / "html" / f"{name}.html").read_bytes()
    assert len(page) < 5_000_000


@pytest.mark.parametrize("name", [*PAGES, "digits-ae"])
def test_a_page_asks_nothing_of_a_network(project, name):
    page = text(project, name)
    ids = set(re.findall(r' id="([^"]+)"', page))
    for address in re.findall(r"""(?:src|href|url|@import)\s*[=( ]\s*["']?([^"')>\s]+)""", page):
        assert address.startswith("data:") or address[1:] in ids or (project / "reports" / "html" / address).exists(), address
    assert not re.search(r"<script|<iframe|<link(?! rel=\"icon\" href=\"data:,\")", page)


@pytest.mark.parametrize("name", [*PAGES, "digits-ae"])
def test_a_page_is_whole_and_every_picture_has_words(project, name):
    page = text(project, name)
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert re.search(r'<title>[^<]+</title>\n<meta name="viewport" content="width=device-width, initial-scale=1">', page)
    figures = re.findall(r"<figure.*?</figure>", page, flags=re.S)
    assert figures
    assert all(re.search(r'<svg aria-label="[^"]{8,}"[^>]* role="img"', figure) for figure in figures)
    assert all(re.search(r"<figcaption>.{20,}</figcaption>", figure) for figure in figures)
    assert page.count("<svg") == len(figures)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert str(project) not in page
    assert "Traceback" not in page


def test_printed_numbers_are_those_of_the_files(project):
    page = text(project, "digits-vae")
    assert "<strong>23.46 nats</strong> (2.115 bits per dimension)" in page
    assert "from 22.26 to 24.66" in page
    assert "0.0123" in page
    assert "12,345" in page
    assert "<dt>multiply-adds of a training step</dt><dd>11.6 M</dd>" in page
    assert '<td class="number">406 k</td>' in text(project, "index")
    assert "test image by 0.250: in the median, samples are 20.0\u00a0% nearer to the training images" in page
    assert '<td class="number">23.46</td>' in text(project, "index")
    assert "digits-ae, reconstructions (it cannot draw)" in text(project, "index")
    assert "<code>results/gone</code>" in text(project, "index")
    assert '<a href="claims-digits.html">claims: digits</a>' in text(project, "index")
    assert '<a href="calibration.html">calibration of the estimators</a>' in text(project, "index")
    assert "It has no likelihood" in text(project, "digits-ae")
    assert ">31.20</td>" in text(project, "data-digits")
    assert "30.0 % ± 1.0" in text(project, "claims-digits")
    curves, nll = (pd.read_csv(project / "reports" / "plots" / f"{name}.csv") for name in ("curves", "nll"))
    assert list(curves.columns) == ["data", "run", "epoch", "valid_loss"]
    assert len(curves) == 12
    assert set(curves.run) == {"digits-vae"}  # squared errors share no axis with nats
    assert nll.to_dict("records") == [{"run": "digits-vae", **{key: EVIDENCE[key] for key in nll.columns[1:]}}]


def test_a_page_says_how_far_the_estimate_can_be_trusted(project):
    page = unescape(text(project, "digits-vae")).replace("\u00a0", " ")
    for part in (
        "which is 0.50 for ten times as many draws",
        "The posterior as it was trained, 1, is 0.50 nats worse.",
        "the worst (image 0) 2.0; the largest weight makes up 35.0 % of the sum in the median, 60.0 % at most",
        "finds these 8 test images 0.12 ± 0.03 nats likelier than the headline",
        "the two bounds are 0.21 ± 0.04 nats apart",
        "log p(x) lies 2.50 nats above the ELBO (dotted). 1.75 of them, at most, are the family's",
    ):
        assert part in page
    for name in ("Annealing", "Pareto", "proposal", "calibration.html"):
        assert name not in text(project, "digits-ae", code=False)


def test_names_parameters_and_docstrings_are_escaped(project):
    page = text(project, "digits-vae")
    for raw in ("<script>x</script>", "<b>bold</b>", "<i>toy</i>"):
        assert raw not in page
        assert raw in unescape(page)
    assert "&lt;b&gt;" in text(project, "index")


def test_the_provenance_is_what_dvc_would_write(project):
    page, folder = text(project, "digits-vae"), project / "data" / "digits"
    tree = Tree()
    for file in folder.iterdir():
        tree.add((file.name,), None, HashInfo("md5", file_md5(str(file), LocalFileSystem())))
    tree.digest()
    assert tree.oid.endswith(".dir")
    for path, expected in (
        (folder, tree.oid),
        (project / "results/digits-vae/evidence.json", hashlib.md5(json.dumps(EVIDENCE).encode()).hexdigest()),
    ):
        assert md5(path) == expected
        assert f"<td>{path.relative_to(project)}</td><td><code>{expected}</code></td>" in page
    assert "dvc repro report@digits-vae" in page


def test_a_failed_cell_is_refused_and_leaves_no_page_but_the_notebook(project):
    lost, page = project / "results/digits-vae/training.json", project / "reports/html/digits-vae.html"
    before, content = page.read_bytes(), lost.read_bytes()
    page.unlink()  # as DVC does before it runs a stage
    lost.unlink()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "stages.report", "digits-vae"], cwd=project, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert re.fullmatch(
            r"reports/templates/run\.ipynb: cell \d+ failed with Refusal: \S+training\.json: cannot be read .*"
            r"half-run notebook: \.scratch/digits-vae\.ipynb; "
            r"`dvc checkout reports/html/digits-vae\.html` brings back the last page\)\n",
            done.stderr,
        )
        assert not page.exists()
        half = nbformat.read(project / ".scratch/digits-vae.ipynb", as_version=4)
        assert any(output.output_type == "error" for cell in half.cells for output in cell.get("outputs", ()))
    finally:
        page.write_bytes(before)
        lost.write_bytes(content)

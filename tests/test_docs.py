"""The generated pages of docs/ are what the code makes of them now, and leave out no key and no column."""

import json
import os
import re

import numpy as np
import pandas as pd
import pytest
from test_every_param import BLOCKS

from pipeline import Refusal, params, schema, store
from pipeline.evidence import score
from tools import docs
from tools.outputs import FILES
from tools.outputs_of_evidence import CALIBRATION, PAIRED

RARE = {"chain_why"}  # documented, but not in the little project below
APART = CALIBRATION | PAIRED  # not in the little project, but in that of the smoke profile


@pytest.mark.parametrize("name", docs.PAGES)
def test_a_page_is_fresh(name):
    assert (docs.ROOT / "docs" / name).read_text(encoding="utf-8") == docs.PAGES[name](), "run `make docs`"


def test_every_key_of_params_has_a_meaning():
    page = docs.params()
    for key, block in BLOCKS.items():
        for name, field in block.model_fields.items():
            assert field.description, f"{key}.{name}"
            assert f"| `{name}` | {field.description.replace('|', chr(92) + '|')} |" in page


def test_a_key_without_a_meaning_is_refused_by_its_name():
    def images(*, size: int, seed: int):
        """seed: of all draws"""

    with pytest.raises(Refusal, match="images: no docstring has a line `size: meaning`"):
        docs.keys(schema.arguments(images))


def test_what_reruns_is_what_does():
    """As tests/test_caching.py sees it."""
    stages = docs.Stages()
    assert stages.reruns("runs.*.training.epochs") == "train, estimate, draw, report, claims, argue, compare, verdict"
    assert stages.reruns("runs.*.evidence") == "estimate, report, compare, verdict"
    assert stages.reruns("evidence.*.draws") == "estimate, report, calibrate, explain, compare, verdict"
    assert stages.reruns("calibration.images") == "calibrate, explain, compare, verdict"
    assert stages.reruns("data.*.reads") == "prepare, train, estimate, draw, report, describe, claims, argue, compare, verdict"


def test_every_output_of_dvc_yaml_is_documented():
    stages = docs.Stages()
    documented = [re.sub("<[a-z]+>", "*", path) for path in FILES]
    for name in stages.body:
        for path in stages.outputs(name):
            assert any(f"{each}/".startswith(f"{path}/") for each in documented), path


def test_every_column_of_the_estimates_is_documented():
    files = {name: f"results/<run>/{name}.csv" for name in score.COLUMNS if name not in ("images", "checks")}
    for name, path in {"images": "artifacts/likelihood/<run>.csv", **files}.items():
        assert set(FILES[path][1]) == set(score.COLUMNS[name])
    assert {"seed", *FILES["results/<run>/evidence.json"][1]} >= set(score.COLUMNS["checks"])


@pytest.mark.project
def test_every_key_and_column_of_a_finished_project_is_documented(tmp_path, monkeypatch):
    from stages.claims import claims
    from stages.compare import curves, nlls
    from stages.draw import draw
    from stages.estimate import estimate
    from stages.prepare import prepare
    from stages.train import train

    network = {"latent": 2, "body": "dense", "widths": [4], "likelihood": "bernoulli"}
    training = {"epochs": 1, "batch_size": 40, "learning_rate": 0.01}
    vae = {"data": "d", "family": "latent", "model": "vae", "seeds": [0, 1], "evidence": "e"}
    ae = {"data": "d", "family": "autoencoder", "model": "ae", "seeds": [0], "evidence": "e"}
    ae["network"] = {"latent": 2, "body": "dense", "widths": [4]}
    content = {
        "compute": {"backend": os.environ["KERAS_BACKEND"], "threads": 2, "precision": "float32"},
        "data": {"d": {"source": "sprites", "train": 120, "valid": 20, "test": 20, "size": 14, "noise": 0.1, "seed": 0}},
        "evidence": {
            "e": {"draws": 10, "scales": [1.0, 2.0], "annealed": 2, "temperatures": 4, "chains": 2},
            "codes": {"draws": 10},
        },
        "runs": {"r": vae | {"network": network, "training": training}, "a": ae | {"training": training}},
        "claims": {"c": {"data": "d", "ae": "a", "vae": "r"}},
    }
    quantised = {"codes": 2, "dimension": 2, "widths": [2], "residual": 0, "likelihood": "bernoulli", "learning": "loss"}
    quantised |= {"prior_features": 2, "prior_layers": 1}
    pixels = {"stack": "plain", "features": 2, "layers": 1, "kernel": 3, "likelihood": "bernoulli", "conditional": True}
    parts = {"codes": training, "prior": training}
    one = vae | {"seeds": [0]}
    of_codes = {"family": "quantised", "model": "vqvae", "evidence": "codes"}
    content["runs"]["q"] = one | of_codes | {"network": quantised, "training": parts}
    more = {"i": ("latent", "vae", network | {"objective": "iwae", "draws": 2})}
    more["w"] = ("implicit", "wae", ae["network"] | {"penalty": 1.0})
    more["d"] = ("autoencoder", "autodecoder", ae["network"] | {"penalty": 1.0, "steps": 1, "rate": 0.1})
    for name, (family, model, network) in more.items():
        content["runs"][name] = one | {"family": family, "model": model, "network": network, "training": training}
    content["runs"]["p"] = one | {"family": "autoregressive", "model": "pixelcnn", "network": pixels, "training": training}
    monkeypatch.setattr(params, "read", lambda: content)
    monkeypatch.setattr(store, "ROOT", tmp_path)
    prepare("d")
    for run in ("r", "q", "p"):
        for stage in (train, estimate, draw):
            stage(run)
    for run in ("a", *more):
        train(run)
    claims("c")
    store.write_csv(tmp_path / "reports" / "plots" / "curves.csv", curves({"r": vae}))
    store.write_csv(tmp_path / "reports" / "plots" / "nll.csv", nlls({"r": vae}))
    for path in FILES.keys() - APART:
        documented(path, tmp_path)


@pytest.mark.parametrize("path", APART)
def test_what_stages_write_that_take_long_is_documented(smoke, path):
    documented(path, smoke.path)


def documented(path: str, project) -> None:
    """What such files of a project hold is what is said of them."""
    columns = FILES[path][1]
    files = list(project.glob(re.sub("<[a-z]+>", "*", path)))
    assert files or not columns, path
    found = {name for file in files for name in names(file)}
    known = {column: re.compile(re.sub("<[a-z]+>", "[a-z0-9]+", column)) for column in columns}
    assert [name for name in found if not any(each.fullmatch(name) for each in known.values())] == [], path
    assert {column for column, each in known.items() if not any(map(each.fullmatch, found))} <= RARE, path


def test_every_key_and_column_of_the_results_in_git_is_documented():
    for path, (_, columns) in FILES.items():
        known = [re.compile(re.sub("<[a-z]+>", "[a-z0-9]+", column)) for column in columns]
        if path.startswith(("results/", "reports/plots/", "reports/gates.csv")):
            place = re.sub("<[a-z]+>", "*", path)
            for file in (*docs.ROOT.glob(place), *docs.ROOT.glob(f"profiles/*/{place}")):
                assert [name for name in names(file) if not any(each.fullmatch(name) for each in known)] == [], file


def names(file) -> list[str]:
    """The keys or columns of a file; of an array in a file of its own, the part of a split that it is."""
    if file.suffix == ".json":
        return list(json.loads(file.read_text(encoding="utf-8")))
    if file.suffix == ".csv":
        return list(pd.read_csv(file, nrows=0))
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return list(arrays)
    return [file.stem.partition("_")[2]] if file.suffix == ".npy" else []

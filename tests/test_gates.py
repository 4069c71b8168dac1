"""Gates: what a model has to show of itself, and what a run has to gain over another."""

import numpy as np
import pandas as pd
import pytest

from pipeline import Refusal, gates, params, schema, store
from pipeline.figures import paired, run, systems
from tools import gates as tool


def test_a_gate_is_passed_on_its_side_of_the_line_and_never_by_what_is_no_number():
    assert gates.at_most("off by", 0.1, 0.1)["passed"]
    assert not gates.at_most("off by", 0.11, 0.1)["passed"]
    assert gates.at_least("kept", 3, 3)["passed"]
    assert not gates.at_least("kept", 2.9, 3)["passed"]
    assert not gates.at_most("off by", float("nan"), 0.1)["passed"]
    assert not gates.at_least("kept", float("nan"), 0.1)["passed"]
    assert ["seed", *gates.at_most("a", 1, 2)] == gates.COLUMNS


def likelihood(means: list[float], noise: float, images: np.ndarray) -> pd.DataFrame:
    """Seeds with these means, on images some of which are hard for everybody."""
    rng = np.random.default_rng(0)
    tables = [
        pd.DataFrame({"seed": seed, "image": np.arange(len(images)), "log_prob_nats": images + mean})
        for seed, mean in enumerate(means)
    ]
    table = pd.concat(tables)
    table.log_prob_nats += noise * rng.standard_normal(len(table))
    return table.assign(elbo_nats=table.log_prob_nats - 1)


HARD = 5 * np.random.default_rng(1).standard_normal(400)


def test_a_gain_is_paired_over_images_and_its_error_knows_the_seeds():
    one, other = likelihood([0.4, 0.5, 0.6], 0.3, HARD), likelihood([0.0, 0.1, -0.1], 0.3, HARD)
    found = paired.gain(one, other, "nll")
    assert found["gain_nats"] == pytest.approx(0.5, abs=0.05)
    of_images = 0.3 * np.sqrt(2 / 3 / 400)
    assert found["se"] == pytest.approx(np.hypot(of_images, np.sqrt(2 * 0.1**2 / 3)), rel=0.1)  # not 5 / sqrt(400)
    assert (found["high"] - found["low"]) / found["se"] == pytest.approx(2 * 1.96)
    back = paired.gain(other, one, "nll")
    assert back["gain_nats"] == pytest.approx(-found["gain_nats"])


def test_better_and_not_worse():
    tables = {
        "good": likelihood([0.5, 0.5, 0.5], 0.1, HARD),
        "same": likelihood([0.0, 0.1, -0.1], 0.1, HARD),
        "base": likelihood([0.0, 0.05, -0.05], 0.1, HARD),
        "bad": likelihood([-0.5, -0.5, -0.5], 0.1, HARD),
    }
    both = {"nll": "better", "elbo": "not worse"}
    runs = {name: {"beats": {"base": both}} for name in ("good", "same", "bad")} | {"base": {}}
    found = paired.gains(runs, tables).set_index(["run", "number"]).passed
    assert found.to_dict() == {
        ("good", "nll"): True,
        ("good", "elbo"): True,
        ("same", "nll"): False,
        ("same", "elbo"): True,
        ("bad", "nll"): False,
        ("bad", "elbo"): False,
    }
    assert paired.gains({"base": {}}, tables).empty
    assert list(paired.gains({"base": {}}, tables).columns) == paired.GAINS


def test_make_gates_prints_all_and_fails_if_one_does(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(store, "ROOT", tmp_path)
    monkeypatch.setattr(store, "GAINS", tmp_path / "gates.csv")
    monkeypatch.setattr(params, "read", lambda: {"runs": {"a": {}, "b": {}}})
    with pytest.raises(Refusal, match=r"gates\.csv: not there yet"):
        tool.gates()
    rows = [gates.at_most("off by", 0.05, 0.1), gates.at_least("kept", 4, 3)]
    store.write_csv(store.result("a", "gates.csv"), pd.DataFrame(rows).assign(seed=0)[gates.COLUMNS])
    store.write_csv(store.result("b", "gates.csv"), pd.DataFrame(columns=gates.COLUMNS))
    store.write_csv(store.GAINS, pd.DataFrame(columns=paired.GAINS))
    tool.gates()
    assert capsys.readouterr().out.splitlines() == [
        "passed  a, seed 0: off by  (0.05 <= 0.1)",
        "passed  a, seed 0: kept  (4 >= 3)",
        "2 of 2 gates passed",
    ]
    gain = {"gate": "b: nll better than a", "run": "b", "other": "a", "number": "nll", "wanted": "better", "gain_nats": -0.1}
    store.write_csv(store.GAINS, pd.DataFrame([gain | {"se": 0.01, "passed": False}]).reindex(columns=paired.GAINS))
    with pytest.raises(Refusal, match="1 of 3 gates failed"):
        tool.gates()
    assert "FAILED  b: nll better than a  (-0.100 ± 0.010 nats)" in capsys.readouterr().out


def refusal(change) -> str:
    content = params.read(params.ROOT / "profiles" / "zoo" / "params.yaml")
    runs = content["runs"]
    for run_ in runs.values():
        run_.pop("beats", None)
    runs["digits-static-iwae"]["beats"] = {"digits-static-vae": {"nll": "better"}}
    runs["ae"] = runs["digits-static-vae"] | {"family": "autoencoder", "model": "ae", "evidence": "none"}
    runs["ae"]["network"] = {"latent": 2, "body": "dense", "widths": []}
    change(runs["digits-static-iwae"], runs["digits-static-vae"], content)
    try:
        schema.check(content)
    except Refusal as refused:
        return str(refused).removeprefix("params.yaml: runs.digits-static-iwae.")
    return "nothing wrong"


def test_a_gain_that_cannot_be_measured_is_refused():
    def beats(other, wanted):
        return lambda run, base, content: run.update(beats={other: wanted})

    assert refusal(beats("digits-static-vae", {"nll": "better", "elbo": "not worse"})) == "nothing wrong"
    assert refusal(beats("digits-vae", {"nll": "better"})).startswith("beats: there is no 'digits-vae' in runs, did you mean")
    assert refusal(beats("digits-static-vae", {"nll": "more"})).startswith("beats.digits-static-vae.nll: expected")
    assert refusal(beats("digits-static-pixelcnn", {"nll": "better"})) == "nothing wrong"
    assert refusal(beats("digits-static-pixelcnn", {"elbo": "better"})) == (
        "beats.digits-static-pixelcnn: the model pixelcnn has no bound"
    )
    assert refusal(beats("ae", {"nll": "better"})) == "beats.ae: the model ae has no density"
    few = "beats.digits-static-vae: a gain is one over 3 seeds of either run, found [0, 1]"
    assert refusal(lambda run, base, content: base.update(seeds=[0, 1])) == few

    def other_data(run, base, content):
        content["data"]["digits"] = content["data"]["digits-static"] | {"binarised": "none"}
        base |= {"data": "digits", "network": base["network"] | {"likelihood": "categorical"}}

    assert refusal(other_data) == "beats.digits-static-vae: it is trained on digits, expected a run on digits-static"
    unknown = refusal(lambda run, base, content: run.update(systems=["V12", "V99"]))
    assert unknown.startswith("systems.1: there is no 'V99' in docs/systems.csv, did you mean")


def test_the_page_of_a_run_says_what_each_seed_made_of_a_gate():
    rows = [gates.at_most("off by", 0.05, 0.1) | {"seed": 0}, gates.at_most("off by", 0.15, 0.1) | {"seed": 1}]
    (row,) = run.gates(pd.DataFrame(rows))
    assert row == {"gate": "off by", "found": "0.05, 0.15", "has to be": "≤ 0.1", "passed": "1 of 2 seeds"}


def test_a_system_without_a_run_is_open():
    table = pd.DataFrame(
        {
            "id": ["V1", "G1"],
            "name": ["VAE", "GAN"],
            "authors": ["A <b>", ""],
            "year": [2014, 2014],
            "link": ["https://a.b", ""],
            "family": "f",
            "distribution": ["explicit, approximate", "implicit"],
        }
    )
    runs = {"x": {"systems": ["V1"]}, "y": {}, "z": {"systems": ["V1"]}}
    evidence = {"x": {"distribution": "explicit, approximate"}, "z": {"distribution": "explicit, exact"}}
    (here,) = systems.rows(table, runs, evidence, open_ones=False)
    assert here["system"] == "V1" and here["says of p(x)"] == "explicit, approximate, or explicit, exact"
    assert here["by"].data == '<a href="https://a.b">A &lt;b&gt;, 2014</a>'
    assert here["runs"].data == '<a href="x.html">x</a> <a href="z.html">z</a>'
    (left,) = systems.rows(table, runs, evidence, open_ones=True)
    assert (left["system"], left["says of p(x)"], left["runs"]) == ("G1", "implicit", "open")
    assert "1 of 2 systems" in systems.headline(table, runs)

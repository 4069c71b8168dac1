"""Benchmarks measure what they say, here on something tiny; how fast is no test. What they found is kept and compared."""

import importlib
import json

import keras
import numpy as np
import pytest

from benchmarks import compilation, results, sampling
from pipeline import Refusal, backend, models, training
from pipeline.evidence import annealing, importance
from pipeline.params import ROOT

SPEC = {"shape": [4, 4, 1], "levels": 2, "classes": None}
NETWORK = {"latent": 2, "body": "dense", "widths": [4], "likelihood": "bernoulli"}


@pytest.mark.backend
@pytest.mark.parametrize(("stack", "size"), [("plain", "28x28"), ("gated", "28x28")])
def test_sampling_is_measured(stack, size, monkeypatch):
    shape, *others = sampling.SIZES[size]
    monkeypatch.setitem(sampling.SIZES, size, ([5, 5, shape[-1]], *others))
    took, start = sampling.measure(stack, 2, size, pixels=5, features=4, layers=1, kernel=3)
    assert set(took) == set(start) == {"ours", "forward", "naive"}
    assert all(len(times) == 5 and 0 < min(times) < 60 for times in took.values())


TOOK = {"ours": [1.0, 2.0, 1.0], "peer": [2.0, 2.0, 3.0], "limit": [0.5, 1.0, 0.5]}


def test_a_ratio_is_of_one_repetition_and_a_line_says_whether_the_target_was_met():
    assert results.ratios(TOOK) == {"peer": [2.0, 1.0, 3.0], "limit": [0.5, 0.5, 0.5]}
    ours, peer, limit = results.lines("case", TOOK, {"ours": 7.0}, {"peer": 1.9, "limit": 0.6}, 8)
    assert ours.split() == ["case", "ours", "1.0000", "8", "7.00"]
    assert peer.split() == ["case", "peer", "2.0000", "4", "0.00", "2.00", "1.00-3.00", ">=", "1.9", "yes"]
    assert limit.split()[-1] == "no"


def test_ways_are_timed_in_turns_after_a_first_call_of_each():
    calls = []
    took, start = results.timed({name: lambda n=name: calls.append(n) for name in "ab"})
    assert "".join(calls) == "ab" + "ab" * results.REPEATS
    assert {name: len(times) for name, times in took.items()} == {"a": 5, "b": 5} and min(start.values()) >= 0


def test_what_was_found_is_kept_beside_what_others_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")
    results.report("one", "a", TOOK, {}, {"peer": 1.5})
    results.report("two", "b", TOOK, {})
    found = json.loads(results.FILE.read_text())
    assert {name: value for name, value in found.items() if ".ratio_to_" in name} == {
        "one.a.ratio_to_peer": 2.0,
        "one.a.ratio_to_limit": 0.5,
        "two.b.ratio_to_peer": 2.0,
        "two.b.ratio_to_limit": 0.5,
    }
    assert found["one.a.details_to_peer"]["target"] == 1.5 and all(found["_"][name]["cores"] >= 1 for name in ("one", "two"))


@pytest.mark.parametrize(("now", "fine"), [(1.61, True), (1.59, False), (3.0, True), (None, False)])
def test_a_ratio_that_fell_by_more_than_a_fifth_is_told(tmp_path, monkeypatch, capsys, now, fine):
    old, new = {"x.a.ratio_to_b": 2.0, "x.a.details_to_b": {}}, {} if now is None else {"x.a.ratio_to_b": now}
    (tmp_path / "old.json").write_text(json.dumps(old))
    monkeypatch.setattr(results, "FILE", tmp_path / "results.json")
    results.FILE.write_text(json.dumps(new))
    if fine:
        results.compare(str(tmp_path / "old.json"))
        assert capsys.readouterr().out == "none of 1 ratios fell by more than 20 %\n"
    else:
        with pytest.raises(Refusal, match="1 ratios fell"):
            results.compare(str(tmp_path / "old.json"))
        assert capsys.readouterr().out.startswith("x.a.ratio_to_b: 2.00 -> ")


@pytest.mark.parametrize("name", ["", "nowhere.json"])
def test_nothing_to_compare_with_is_refused_in_one_line(name):
    with pytest.raises(Refusal, match=r"OLD=|nowhere\.json: cannot be read"):
        results.compare(name)


@pytest.mark.backend
def test_what_is_traced_is_told_apart_by_function_model_and_phase_of_training():
    model, other = (models.build("latent", "vae", SPEC, NETWORK, 0) for _ in range(2))
    about = [(compilation.name(each), compilation.models(each)) for each in (model.encode, model.encode, other.encode)]
    assert about[0] == about[1] != about[2]
    assert compilation.models(lambda x: model.encode(x)) == about[0][1]
    encode = model.encode
    assert compilation.models(lambda x: encode(x)) == about[0][1]
    assert compilation.models(importance.Importance(model, 0).plain) == about[0][1]  # as what it is bound to has the model
    optimizers = [training.Adam() for _ in range(2)]
    assert len({compilation.models(one.apply) for one in optimizers}) == 2
    first, second = (compilation.models(annealing.Annealing(model, 0, 4, scale).started) for scale in (1.0, 2.0))
    assert first != second
    assert set(first) & set(second) == set(about[0][1])
    assert compilation.name(model.encode) != compilation.name(model.decode)
    model.phase = "another"
    assert compilation.models(model.encode) != about[0][1]


@pytest.mark.backend
def test_a_function_that_is_compiled_again_for_the_same_shapes_is_counted(monkeypatch):
    module = importlib.import_module(keras.backend.backend())
    compiler = "jit" if module.__name__ == "jax" else "function"
    monkeypatch.setattr(module, compiler, getattr(module, compiler))  # as it was, afterwards

    def twice(x):
        return 2 * x

    def stage(*given):
        once, again = (backend.compiled(twice) for _ in range(2))
        for shape in ((2,), (2,), (3,)):
            once(np.zeros(shape, "float32"))
        again(np.zeros(3, "float32"))

    monkeypatch.setattr(compilation, "go", stage)
    found = compilation.count(module, compiler, "train", [])
    assert found["traces"] == 3 and found["seconds"] > 0
    assert list(found["again"].values()) == [1] and "twice" in next(iter(found["again"]))


def test_what_was_found_stands_in_the_readme_as_it_was_found():
    """The committed table is of the committed results, with what came before steady state, how it grows, and what compiles."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for part in (results.table(), results.growth(), results.compiling()):
        assert f"\n{part}\n" in text
    assert "| evidence, importance | pythae | " in results.table()
    assert "| training-images | 10,000; 100,000; 1,000,000 | " in results.growth()


def test_what_the_sampler_is_compared_with_calls_a_forward_pass_per_pixel():
    calls = []

    def forward(x):
        calls.append(x.copy())
        return x

    drawn = sampling.naive(forward, lambda x, u: np.full(x.shape, len(calls)), np.zeros((2, 3, 3, 1)), 5)
    assert len(calls) == 5
    assert drawn[1, ..., 0].tolist() == [[1, 2, 3], [4, 5, 0], [0, 0, 0]]

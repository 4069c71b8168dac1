"""Initial weights go by the run's seed and a name: a layer of another kind that is added or left out changes no other."""

import random

import keras
import models as small
import numpy as np
import pytest

from pipeline import schema, store

pytestmark = pytest.mark.backend
BLOCKS = small.one_each(small.blocks())


@pytest.fixture(params=BLOCKS, ids=list(BLOCKS))
def block(request):
    return BLOCKS[request.param]


def test_initial_weights_and_seeds_go_by_names_and_not_by_what_was_drawn_before(block, monkeypatch):
    first = small.build(*block)
    monkeypatch.setattr(keras.utils, "set_random_seed", lambda seed: random.seed(99))
    second = small.build(*block)
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)


def drops(run: dict) -> list[str]:
    """The keys of its network that are shares of units left out."""
    return [name for name in schema.network(run["family"], run["model"]).model_fields if name.endswith("dropout")]


@pytest.mark.parametrize("block", [name for name, (run, _) in BLOCKS.items() if drops(run)], indirect=True)
def test_dropout_changes_no_other_initial_weight(block):
    run, data = block
    names = drops(run)

    def weights(share):
        built = small.build(run | {"network": run["network"] | dict.fromkeys(names, share)}, data)
        return built.weights, [each for each in built.variables if each.name == "seed_generator_state"]

    (with_, seeds), (without, _) = weights(0.3), weights(0.0)
    assert seeds and len({tuple(np.array(seed)) for seed in seeds}) == len(seeds)
    for one, other in zip(with_, without, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)


def test_weights_are_saved_as_the_same_bytes_whatever_was_built_before(tmp_path):
    block = next(iter(BLOCKS.values()))
    for name in ("first", "second"):
        store.save(small.build(*block), tmp_path / name, {})
    assert store.md5(tmp_path / "first") == store.md5(tmp_path / "second")

"""The benchmark of sampling measures what it says, here on something tiny; how fast is no test."""

import numpy as np
import pytest

from benchmarks import sampling

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("stack", ["plain", "gated"])
def test_sampling_is_measured_and_printed(stack):
    took = sampling.measure(stack, 1, size=5, pixels=5, features=4, layers=1, kernel=3)
    assert set(took) == {"forward", "sample", "naive"}
    assert all(0 < seconds < 60 for seconds in took.values())
    words = sampling.line(stack, 1, took).split()
    assert words[:2] == [stack, "1"]
    assert float(words[5]) == pytest.approx(took["sample"] / took["forward"], abs=0.01)


def test_a_line_says_whether_the_target_was_met():
    took = {"forward": 1.0, "sample": 1.9, "naive": 600.0}
    assert sampling.line("plain", 64, took).endswith("yes")
    assert sampling.line("plain", 64, took | {"sample": 2.1}).endswith("no")
    assert sampling.line("plain", 64, took | {"naive": 500.0}).endswith("no")
    assert sampling.line("gated", 64, took | {"sample": 2.4, "naive": 500.0}).endswith("yes")


def test_what_the_sampler_is_compared_with_calls_a_forward_pass_per_pixel():
    calls = []

    def forward(x):
        calls.append(x.copy())
        return x

    drawn = sampling.naive(forward, lambda x, u: np.full(x.shape, len(calls)), np.zeros((2, 3, 3, 1)), 5)
    assert len(calls) == 5
    assert drawn[1, ..., 0].tolist() == [[1, 2, 3], [4, 5, 0], [0, 0, 0]]

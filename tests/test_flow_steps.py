"""What each step of a flow promises: the same there and back, its log-determinant, who sees whom, how many passes it takes."""

import models as small
import numpy as np
import pytest

from pipeline import cost
from pipeline.base import generator
from pipeline.gates import jacobian
from pipeline.models.flow.blocks import Normed, apart
from pipeline.models.flow.coupling import Coupling, Mixing
from pipeline.models.flow.maf import Autoregression

pytestmark = pytest.mark.backend
D = 6
BOARD = np.array([1, 0, 1, 0, 1, 0], "float32")
STEPS = {
    "normed": lambda: Normed(D),
    "additive": lambda: Coupling(BOARD, [7], affine=False),
    "affine": lambda: Coupling(1 - BOARD, [7], affine=True),
    "mixing": lambda: Mixing(generator(0).permutation(D)),
    "maf": lambda: Autoregression(D, [9], turned=False),
    "iaf": lambda: Autoregression(D, [9], turned=True),
}


@pytest.fixture(scope="module", params=STEPS)
def step(request):
    found, rng = STEPS[request.param](), generator(0)
    z = 1.5 * rng.standard_normal((3, 5, D), "float32")
    found(z)
    return small.perturbed(found, 1, 0.6), z


def test_a_step_and_its_inverse_undo_each_other(step):
    f, z = step
    moved = f(z)[0]
    assert np.abs(np.asarray(moved) - z).mean() > 0.1
    assert apart(f.back(moved), z) < 1e-5
    assert apart(f(f.back(z))[0], z) < 1e-5


def test_a_steps_log_determinant_is_that_of_automatic_differentiation(step):
    f, z = step
    found = np.linalg.slogdet(jacobian(lambda z: f(z)[0], z).astype(float))[1]
    np.testing.assert_allclose(f(z)[1], found, rtol=1e-5, atol=1e-5)
    if not (isinstance(f, Coupling) and not f.affine):
        assert np.abs(found).min() > 1e-3


@pytest.mark.parametrize("dims", [1, 2, 5, 8])
@pytest.mark.parametrize("hidden", [[], [1], [4], [7], [24, 16]])
def test_no_output_sees_its_own_number_or_a_later_one(dims, hidden):
    ways = np.eye(dims)
    for mask in Autoregression(dims, hidden, turned=False).masks:
        ways = ways @ mask
    np.testing.assert_array_equal(ways[:, :dims], ways[:, dims:])
    assert np.tril(ways[:, :dims]).max() == 0
    if not hidden or hidden[0] >= 8:
        assert ways[:, :dims][np.triu_indices(dims, 1)].min(initial=1) > 0


def test_a_masked_steps_jacobian_is_triangular():
    f = small.perturbed(started(Autoregression(D, [9], turned=False)), 0, 0.6)
    z = generator(0).standard_normal((4, D), "float32")
    found = jacobian(lambda z: f.quick(z)[0], z)
    np.testing.assert_array_equal(np.triu(found, 1), 0)
    np.testing.assert_allclose(np.diagonal(found, axis1=-2, axis2=-1), np.exp(-np.asarray(f.moves(z)[1])), rtol=1e-4)


def started(step):
    step(np.zeros((2, D), "float32"))
    return step


@pytest.mark.parametrize("name", ["maf", "iaf"])
def test_one_way_takes_one_pass_and_the_other_as_many_as_numbers(name):
    step, z = started(STEPS[name]()), generator(0).standard_normal((2, D), "float32")
    once, there, back = (cost.multiply_adds(f, z) for f in (step.moves, step.call, step.back))
    assert (there, back) == ((once, D * once) if name == "maf" else ((D + 1) * once, once))

"""One step of annealing, number by number: which temperature moves z, and where its weight is taken."""

import numpy as np
import pytest

from pipeline import calibration
from pipeline.evidence import annealing

pytestmark = pytest.mark.backend


def test_forward_weighs_then_moves_at_the_new_temperature_and_back_moves_at_the_old_one_then_weighs(rng):
    """Between 0 and 1; what one move makes of z at a temperature is known from a step that stays there."""
    model, images = calibration.line(4)
    x, chains = images.test.x[:2], annealing.Annealing(model, 0, 4)
    start, many = ({"z": rng.standard_normal((count, 2, 8), "float32")} for count in (4, annealing.SPREAD))
    q, width, z = chains.begin(x, start, many)
    noise = chains.noise("one move", np.arange(2), np.zeros(2, int), 0, z)

    def step(segment, *betas: float):
        sizes = np.full(1, 0.1, "float32")
        return segment(x, q, width, z, np.array(betas, "float32"), sizes, np.float32(0), noise)[:2]

    def weight(z):
        return np.asarray(model.log_prior(z) + model.log_likelihood(x, z) - model.log_q(q, z))

    (at_0, _), (at_1, _) = step(chains.forward, 0, 0), step(chains.forward, 1, 1)
    assert np.abs(at_1 - at_0).max() > 0.01
    assert np.abs(weight(at_1) - weight(z)).max() > 1
    there, gained = step(chains.forward, 0, 1)
    np.testing.assert_allclose(there, at_1, atol=1e-4)
    np.testing.assert_allclose(gained, weight(z), atol=0.01)
    back, gained = step(chains.backward, 1, 0)
    np.testing.assert_allclose(back, at_1, atol=1e-4)
    np.testing.assert_allclose(gained, -weight(at_1), atol=0.01)

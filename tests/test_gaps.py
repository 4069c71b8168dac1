"""The two parts of what an ELBO lacks, where both are known."""

import numpy as np
import pytest

from pipeline import calibration
from pipeline.evidence import gaps

pytestmark = pytest.mark.backend


def test_the_best_encoder_loses_nothing_by_amortisation():
    model, images = calibration.line(32)
    assert abs(gaps.amortisation(model, images.test.x, 0).mean()) < 0.1


def test_what_a_worse_encoder_loses_is_found():
    """Means off by 0.3 and variances by e^0.5 cost a known number of nats, and all of it is the encoder's fault."""
    model, images = calibration.line(32)
    w = np.asarray(model.decoder.layers[0].kernel).T.astype(float)
    precision, d = w.T @ w + np.eye(w.shape[1]), w.shape[1]
    shift = 0.05
    bias = model.encoder.layers[-1].bias
    bias.assign(np.asarray(bias) + np.concatenate([np.full(d, shift), np.full(d, 0.5)]))
    lost = 0.5 * shift**2 * precision.sum() + 0.5 * d * (np.exp(0.5) - 1 - 0.5)
    assert gaps.amortisation(model, images.test.x, 0).mean() == pytest.approx(lost, rel=0.1)


def test_an_image_does_not_depend_on_who_else_is_asked_about():
    model, images = calibration.line(40)
    whole = gaps.amortisation(model, images.test.x, 0)
    np.testing.assert_array_equal(gaps.amortisation(model, images.test.x[:2], 0), whole[:2])

"""An encoder that only the KL to N(0, 0.01^2) trains ends at ln 0.0001, not at -9."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline import heads
from pipeline.distributions import kl_to_standard_normal

pytestmark = pytest.mark.backend


@pytest.mark.parametrize("start", ["zero", "unit"])
def test_the_kl_alone_takes_the_heads_to_the_target_wherever_they_begin(start):
    x = load_digits().images[:1257, ..., None]
    trace = heads.train((x / 8 - 1).astype("float32"), start, 0)
    begun = {"zero": (0, 0), "unit": (0, 1)}[start]
    for head in ("mu", "log_var"):
        assert (trace[f"{head}_mean"][0], trace[f"{head}_sd"][0]) == pytest.approx(begun, abs=1e-3)
    assert trace["step"][0] == 0
    assert (np.diff(trace["step"]) == heads.NOTED).all()
    assert abs(trace["mu_mean"][-1]) < 0.005
    assert trace["mu_sd"][-1] < 0.02
    assert abs(trace["log_var_mean"][-1] + 9.21) < 0.05
    assert trace["log_var_sd"][-1] < 0.05


def test_the_kl_is_least_at_the_target():
    outputs = np.array([[0.0, heads.TARGET], [0.0, -9.0], [0.01, heads.TARGET]], "float32")
    assert np.asarray(heads.kl(None, outputs)) == pytest.approx([0, 0.5 * (np.exp(0.21034) - 1.21034), 0.5], abs=1e-4)
    assert float(kl_to_standard_normal(0.0, heads.TARGET)) == pytest.approx(4.105, abs=1e-3)
    assert float(kl_to_standard_normal(0.0, -9.0)) == pytest.approx(4.0, abs=1e-3)

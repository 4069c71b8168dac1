"""What a trained model has to show of itself: a number, and on which side of a line it has to be."""

import numpy as np

COLUMNS = ["seed", "gate", "value", "sign", "threshold", "passed"]


def at_most(gate: str, value: float, threshold: float) -> dict:
    """A row of gates.csv; a value that is no number passes nothing."""
    return {"gate": gate, "value": float(value), "sign": "<=", "threshold": threshold, "passed": bool(value <= threshold)}


def at_least(gate: str, value: float, threshold: float) -> dict:
    return {"gate": gate, "value": float(value), "sign": ">=", "threshold": threshold, "passed": bool(value >= threshold)}


def jacobian(function, z: np.ndarray) -> np.ndarray:
    """[..., i, j] = d function(z)_i / d z_j of vectors along the last axis, by automatic differentiation, a row at a time."""
    from keras import ops

    from pipeline import backend

    z = ops.convert_to_tensor(z)
    rows = [backend.value_and_gradient(lambda z, i=i: function(z)[..., i], z)[1] for i in range(z.shape[-1])]
    return np.stack([np.asarray(row) for row in rows], axis=-2)

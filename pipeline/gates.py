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


def logistic_chain(train: np.ndarray, test: np.ndarray, penalty: float) -> np.ndarray:
    """-log p(x_i | x_<i) [D], the mean over test images [N, D], of scikit-learn's logistic regressions; NaN of a pixel that
    never changes in training images."""
    from sklearn.linear_model import LogisticRegression

    found = np.full(train.shape[1], np.nan)
    for i in np.flatnonzero(np.ptp(train, axis=0)):
        p = np.full(len(test), train[:, i].mean())
        if i > 0:
            regression = LogisticRegression(C=1 / (penalty * len(train)), tol=1e-6, max_iter=1000)
            p = regression.fit(train[:, :i], train[:, i]).predict_proba(test[:, :i])[:, 1]
        found[i] = -np.log(np.where(test[:, i], p, 1 - p)).mean()
    return found

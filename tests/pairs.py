"""The squared distance of two sets of draws by its definition: inverse multiquadratics, one pair of points at a time."""

import numpy as np


def kernel(a, b) -> float:
    """Term by term, of two points."""
    c = 2.0 * len(a)
    return sum(s * c / (s * c + np.sum((a - b) ** 2)) for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0))


def by_pairs(a, b) -> float:
    n = len(a)
    pairs = [(i, j) for i in range(n) for j in range(n)]
    inside = np.mean([kernel(a[i], a[j]) + kernel(b[i], b[j]) for i, j in pairs if i != j])
    return inside - 2.0 * np.mean([kernel(a[i], b[j]) for i, j in pairs])

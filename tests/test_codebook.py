"""How a codebook moves: by averages as in plain numpy, dead codes in the first steps only."""

import numpy as np
import pytest

from pipeline.models.quantised.blocks import Codebook

pytestmark = pytest.mark.backend


def test_moving_averages_are_those_of_plain_numpy():
    book, rng = Codebook(4, 2, "ema", 0.9, 0), np.random.default_rng(0)
    start = rng.standard_normal((4, 2)).astype("float32")
    book.place(start)
    counts, sums, vectors = np.ones(4), start.astype(float), start.astype(float)
    for _ in range(3):
        z = rng.standard_normal((5, 3, 2)).astype("float32")
        flat = z.reshape(-1, 2)
        index = ((flat[:, None] - vectors) ** 2).sum(-1).argmin(1)
        np.testing.assert_array_equal(np.asarray(book(z, np.zeros((5, 3), "float32"), training=True)).ravel(), index)
        counts = 0.9 * counts + 0.1 * np.bincount(index, minlength=4)
        sums = 0.9 * sums + 0.1 * np.stack([flat[index == k].sum(0) for k in range(4)])
        vectors = sums / counts[:, None]
        np.testing.assert_allclose(book.vectors(), vectors, rtol=1e-4)


@pytest.mark.parametrize("learning", ["ema", "loss"])
def test_a_dead_code_is_moved_to_an_encoding_in_the_first_steps_only(learning):
    rng = np.random.default_rng(0)
    book = Codebook(4, 2, learning, 0.5, restarts=12)
    book.place(np.array([[0, 0], [90, 90], [0, 1], [1, 0]], "float32"))
    for step in range(20):
        z = rng.standard_normal((8, 3, 2)).astype("float32")
        far = np.asarray(book.vectors())[1]
        if step == 12:  # from now on, a code that is thrown away stays there
            book.placed.assign(np.array(book.placed) + np.array([[0, 0], [90, 90], [0, 0], [0, 0]]))
            book.sums.assign(np.asarray(book.vectors()) * np.asarray(book.counts)[:, None])
            far = np.asarray(book.vectors())[1]
        book(z, rng.random((8, 3), "float32"), training=True)
        moved = not np.allclose(book.vectors()[1], far)
        if step == 11:
            assert np.abs(np.asarray(book.vectors())[1]).max() < 50  # it was moved
        if np.abs(far).max() > 50:
            near = np.abs(z.reshape(-1, 2) - np.asarray(book.vectors())[1]).sum(axis=1).min()
            assert not moved or (step < 12 and near < 1e-4)
    assert np.abs(np.asarray(book.vectors())[1]).max() > 50
    assert int(np.asarray(book.clock)) == 20

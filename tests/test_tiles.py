"""Images in tiles: each once, in its order, however many there are."""

import numpy as np
import pytest

from pipeline.evidence.tiles import tiles


@pytest.mark.parametrize("count", [4, 5, 7, 8, 11, 1])
def test_every_image_comes_once_and_in_order(count):
    asked = []

    def compute(index: np.ndarray) -> dict[str, np.ndarray]:
        asked.append(len(index))
        return {"image": index, "pair": np.stack([index, -index], axis=1)}

    found = tiles("some", count, 4, compute, {})
    np.testing.assert_array_equal(found["image"], np.arange(count))
    np.testing.assert_array_equal(found["pair"], np.outer(np.arange(count), [1, -1]))
    assert asked == [4] * -(-count // 4)  # one shape, whatever the number of images


def test_a_finished_tile_serves_where_it_has_the_same_images():
    kept, asked = {}, []

    def compute(index: np.ndarray) -> dict[str, np.ndarray]:
        asked.append(int(index[0]))
        return {"image": index}

    for count in (6, 8, 3, 8):
        np.testing.assert_array_equal(tiles("some", count, 4, compute, kept)["image"], np.arange(count))
    assert asked == [0, 4, 4, 0, 0]  # of 6 both; of 8 the second again, that was not full; of 3 and again of 8 the first

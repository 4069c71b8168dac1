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


class Shared(dict):
    """Of two processes: what the other makes is there a while after it was asked for."""

    def __init__(self, others: set[str]):
        super().__init__()
        self.others, self.asked = others, []

    def claim(self, key: str) -> bool:
        self.asked.append(key)
        if key not in self.others:
            return True
        if self.asked.count(key) == 2:
            first = int(key.rpartition("-")[2])
            self[key] = {"image": np.arange(first, min(first + 4, 11))}
        return False


def test_those_who_share_make_each_tile_once_and_all_have_them_in_order():
    kept, made, done = Shared({"some-0", "some-8"}), [], []

    def compute(index: np.ndarray) -> dict[str, np.ndarray]:
        made.append(int(index[0]))
        return {"image": index}

    found = tiles("some", 11, 4, compute, kept, lambda images, left: done.append(images))
    np.testing.assert_array_equal(found["image"], np.arange(11))
    assert made == [4] and done == [4, 8, 11]

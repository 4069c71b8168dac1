"""The two random fields: what is drawn has the density that is kept with it, and their floors are where they should be."""

import numpy as np
import pytest
from scipy.special import expit

from pipeline.data import blindspot, mesh
from pipeline.data.store import check
from stages.prepare import make

BLINDSPOT = {"source": "blindspot", "reads": "", "train": 50, "valid": 40, "test": 4000, "size": 12, "noise": 0.05, "seed": 5}
MESH = {name: value for name, value in BLINDSPOT.items() if name != "noise"} | {"source": "mesh"}
# Of the mesh, by rows and columns from the pixel, as the file must have them.
NEIGHBOURS = {(0, -1): 2.2, (-1, 0): 2.0, (-1, -1): -1.5, (-1, 1): 0.8}


def every(height: int, width: int) -> np.ndarray:
    """All binary images of that size, the first pixel the highest bit of their numbers."""
    bits = height * width
    return ((np.arange(2**bits)[:, None] >> np.arange(bits)[::-1]) & 1).reshape(-1, height, width).astype(bool)


def entropy(p):
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


def mesh_odds(x: np.ndarray) -> np.ndarray:
    """Log-odds of every pixel [N, H, W], all at once."""
    around = np.pad(x.astype(float), ((0, 0), (1, 0), (1, 1)))
    height, width = x.shape[1:]
    return -1.2 + sum(
        weight * around[:, 1 + down :, 1 + right :][:, :height, :width] for (down, right), weight in NEIGHBOURS.items()
    )


def mesh_entropies(size: int) -> tuple[float, float]:
    """Of the image, and of its pixels one by one: exact, by the distribution of the size + 1 pixels before each.

    Bit k of a state is the pixel k + 1 steps ago.
    """
    state = np.arange(2 ** (size + 1))
    p, whole, single = (state == 0).astype(float), 0.0, 0.0
    for row, column in np.ndindex(size, size):
        a = np.full(len(state), -1.2)
        for (down, right), weight in NEIGHBOURS.items():
            if row + down >= 0 and 0 <= column + right < size:
                a += weight * (state >> (-down * size - right - 1) & 1)
        whole += p @ entropy(expit(a))
        single += entropy(p @ expit(a))
        after = state << 1 & len(state) - 1
        p = np.bincount(after, p * expit(-a), len(state)) + np.bincount(after | 1, p * expit(a), len(state))
    return whole, single


def test_the_density_of_the_blind_spot_field_is_that_of_its_definition():
    for shape, noise in (((2, 6), 0.05), ((2, 6), 0.0), ((2, 6), 0.5), ((3, 5), 0.3)):
        x = every(*shape)
        p = np.exp(blindspot.log_density(x, noise))
        assert abs(p.sum() - 1) < 1e-12
        brute = np.ones(len(x))
        for row, column in np.ndindex(shape):
            known = row > 0 and column + 4 < shape[1]
            same = x[:, row, column] == x[:, row - 1, min(column + 4, shape[1] - 1)]
            brute *= np.where(same, 1 - noise, noise) if known else 0.5
        np.testing.assert_allclose(p, brute, rtol=1e-12)


def test_without_its_source_a_pixel_of_the_blind_spot_field_is_a_fair_coin_whatever_the_others_are():
    x = every(2, 6)
    p = np.exp(blindspot.log_density(x, 0.05)).reshape((2,) * 12)
    for column in (0, 1):
        blind = p.sum(axis=4 + column, keepdims=True)
        zero, one = np.split(blind, 2, axis=6 + column)
        np.testing.assert_allclose(zero, one, rtol=1e-12)


def test_a_masked_convolution_of_7_then_3_sees_nothing_of_the_diagonal_at_any_depth():
    def mask(reach: int, itself: bool) -> set[tuple[int, int]]:
        above = {(-down, right) for down in range(1, reach + 1) for right in range(-reach, reach + 1)}
        return above | {(0, right) for right in range(-reach, int(itself))}

    seen = mask(3, itself=False)
    for _ in range(12):
        diagonal = {(-k, blindspot.SHIFT * k) for k in range(1, 16)}
        assert not diagonal & seen and (-1, blindspot.SHIFT - 1) in seen
        seen = {(r + down, c + right) for r, c in seen for down, right in mask(1, itself=True) if r + down >= -15}


def test_the_density_of_the_mesh_is_that_of_its_definition():
    for shape in ((3, 3), (2, 5)):
        x = every(*shape)
        log_p = mesh.log_density(x)
        assert abs(np.exp(log_p).sum() - 1) < 1e-12
        a = mesh_odds(x)
        np.testing.assert_allclose(log_p, -np.logaddexp(0, np.where(x, -a, a)).sum((1, 2)), rtol=1e-12)


def test_pixels_of_the_mesh_follow_their_neighbours_with_the_right_frequency(rng):
    x = mesh.draw(rng, (20000, 5, 6))
    a = mesh_odds(x)
    odds = np.unique(a)
    assert len(odds) == 16
    for each in odds:
        found, p = x[a == each], expit(each)
        assert abs(found.mean() - p) < 4 * np.sqrt(p * (1 - p) / len(found))


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.5])
def test_pixels_of_the_blind_spot_field_are_flipped_with_the_right_frequency(rng, noise):
    """And the coins are fair, each and together: all images of two rows occur as often as they should."""
    x = blindspot.draw(rng, (50000, 2, 5), noise)
    counts = np.bincount(x.reshape(-1, 10) @ (1 << np.arange(10)[::-1]), minlength=1024)
    expected = 50000 * np.exp(blindspot.log_density(every(2, 5), noise))
    assert (counts[expected == 0] == 0).all()
    kinds = expected > 0
    squares = ((counts - expected)[kinds] ** 2 / expected[kinds]).sum()
    assert abs(squares - kinds.sum()) < 5 * np.sqrt(2 * kinds.sum())  # chi-squared


def test_the_floors_of_12x12_are_known():
    for block, floor in ((BLINDSPOT, 88 * entropy(0.05) + 56 * np.log(2)), (MESH, mesh_entropies(12)[0])):
        nll = -make(**block).test.log_prob
        assert nll.dtype == np.float64 and abs(nll.mean() - floor) < 4 * nll.std() / np.sqrt(len(nll))
    log_p = mesh.log_density(every(3, 3))
    assert mesh_entropies(3)[0] == pytest.approx(-np.exp(log_p) @ log_p, rel=1e-12)
    assert mesh_entropies(12) == pytest.approx((65.57, 87.98), abs=0.005)
    assert 88 * entropy(0.05) + 56 * np.log(2) == pytest.approx(56.29, abs=0.005)


@pytest.mark.parametrize("block", [BLINDSPOT, MESH], ids=lambda block: block["source"])
def test_splits_have_streams_of_their_own(block):
    short, long, other = (make(**block | change) for change in ({"train": 10}, {"train": 60}, {"seed": 6}))
    for images in (short, long, other):
        check(images, block["source"])
        assert (images.levels, images.classes, images.test.y, images.test.x.shape) == (2, None, None, (4000, 12, 12, 1))
    for name in ("valid", "test"):
        np.testing.assert_array_equal(short.splits[name].x, long.splits[name].x)
        np.testing.assert_array_equal(short.splits[name].log_prob, long.splits[name].log_prob)
    assert not np.array_equal(long.valid.x, long.test.x[:40]) and not np.array_equal(long.valid.x, long.train.x[:40])
    assert not np.array_equal(long.test.x, other.test.x)

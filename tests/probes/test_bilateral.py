"""A target that follows the edges of a picture: what it keeps, and what is refused."""

import numpy as np
import pytest

import vit_widgets as vw

HALVES = np.zeros((24, 40, 3), np.uint8)
HALVES[:, 21:] = 230


def test_what_is_constant_stays_and_nothing_goes_beyond():
    """Breaks when rows of the smoothing do not sum to what they hold."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    np.testing.assert_allclose(vw.probes.bilateral(np.full((24, 40), 0.3), picture), 0.3, atol=1e-9)
    smooth = vw.probes.bilateral(rng.random((24, 40)) > 0.5, picture)
    assert smooth.min() >= -1e-9
    assert smooth.max() <= 1 + 1e-9


def test_values_move_to_the_edge_and_not_across_it():
    """Breaks when colours play no part."""
    target = np.zeros((24, 40), bool)
    target[:, 17:] = True  # four columns too many
    found = vw.probes.bilateral(target, HALVES)
    np.testing.assert_array_equal(found > 0.5, HALVES[..., 0] > 0)


def test_what_does_not_fit_is_said():
    """Breaks when a picture of another size is read all the same."""
    with pytest.raises(ValueError, match="does not fit a target of \\(24, 39\\)"):
        vw.probes.bilateral(np.zeros((24, 39)), HALVES)
    with pytest.raises(ValueError, match="float64"):
        vw.probes.bilateral(np.zeros((24, 40)), HALVES / 255)
    with pytest.raises(ValueError, match="must all be positive"):
        vw.probes.bilateral(np.zeros((24, 40)), HALVES, luma=0)

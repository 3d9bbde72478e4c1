"""ROAD: what is imputed, and that both orders are compared with it."""

import numpy as np
import pytest
import torch

from tests.probes.faithfulness.linear_model import first_class, linear, pictures
from tests.probes.faithfulness.test_curves import contributions, some_map
from vit_widgets.probes import faithfulness
from vit_widgets.probes.faithfulness.road import imputed


def holes(count: int, seed: int = 0) -> np.ndarray:
    """Missing pixels, bool (9, 11)."""
    gone = np.zeros(99, bool)
    gone[np.random.default_rng(seed).choice(99, count, replace=False)] = True
    return gone.reshape(9, 11)


@pytest.mark.parametrize("count", [1, 40, 98])
def test_every_imputed_pixel_is_the_weighted_mean_of_its_neighbours(count):
    """Breaks when weights, borders or the right side of the equations are others."""
    gone = holes(count)
    pixels = np.random.default_rng(1).random((3, 9, 11))
    filled = imputed(pixels, gone)
    np.testing.assert_array_equal(filled[:, ~gone], pixels[:, ~gone])
    for row, col in np.argwhere(gone):
        total, weights = np.zeros(3), 0.0
        for r in range(max(0, row - 1), min(9, row + 2)):
            for c in range(max(0, col - 1), min(11, col + 2)):
                if (r, c) != (row, col):
                    weight = 1 / 12 if r != row and c != col else 1 / 6
                    total += weight * filled[:, r, c]
                    weights += weight
        np.testing.assert_allclose(filled[:, row, col], total / weights, atol=1e-12)


def test_a_slope_is_continued_through_its_holes():
    """Breaks when imputation pulls towards a constant instead of what lies around."""
    slope = np.add.outer(np.arange(9.0), 3 * np.arange(11.0))[None]
    gone = holes(50, seed=2)
    gone[[0, -1]] = gone[:, [0, -1]] = False  # beyond the border nothing is known
    np.testing.assert_allclose(imputed(slope, gone), slope, atol=1e-9)


def test_a_picture_without_any_pixel_left_is_refused():
    """Breaks when an equation without a solution is solved."""
    with pytest.raises(ValueError, match="every pixel is to be imputed"):
        imputed(np.ones((1, 3, 3)), np.ones((3, 3), bool))


def test_it_compares_both_orders_from_ten_to_ninety_percent():
    """Breaks when a share is left out, the noise is not 0.01, or known pixels are noisy as well."""
    image = pictures()
    found = faithfulness(linear(), image, contributions(image), first_class, ["road"])
    morf, lerf = found.curves["road_morf"], found.curves["road_lerf"]
    expected = np.floor(48 * np.arange(1, 10) / 10 + 0.5) / 48
    np.testing.assert_allclose(morf.fractions, expected)
    assert found.scores["road"] == pytest.approx(lerf.area - morf.area)
    assert found.scores["road"] > 1
    away = faithfulness(linear(), image, -contributions(image), first_class, ["road"])
    assert away.scores["road"] == pytest.approx(-found.scores["road"], abs=1e-9)
    gone = found.units.spread(found.units.first(24), outside=False)
    picture = morf.states[4].picture(found._subject)
    assert torch.equal(picture[:, ~gone], image[0][:, ~gone])
    noise = picture.numpy()[:, gone] - imputed(image[0].numpy(), gone)[:, gone]
    assert 0.007 < noise.std() < 0.013


def test_one_cell_at_least_is_left():
    """Breaks when ninety percent of four cells are all of them."""
    found = faithfulness(linear(), pictures(), np.arange(4.0).reshape(2, 2), 0, ["road"])
    assert found.curves["road_morf"].fractions.tolist() == [0.25, 0.5, 0.75]


def test_the_noise_is_that_of_the_seed():
    """Breaks when a measurement cannot be repeated."""
    scores = [
        faithfulness(linear(), pictures(), some_map(), first_class, ["road"], seed=s).scores["road"]
        for s in (3, 3, 4)
    ]
    assert scores[0] == scores[1] != scores[2]

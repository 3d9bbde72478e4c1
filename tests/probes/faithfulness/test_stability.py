"""Max-sensitivity: the change of the map over its size, by hand."""

import numpy as np
import pytest
import torch

from tests.probes.faithfulness.linear_model import SIZE, linear, pictures
from vit_widgets.probes import faithfulness, max_sensitivity

ONES = torch.ones(1, 3, *SIZE, dtype=torch.float64)


def red(model: object, image: torch.Tensor, target: object) -> np.ndarray:
    """A map that is the picture's first channel."""
    return image[0, 0].numpy()


def test_a_map_that_does_not_listen_does_not_move():
    """Breaks when noise is measured instead of the map."""
    found = max_sensitivity(linear(), pictures(), lambda *_: np.arange(48.0).reshape(SIZE))
    assert found.maximum == 0
    assert len(found.values) == 10


def test_the_change_is_that_of_even_noise_relative_to_the_map():
    """Breaks when noise has another size or form, or the change is not divided by the map's."""
    seen = []

    def noted(*asked: object) -> np.ndarray:
        seen.append(asked[1] - ONES)
        return red(*asked)

    found = max_sensitivity(linear(), ONES, noted, 0, radius=0.5, draws=300)
    noise = torch.cat(seen[1:])
    assert -0.5 <= noise.min() < -0.49
    assert 0.49 < noise.max() <= 0.5
    # the root mean square of even noise in -r..r is r / √3, and that of the map is 1
    assert np.sqrt((found.values**2).mean()) == pytest.approx(0.5 / np.sqrt(3), rel=0.02)
    assert found.maximum == found.values.max() > found.values.mean()
    assert found.values.max() < 0.5
    again = max_sensitivity(linear(), ONES, red, 0, radius=0.5, draws=300)
    np.testing.assert_array_equal(found.values, again.values)
    other = max_sensitivity(linear(), 7 * ONES, red, 0, radius=0.5, draws=300)
    np.testing.assert_allclose(other.values, found.values / 7, rtol=1e-9)


def test_the_class_is_that_of_the_picture_without_noise():
    """Breaks when a noisy picture is explained for another class, and the maps differ by that."""
    asked = []

    def method(model: object, image: torch.Tensor, target: object) -> np.ndarray:
        asked.append(target)
        return red(model, image, target)

    model, image = linear(0.1), pictures(seed=2)  # 0.43 against 0.45
    max_sensitivity(model, image, method, radius=1, draws=5)
    assert asked == [1] * 6


def test_a_zero_map_has_no_size_and_nan_is_refused():
    """Breaks when 0 is divided by, or NaN compared."""
    found = max_sensitivity(linear(), pictures(), lambda *_: np.zeros(SIZE))
    assert np.isnan(found.maximum)
    assert "the map is zero" in found.notes[0]
    with pytest.raises(ValueError, match="48 of the 48 values of the map are NaN"):
        max_sensitivity(linear(), pictures(), lambda *_: np.full(SIZE, np.nan))
    with pytest.raises(ValueError, match="radius=-1 is no distance"):
        max_sensitivity(linear(), pictures(), red, radius=-1)


def test_it_is_one_of_the_measures_where_the_method_is_given():
    """Breaks when the measure takes other noise, or asks for a function in vain."""
    alone = max_sensitivity(linear(), pictures(), red)
    found = faithfulness(linear(), pictures(), red, metrics=["max_sensitivity"])
    assert found.scores["max_sensitivity"] == alone.maximum > 0
    given = faithfulness(linear(), pictures(), np.ones(SIZE), metrics=["max_sensitivity"])
    assert not given.scores
    assert any("give the function" in note for note in given.notes)


def test_it_stops_when_told_to_and_keeps_what_it_has():
    """Breaks when a stop is an error, or loses the draws before it."""
    found = max_sensitivity(linear(), ONES, red, progress=lambda done, total: done < 3)
    assert len(found.values) == 3
    assert found.notes == ("stopped after 3 of 10 draws",)

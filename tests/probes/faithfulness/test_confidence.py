"""Average drop and increase: nothing is lost where everything is kept."""

import numpy as np
import pytest
import torch

from tests.probes.faithfulness.linear_model import SIZE, linear, pictures
from tests.probes.faithfulness.test_curves import ZERO, some_map
from vit_widgets.probes import faithfulness

METRIC = ["confidence"]


@pytest.mark.parametrize("value", [1.0, 0.0, -3.0])
def test_a_map_that_is_the_same_everywhere_loses_nothing_at_all(value):
    """Breaks when min = max is divided by, or a difference in rounding counts as an increase."""
    found = faithfulness(linear(0.1), pictures(), np.full(SIZE, value), 0, METRIC)
    assert found.scores["average_drop_100"] == 0
    assert found.scores["increase_100"] == 0


def test_drops_are_those_of_the_picture_times_the_map():
    """Breaks when shares are of another picture, or the drop is not relative to the whole."""
    model, image, given = linear(0.1), pictures(), some_map()
    found = faithfulness(model, image, given, 1, METRIC, baseline=ZERO)
    whole = float(model.predict(image)[0, 1])
    stretched = given / 47
    for percent, count in ((100, 48), (50, 24), (15, 7)):
        kept = np.where(given >= 48 - count, stretched, 0)
        left = float(model.predict(image * torch.from_numpy(kept))[0, 1])
        drop = 100 * max(0.0, whole - left) / whole
        assert found.scores[f"average_drop_{percent}"] == pytest.approx(drop, abs=1e-3)
        assert found.scores[f"increase_{percent}"] == (100 if left > whole else 0)
    assert {found.scores[f"increase_{percent}"] for percent in (100, 50, 15)} == {100}
    against = faithfulness(model, image, given, 0, METRIC, baseline=ZERO).scores
    assert against["average_drop_15"] > 1
    assert against["increase_15"] == 0


def test_of_a_score_that_is_not_positive_nothing_is_lost_in_percent():
    """Breaks when a negative margin is divided by, and a loss comes out as a gain."""
    found = faithfulness(linear(0.1), pictures(), some_map(), ("margin", 1, 0), METRIC)
    assert found.score < 0
    assert not found.scores
    assert "average_drop, increase: the picture scores -" in found.notes[0]

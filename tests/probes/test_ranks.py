"""Areas under the curve: closed forms, and what has none."""

import numpy as np
import pytest

from vit_widgets.probes.ranks import auc


def test_known_areas():
    """Breaks when the area is turned around, or ties are broken one way."""
    labels = np.array([[False, False, True, True]])
    rows = np.array([[1, 2, 3, 4], [4, 3, 2, 1], [1, 3, 2, 4], [5, 5, 5, 5], [1, 2, 2, 3.0]])
    assert auc(rows, labels)[0].tolist() == [1, 0, 0.75, 0.5, 0.875]


def test_rising_maps_of_values_change_nothing_and_labels_add_to_one():
    """Breaks when something else than the order counts."""
    rng = np.random.default_rng(0)
    values, labels = rng.standard_normal((20, 50)), rng.random((3, 50)) < 0.3
    assert np.allclose(auc(np.exp(3 * values), labels), auc(values, labels))
    assert np.allclose(auc(values, ~labels), 1 - auc(values, labels))


def test_what_has_no_area_is_nan():
    """Breaks when an empty side, no sample at all, or a NaN gives a number."""
    values = np.array([[1.0, 2.0], [np.nan, 2.0]])
    labels = np.array([[True, True], [False, False], [True, False]])
    areas = auc(values, labels)
    assert np.isnan(areas[:2]).all()
    assert areas[2, 0] == 0
    assert np.isnan(areas[2, 1])
    assert np.isnan(auc(np.empty((3, 0)), np.empty((2, 0), bool))).all()
    assert auc(np.empty((3, 0)), np.empty((2, 0), bool)).shape == (2, 3)


def test_chance_is_a_half():
    """Breaks with a bias: labels that know nothing give 0.5 but for 1 in 100 000 times."""
    rng = np.random.default_rng(1)
    areas = auc(rng.random((200, 100)), rng.random((50, 100)) < 0.4)
    assert areas.mean() == pytest.approx(0.5, abs=4.5 * areas.std() / np.sqrt(areas.size / 10))

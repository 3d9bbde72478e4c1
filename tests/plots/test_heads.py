"""Figures of heads show the numbers that they are given."""

import numpy as np
import pytest

from vit_widgets import plots
from vit_widgets.probes import HeadPatterns, HopProfile, PruningCurve


def test_the_matrix_has_layers_down_and_zero_in_the_middle():
    """Breaks when rows are heads, the first layer is below, or a sign has the other's colour."""
    values = np.array([[0.5, -2.0, 1.0], [np.nan, 0.0, 0.25]])
    figure = plots.head_matrix(values, "fall")
    [mark] = figure.marks
    assert np.array_equal(mark.color, values, equal_nan=True)
    assert mark.row.tolist() == [0, 1]
    assert mark.scales["row"].reverse  # the first layer on top
    colour = mark.scales["color"]
    assert (colour.min, colour.mid, colour.max) == (-2, 0, 2)
    assert figure.title == "fall"
    sizes = plots.head_matrix(np.abs(values), "size").marks[0].scales["color"]
    assert (sizes.min, sizes.max, sizes.mid) == (0, 2, None)
    flat = plots.head_matrix(np.zeros((2, 3)), "none").marks[0].scales["color"]
    assert flat.max > flat.min  # never a scale without extent


def test_a_point_of_the_scatter_is_layer_times_heads_plus_head():
    """Breaks when a lasso would select other heads than those it surrounds."""
    across, down = np.arange(6.0).reshape(2, 3), np.arange(6.0)[::-1].reshape(2, 3)
    [mark] = plots.head_scatter(across, down, ("entropy", "importance")).marks
    assert mark.names[4] == "1.1"
    assert (mark.x[4], mark.y[4]) == (across[1, 1], down[1, 1])
    assert mark.color.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="of one shape"):
        plots.head_scatter(across, down[:1], ("a", "b"))


def test_lines_are_those_of_the_result():
    """Breaks when another layer or metric is drawn, or a missing head as a line."""
    sums = np.random.default_rng(0).random((2, 3, 5)).astype(np.float32)
    sums[1, 2] = np.nan
    figure = HopProfile(sums, sums).show()
    [mark] = figure.marks
    assert np.array_equal(mark.y, sums[1, :2])
    assert mark.labels == ["head 0", "head 1"]
    assert figure.title == "Attention by distance, layer 1"
    with pytest.raises(IndexError, match="layers 0 to 1"):
        plots.hop_profile(HopProfile(sums, sums), 2)
    each = np.random.default_rng(1).random((2, 4, 3, 5))
    curve = PruningCurve(each, np.array([0, 2, 4, 6]), (), (), 0, 0.0)
    [mark] = curve.show("accuracy").marks
    assert np.allclose(mark.y, each[..., 4].mean(axis=2))
    assert mark.x.tolist() == [0, 2, 4, 6]
    assert mark.labels == ["most important first", "least important first"]


def test_maps_are_coloured_by_their_cluster():
    """Breaks when a point has the name or the colour of another map."""
    result = HeadPatterns(
        heads=np.array([[0, 0, 1], [0, 2, 3], [1, 0, 1]]),
        places=np.array([[0, 1], [2, 3], [4, 5]], np.float32),
        labels=np.array([0, 1, 0]),
        prototypes=np.zeros((2, 4, 4)),
        latent=np.zeros((3, 2)),
        error=0.0,
    )
    [mark] = result.show().marks
    assert mark.names.tolist() == ["0.1, image 0", "2.3, image 0", "0.1, image 1"]
    assert mark.colors[0] == mark.colors[2] != mark.colors[1]
    assert mark.y.tolist() == [1, 3, 5]

"""Figures of faithfulness show the numbers that they are given."""

import numpy as np
import pytest

from tests.probes.faithfulness.linear_model import linear, pictures
from tests.probes.faithfulness.test_curves import CURVES, some_map
from vit_widgets import plots
from vit_widgets.probes import faithfulness, faithfulness_over


def named(figure: object) -> dict[str, object]:
    """The lines of a figure that have a name."""
    return {mark.labels[0]: mark for mark in figure.marks if getattr(mark, "labels", None)}


def test_curves_that_are_read_together_are_drawn_together():
    """Breaks when a curve is missing, or drawn against steps instead of shares."""
    found = faithfulness(linear(0.1), pictures(), some_map(), 0, (*CURVES, "sensitivity_n"))
    figures = found.show().children
    titles = ["deletion and insertion", "morf and lerf", "sensitivity_n"]
    assert [figure.title for figure in figures] == titles
    for figure in figures:
        for name, line in named(figure).items():
            np.testing.assert_array_equal(line.x, found.curves[name].fractions)
            np.testing.assert_array_equal(line.y, found.curves[name].scores)
    assert "confidence in class 0" in figures[0].axes[1].label
    assert figures[2].axes[1].label == "correlation"
    assert figures[2].marks[0].scales["y"].min <= found.curves["sensitivity_n"].scores.min()


def test_methods_are_drawn_over_each_other_between_their_bands():
    """Breaks when a band is of another method, or a name stands on another."""
    images = list(pictures(4))
    results = {
        name: faithfulness_over(
            linear(0.1), images, [some_map(start + i) for i in range(4)], 0, ["deletion"]
        )
        for name, start in (("ours", 0), ("theirs", 10), ("random map", 20), ("edge detector", 30))
    }
    [figure] = plots.faithfulness_over(results).children
    assert figure.title == "deletion"
    lines = named(figure)
    assert list(lines) == list(results)
    bands = [mark for mark in figure.marks if getattr(mark, "fill", "none") == "between"]
    for band, (name, found) in zip(bands, results.items(), strict=True):
        curve = found.curves["deletion"]
        np.testing.assert_array_equal(lines[name].y, curve.mean)
        np.testing.assert_array_equal(band.y, [curve.low, curve.high])
        assert band.colors == lines[name].colors
    assert lines["ours"].colors != lines["theirs"].colors
    assert lines["random map"].colors == lines["edge detector"].colors
    assert lines["random map"].line_style != lines["edge detector"].line_style
    names = figure.marks[-1]
    assert list(names.text) == [*list(results)[:3], "- - edge detector"]
    assert np.diff(np.sort(names.y)).min() > 0.05
    assert names.y.max() <= names.scales["y"].max


def test_a_curve_that_two_measures_share_is_drawn_once():
    """Breaks when the same curves fill two figures."""
    found = faithfulness_over(linear(0.1), list(pictures(2)), [some_map()] * 2, 0, CURVES)
    assert [figure.title for figure in found.show().children] == ["deletion", "insertion", "lerf"]


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_names_stay_inside_the_figure(level):
    """Breaks when names of curves that end together are pushed out at the top."""
    places = plots.faithfulness.__globals__["_labels"](np.full(6, level), 0.075, 1.0)
    assert places.max() <= 1 + 1e-12
    assert np.diff(np.sort(places)).min() >= 0.075 - 1e-12


def test_one_image_has_no_band_and_numbers_that_are_none_no_place():
    """Breaks when NaN reaches a scale, or a band is drawn where nothing is known."""
    given = [np.ones((6, 8))]
    found = faithfulness_over(
        linear(0.1), list(pictures()), given, 0, ("deletion", "sensitivity_n")
    )
    figures = found.show().children
    for figure in figures:
        assert all(getattr(mark, "fill", "none") == "none" for mark in figure.marks)
        assert np.isfinite([figure.marks[0].scales["y"].min, figure.marks[0].scales["y"].max]).all()
        assert np.isfinite(figure.marks[-1].y).all()
    assert len(figures) == 2


@pytest.mark.parametrize("name", ["faithfulness", "faithfulness_over"])
def test_they_are_public(name):
    """Breaks when a figure is not reached from the package."""
    assert callable(getattr(plots, name))

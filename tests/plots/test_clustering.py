"""Figures of clusters against objects show the numbers that they are given."""

import dataclasses

import numpy as np
import pytest

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


@pytest.fixture(scope="module")
def found() -> vw.probes.ClusterMetrics:
    """The halves of a tiny picture, in two layers."""
    labels = np.ones((4, 6), int)
    labels[2:] = 2
    return vw.probes.cluster_metrics(tiny_cache(), labels)


def test_the_five_metrics_are_drawn_against_depth(found):
    """Breaks when a metric stands under another's title, or layers are not counted from 0."""
    figures = found.show().children
    assert [figure.title for figure in figures] == [
        "Purity",
        "Silhouette, by cosine",
        "Cosine within a cluster",
        "Cosine within an object",
        "Objects that own a cluster",
    ]
    for figure, row in zip(figures, found.values[:5], strict=True):
        [line] = figure.marks
        assert line.y.tolist() == row.tolist()
        assert line.x.tolist() == [0, 1]
        assert line.line_style == "solid"
        assert not line.display_legend  # nothing to be told apart from


def test_altered_versions_are_dotted_and_named(found):
    """Breaks when versions share a colour, or the dotted curve is the original's."""
    other = dataclasses.replace(found, values=found.values + 0.25)
    third = dataclasses.replace(found, values=found.values - 0.25)
    figure = found.show(shuffled=other, dropped=third).children[3]
    shuffled, dropped, original = figure.marks
    assert [mark.labels for mark in figure.marks] == [["shuffled"], ["dropped"], ["original"]]
    assert [mark.line_style for mark in figure.marks] == ["dotted", "dotted", "solid"]
    assert shuffled.y.tolist() == other.of("in_object").tolist()
    assert dropped.y.tolist() == third.of("in_object").tolist()
    assert original.y.tolist() == found.of("in_object").tolist()
    assert len({mark.colors[0] for mark in figure.marks}) == 3


def test_versions_of_other_layers_are_refused(found):
    """Breaks when curves of other layers are drawn beside each other as if they were the same."""
    other = dataclasses.replace(found, layers=(3, 4))
    with pytest.raises(ValueError, match=r"shuffled has layers \[3, 4\], the original \[0, 1\]"):
        found.show(shuffled=other)

"""Figures against depth show the numbers that they are given."""

import subprocess
import sys

import numpy as np
import pytest

from vit_widgets import plots
from vit_widgets.probes import SelectiveCounts, SpatialVariance

KINDS = (("object", "patch"), ("class", "patch"), ("class", "image"), ("texture", "sheet"))


@pytest.fixture
def counts() -> SelectiveCounts:
    """Made-up counts of four kinds in three layers of different widths."""
    values = np.arange(12).reshape(4, 3)
    return SelectiveCounts(values, values / 4, np.array([10, 20, 40]), KINDS, 0.9)


def test_selectivity_is_drawn_in_percent_of_each_layer(counts):
    """Breaks when layers of different widths are compared by counts, or chance is left out."""
    figures = counts.show().children
    assert [figure.title for figure in figures] == [
        "Told from one patch",
        "Told from the mean over an image",
        "Told from a sheet of printed paper",
    ]
    chance, found, names = figures[0].marks
    assert found.labels == ["object", "class"]
    assert np.allclose(found.y, 100 * counts.values[:2] / counts.neurons)
    assert np.allclose(chance.y, 100 * counts.chance[:2] / counts.neurons)
    assert chance.line_style == "dotted" != found.line_style
    assert found.colors == chance.colors  # so that each can be read beside its chance
    assert list(names.text) == found.labels
    assert names.colors == found.colors
    gaps = np.diff(np.sort(names.y))
    assert gaps.min() > 0.05 * figures[0].marks[0].scales["y"].max  # no name covers another
    assert "AUC ≥ 0.9" in figures[0].axes[1].label
    assert figures[0].axes[0].label == "layer"


def test_spatial_variance_is_drawn_as_medians_between_quartiles():
    """Breaks when the curve is not the median, or the layers are not counted from 0."""
    values = np.random.default_rng(0).random((4, 5, 30))
    result = SpatialVariance(values, tuple("abcde"))
    band, line = result.show().marks
    assert np.allclose(line.y, np.median(values, axis=(0, 2)))
    assert np.allclose(band.y, np.quantile(values, (0.25, 0.75), axis=(0, 2)))
    assert line.x.tolist() == [0, 1, 2, 3, 4]


def test_plots_need_no_torch_and_probes_no_bqplot():
    """Breaks when drawing pulls in torch, or measuring pulls in bqplot."""
    alone = "import sys; from vit_widgets import {}; assert {!r} not in sys.modules"
    for room, stranger in (("plots", "torch"), ("plots", "bqplot"), ("probes", "bqplot")):
        subprocess.run([sys.executable, "-c", alone.format(room, stranger)], check=True)
    assert plots.selectivity.__doc__

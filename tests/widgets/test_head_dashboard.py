"""The dashboard of heads alone, with plain arrays."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets import export


@pytest.fixture
def page() -> vw.HeadDashboard:
    """Two layers of three and two heads."""
    statistics = np.arange(30, dtype=float).reshape(5, 2, 3)
    statistics[:, 1, 2] = np.nan  # the second layer has two heads
    effects = np.full((6, 2, 3), np.nan)
    effects[0] = [[0.1, -0.5, 0.2], [0.3, 0.0, np.nan]]
    effects[2, 0, 0] = -0.9
    return vw.HeadDashboard(
        layer_labels=["a", "b"],
        heads_statistics={"image_index": 0, "values": statistics},
        heads_importance={"image_index": 0, "values": effects},
    )


def test_numbers_are_found_by_their_names(page: vw.HeadDashboard):
    """Breaks when a name stands for another plane of the arrays."""
    assert page.number("distance")[0].tolist() == [6, 7, 8]
    assert page.number("first_order")[0, 1] == pytest.approx(-0.5)
    assert page.number("logit")[0, 0] == pytest.approx(-0.9)
    assert page.number("pattern") is None
    assert page.size_of("head") == 3


def test_the_table_begins_with_what_matters_most(page: vw.HeadDashboard):
    """Breaks when signs decide the order, the exact number does not go first, or NaN is a head."""
    table = page.importance_table()
    heads = list(zip(table["layer"], table["head"], strict=True))
    assert heads == [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1)]
    assert "accuracy" not in table.columns
    assert "size" not in table.columns


def test_selected_heads_of_the_layer_are_chosen_together(page: vw.HeadDashboard):
    """Breaks when the selection does not reach HeadGrid and overlay, or with heads of others."""
    page.heads_selected = [(0, 2), (0, 1), (1, 0), (0, 2)]
    assert page.heads_selected == [[0, 2], [0, 1], [1, 0]]
    assert (page.heads, page.head) == ([1, 2], 1)
    page.heads_selected = [(1, 1)]
    assert page.heads == []  # none of this layer
    with pytest.raises(traitlets.TraitError, match="layers 0 to 1"):
        page.heads_selected = [(2, 0)]
    with pytest.raises(traitlets.TraitError, match="heads_number"):
        page.heads_number = "weight"


def test_the_picture_has_a_cell_a_head_and_zero_in_the_middle(page: vw.HeadDashboard):
    """Breaks when rows and columns are swapped, or a signed number is coloured from its least."""
    picture = np.asarray(page.picture())
    assert picture.shape == (2 * 28, 3 * 28, 3)
    assert (picture[28:54, 56:82] == 255).all()  # no such head
    page.heads_number = "first_order"
    cells = np.asarray(page.picture())[13::28, 13::28].astype(int)
    assert cells[1, 1].tolist() == export.colormap("signed")[128].tolist()
    page.heads_number = "accuracy"
    assert page.picture() is None

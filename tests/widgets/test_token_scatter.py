"""The embedding as a widget of its own, with plain arrays and no model."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets.widgets.wire import unpack


def answer(count: int = 4, **more: object) -> dict[str, object]:
    """Points of one image of 2 x 2 patches."""
    rng = np.random.default_rng(count)
    about = {"layer": 0, "image_index": 0, "points": rng.normal(size=(count, 2))}
    tokens = {"image": np.zeros(count), "token": np.arange(count), "grid": [2, count // 2]}
    return {**about, **tokens, **more}


def test_points_travel_as_they_are():
    """Breaks when points are rounded, transposed or lose what they are of."""
    page = vw.TokenScatter()
    given = answer()
    page.scatter_points = given
    np.testing.assert_allclose(unpack(page.scatter_points["points"]), given["points"], rtol=1e-6)
    assert unpack(page.scatter_points["token"]).tolist() == [0, 1, 2, 3]
    assert page.scatter_points["method"] == "pca"
    values = {"layer": 0, "query": 0, "image_index": 0, "by": "norm", "values": [1, np.nan, 2, 3]}
    page.scatter_values = values
    np.testing.assert_array_equal(unpack(page.scatter_values["values"]), [1, np.nan, 2, 3])


def test_what_is_no_point_is_refused():
    """Breaks when an array of another shape reaches the page."""
    page = vw.TokenScatter()
    with pytest.raises(traitlets.TraitError, match=r"\(point, axis\)"):
        page.scatter_points = answer(points=np.zeros(8))
    with pytest.raises(traitlets.TraitError, match="lacks"):
        page.scatter_points = {"layer": 0, "points": np.zeros((4, 2))}
    with pytest.raises(traitlets.TraitError):
        page.scatter_method = "mds"
    with pytest.raises(traitlets.TraitError):
        page.scatter_selected = [-1]


def test_a_selection_ends_with_its_tokens():
    """Breaks when points of other tokens take over what was selected."""
    page = vw.TokenScatter(layer_labels=["a", "b"])
    page.scatter_points = answer()
    page.scatter_selected = [1, 3]
    page.scatter_points = answer(layer=1, points=np.ones((4, 2)))
    assert page.scatter_selected == [1, 3]
    page.scatter_points = {"layer": 1, "image_index": 0, "note": "NaN"}  # a layer without points
    page.scatter_points = answer()
    assert page.scatter_selected == [1, 3]
    page.scatter_points = answer(image=np.ones(4))
    assert page.scatter_selected == []


def test_the_picture_shows_the_points_beside_the_image():
    """Breaks when a notebook without a kernel shows no points, or shows them elsewhere."""
    page = vw.TokenScatter(image=np.full((8, 12, 3), 90, np.uint8))
    assert page.picture() is None
    page.scatter_points = answer(points=np.array([[1, 1], [1, 1], [1, 1], [-1, -1]]))
    drawn = np.asarray(page.picture()).astype(int)
    assert (drawn[:200, :200] == 90).all()
    apart = (drawn[:, 400:] != 255).any(axis=2)
    rows, cols = np.nonzero(apart)
    assert ((rows < 100) == (cols > 200)).all()  # up and to the right, down and to the left
    assert apart.any()

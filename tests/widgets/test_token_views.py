"""Views with plain arrays, without a model."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets import export
from vit_widgets.widgets.maps import token_axis
from vit_widgets.widgets.wire import unpack

RNG = np.random.default_rng(0)


@pytest.fixture
def page() -> vw.TokenViews:
    """Six filters of 4 x 4 pixels on 2 x 3 patches, two layers, a class token."""
    view = vw.TokenViews(
        image=np.zeros((8, 12, 3), np.uint8), layer_labels=["block 0", "block 1"], query=2, layer=1
    )
    axis = token_axis((2, 3), ["class"])
    view.token_layer = {"layer": 1, "image_index": 0, "axis": axis}
    view.views_filters = {"weights": RNG.normal(size=(6, 3, 4, 4)), "bias": np.zeros(6)}
    view.views_image = {"image_index": 0, "pixels": RNG.normal(size=(3, 8, 12))}
    view.views_rows = {
        "image_index": 0, "head": 0, "tokens": list(range(7)), "rows": RNG.random((7, 2, 3, 6)),
    }  # fmt: skip
    return view


def test_arrays_arrive_as_they_were(page: vw.TokenViews):
    """Breaks when a scale belongs to another filter, channel or level than its codes."""
    filters = RNG.normal(size=(5, 3, 4, 4)) * np.arange(1, 6).reshape(5, 1, 1, 1)
    page.views_filters = {"weights": filters, "bias": np.arange(5)}
    packed = page.views_filters["weights"]
    assert packed["whole"] == [5, 3, 4, 4]
    error = np.abs(unpack(packed).reshape(filters.shape) - filters).max(axis=(1, 2, 3))
    assert (error <= 0.008 * np.abs(filters).max(axis=(1, 2, 3))).all()
    pixels = RNG.normal(size=(3, 8, 12))
    page.views_image = {"image_index": 0, "pixels": pixels, "scores": {"contrast": np.arange(5)}}
    found = unpack(page.views_image["pixels"]).reshape(pixels.shape)
    assert np.abs(found - pixels).max() <= 0.008 * np.abs(pixels).max()
    assert page.views_image["scores"] == {"contrast": [0, 1, 2, 3, 4]}
    rows = RNG.random((2, 1, 3, 6)) * np.array([1, 10]).reshape(2, 1, 1, 1)
    page.views_rows = {"image_index": 0, "head": 0, "tokens": [0, 4], "rows": rows}
    error = np.abs(unpack(page.views_rows["rows"]) - rows)
    assert (error <= 0.004 * rows.max(axis=-1, keepdims=True)).all()


def test_filters_that_are_not_there_are_refused(page: vw.TokenViews):
    """Breaks when a wrong number is drawn as some other filter."""
    page.views_filter = 5
    with pytest.raises(traitlets.TraitError, match="views_filter 6 is out of range: valid are 0"):
        page.views_filter = 6
    with pytest.raises(traitlets.TraitError, match="valid are 0 to 5"):
        page.views_pins = [2, 6]
    page.views_pins = [2, 4]
    assert page.views_pins == [2, 4]


@pytest.mark.parametrize(
    ("trait", "value", "said"),
    [
        ("views_filters", {"weights": np.zeros((3, 4, 4))}, r"filter, channel, row, col"),
        ("views_image", {"image_index": 0, "pixels": np.zeros((4, 4))}, "channel, row, col"),
        ("views_rows", {"tokens": [0]}, r"lacks \['head', 'image_index'\]"),
        ("views_image", {"image_index": 0, "pixels": np.full((1, 2, 2), np.inf)}, "finite"),
    ],
)
def test_what_cannot_be_shown_is_said(page: vw.TokenViews, trait: str, value: dict, said: str):
    """Breaks when an array of another shape is laid out somehow."""
    with pytest.raises(traitlets.TraitError, match=said):
        setattr(page, trait, value)


def test_without_a_page_the_view_is_a_picture(page: vw.TokenViews):
    """Breaks when a notebook that is opened without a kernel shows nothing, or another view."""
    page.views_filter = 4  # of the second head
    kernel = unpack(page.views_filters["weights"])[4].reshape(3, 4, 4)
    pixels = unpack(page.views_image["pixels"]).reshape(3, 8, 12)
    weights = unpack(page.views_rows["rows"])[2, 1, 2].reshape(2, 3)
    view = np.zeros((8, 12))
    for y in range(8):
        for x in range(12):
            local = (kernel[:, y % 4, x % 4] * pixels[:, y, x]).sum()
            view[y, x] = local * weights[y // 4, x // 4]
    wanted = export.thumbnails(view[None], signed=True, side=384)
    assert page.picture().size == (576, 384)
    difference = np.abs(np.asarray(page.picture(), int) - np.asarray(wanted, int))
    assert difference.max() <= 4  # where rounding falls on the line between two colours
    page.query = 6
    page.views_rows = {"image_index": 0, "head": 0, "tokens": [1], "rows": np.ones((1, 1, 3, 6))}
    assert page.picture() is None

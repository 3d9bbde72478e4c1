"""Maps beside each other, of anybody's arrays: what travels, the sheet, and what is refused."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets.widgets.wire import unpack

GREY = np.full((8, 12, 3), 200, np.uint8)


def row(*maps: object, **about: object) -> dict:
    """Give a row of the table."""
    return {"picture": GREY, "maps": list(maps), **about}


def test_plain_arrays_are_maps_over_the_whole_picture():
    """Breaks when numbers change on their way, or what is not given is missing in the page."""
    page = vw.CompareMaps(compare_rows=[row(np.eye(3), {"note": "none"})])
    first, second = page.compare_rows[0]["maps"]
    np.testing.assert_array_equal(unpack(first["values"]), np.eye(3, dtype=np.float32))
    assert (first["axis"], first["area"]) == ({}, None)
    assert second["values"] == {}
    assert page.compare_rows[0]["image_index"] == page.compare_rows[0]["model"] == 0


def test_the_sheet_keeps_the_proportions_and_lays_maps_on_their_patches():
    """Breaks when a picture is squeezed, or a map is drawn at another place or method."""
    axis = {"grid": [2, 2], "prefix": [], "box": [0.0, 0.5, 1.0, 1.0]}  # the right half
    page = vw.CompareMaps(compare_methods=["first", "second"], drawing="patches", opacity=1)
    assert page.picture() is None
    page.compare_rows = [row({}, {"values": [[0, 0], [0, 1]], "axis": axis})]
    sheet = np.asarray(page.picture()).astype(int)
    assert sheet.shape == (18 + 88, 2 * 132 + 6, 3)  # 8 : 12
    assert (sheet[40:, :132] == 200).all()  # no map: the picture as it is, and says so
    assert (sheet[20:34, :60] != 200).any()
    second = sheet[18:, 138:]
    assert (second[44 + 4 :, 99 + 4 :].mean(axis=(0, 1)) > [220, 220, 150]).all()  # the brightest
    assert (second[4:40, 70:128] == second[4, 70]).all()  # zeros: the same everywhere
    assert (second[:, :60] < second[4, 70]).all()  # beside the map it is darker


def test_maps_of_a_method_are_drawn_alike_or_each_by_itself():
    """Breaks when a half as strong map looks as strong where sizes are compared, or weaker where
    they are not; or when a method has two colour maps.
    """
    maps = [np.full((1, 1), 4.0), np.full((1, 1), 1.0)]
    page = vw.CompareMaps(compare_rows=[row(one) for one in maps], opacity=1)

    def tiles() -> list[np.ndarray]:
        sheet = np.asarray(page.picture())
        return [sheet[18 + 10, 66], sheet[18 + 94 + 10, 66]]

    first, second = tiles()
    np.testing.assert_array_equal(first, second)
    page.compare_scale = "per method"
    assert not np.array_equal(*tiles())
    np.testing.assert_array_equal(tiles()[0], first)
    page.compare_rows = [row(-maps[0]), row(maps[1])]
    one_sign = tiles()[1]
    page.compare_rows = [row(maps[0]), row(maps[1])]
    assert not np.array_equal(tiles()[1], one_sign)  # red of two colours, not of the usual map


def test_a_patch_counts_on_the_first_models_patches():
    """Breaks when a patch that there is not can be chosen."""
    axis = {"grid": [2, 3], "prefix": ["class"], "box": [0.0, 0.0, 1.0, 1.0]}
    page = vw.CompareMaps(image_names=["a", "b"], compare_rows=[row(axis=axis)])
    page.query = 6
    with pytest.raises(traitlets.TraitError, match="query 7 is out of range: valid are 0 to 6"):
        page.query = 7
    with pytest.raises(traitlets.TraitError, match="image_index 2 is out of range"):
        page.image_index = 2


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"map": []}, r"compare_rows\[0\] does not know \['map'\]; it takes axis, image_index"),
        ({"maps": [np.zeros(3)]}, r"map 0, values: takes numbers \(row, col\)"),
        ({"maps": [{"value": 1}]}, r"map 0 does not know \['value'\]"),
        ({"picture": np.zeros((2, 4, 4, 3), np.uint8)}, "takes one picture"),
    ],
)
def test_what_is_no_row_is_refused_in_a_sentence(wrong: dict, says: str):
    """Breaks when a wrong name or shape reaches the page, or the message hides where."""
    with pytest.raises(traitlets.TraitError, match=says):
        vw.CompareMaps(compare_rows=[wrong])

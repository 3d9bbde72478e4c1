"""Packets whose layers have grids of their own: places, windows, signs, and what has no value."""

import numpy as np
import pytest

import vit_widgets as vw
from vit_widgets.widgets.maps import image_layer, matrix_layer, packet, place_of, token_axis
from vit_widgets.widgets.wire import unpack

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("reference", "axis", "places"),
    [
        # nested: the 8 x 8 patches that merge into one; prefix tokens of either side do not count
        (token_axis((56, 56), ["class"]), token_axis((7, 7)), {(13, 55): (1, 6), (8, 7): (1, 0)}),
        # not nested: by the centre, 20/14 finer; (3, 6) has its centre at (2.45, 4.55)
        (token_axis((20, 20)), token_axis((14, 14)), {(3, 6): (2, 4), (19, 0): (13, 0)}),
        # a tie: the middle of three lies on the line between two, and goes to the later one
        (token_axis((21, 3)), token_axis((14, 2)), {(1, 1): (1, 1), (4, 0): (3, 0)}),
        # boxes: a grid over the middle half of the picture, and one that hangs over its border
        (token_axis((4, 4)), token_axis((2, 2), box=(0.25, 0.25, 0.75, 0.75)), {(1, 2): (0, 1)}),
        (token_axis((4, 4)), token_axis((3, 3), box=(0, 0, 1.5, 1.5)), {(3, 1): (1, 0)}),
    ],
)
def test_a_layer_answers_for_the_patch_that_holds_the_centre(reference, axis, places):
    """Breaks when a place is scaled by its corner, rounded, or moved by a prefix or a box."""
    cols, prefix = reference["grid"][1], len(reference["prefix"])
    for (row, col), place in places.items():
        assert place_of(prefix + row * cols + col, reference, axis) == place


def test_what_has_no_place_on_a_layer_has_none():
    """Breaks when a prefix token, or what lies beside a layer's box, gets a patch of it."""
    reference = token_axis((4, 4), ["class"])
    middle = token_axis((2, 2), box=(0.25, 0.25, 0.75, 0.75))
    assert place_of(0, reference, middle) is None
    assert place_of(1, reference, middle) is None  # the corner
    assert place_of(17, reference, reference) is None  # beyond the last


def test_places_are_exact_on_nested_grids_whatever_their_sizes():
    """Breaks when rounding moves a patch across a line (every nested pair up to 96 patches)."""
    for size in range(1, 97):
        for factor in (1, 2, 3, 4, 7, 8):
            reference, axis = token_axis((size * factor, 1)), token_axis((size, 1))
            found = [place_of(token, reference, axis) for token in range(size * factor)]
            assert found == [(token // factor, 0) for token in range(size * factor)]


def test_distance_is_from_the_place_that_is_given():
    """Breaks when the distance of a query between patches is taken from a patch."""
    values = np.zeros((2, 1, 4), np.float32)
    values[:, 0, 3] = 0.5
    layer = image_layer(values, (2, 2), places=np.array([(0.5, 1), (np.nan, np.nan)]), cell=(8, 8))
    assert unpack(layer["distance"])[0, 0] == 4
    assert np.isnan(unpack(layer["distance"])[1, 0])
    with pytest.raises(ValueError, match=r"expected \(2, 2\)"):
        image_layer(values, (2, 2), places=np.zeros((1, 2)))


def test_outside_a_window_there_is_no_value_and_inside_nothing_changes():
    """Breaks when what cannot be seen counts as zero, or takes part in a statistic."""
    values = np.full((2, 1, 6), np.nan, np.float32)
    values[0, 0, :3] = (0.25, 0.25, 0.5)
    layer = image_layer(values, (2, 3), queries=[0, 1])
    cells = unpack(layer["cells"])
    assert np.array_equal(np.isnan(cells), np.isnan(values))
    assert unpack(layer["entropy"])[0, 0] == pytest.approx(1.5 * np.log(2))
    # a query that the layer does not have: no number at all
    for name in ("entropy", "distance", "maximum"):
        assert np.isnan(unpack(layer[name])[1, 0])


def test_signed_maps_keep_their_signs_and_are_measured_by_magnitude():
    """Breaks when a negative weight is clipped, or the largest is taken among positive ones."""
    values = np.array([[[0.1, -0.4, 0, np.nan]]], np.float32)
    layer = image_layer(values, (2, 2), queries=[0], signed=True)
    assert layer["signed"]
    assert unpack(layer["cells"])[0, 0, 1] == np.float32(-0.4)
    assert unpack(layer["maximum"])[0, 0] == np.float32(0.4)
    assert unpack(layer["distance"])[0, 0] == pytest.approx(0.8)
    with pytest.raises(ValueError, match="not negative"):
        image_layer(values, (2, 2), queries=[0])
    exact = image_layer(values, (2, 2), queries=[0], signed=True, exact=True)
    assert np.array_equal(unpack(exact["cells"]), values, equal_nan=True)


def test_a_signed_matrix_is_shown_by_the_largest_magnitude_of_each_block():
    """Breaks when a strong negative value is lost in a large matrix."""
    values = np.full((1, 600, 2), 0.1, np.float32)
    values[0, 599, 0] = -0.9
    layer = matrix_layer(values, "no place", signed=True, axes=("channels", "channels"))
    assert layer["axes"] == ["channels", "channels"]
    assert unpack(layer["cells"]).reshape(-1, 2)[-1].tolist() == pytest.approx(
        [-0.9, 0.1], abs=0.01
    )
    assert unpack(layer["maximum"])[0] == np.float32(0.9)


def test_query_counts_on_the_reference_whatever_layer_is_in_view():
    """Breaks when going to a coarse layer, or to a matrix, would move the selection."""
    reference = token_axis((8, 8), ["class"])
    layers = [
        image_layer(np.zeros((1, 1, 65), np.float32), (8, 8), ["class"]),
        image_layer(np.zeros((1, 1, 4), np.float32), (2, 2)),
        matrix_layer(np.zeros((1, 3, 3)), "no place"),
    ]
    overlay = vw.PatchOverlay(maps=packet(layers, queries=[64], reference=reference), query=64)
    for layer in range(3):
        overlay.layer = layer
        assert (overlay.size_of("query"), overlay.query) == (65, 64)
    plain = vw.PatchOverlay(maps=packet(layers, queries=[3]), layer=1)
    assert plain.size_of("query") == 4


def test_without_a_reference_what_asks_counts_the_queries():
    """Breaks when pooled keys would limit the queries."""
    layer = image_layer(
        np.zeros((1, 1, 4), np.float32), (2, 2), asked=token_axis((6, 6), ["class"])
    )
    assert vw.PatchOverlay(maps=packet([layer], queries=[36])).size_of("query") == 37


GREY = np.full((48, 48, 3), 120, np.uint8)
AMBER = (245, 166, 35)


def drawn(values: np.ndarray, grid: tuple[int, int], query: int = 0, **more) -> np.ndarray:
    """Draw one map over a grey picture of 384 x 384, without a page."""
    reference = token_axis((4, 4), ["class"])
    layer = image_layer(values.reshape(1, 1, -1).astype(np.float32), grid, **more)
    maps = packet([layer], queries=[query], reference=reference)
    overlay = vw.PatchOverlay(image=GREY, maps=maps, query=query, drawing="patches", opacity=1.0)
    return np.asarray(overlay.picture()).astype(int)


def test_the_static_picture_outlines_a_window_and_darkens_the_rest():
    """Breaks when a notebook without a kernel would show the outside of a window as weight 0."""
    values = np.full((4, 4), np.nan)
    values[1:3, 1:3] = 0.25
    picture = drawn(values, (4, 4))
    white = (picture == 255).all(axis=-1)
    rows, cols = np.nonzero(white)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (95, 288, 95, 288)  # outside of it
    assert not white[96:288, 96:288].any()
    assert picture[192, 192].tolist() == [252, 253, 191]  # the end of magma
    assert picture[20:60, 20:60].mean() < 0.75 * 96  # a photograph under a map has 96
    nothing = drawn(np.full((4, 4), np.nan), (4, 4))
    assert (nothing == 120).all()


def test_the_static_picture_smooths_a_window_up_to_its_border():
    """Breaks when cells that cannot be seen pull those beside them towards zero."""
    values = np.full((1, 1, 16), np.nan, np.float32)
    values[0, 0, [5, 6, 9, 10]] = 0.25
    overlay = vw.PatchOverlay(image=GREY, maps=values.reshape(1, 4, 4), opacity=1.0)
    inside = np.asarray(overlay.picture())[96:288, 96:288].reshape(-1, 3)
    assert np.unique(inside, axis=0).tolist() == [[252, 253, 191]]


def test_the_static_picture_lays_a_map_on_its_part_and_outlines_what_asks():
    """Breaks when a map is stretched over the picture, or the query takes the size of a key."""
    picture = drawn(
        np.ones((2, 2)), (2, 2), query=6, box=(0, 0, 0.5, 1.5), asked=token_axis((4, 4), ["class"])
    )
    amber = (picture == AMBER).all(axis=-1)
    rows, cols = np.nonzero(amber)
    assert (rows.min(), rows.max() + 1, cols.min(), cols.max() + 1) == (96, 192, 96, 192)
    assert picture[10, 383].tolist() == [252, 253, 191]  # it hangs over on the right
    assert picture[200, 10].tolist() == [round(120 * 0.8 * 0.6)] * 3
    alone = drawn(np.ones((4, 4)), (4, 4), query=6, only="class token")
    assert not (alone == AMBER).all(axis=-1).any()


def test_static_pictures_draw_signs_in_their_own_colours():
    """Breaks when a negative value is drawn like a positive one, or zero hides the picture."""
    values = np.array([[0.4, -0.4], [0, 0]])
    picture = drawn(values, (2, 2), signed=True)
    high, low, zero = picture[96, 96], picture[96, 288], picture[288, 96]
    assert high[0] > high[2]  # red
    assert low[2] > low[0]  # blue
    assert zero.tolist() == [96] * 3
    layer = image_layer(values.reshape(1, 1, 4), (2, 2), signed=True)
    sheet = np.asarray(vw.HeadGrid(maps=packet([layer], queries=[0])).picture()).astype(int)
    assert sheet[10, 10].tolist() == high.tolist()
    assert sheet[90, 10].max() < 20  # zero is dark here


def test_the_static_thumbnails_leave_cells_without_a_value_grey():
    """Breaks when what cannot be seen takes the colour of zero."""
    grid = vw.HeadGrid(maps=np.array([[[np.nan, 1.0], [0, 0]]]))
    sheet = np.asarray(grid.picture())
    assert sheet[10, 10].tolist() == [222] * 3
    assert sheet[90, 10].max() < 5

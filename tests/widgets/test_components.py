"""Components with plain arrays, and both sides of a selection."""

import base64
import io

import ipywidgets
import numpy as np
import pytest
import traitlets
from PIL import Image

import vit_widgets as vw
from vit_widgets.widgets.maps import attention_packet, image_layer, matrix_layer, row_statistics
from vit_widgets.widgets.wire import unpack

RNG = np.random.default_rng(0)


def attention(layers=3, heads=2, tokens=9) -> np.ndarray:
    """Random rows that sum to 1: (layer, head, query, key)."""
    scores = RNG.random((layers, heads, tokens, tokens)).astype(np.float32)
    return scores / scores.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((4, 6), (1, 1)), ((3, 4, 6), (1, 3)), ((5, 3, 4, 6), (5, 3))],
)
def test_plain_maps_of_any_rank_are_shown(shape, sizes):
    """Breaks when layers and heads of a plain array are confused."""
    maps = RNG.random(shape)
    grid = vw.HeadGrid(maps=maps)
    assert (len(grid.maps["layers"]), grid.size_of("head")) == sizes
    assert grid.maps["queries"] is None
    grid.layer, grid.head = sizes[0] - 1, sizes[1] - 1
    shown = grid.shown_maps()[grid.head]
    assert np.abs(shown - maps.reshape(*sizes, 4, 6)[-1, -1]).max() < 0.01


def test_whole_attention_answers_every_query_in_both_directions():
    """Breaks when "attended by" shows rows, or the prefix shifts the patches."""
    weights = attention()
    overlay = vw.PatchOverlay(
        image=np.zeros((8, 16, 3), np.uint8), attention=weights, grid=(2, 4), prefix=["class"]
    )
    overlay.layer, overlay.query = 1, 6
    assert np.abs(overlay.shown_maps().reshape(2, 8) - weights[1, :, 6, 1:]).max() < 0.01
    overlay.direction = "attended by"
    assert np.abs(overlay.shown_maps().reshape(2, 8) - weights[1, :, 1:, 6]).max() < 0.01
    prefix = unpack(overlay.maps["layers"][1]["prefix_values"])
    assert np.array_equal(prefix[6, :, 0], weights[1, :, 0, 6])


def test_a_square_grid_is_found_and_another_must_be_given():
    """Breaks when a grid is assumed square although it cannot be."""
    assert vw.HeadGrid(attention=attention(tokens=9)).maps["layers"][0]["grid"] == [3, 3]
    with pytest.raises(ValueError, match=r"pass grid=\(rows, cols\)"):
        vw.HeadGrid(attention=attention(tokens=8))


def test_row_statistics_equal_their_definitions():
    """Breaks when entropy, distance or maximum is taken over the wrong tokens."""
    values = attention(1, 2, 9)[0].transpose(1, 0, 2)  # (query, head, key)
    places = np.array([(np.nan, np.nan), *np.ndindex(2, 4)])
    statistics = row_statistics(values, (2, 4), 1, places, (16, 12))
    row = values[6, 1].astype(np.float64)
    assert statistics["entropy"][6, 1] == pytest.approx(-(row * np.log(row)).sum(), rel=1e-6)
    assert statistics["maximum"][6, 1] == row[1:].max()
    own = np.array(divmod(5, 4)) * (16, 12)
    away = [np.hypot(*(np.array(divmod(j, 4)) * (16, 12) - own)) for j in range(8)]
    assert statistics["distance"][6, 1] == pytest.approx(
        np.dot(row[1:], away) / row[1:].sum(), rel=1e-6
    )
    assert np.isnan(statistics["distance"][0]).all()  # the class token has no place


def test_a_large_matrix_is_shown_by_blocks_and_says_so():
    """Breaks when a maximum is lost on the way, or the reduction goes unmentioned."""
    values = np.zeros((1, 700, 49), np.float32)
    values[0, 699, 48] = 0.9
    layer = matrix_layer(values, "windows")
    assert layer["shape"] == [256, 49]
    assert unpack(layer["maximum"])[0] == np.float32(0.9)
    assert "700 × 49" in layer["note"]


def test_exact_layers_carry_the_very_numbers():
    """Breaks when a read-out would show quantised values."""
    values = attention(1, 2, 9)[0].transpose(1, 0, 2)
    layer = image_layer(values, (2, 4), ["class"], queries=range(9), exact=True)
    assert np.array_equal(unpack(layer["cells"]), values[..., 1:])


@pytest.mark.parametrize(
    ("trait", "bad", "says"),
    [
        ("layer", 3, "layer 3 is out of range: valid are 0 to 2"),
        ("head", -1, "valid are 0 to 1"),
        ("query", 9, "valid are 0 to 8"),
        ("heads", [0, 2], r"heads \[2\] are out of range: valid are 0 to 1"),
        ("pins", [9], "valid are 0 to 8"),
        ("maps", np.zeros(3), "maps of shape"),
        ("maps", np.full((2, 2), -1.0), "not negative"),
        ("image", np.zeros((4, 4, 2)), "takes uint8 pixels"),
        ("opacity", 2.0, "opacity"),
        ("direction", "sideways", "direction"),
    ],
)
def test_python_is_told_what_is_out_of_range(trait, bad, says):
    """Breaks when a wrong value is taken, or the valid range is not named; the old one stays."""
    overlay = vw.PatchOverlay(attention=attention(), grid=(2, 4), prefix=["class"])
    before = getattr(overlay, trait)
    with pytest.raises(traitlets.TraitError, match=says):
        setattr(overlay, trait, bad)
    assert getattr(overlay, trait) == before


def test_the_page_is_brought_into_range():
    """Breaks when a stale page raises in a callback, or an index goes through unclamped."""
    overlay = vw.PatchOverlay(attention=attention(), grid=(2, 4), prefix=["class"])
    overlay.set_state({"layer": 99, "head": -4, "query": 400, "pins": [3, 400], "heads": [1, 7]})
    assert (overlay.layer, overlay.head, overlay.query) == (2, 0, 8)
    assert (overlay.pins, overlay.heads) == ([3], [1])


@pytest.mark.skipif(
    ipywidgets.__version__.startswith("7."), reason="ipywidgets 7 sends nothing without a kernel"
)
def test_the_page_hears_of_the_value_it_was_brought_to():
    """Breaks when the page would keep showing an index that Python does not have."""
    overlay = vw.PatchOverlay(attention=attention(), grid=(2, 4), prefix=["class"])
    sent = []
    overlay._send = lambda message, buffers=None: sent.append(message)
    overlay.comm = overlay.comm or object()
    overlay.set_state({"layer": 99})
    updates = [message["state"] for message in sent if message["method"] == "update"]
    assert {"layer": 2} in [{k: v for k, v in u.items() if k == "layer"} for u in updates]


def test_new_data_brings_the_selection_into_its_range():
    """Breaks when a selection that the new model does not have stays."""
    grid = vw.HeadGrid(maps=RNG.random((6, 8, 3, 3)), layer=5, head=7, heads=[7, 2])
    grid.maps = RNG.random((2, 4, 3, 3))
    assert (grid.layer, grid.head, grid.heads) == (1, 3, [2])


def test_traits_of_one_name_link():
    """Breaks when a selection trait differs in type between components."""
    slider = vw.LayerSlider(layer_labels=["a", "b", "c"])
    grid = vw.HeadGrid(maps=RNG.random((3, 2, 4, 4)))
    with_link = traitlets.link((slider, "layer"), (grid, "layer"))
    slider.layer = 2
    assert grid.layer == 2
    with_link.unlink()
    ipywidgets.HBox([slider, grid])  # composes like any other widget


def test_a_wrong_argument_is_named_with_the_nearest_right_one():
    """Breaks when traitlets would take a misspelt argument with a mere warning."""
    with pytest.raises(TypeError, match="did you mean 'maps'"):
        vw.HeadGrid(map=np.zeros((2, 2)))


def test_a_picture_stands_in_where_no_widget_can_run():
    """Breaks when GitHub or a notebook without a kernel would show nothing, or NaN raises."""
    maps = RNG.random((2, 4, 6))
    maps[0, 0, 0] = np.nan
    overlay = vw.PatchOverlay(image=RNG.random((40, 60, 3)), maps=maps)
    data, _ = overlay._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.size == (600, 400)
    assert len(data["image/png"]) < 400_000
    assert "image/png" not in vw.LayerSlider()._repr_mimebundle_()[0]


def test_the_static_overlay_draws_the_map_where_it_is():
    """Breaks when the map is transposed or the query outlined in another patch."""
    values = np.zeros((4, 6))
    values[1, 4] = 1
    image = np.full((40, 60, 3), 90, np.uint8)
    overlay = vw.PatchOverlay(image=image, maps=values, drawing="patches", colormap="viridis")
    drawn = np.asarray(overlay.picture()).astype(int)
    scale = drawn.shape[0] // 40
    centre = drawn[15 * scale, 45 * scale]
    elsewhere = drawn[5 * scale, 5 * scale]
    assert centre[1] > 150  # viridis ends in yellow
    assert (elsewhere == round(90 * 0.8)).all()


def test_the_static_overlay_outlines_the_query_patch_and_leaves_its_inside():
    """Breaks when another patch is outlined, or the outline hides what the patch shows."""
    image = np.full((40, 80, 3), 90, np.uint8)
    overlay = vw.PatchOverlay(
        image=image, attention=np.zeros((1, 1, 9, 9)), grid=(2, 4), prefix=["class"], query=7
    )
    drawn = np.asarray(overlay.picture())
    amber = (drawn == (245, 166, 35)).all(axis=-1)
    scale = drawn.shape[0] // 40
    rows, cols = np.nonzero(amber)
    assert (rows.min() // scale, (rows.max() + 1) // scale) == (20, 40)  # row 1 of 2
    assert (cols.min() // scale, (cols.max() + 1) // scale) == (40, 60)  # column 2 of 4
    assert not amber[30 * scale, 50 * scale]
    overlay.query = 0  # the class token has no place
    assert not (np.asarray(overlay.picture()) == (245, 166, 35)).all(axis=-1).any()


def test_attention_packets_name_what_they_hold():
    """Breaks when a page could take one packet for the answer to another question."""
    packet = attention_packet(list(attention()), (2, 4), ["class"], "attended by", 3)
    assert packet["image_index"] == 3
    assert packet["direction"] == "attended by"
    assert packet["queries"] == list(range(9))

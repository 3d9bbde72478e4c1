"""The traits of a neuron page: what is taken and packed, ranges, and the picture without a page."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets.widgets.wire import unpack

RNG = np.random.default_rng(0)
COUNTS = [4, 6, 5]


def page(**traits) -> vw.NeuronPage:
    """A page of a model with three layers."""
    return vw.NeuronPage(neuron_counts=COUNTS, **traits)


def top(**more) -> dict:
    """Three top images of a neuron."""
    return {
        "layer": 0, "neuron": 1, "images": RNG.integers(0, 255, (3, 12, 18, 3), np.uint8),
        "maps": RNG.normal(size=(3, 2, 3)), "scores": [3.0, 2.0, 1.0], **more,
    }  # fmt: skip


def test_arrays_in_answers_are_packed_and_what_is_not_given_is_filled_in():
    """Breaks when numbers change on their way, or the page would miss a key."""
    given = top(scores=np.array([3.0, np.nan, 1.0]))
    made = page(top_images=given)
    assert np.array_equal(unpack(made.top_images["images"]), given["images"])
    assert np.array_equal(unpack(made.top_images["maps"]), given["maps"].astype(np.float32))
    assert made.top_images["scores"] == [3.0, None, 1.0]  # NaN is no JSON
    assert made.top_images["box"] == [0.0, 0.0, 1.0, 1.0]
    assert made.top_images["labels"] == []


def test_an_answer_is_shared_with_nobody():
    """Breaks when the defaults of one answer are those of the next."""
    first = page(alike={"layer": 0, "neuron": 1})
    first.alike["neurons"].append({"neuron": 3, "r": 0.5})
    assert page(alike={"layer": 0, "neuron": 1}).alike["neurons"] == []


@pytest.mark.parametrize(
    ("trait", "bad", "says"),
    [
        ("alike", {"layer": 0}, r"alike of NeuronPage lacks \['neuron'\]; it takes layer, neuron"),
        ("alike", {"layer": 0, "neuron": 0, "r": []}, r"does not know \['r'\]"),
        ("alike", {"layer": 0, "neuron": "x"}, "alike of NeuronPage, neuron"),
        ("top_images", top(maps=np.zeros((2, 3))), r"maps: takes numbers \(image, row, col\)"),
        ("top_images", top(images=np.zeros((3, 4, 4, 3))), "images: takes uint8 pixels"),
        ("bookmarks", [[1, 6]], r"bookmarks \[\[1, 6\]\] do not exist; accepted are pairs"),
        ("neuron", 4, "neuron 4 is out of range: valid are 0 to 3"),
        ("layer", 3, "layer 3 is out of range: valid are 0 to 2"),
        ("target", 2, "target 2 is out of range: valid are 0 to 1"),
    ],
)
def test_python_is_told_what_is_wrong(trait, bad, says):
    """Breaks when a wrong value is taken, or what is accepted is not named; the old one stays."""
    made = page(class_names=["cat", "dog"])
    before = getattr(made, trait)
    with pytest.raises(traitlets.TraitError, match=says):
        setattr(made, trait, bad)
    assert getattr(made, trait) == before


@pytest.mark.parametrize("order", [("layer", "neuron"), ("neuron", "layer")])
def test_a_neuron_and_its_layer_may_come_together_in_any_order(order):
    """Breaks when the neuron is measured by the layer that was in view before."""
    chosen = {"layer": 1, "neuron": 5}
    made = page(**{name: chosen[name] for name in order})
    assert (made.layer, made.neuron) == (1, 5)
    made = page()
    made.set_state({name: chosen[name] for name in order})
    assert (made.layer, made.neuron) == (1, 5)


def test_what_the_page_sends_is_brought_into_range():
    """Breaks when a stale page raises in a callback, or a neuron goes through that is not there."""
    made = page()
    made.set_state({"layer": 9, "neuron": 99, "bookmarks": [[0, 3], [0, 4], [7, 0]]})
    assert (made.layer, made.neuron) == (2, 4)
    assert made.bookmarks == [[0, 3]]


def test_another_layer_brings_the_neuron_into_its_range():
    """Breaks when a layer with fewer neurons keeps one that it does not have."""
    made = page(layer=1, neuron=5)
    made.layer = 0
    assert made.neuron == 3
    made.neuron_counts = [2]
    assert (made.layer, made.neuron) == (0, 1)


def test_layers_may_count_something_else():
    """Breaks when, in the Inspector, an attention layer is taken for a layer of neurons."""
    made = page(neuron_of_layer=[0, 0, 2, -1])
    sizes = []
    for layer in range(4):
        made.layer = layer
        sizes.append((made.neuron_layer, made.size_of("neuron")))
    assert sizes == [(0, 4), (0, 4), (2, 5), (-1, 0)]
    assert made.neuron == 0
    with pytest.raises(traitlets.TraitError, match="valid are 0 to 3"):
        made.layer = 4


def test_queries_count_on_the_axis_that_the_map_names():
    """Breaks when the prefix tokens are left out, or a coarse map shortens the selection."""
    of = {"layer": 0, "neuron": 0, "image_index": 0, "values": np.eye(3)}
    made = page(neuron_map={**of, "prefix": {"class": 0.1, "register": 0.0}})
    assert made.size_of("query") == 11
    made.neuron_map = {
        **of,
        "reference": {"grid": [6, 6], "prefix": ["class"], "box": [0, 0, 1, 1]},
    }
    assert made.size_of("query") == 37


def test_the_static_picture_shows_the_map_on_its_scale():
    """Breaks when the picture without a page has another scale than the page, or divides by 0."""
    maps = np.zeros((2, 2, 2), np.float32)
    maps[0] = [[0, 0], [0, 4]]
    maps[1] = 1.0
    images = np.full((2, 40, 40, 3), 90, np.uint8)
    made = page(
        top_images={"layer": 0, "neuron": 0, "images": images, "maps": maps},
        top_view="map", drawing="patches", colormap="gray",
    )  # fmt: skip

    def centres(at: int) -> list[int]:
        drawn = np.asarray(made.picture())[:, :, 0]
        side = drawn.shape[0]
        left = at * (side + 6)
        points = [(y, x) for y in (1, 3) for x in (1, 3)]
        return [int(drawn[side * y // 4, left + side * x // 4]) for y, x in points]

    assert centres(0) == [0, 0, 0, 255]
    assert centres(1) == [pytest.approx(64, abs=1)] * 4  # a quarter of the shared scale
    made.map_scale = "per map"
    assert centres(1) == [0] * 4  # flat


def test_without_top_images_the_optimised_image_stands_in():
    """Breaks when a page without an index has no picture although there is one."""
    made = page()
    assert made.picture() is None
    made.feature_image = np.zeros((96, 96, 3), np.uint8)
    assert made.picture().size == (384, 384)


def test_the_inspector_draws_the_tab_that_is_open():
    """Breaks when the picture of a notebook answers another question than the page."""
    made = vw.InspectorPage(
        neuron_counts=COUNTS, top_images=top(), maps=RNG.random((3, 4, 4)),
        image=np.zeros((32, 32, 3), np.uint8),
    )  # fmt: skip
    attention = made.picture().size
    made.tab = "neurons"
    assert made.picture().size != attention
    assert made.picture().size == page(top_images=top()).picture().size
    with pytest.raises(traitlets.TraitError):
        made.tab = "weather"

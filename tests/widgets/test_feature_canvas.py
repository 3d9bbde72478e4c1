"""The canvas with plain arrays: what it takes, what travels, what is left without a page."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets.widgets.feature_canvas import MOST_POINTS, packed_curves
from vit_widgets.widgets.wire import nbytes, unpack

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("steps", [0, 1, 2, 199, 200, 201, 399, 5000])
def test_curves_are_thinned_and_end_where_the_run_is(steps):
    """Breaks when a long run sends ever larger messages, or its newest number is left out."""
    curves = RNG.random((3, 2, steps)).astype(np.float32)
    packed = packed_curves(*curves)
    values = unpack(packed)
    assert values.shape[:2] == (3, 2)
    assert values.shape[2] <= MOST_POINTS
    assert nbytes(packed) <= 3 * 2 * MOST_POINTS * 4
    at = np.minimum(np.arange(values.shape[2]) * packed["every"], packed["last"])
    assert packed["last"] == steps - 1
    assert np.array_equal(values, curves[..., at])
    assert len(set(at)) == len(at)
    assert steps == 0 or at[-1] == steps - 1


def test_a_picture_is_left_where_no_page_can_be():
    """Breaks when a saved notebook shows nothing, or several pictures lie over each other."""
    assert vw.FeatureCanvas().picture() is None
    pixels = RNG.integers(0, 255, (40, 30, 3), np.uint8)
    picture = vw.FeatureCanvas(feature_image=pixels).picture()
    assert np.array_equal(np.asarray(picture)[::10, ::10], pixels)
    strip = RNG.integers(0, 255, (3, 40, 30, 3), np.uint8)
    several = vw.FeatureCanvas(feature_image=strip[0], feature_strip=strip).picture()
    assert np.array_equal(np.asarray(several), np.concatenate(list(strip), axis=1))


@pytest.mark.parametrize(
    ("trait", "bad", "says"),
    [
        ("feature_image", np.zeros((4, 4, 2)), "takes uint8 pixels"),
        ("feature_state", "thinking", "thinking"),
        ("feature_settings", [1], "feature_settings"),
        ("feature_strip_labels", [1], "feature_strip_labels"),
    ],
)
def test_a_wrong_value_is_refused(trait, bad, says):
    """Breaks when the page would be sent what it cannot draw."""
    canvas = vw.FeatureCanvas()
    before = getattr(canvas, trait)
    with pytest.raises(traitlets.TraitError, match=says):
        setattr(canvas, trait, bad)
    assert getattr(canvas, trait) == before


def test_what_the_page_asks_for_reaches_python_as_it_is():
    """Breaks when a wish of the page is dropped or changed on its way."""
    canvas = vw.FeatureCanvas(feature_settings={"seed": 0})
    heard = []
    canvas.observe(lambda change: heard.append((change.name, change.new)), traitlets.All)
    canvas.set_state({"feature_wanted": {"run": 1, "do": "run"}})
    canvas.set_state({"feature_settings": {"seed": [0, 1]}, "feature_copies_shown": True})
    assert ("feature_wanted", {"run": 1, "do": "run"}) in heard
    assert ("feature_settings", {"seed": [0, 1]}) in heard
    assert ("feature_copies_shown", True) in heard

"""Objects drawn on patches: what is taken, what is refused, and that each image keeps its own."""

import numpy as np
import pytest
import traitlets

from vit_widgets.widgets.maps import token_axis
from vit_widgets.widgets.token_mask import TokenMask
from vit_widgets.widgets.wire import pack, unpack

WHOLE = (0.0, 0.0, 1.0, 1.0)
OBJECTS = np.array([[0, 1, 1], [0, 2, 0]])


def page() -> TokenMask:
    """A page of two images of 2 x 3 patches."""
    layer = {"layer": 0, "image_index": 0, "axis": token_axis((2, 3), ("class",), WHOLE)}
    return TokenMask(image_names=["a", "b"], token_layer=layer)


def test_objects_are_what_was_set():
    """Breaks when a mask is transposed, or its numbers change on the way."""
    made = page()
    assert made.objects(0) is None
    made.token_mask = {"image_index": 0, "values": OBJECTS}
    np.testing.assert_array_equal(made.objects(0), OBJECTS)
    made.token_mask = {"image_index": 0, "values": OBJECTS > 0}
    np.testing.assert_array_equal(made.objects(0), OBJECTS > 0)


def test_each_image_keeps_its_own():
    """Breaks when a mask moves along to another image, or is lost on the way back."""
    made = page()
    made.token_mask = {"image_index": 0, "values": OBJECTS}
    made.image_index = 1
    assert made.token_mask == {}
    made.token_mask = {"image_index": 1, "values": OBJECTS[::-1]}
    made.image_index = 0
    np.testing.assert_array_equal(unpack(made.token_mask["values"]), OBJECTS)
    made.token_mask = {"image_index": 1, "values": 3 * OBJECTS}  # of an image that is not in view
    assert made.token_mask["image_index"] == 0
    np.testing.assert_array_equal(made.objects(1), 3 * OBJECTS)
    made.token_mask = {}
    assert made.objects(0) is None
    assert made.objects(1) is not None


def test_what_the_page_draws_is_taken_and_not_sent_back():
    """Breaks when a stroke of the page is refused, or answered with a mask that overtakes it."""
    made = page()
    sent: list[str] = []
    made._send = lambda msg, buffers=None: sent.append(msg["method"])
    drawn = pack(OBJECTS.astype(np.uint8), curve="raw")
    made.set_state({"token_mask": {"image_index": 0, "values": drawn}})
    np.testing.assert_array_equal(made.objects(0), OBJECTS)
    assert "update" not in sent
    made.token_mask = {"image_index": 0, "values": OBJECTS > 0}
    assert "update" in sent


@pytest.mark.parametrize(
    ("values", "word"),
    [
        (np.zeros((3, 3), int), "does not fit"),
        (np.zeros((2, 3)), "whole numbers"),
        (np.zeros((1, 2, 3), int), "whole numbers"),
        (np.full((2, 3), -1), "0 for none"),
        (np.full((2, 3), 256), "0 for none"),
    ],
)
def test_what_is_no_mask_of_these_patches_is_refused(values: np.ndarray, word: str):
    """Breaks when a mask of another size is laid over the patches all the same."""
    made = page()
    with pytest.raises(traitlets.TraitError, match=word):
        made.token_mask = {"image_index": 0, "values": values}
    assert made.token_mask == {}

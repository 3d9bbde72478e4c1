"""What is explained: what a page accepts, how it travels, and what comes back."""

import numpy as np
import pytest
import traitlets

from vit_widgets.widgets.explained import Explains, spelled


def difference(scores):
    """Stand for a function of a user."""
    return scores[0, 1] - scores[0, 0]


@pytest.mark.parametrize(
    ("given", "held", "travels"),
    [
        (None, None, None),
        (3, 3, 3),
        (np.int64(3), 3, 3),
        (["margin", 4, None], ("margin", 4, None), ["margin", 4, None]),
        (("probability", None), ("probability", None), ["probability", None]),
        (("embedding", 1), ("embedding", 1), ["embedding", 1]),
        (difference, difference, "difference"),
    ],
)
def test_every_target_is_taken_and_travels(given: object, held: object, travels: object):
    """Breaks when a target that probes take is refused, or JSON cannot carry it."""
    page = Explains(explained=given)
    assert page.explained == held
    assert spelled(page.explained) == travels
    assert page.get_state(["explained"])["explained"] == travels


@pytest.mark.parametrize(
    "wrong",
    [-1, 1.5, True, "margin", ["margin", 1], ["logit", 1], ["embedding", None], [], ["class", 1]],
)
def test_what_is_no_target_is_refused_in_a_sentence(wrong: object):
    """Breaks when a page asks a probe what it cannot answer."""
    page = Explains(explained=2)
    with pytest.raises(traitlets.TraitError, match="accepted are a class; None for the one"):
        page.explained = wrong
    assert page.explained == 2


def test_classes_and_images_that_there_are_not_are_refused():
    """Breaks when a number means a class where it is an image, or the valid ones are not named."""
    page = Explains(explained_classes=["cat", "dog"], image_names=["a", "b", "c"])
    page.explained = ("embedding", 2)
    for wrong, words in (
        (2, "class 2 is out of range: valid are 0 to 1"),
        (("margin", 0, 2), "class 2 is out of range: valid are 0 to 1"),
        (("embedding", 3), "image 3 is out of range: valid are 0 to 2"),
    ):
        with pytest.raises(traitlets.TraitError, match=words):
            page.explained = wrong
    assert page.explained == ("embedding", 2)


def test_the_name_of_a_function_that_comes_back_is_the_function():
    """Breaks when the page's echo of a function puts its name in its place."""
    page = Explains(explained=difference)
    page.set_state({"explained": "difference"})
    assert page.explained is difference
    page.set_state({"explained": ["margin", 1, 0]})
    assert page.explained == ("margin", 1, 0)

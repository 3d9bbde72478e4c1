"""Patch features from plain arrays: what is drawn where no page can, and what is refused."""

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from vit_widgets import export

HERE = {"layer": 0, "image_index": 0}
GREY = np.full((40, 60, 3), 128, np.uint8)
ONE = np.zeros((2, 3), bool)
ONE[1, 2] = True  # the patch at the bottom right
FACTOR = 10  # 40 pixels become 400
WHITE, DARK = (255, 255, 255), (20, 23, 28)


@pytest.fixture
def page() -> vw.PatchFeatures:
    """A picture of 2 x 3 patches, and no answer."""
    return vw.PatchFeatures(layer_labels=["block 0"], image=GREY, image_names=["a", "b"])


def patch(picture, row, col) -> np.ndarray:
    """The pixels of one patch but for its rim."""
    return np.asarray(picture)[200 * row + 20 : 200 * row + 180, 200 * col + 20 : 200 * col + 180]


def test_each_view_draws_its_own_answer(page):
    """Breaks when the static picture is of another view than the one that is open."""
    for view in ("similarity", "colours", "segments", "object", "class", "heads"):
        page.features_view = view
        assert page.picture() is None  # no answer yet
    values = np.where(ONE, 1.0, 0.0)
    page.similarity = {**HERE, "query": 0, "values": values}
    page.colours = {
        **HERE,
        "values": np.where(ONE, 250, 0)[None, ..., None].repeat(3, -1).astype(np.uint8),
        "mask": ONE,
    }
    page.segments = {**HERE, "k": 2, "labels": ONE.astype(float)}
    page.object_cut = {**HERE, "eigenvector": values, "mask": ONE, "box": [0.5, 2 / 3, 1, 1]}
    page.class_patches = {
        **HERE,
        "top": 1,
        "values": values,
        "patches": [[1, 2]],
        "box": [0, 0, 1, 1],
    }
    page.head_weights = {**HERE, "query": 0, "weights": np.stack([values, np.ones((2, 3))])}
    for view in ("similarity", "colours", "segments", "object", "class", "heads"):
        page.features_view = view
        drawn = page.picture()
        assert drawn.size == (600, 400)
        marked, plain = (patch(drawn, *at).mean(axis=(0, 1)) for at in ((1, 2), (0, 0)))
        assert np.abs(marked - plain).max() > 20, view
    page.features_view = "colours"
    assert (patch(page.picture(), 0, 0) == 128).all()  # without a colour: the picture itself
    np.testing.assert_allclose(patch(page.picture(), 1, 2), 128 + 0.75 * (250 - 128), atol=1)


def test_the_mask_of_a_head_is_outlined_or_that_of_all(page):
    """Breaks when another head is outlined, or a share that is not the one that was asked for."""
    page.features_view, page.features_mass = "heads", 0.6
    weights = np.array([[[0, 0, 0], [0, 0, 0.9]], [[0.9, 0.1, 0], [0, 0, 0]]])
    page.head_weights = {**HERE, "query": 0, "weights": weights}

    def outlined() -> list[bool]:
        """Which of the corners have a line beside them."""
        pixels = np.asarray(page.picture())
        beside = {(0, 0): (100, 201), (1, 2): (300, 398)}
        return [(pixels[at] == WHITE).all() for at in beside.values()]

    page.head = 0
    assert outlined() == [False, True]
    page.head = 1
    assert outlined() == [True, False]
    page.features_heads = "all heads"
    assert outlined() == [True, True]
    page.features_mass = 1.0
    assert np.asarray(page.picture())[100, 401].tolist() == list(WHITE)  # two patches now


def test_the_other_image_stands_beside_with_its_best_match_outlined(page):
    """Breaks when the match is drawn on the image that asks, or not at all."""
    page.similarity = {**HERE, "query": 0, "values": np.eye(2, 3)}
    page.features_onto = 1
    assert page.picture().size == (600, 400)  # the other one is on its way
    page.onto_picture = {"onto": 1, "picture": GREY[None] // 2}
    page.matches = {**HERE, "query": 0, "onto": 1, "values": np.eye(2, 3), "best": [1, 2]}
    both = np.asarray(page.picture())
    assert both.shape == (400, 1206, 3)
    assert (both[300, 606 + 398] == WHITE).all()
    assert not (both[300, 398] == WHITE).all()
    with pytest.raises(traitlets.TraitError, match="features_onto 2 is out of range"):
        page.features_onto = 2


def test_the_outline_lies_around_its_cells():
    """Breaks when the line covers what it outlines, or cells and pixels change places."""
    whole = export.Image.fromarray(GREY)
    drawn = np.asarray(export.outlined(whole, ONE))
    assert (drawn[20:, 40:] == 128).all()
    assert (drawn[30, 39] == WHITE).all()
    assert (drawn[19, 50] == WHITE).all()
    assert (drawn[30, 38] == DARK).all()
    assert (drawn[:15] == 128).all()
    assert (np.asarray(whole) == 128).all()
    part = np.asarray(export.outlined(whole, np.ones((1, 1), bool), (0.5, 0.5, 1, 1)))
    assert (part[30, 29] == WHITE).all()


def test_colours_of_patches_are_laid_where_the_patches_are():
    """Breaks when colours go beyond the grid, or what lies beside it is as bright."""
    colors = np.zeros((1, 2, 3), np.uint8)
    colors[0, 1] = (200, 100, 0)
    drawn = np.asarray(export.tinted(GREY, colors, opacity=1, box=(0, 0, 0.5, 1)))
    assert drawn[10, 40].tolist() == [200, 100, 0]
    assert drawn[10, 10].tolist() == [0, 0, 0]
    assert drawn[30, 40].tolist() == [77, 77, 77]
    half = np.asarray(export.tinted(GREY, colors, opacity=0.5, shown=np.array([[False, True]])))
    assert half[10, 10].tolist() == [128] * 3
    assert half[10, 40].tolist() == [164, 114, 64]


def test_answers_that_do_not_fit_are_refused(page):
    """Breaks when numbers are taken for yes and no, or an unknown word travels to the page."""
    with pytest.raises(traitlets.TraitError, match=r"takes yes or no \(row, col\)"):
        page.colours = {**HERE, "mask": np.eye(3)}
    with pytest.raises(traitlets.TraitError, match="object_cut of PatchFeatures does not know"):
        page.object_cut = {**HERE, "threshold": 1}
    with pytest.raises(traitlets.TraitError):
        page.features_of = "values"

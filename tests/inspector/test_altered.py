"""Altered versions of an image, and what is said of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vit_widgets.inspector.altered import Alteration, altered, of_pixels
from vit_widgets.models import Grid, TokenAxis

PICTURE = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3) | 1  # nowhere black


def cache_of(grid: Grid | None, picture: np.ndarray = PICTURE, video: bool = False) -> object:
    """Stand in for a capture: a picture, and where its patches lie."""
    frames = (2,) if video else ()
    axis = None if grid is None else TokenAxis(grid.size, (), grid)
    return SimpleNamespace(
        images=torch.zeros(1, *frames, 3, *picture.shape[:2]),
        placement=SimpleNamespace(axis=axis),
        model=SimpleNamespace(picture=lambda _pixels: picture),
    )


def test_pixels_take_the_label_of_their_patch():
    """Breaks when rows and columns are exchanged, or pixels beside the patches have an object."""
    labels = np.array([[1, 0, 2]])
    grid = Grid(1, 3, (2, 1), origin=(1, 0))
    wanted = [[0, 0, 0, 0], [1, 0, 2, 0], [1, 0, 2, 0]]
    assert of_pixels(labels, grid, (3, 4)).tolist() == wanted


def test_it_is_said_whether_cells_cut_through_patches():
    """Breaks when a version that changes what patches hold is taken for one that moves them."""
    cache = cache_of(Grid(4, 6, (4, 4)))
    between = altered(cache, Alteration("shuffled", 2, 0.2, 0), None, None)
    assert between.words == "2 × 2 cells in another order, cut between patches"
    through = altered(cache, Alteration("shuffled", 3, 0.2, 0), None, None)
    assert "cut through patches, whose content changes as well" in through.words


def test_dropped_cells_are_patches_where_these_fill_the_image():
    """Breaks when black cells that lie beside the patches are said to be patches."""
    whole = altered(cache_of(Grid(4, 6, (4, 4))), Alteration("random", 2, 0.25, 0), None, None)
    assert whole.words == "6 of 24 patches black"
    assert (whole.picture == 0).all(axis=-1).sum() == 6 * 16
    part = altered(cache_of(Grid(3, 5, (4, 4))), Alteration("random", 2, 0.25, 0), None, None)
    assert "a little beside" in part.words


@pytest.mark.parametrize(
    ("cache", "version", "sentence"),
    [
        (cache_of(Grid(4, 6, (4, 4)), video=True), "shuffled", "this is a video"),
        (cache_of(None), "random", "is not known, so none can be moved"),
        (cache_of(Grid(4, 6, (4, 4))), "salient", "mark an object first"),
        (cache_of(Grid(4, 6, (4, 4))), "non-salient", "mark an object first"),
    ],
)
def test_what_cannot_be_altered_is_said(cache: object, version: str, sentence: str):
    """Breaks when a guess is made in place of what is not known."""
    with pytest.raises(ValueError, match=sentence):
        altered(cache, Alteration(version, 2, 0.2, 0), None, None)

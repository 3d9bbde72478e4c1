"""Masks of pixels become objects of patches: the one that covers most, and nothing made up."""

import numpy as np
import pytest

import vit_widgets as vw
from vit_widgets.models import Grid, TokenAxis
from vit_widgets.probes import object_labels

GRID, SIZE = Grid(2, 3, (10, 10)), (20, 30)


def covering(*shares: tuple[int, int, int]) -> np.ndarray:
    """Make a mask that covers so many of the 100 pixels of patches, (row, col, pixels)."""
    mask = np.zeros(SIZE, bool)
    for row, col, pixels in shares:
        patch = np.zeros(100, bool)
        patch[:pixels] = True
        mask[10 * row : 10 * row + 10, 10 * col : 10 * col + 10] = patch.reshape(10, 10)
    return mask


def test_a_patch_is_of_an_object_from_a_share_of_two_fifths():
    """Breaks when the least share does not count itself, or patches change places."""
    mask = covering((0, 0, 39), (0, 1, 40), (1, 2, 100))
    assert object_labels(mask[None], GRID, SIZE).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert object_labels(mask[None], GRID, SIZE, covered=0.39).tolist() == [[1, 1, 0], [0, 0, 1]]
    assert object_labels(mask[None], GRID, SIZE, covered=1).tolist() == [[0, 0, 0], [0, 0, 1]]


def test_the_object_that_covers_most_has_the_patch():
    """Breaks when two objects that both have enough of a patch make a third one."""
    cat = covering((0, 0, 50), (0, 1, 60), (0, 2, 50))
    dog = ~covering((0, 0, 50), (0, 1, 60), (0, 2, 40), (1, 0, 100), (1, 1, 100), (1, 2, 100))
    both = np.stack([cat, dog])
    assert object_labels(both, GRID, SIZE).tolist() == [[1, 1, 2], [0, 0, 0]]
    assert object_labels(both[::-1], GRID, SIZE).tolist() == [[1, 2, 1], [0, 0, 0]]


def test_labels_of_pixels_keep_their_names():
    """Breaks when labels are renumbered, or an empty picture is no answer."""
    labels = np.where(covering((0, 0, 100), (1, 1, 90)), 7, 0)
    labels[covering((0, 2, 100))] = 3
    assert object_labels(labels, GRID, SIZE).tolist() == [[7, 0, 3], [0, 7, 0]]
    assert object_labels(labels > 0, GRID, SIZE).tolist() == [[1, 0, 1], [0, 1, 0]]
    assert not object_labels(np.zeros(SIZE, int), GRID, SIZE).any()


def test_patches_that_hang_over_the_border_count_what_is_seen():
    """Breaks when pixels outside the picture count as uncovered, or index from the other side."""
    hanging = Grid(1, 2, (10, 10), origin=(-5, -5))
    mask = np.zeros((5, 15), bool)
    mask[:, :5] = True
    assert object_labels(mask[None], hanging, (5, 15)).tolist() == [[1, 0]]
    outside = Grid(1, 2, (10, 10))
    assert object_labels(np.ones((10, 10), bool), outside, (10, 10)).tolist() == [[1, 0]]


def test_the_demo_object_lies_where_its_mask_does():
    """Breaks when rows and columns of a real layer are exchanged."""
    scene = vw.demo.scenes(1, seed=3)[0]
    cache = vw.capture("demo", scene, keep=("attention", "tokens"))
    axis = cache.token_axes[0]
    size = cache.images.shape[-2:]
    assert scene.mask.shape == tuple(size)
    labels = object_labels(scene.mask[None], axis, size)
    cell = axis.grid.cell[0]
    literal = scene.mask.reshape(axis.grid.rows, cell, axis.grid.cols, cell).mean(axis=(1, 3))
    np.testing.assert_array_equal(labels > 0, literal >= 0.4)
    assert 0 < (labels > 0).sum() < labels.size


@pytest.mark.parametrize(
    ("masks", "sentence"),
    [
        (np.ones((1, 20, 30)) * 0.5, "must be bool, these are float64"),
        (np.full((20, 30), np.nan), "must be whole numbers, .* these are float64"),
        (np.ones((2, 20, 30), np.uint8) * 255, "must be bool, these are uint8"),
        (np.full((20, 30), -1), "as low as -1"),
        (np.ones((30, 20), bool), r"shape \(30, 20\) do not fit a picture of 20 × 30"),
        (np.ones((0, 20, 30), bool), r"shape \(0, 20, 30\)"),
        (np.ones(20, bool), r"shape \(20,\)"),
    ],
)
def test_what_is_no_mask_is_refused(masks: np.ndarray, sentence: str):
    """Breaks when soft masks or NaN count as covered, or a mask is stretched to the picture."""
    with pytest.raises(ValueError, match=sentence):
        object_labels(masks, GRID, SIZE)


def test_shares_and_places_that_are_none_are_refused():
    """Breaks when everything or nothing is of an object, or places are guessed."""
    mask = np.ones((1, *SIZE), bool)
    for covered in (0, -0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="is no share of a patch"):
            object_labels(mask, GRID, SIZE, covered=covered)
    unknown = TokenAxis(7, ("class",))
    with pytest.raises(ValueError, match="is not known"):
        object_labels(mask, unknown, SIZE)

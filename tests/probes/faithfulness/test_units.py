"""Cells: where they lie, how a map ranks them, and which maps are refused."""

import numpy as np
import pytest
import torch

from tests.probes.faithfulness.linear_model import SIZE, linear, pictures
from vit_widgets.models import Grid
from vit_widgets.probes import PatchMap, PixelMap, faithfulness
from vit_widgets.probes.faithfulness.units import cells_of, ranked

GRIDS = [
    Grid(3, 4, (2, 2)),
    Grid(2, 3, (3, 8 / 3)),  # cells that are no whole pixels
    Grid(2, 2, (2, 3), origin=(1, 1)),  # with a border
    Grid(4, 3, (2, 3)),  # hanging over the border
]


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_a_cell_is_the_box_of_its_patch(grid):
    """Breaks when rows and columns are interchanged, or a cell is rounded otherwise than drawn."""
    at = cells_of(grid, SIZE)
    expected = np.full(SIZE, -1)
    for row in range(grid.rows):
        for col in range(grid.cols):
            x0, y0, x1, y1 = grid.box(row, col)
            expected[y0:y1, x0:x1] = row * grid.cols + col
    np.testing.assert_array_equal(at, expected)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_one_patch_is_replaced_and_no_pixel_beside_it(grid):
    """Breaks when a patch takes pixels of another with it, or leaves some of its own."""
    values = np.zeros((grid.rows, grid.cols), np.float32)
    values[1, 1] = 1
    given = PatchMap(values, grid, SIZE)
    image = pictures() + 10  # no pixel is 0
    found = faithfulness(
        linear(0.1), image, given, 0, ["deletion"], steps=grid.size, baseline="zero"
    )
    changed = found.curves["deletion"].states[1].picture(found._subject)
    x0, y0, x1, y1 = grid.box(1, 1)
    expected = image[0].clone()
    expected[:, y0:y1, x0:x1] = 0
    assert torch.equal(changed, expected)
    assert not torch.equal(changed, image[0])


def test_numbers_are_patches_of_equal_size_unless_they_are_as_many_as_the_pixels():
    """Breaks when a map of pixels is taken for one of patches, or patches lie elsewhere."""
    image, values = pictures(), np.random.default_rng(0).random((3, 4)).astype(np.float32)
    curves = [
        faithfulness(linear(0.1), image, given, 0, ["deletion"], steps=12).curves["deletion"]
        for given in (
            values,
            torch.from_numpy(values),
            values.tolist(),
            PatchMap(values, Grid(3, 4, (2, 2)), SIZE),
        )
    ]
    for other in curves[1:]:
        np.testing.assert_array_equal(other.scores, curves[0].scores)
    assert ranked(np.ones(SIZE), SIZE, None, 0).count == 48


def test_a_map_of_pixels_is_averaged_over_the_cells_that_are_asked_for():
    """Breaks when pixels are summed, or taken for patches."""
    grid = Grid(3, 4, (2, 2))
    pixels = np.random.default_rng(0).random(SIZE).astype(np.float32)
    units = ranked(PixelMap(pixels, SIZE), SIZE, None, 0)
    assert units.count == 48
    units = ranked(PixelMap(pixels, SIZE), SIZE, grid, 0)
    means = pixels.astype(np.float64).reshape(3, 2, 4, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(units.values, means.ravel(), rtol=1e-12)
    np.testing.assert_array_equal(units.order, np.argsort(-means.ravel()))


def test_a_map_of_patches_is_averaged_over_other_cells_by_the_pixels_that_they_share():
    """Breaks when a map of another grid is resized by its numbers instead of by where they lie."""
    given = PatchMap(np.float32([[1, 2, 3, 4], [5, 6, 7, 8]]), Grid(2, 4, (3, 2)), SIZE)
    units = ranked(given, SIZE, Grid(3, 2, (2, 4)), 0)
    # of three rows of cells the middle one is half of each row of patches
    expected = [[1.5, 3.5], [(1.5 + 5.5) / 2, (3.5 + 7.5) / 2], [5.5, 7.5]]
    np.testing.assert_allclose(units.values.reshape(3, 2), expected, rtol=1e-12)
    assert units.grid == Grid(3, 2, (2, 4))


def test_equal_cells_are_drawn_and_the_others_keep_their_place():
    """Breaks when ties follow the raster, go before what is more important, or are not told."""
    values = np.array([[5, 1, 1, 1, 1, 1, 1, 9]])
    orders = {tuple(ranked(values, SIZE, None, seed).order.tolist()) for seed in range(20)}
    assert len(orders) > 10
    assert {order[:2] for order in orders} == {(7, 0)}
    [note] = ranked(values, SIZE, None, 0).notes
    assert note.startswith("some cells share their value with others")
    assert not ranked(np.arange(8).reshape(1, 8), SIZE, None, 0).notes


def test_pixels_of_no_cell_stay():
    """Breaks when a border that the model's patches do not reach is replaced as well."""
    image = pictures() + 10
    given = PatchMap(np.float32([[1, 2], [3, 4]]), GRIDS[2], SIZE)
    found = faithfulness(linear(0.1), image, given, 0, ["deletion"], baseline="zero")
    last = found.curves["deletion"].states[-1].picture(found._subject)
    assert (last[:, 1:5, 1:7] == 0).all()
    last[:, 1:5, 1:7] = image[0, :, 1:5, 1:7]
    assert torch.equal(last, image[0])


def test_a_state_is_a_picture():
    """Breaks when the scrubber shows another step, or what the model takes instead of colours."""
    image = pictures().clamp(-1, 1)
    found = faithfulness(linear(0.1), image, np.arange(48).reshape(SIZE), 0, steps=4)
    first, last = found.state(0), found.state(-1)
    assert first.dtype == np.uint8
    assert first.shape == (*SIZE, 3)
    np.testing.assert_array_equal(first, linear().picture(image[0]))
    np.testing.assert_array_equal(found.state(0, "insertion"), last)
    assert (found.state(2) != first).any(axis=2).sum() == 24
    with pytest.raises(IndexError, match="step 5 is out of range: deletion has steps 0 to 4"):
        found.state(5)
    with pytest.raises(KeyError, match="'road' was not measured; there is deletion, insertion"):
        found.state(0, "road")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.full(SIZE, np.nan), "48 of the 48 values of the map are NaN or infinite"),
        (np.float32([[1, np.inf]]), "1 of the 2 values of the map are NaN or infinite"),
        (np.ones(48), r"an array of shape \(48,\) is not a map"),
        (np.ones((0, 3)), r"an array of shape \(0, 3\) is not a map"),
        (np.ones((7, 8)), "a map of 7 x 8 does not fit an input of 6 x 8 pixels"),
        ("relevance", "a str is not a map; give a PatchMap, a PixelMap"),
        (PixelMap(np.ones((4, 4)), (4, 4)), "the map is of an input of 4 x 4 pixels"),
    ],
)
def test_what_is_no_map_of_this_picture_is_refused(given, message):
    """Breaks when NaN is ranked, or a map of another picture is stretched over this one."""
    with pytest.raises(ValueError, match=message):
        faithfulness(linear(), pictures(), given, 0)

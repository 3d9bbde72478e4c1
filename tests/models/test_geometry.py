"""Token layouts that fit a count."""

import pytest

from vit_widgets.models.geometry import Grid, TokenAxis, candidate_axes


def test_patches_tile_the_image_to_the_pixel():
    """Breaks when rows and columns, or height and width, are mixed up."""
    grid = Grid(8, 14, (16, 12))
    boxes = [grid.box(row, col) for row in range(8) for col in range(14)]
    assert sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in boxes) == 8 * 16 * 14 * 12
    assert boxes[0] == (0, 0, 12, 16)
    assert boxes[-1] == (13 * 12, 7 * 16, 14 * 12, 8 * 16)


def test_tokens_and_patches_count_the_same_way():
    """Breaks when the prefix is left out, or raster order is lost."""
    axis = TokenAxis(2 + 8 * 14, ("class", "register 0"), Grid(8, 14, (16, 16)))
    assert axis.token(0, 0) == 2
    assert axis.token(3, 5) == 2 + 3 * 14 + 5
    assert axis.name(axis.token(3, 5)) == "patch (3, 5)"
    assert axis.name(1) == "register 0"
    with pytest.raises(IndexError, match="rows 0 to 7"):
        axis.token(8, 0)


def test_the_declared_layout_comes_first_and_undeclared_ones_are_named_plainly():
    """Breaks when a count that declares nothing is given the name of a class token."""
    stem = Grid(14, 14, (16, 16))
    assert candidate_axes(197, (224, 224), [stem], ("class",))[0].prefix == ("class",)
    [guessed] = candidate_axes(199, (224, 224), [stem], ("class",))
    assert guessed.prefix == ("prefix 0", "prefix 1", "prefix 2")
    [pooled] = candidate_axes(49, (224, 224), [stem], ())
    assert pooled.grid == Grid(7, 7, (32, 32))
    assert candidate_axes(51, (224, 224), [stem], ())[0].prefix == ("prefix 0", "prefix 1")
    assert candidate_axes(5000, (224, 224), [stem], ()) == []


def test_without_a_stem_every_patch_size_that_fits_is_a_candidate():
    """Breaks when the image is assumed square."""
    grids = [axis.grid for axis in candidate_axes(8 * 14 + 1, (128, 224), [], ("class",))]
    assert grids[0] == Grid(8, 14, (16, 16))

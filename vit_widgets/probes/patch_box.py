"""The box around some patches, in pixels."""

from __future__ import annotations

from vit_widgets.models import Grid


def patch_box(
    grid: Grid, first: tuple[int, int], last: tuple[int, int], size: tuple[int, int] | None = None
) -> tuple[int, int, int, int]:
    """Put a box around patches from one corner to the other.

    Parameters
    ----------
    grid
        Where patches lie.
    first, last
        Row and column of the patch at the top left and of the one at the bottom right.
    size
        Height and width of the picture; the last patches may hang over its border, the box does
        not. Default: what the grid covers.

    Returns
    -------
    tuple of int
        x0, y0, x1, y1, the last two excluded.

    Examples
    --------
    >>> patch_box(Grid(2, 3, (8, 8)), (0, 1), (0, 2))
    (8, 0, 24, 8)
    >>> patch_box(Grid(2, 3, (8, 8)), (0, 1), (1, 2), size=(15, 20))
    (8, 0, 20, 15)
    """
    x0, y0, _, _ = grid.box(*first)
    _, _, x1, y1 = grid.box(*last)
    if size is None:
        return x0, y0, x1, y1
    height, width = size
    if grid.frames > 1:  # the frames of a video lie beside each other
        width = round(grid.cols * grid.cell[1])
    return max(0, x0), max(0, y0), min(width, x1), min(height, y1)

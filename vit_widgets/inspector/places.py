"""Where tokens lie, in the words of the page: fractions of the picture, and one reference axis."""

from __future__ import annotations

from collections.abc import Sequence

from vit_widgets.export import Box
from vit_widgets.models import Grid, TokenAxis
from vit_widgets.widgets.maps import Axis, token_axis

Position = tuple[int | None, int | None]
"""Prefix token (index in the prefix), or cell of the grid; both ``None`` where there is neither."""


def described(axis: TokenAxis | None, size: tuple[int, int]) -> Axis | None:
    """Describe an axis for the page; ``None`` where its tokens have no places.

    Parameters
    ----------
    axis
        Of tokens.
    size
        Height and width of what the model was given, in pixels.
    """
    if axis is None or axis.grid is None:
        return None
    grid = axis.grid
    return token_axis((grid.rows, grid.cols), axis.prefix, box(grid, size))


def box(grid: Grid, size: tuple[int, int]) -> Box:
    """Say what of the picture a grid covers: top, left, bottom, right in fractions of it."""
    height, width = size
    (top, left), (down, across) = grid.origin, grid.cell
    if grid.frames > 1:  # the strip is as wide as its patches
        width = round(grid.cols * across)
    return (
        top / height,
        left / width,
        (top + grid.rows * down) / height,
        (left + grid.cols * across) / width,
    )


def position(token: int, reference: TokenAxis, axis: TokenAxis) -> Position:
    """Find a token of the reference axis on another axis."""
    assert reference.grid is not None
    assert axis.grid is not None
    patch = token - len(reference.prefix)
    if patch < 0:
        name = reference.prefix[token]
        return (axis.prefix.index(name) if name in axis.prefix else None), None
    place = axis.grid.at(*reference.grid.center(*divmod(patch, reference.grid.cols)))
    return None, None if place is None else place[0] * axis.grid.cols + place[1]


def token_there(token: int, reference: TokenAxis, axis: TokenAxis) -> int | None:
    """Find the token of an axis that stands where one of the reference axis does."""
    prefix, cell = position(token, reference, axis)
    if cell is None:
        return prefix
    return next((there for _, there in axis.find(cell)), None)


def layer_around(path: str, blocks: Sequence[str]) -> int:
    """Find the block that an attention is in, both by their paths; -1 where there is none."""
    for number, block in enumerate(blocks):
        if path == block or path.startswith(f"{block}."):
            return number
    return -1

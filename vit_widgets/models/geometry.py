"""Which token covers which pixels.

A :class:`Grid` lays patches over the image, a :class:`TokenAxis` says which tokens of a sequence
stand on it and which are prefix tokens (class, distillation, registers), and
:func:`candidate_axes` lists the plain layouts that fit a token count. A candidate is a guess until
the model itself confirms it (``activations/placement.py``): nothing is drawn on the image before.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_PREFIX = 10
"""The most prefix tokens seen in any known architecture (timm census)."""


@dataclass(frozen=True)
class Grid:
    """Patches in raster order over the upper left of the image.

    Attributes
    ----------
    rows, cols
        Number of patches down and across.
    cell
        Height and width of one patch in pixels. ``rows * cell[0]`` may be smaller than the image
        when its side is no multiple of the patch: the model does not see the rest.

    Examples
    --------
    >>> Grid(14, 14, (16, 16)).box(0, 1)
    (16, 0, 32, 16)
    """

    rows: int
    cols: int
    cell: tuple[int, int]

    @property
    def size(self) -> int:
        """Number of patches."""
        return self.rows * self.cols

    def box(self, row: int, col: int) -> tuple[int, int, int, int]:
        """Pixels of a patch as (x0, y0, x1, y1), x1 and y1 excluded."""
        height, width = self.cell
        return (col * width, row * height, (col + 1) * width, (row + 1) * height)


@dataclass(frozen=True)
class TokenAxis:
    """What the positions of a query or key axis are.

    Attributes
    ----------
    size
        Number of positions.
    prefix
        Names of the tokens that stand before the patches, in order.
    grid
        Where the others lie, in raster order; ``None`` when that is not known.
    """

    size: int
    prefix: tuple[str, ...] = ()
    grid: Grid | None = None

    def token(self, row: int, col: int) -> int:
        """Token index of a patch, counted from 0 with the prefix tokens first."""
        if self.grid is None:
            msg = "the places of these tokens on the image are not known"
            raise ValueError(msg)
        if not (0 <= row < self.grid.rows and 0 <= col < self.grid.cols):
            msg = (
                f"patch ({row}, {col}) is outside the grid: rows 0 to {self.grid.rows - 1}, "
                f"columns 0 to {self.grid.cols - 1}"
            )
            raise IndexError(msg)
        return len(self.prefix) + row * self.grid.cols + col

    def name(self, token: int) -> str:
        """Say which token an index is: ``"class"``, ``"patch (5, 4)"`` or ``"token 7"``."""
        if token < len(self.prefix):
            return self.prefix[token]
        if self.grid is None:
            return f"token {token}"
        row, col = divmod(token - len(self.prefix), self.grid.cols)
        return f"patch ({row}, {col})"


def candidate_axes(
    tokens: int,
    image_size: tuple[int, int],
    stem: Grid | None,
    prefix: tuple[str, ...],
) -> list[TokenAxis]:
    """List the plain layouts that fit a token count, the likeliest first.

    Parameters
    ----------
    tokens
        Length of the sequence.
    image_size
        Height and width of the model input in pixels.
    stem
        The grid that the patch convolution was seen to produce, if there is one.
    prefix
        Names of the prefix tokens that the model declares.

    Returns
    -------
    list of TokenAxis
        Empty when no plain grid fits.

    Examples
    --------
    >>> [axis] = candidate_axes(197, (224, 224), Grid(14, 14, (16, 16)), ("class",))
    >>> axis.grid, axis.prefix
    (Grid(rows=14, cols=14, cell=(16, 16)), ('class',))
    """
    height, width = image_size
    sides = [
        side for side in range(1, min(height, width) + 1) if not (height % side or width % side)
    ]
    grids = [stem] if stem else [Grid(height // s, width // s, (s, s)) for s in sides]
    axes: list[TokenAxis] = []
    for grid in grids:
        extra = tokens - grid.size
        if extra == len(prefix):
            axes.insert(0, TokenAxis(tokens, prefix, grid))
        elif 0 <= extra <= MAX_PREFIX:
            names = tuple(f"prefix {index}" for index in range(extra))
            axes.append(TokenAxis(tokens, names, grid))
    return axes

"""Which token covers which pixels.

A :class:`Grid` lays patches over the image, a :class:`TokenAxis` says which tokens of a sequence
stand on it and which are prefix tokens (class, distillation, registers), and
:func:`candidate_axes` lists the plain layouts that fit a token count. A candidate is a guess until
the model itself confirms it (``activations/placement.py``): nothing is drawn on the image before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

MAX_PREFIX = 10
"""The most prefix tokens seen in any known architecture (timm census)."""


@dataclass(frozen=True)
class Grid:
    """Patches in raster order over the image; of a video over its frames, beside each other.

    Attributes
    ----------
    rows, cols
        Number of patches down and across.
    cell
        Height and width of one patch in pixels. ``rows * cell[0]`` may be smaller than the image
        when its side is no multiple of the patch: the model does not see the rest. It may be larger
        where the last patches hang over the border.
    origin
        Top and left of the first patch in pixels.
    frames
        How many frames of a video stand beside each other (one for each temporal patch), the
        first at the left; `cols` counts through all of them.

    Examples
    --------
    >>> Grid(14, 14, (16, 16)).box(0, 1)
    (16, 0, 32, 16)

    Row 5, column 4 of frame 2, of a video of 8 frames:

    >>> Grid(14, 8 * 14, (16, 16), frames=8).box(5, 2 * 14 + 4)
    (512, 80, 528, 96)
    """

    rows: int
    cols: int
    cell: tuple[float, float]
    origin: tuple[float, float] = (0, 0)
    frames: int = field(default=1, repr=False)

    @property
    def size(self) -> int:
        """Number of patches."""
        return self.rows * self.cols

    @property
    def across(self) -> int:
        """Number of columns of one frame."""
        return self.cols // self.frames

    def box(self, row: int, col: int) -> tuple[int, int, int, int]:
        """Pixels of a patch as (x0, y0, x1, y1), x1 and y1 excluded."""
        height, width = self.cell
        top, left = self.origin
        return (
            round(left + col * width),
            round(top + row * height),
            round(left + (col + 1) * width),
            round(top + (row + 1) * height),
        )

    def at(self, y: float, x: float) -> tuple[int, int] | None:
        """Row and column of the patch over a point in pixels; ``None`` outside the grid.

        A point on the line between two patches belongs to the later one.
        """
        row = int(((y - self.origin[0]) / self.cell[0] + 1e-9) // 1)
        col = int(((x - self.origin[1]) / self.cell[1] + 1e-9) // 1)
        return (row, col) if 0 <= row < self.rows and 0 <= col < self.cols else None

    def center(self, row: int, col: int) -> tuple[float, float]:
        """Middle of a patch in pixels, (y, x)."""
        return (
            self.origin[0] + (row + 0.5) * self.cell[0],
            self.origin[1] + (col + 0.5) * self.cell[1],
        )


_NO_PLACES = "the places of these tokens on the image are not known"


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
        Where the others lie; ``None`` when that is not known, or when they lie nowhere.
    cells
        For windows and other arrangements int (group, size): index ``row * cols + col`` of each
        position in `grid`, -1 for one without a place (padding; the prefix, which begins every
        group). ``None``: one group, the patches in raster order after the prefix.
    """

    size: int
    prefix: tuple[str, ...] = ()
    grid: Grid | None = None
    cells: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def places(self) -> np.ndarray:
        """The cell of every position, int (group, size), -1 where there is none."""
        if self.cells is not None:
            return self.cells
        places = np.full((1, self.size), -1)
        if self.grid is not None:
            places[0, len(self.prefix) :] = np.arange(self.grid.size)
        return places

    def laid_out(self, values: np.ndarray, group: int = 0) -> np.ndarray:
        """Lay (..., position) out on the grid: (..., row, col), NaN where nothing lies.

        Raises
        ------
        ValueError
            If the places of the tokens are not known.

        Examples
        --------
        >>> axis = TokenAxis(5, ("class",), Grid(2, 2, (16, 16)))
        >>> axis.laid_out(np.arange(5.0)).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
        """
        if self.grid is None:
            raise ValueError(_NO_PLACES)
        shape = (*values.shape[:-1], self.grid.rows, self.grid.cols)
        if self.cells is None:
            return values[..., len(self.prefix) :].reshape(shape)
        cells = self.cells[group]
        floats = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
        laid = np.full((*values.shape[:-1], self.grid.size), np.nan, dtype=floats.dtype)
        laid[..., cells[cells >= 0]] = floats[..., cells >= 0]
        return laid.reshape(shape)

    def find(self, token: int | str) -> list[tuple[int, int]]:
        """List group and position of a cell of the grid, or of a prefix token by its name.

        A prefix token stands in every group, a cell in several where windows overlap.
        """
        if isinstance(token, str):
            at = [self.prefix.index(token)] if token in self.prefix else []
            return [(group, position) for group in range(len(self.places)) for position in at]
        groups, positions = np.nonzero(self.places == token)
        return list(zip(groups.tolist(), positions.tolist(), strict=True))

    def token(self, row: int, col: int) -> int:
        """Token index of a patch, counted from 0 with the prefix tokens first."""
        if self.grid is None:
            raise ValueError(_NO_PLACES)
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
    stems: Sequence[Grid],
    prefix: tuple[str, ...],
) -> list[TokenAxis]:
    """List the plain layouts that fit a token count, the likeliest first.

    Parameters
    ----------
    tokens
        Length of the sequence.
    image_size
        Height and width of the model input in pixels.
    stems
        The grids that convolutions were seen to cut the image into.
    prefix
        Names of the prefix tokens that the model declares.

    Returns
    -------
    list of TokenAxis
        Empty when no plain grid fits.

    Examples
    --------
    >>> [axis] = candidate_axes(197, (224, 224), [Grid(14, 14, (16, 16))], ("class",))
    >>> axis.grid, axis.prefix
    (Grid(rows=14, cols=14, cell=(16, 16), origin=(0, 0)), ('class',))
    """
    axes = _fitting(tokens, stems, prefix)
    if axes:
        return axes
    height, width = image_size
    sides = [
        side for side in range(1, min(height, width) + 1) if not (height % side or width % side)
    ]
    return _fitting(tokens, [Grid(height // s, width // s, (s, s)) for s in sides], prefix)


def _fitting(tokens: int, grids: Sequence[Grid], prefix: tuple[str, ...]) -> list[TokenAxis]:
    axes: list[TokenAxis] = []
    for grid in dict.fromkeys(grids):
        extra = tokens - grid.size
        if grid.size == 1:
            continue  # one patch is the whole image: every token would fit
        if extra in (len(prefix), 0):
            axes.insert(0, TokenAxis(tokens, prefix if extra else (), grid))
        elif 0 < extra <= min(MAX_PREFIX, grid.size):
            names = tuple(f"prefix {index}" for index in range(extra))
            axes.append(TokenAxis(tokens, names, grid))
    return axes

"""What is replaced together, patches or pixels, and in which order a map ranks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from vit_widgets.models.geometry import Grid
from vit_widgets.probes.maps import PatchMap, PixelMap

CELLS = 14
"""Cells a side where the patches of a model are not known."""

Attribution: TypeAlias = "PatchMap | PixelMap | ArrayLike"
"""A map that says how much each place counts."""


@dataclass(frozen=True)
class Units:
    """The cells of a picture with the importance that a map gives them.

    Attributes
    ----------
    grid
        Their places; of single pixels, cells of 1 x 1.
    at
        Which cell each pixel is of, ``row * cols + col``, int (row, col) at the input's size; -1
        for one of none.
    values
        Importance, float64 (cell).
    order
        Cells, the most important first, int (cell).
    notes
        Where the order is not that of the map alone, in a sentence.
    """

    grid: Grid
    at: np.ndarray
    values: np.ndarray
    order: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of cells."""
        return len(self.values)

    def first(self, count: int) -> np.ndarray:
        """Name the most important ones, bool (cell)."""
        return self._of(self.order[:count])

    def last(self, count: int) -> np.ndarray:
        """Name the least important ones, bool (cell)."""
        return self._of(self.order[self.count - count :])

    def spread(self, values: np.ndarray, outside: float) -> np.ndarray:
        """Give each pixel the value of its cell, (row, col), and `outside` to one of none."""
        return np.append(values, np.asarray(outside, values.dtype))[self.at]

    def share(self, plane: np.ndarray) -> np.ndarray:
        """Average a plane (row, col) of pixels over each cell, float64 (cell)."""
        return averaged_over(plane, self.at, self.count)

    def _of(self, chosen: np.ndarray) -> np.ndarray:
        named = np.zeros(self.count, bool)
        named[chosen] = True
        return named


def ranked(attribution: Attribution, size: tuple[int, int], grid: Grid | None, seed: int) -> Units:
    """Rank the cells of a picture by a map.

    Parameters
    ----------
    attribution
        A map, or numbers (row, col): of pixels where they are as many as the input's, else of
        patches of equal size.
    size
        Height and width of the model's input, in pixels.
    grid
        Cells to rank instead of the map's own, by its mean over each.
    seed
        Of the order of cells with equal values.

    Raises
    ------
    ValueError
        For a map that is not finite, or of another size.

    Examples
    --------
    >>> ranked([[1, 4], [3, 2]], (8, 8), None, seed=0).order
    array([1, 2, 3, 0])
    """
    values, own = _read(attribution, size)
    at = cells_of(own, size)
    if grid is not None and grid != own:
        plane = np.append(values.ravel(), 0.0)[at]
        own, at = grid, cells_of(grid, size)
        values = averaged_over(plane, at, grid.size)
    importance = values.ravel()
    drawn = np.random.default_rng(seed).permutation(importance.size)
    order = np.lexsort((drawn, -importance))
    return Units(own, at, importance, order, _ties(importance))


def cells_of(grid: Grid, size: tuple[int, int]) -> np.ndarray:
    """Tell which cell each pixel is of: int (row, col), -1 for one of none.

    Examples
    --------
    >>> cells_of(Grid(1, 2, (2, 1)), (2, 3)).tolist()
    [[0, 1, -1], [0, 1, -1]]
    """
    rows, cols = (
        _along(count, *where)
        for count, where in zip(
            (grid.rows, grid.cols), zip(grid.origin, grid.cell, size, strict=True), strict=True
        )
    )
    cells = rows[:, None] * grid.cols + cols
    return np.where((rows[:, None] < 0) | (cols < 0), -1, cells)


def even_cells(size: tuple[int, int]) -> Grid:
    """Cut an input (height, width) into `CELLS` x `CELLS`, where its patches are not known.

    Examples
    --------
    >>> even_cells((28, 56)).cell
    (2.0, 4.0)
    """
    return Grid(CELLS, CELLS, (size[0] / CELLS, size[1] / CELLS))


def _along(count: int, start: float, step: float, length: int) -> np.ndarray:
    edges = np.round(start + step * np.arange(count + 1))  # as those of Grid.box
    index = np.searchsorted(edges, np.arange(length), side="right") - 1
    return np.where(index < count, index, -1)


def averaged_over(plane: np.ndarray, at: np.ndarray, count: int) -> np.ndarray:
    """Average a plane (row, col) of pixels over cells (:func:`cells_of`); 0 for one without any.

    Examples
    --------
    >>> averaged_over(np.array([[1.0, 3.0, 5.0]]), np.array([[0, 0, -1]]), 2)
    array([2., 0.])
    """
    inside = at >= 0
    pixels = np.bincount(at[inside], minlength=count)
    sums = np.bincount(at[inside], weights=plane[inside], minlength=count)
    return sums / np.maximum(pixels, 1)


def numbers(attribution: Attribution) -> np.ndarray:
    """Give the numbers of a map, float64 (row, col).

    Raises
    ------
    ValueError
        For something that is no map, and for one that is not finite.

    Examples
    --------
    >>> numbers([[True, False]])
    array([[1., 0.]])
    """
    given: ArrayLike = (
        attribution.values if isinstance(attribution, (PatchMap, PixelMap)) else attribution
    )
    try:
        values = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(_no_map(f"a {type(attribution).__name__}")) from error
    if values.ndim != 2 or not values.size:
        raise ValueError(_no_map(f"an array of shape {values.shape}"))
    if not np.isfinite(values).all():
        wrong = int((~np.isfinite(values)).sum())
        msg = (
            f"{wrong} of the {values.size} values of the map are NaN or infinite and cannot be "
            "ranked; look at what made it, or set them to a number"
        )
        raise ValueError(msg)
    return values


def _read(attribution: Attribution, size: tuple[int, int]) -> tuple[np.ndarray, Grid]:
    """Give the numbers of a map, float64 (row, col), and their cells."""
    values = numbers(attribution)
    if isinstance(attribution, (PatchMap, PixelMap)) and tuple(attribution.size) != size:
        of = attribution.size
        msg = (
            f"the map is of an input of {of[0]} x {of[1]} pixels, and the model's is "
            f"{size[0]} x {size[1]}; make the map with this model and image"
        )
        raise ValueError(msg)
    if isinstance(attribution, PatchMap):
        return values, attribution.grid
    rows, cols = values.shape
    if rows > size[0] or cols > size[1]:
        msg = (
            f"a map of {rows} x {cols} does not fit an input of {size[0]} x {size[1]} pixels; give "
            "one value for each of its pixels, or for each patch"
        )
        raise ValueError(msg)
    return values, Grid(rows, cols, (size[0] / rows, size[1] / cols))


def _no_map(what: str) -> str:
    return f"{what} is not a map; give a PatchMap, a PixelMap, or numbers (row, col)"


def _ties(values: np.ndarray) -> tuple[str, ...]:
    distinct = len(np.unique(values))
    if distinct == values.size:
        return ()
    if distinct == 1:
        return ("the map is constant: the order of its cells is drawn, and says nothing",)
    return ("some cells share their value with others: the order of equals is drawn",)

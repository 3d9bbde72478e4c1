"""Where a record says that its tokens lie, in pixels, so that grids of any size compare."""

from __future__ import annotations

import numpy as np

import vit_widgets as vw


def boxes_of(axis: vw.TokenAxis, groups: int) -> np.ndarray | None:
    """Pixels (y0, x0, y1, x1) of every position: (group, size, 4); NaN where it has no place.

    ``None`` when the axis claims no place at all.
    """
    cells = cells_of(axis, groups)
    if cells is None:
        return None
    top, left = getattr(axis.grid, "origin", (0, 0))
    height, width = axis.grid.cell
    row, col = np.divmod(cells, axis.grid.cols)
    boxes = np.stack(
        [
            top + row * height,
            left + col * width,
            top + (row + 1) * height,
            left + (col + 1) * width,
        ],
        axis=-1,
    ).astype(float)
    return np.where(cells[..., None] < 0, np.nan, boxes)


def cells_of(axis: vw.TokenAxis, groups: int) -> np.ndarray | None:
    """Index into the axis' grid of every position: (group, size), -1 where it has no place."""
    if axis.grid is None:
        return None
    cells = getattr(axis, "cells", None)
    if cells is None:  # plain raster behind the prefix
        raster = np.arange(axis.grid.rows * axis.grid.cols)
        cells = np.concatenate([np.full(len(axis.prefix), -1), raster])[None]
    cells = np.asarray(cells)
    assert cells.shape[1] == axis.size
    assert cells.max() < axis.grid.rows * axis.grid.cols
    return np.broadcast_to(cells, (groups, axis.size))


def overlapping(boxes: np.ndarray, truth: np.ndarray) -> bool:
    """Whether each box holds the middle of its true box, and no two different places share one.

    Both are (size, 4); NaN, no place, must agree.
    """
    nowhere = np.isnan(truth[:, 0])
    if not np.array_equal(np.isnan(boxes[:, 0]), nowhere):
        return False
    boxes, truth = boxes[~nowhere], truth[~nowhere]
    middle = (truth[:, :2] + truth[:, 2:]) / 2
    inside = (boxes[:, :2] <= middle).all(axis=1) & (middle <= boxes[:, 2:]).all(axis=1)
    distinct = len(np.unique(boxes, axis=0)) == len(np.unique(truth, axis=0))
    return bool(inside.all()) and distinct

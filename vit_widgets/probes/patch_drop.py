"""A picture with some of its patches blacked out: any, those of the object, or the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from vit_widgets.models.geometry import Grid
from vit_widgets.probes.image_cells import checked_mask, checked_picture, image_cells
from vit_widgets.probes.result import Result

Which = Literal["random", "salient", "non-salient"]

COVERED = 0.15
"""A cell is of the object when more than this share of its pixels is."""


@dataclass(frozen=True, repr=False)
class Dropped(Result):
    """A picture with dropped cells: see :func:`drop_patches`.

    Attributes
    ----------
    image
        uint8 (row, col, 3), 0 in the dropped cells.
    cells
        Which cells are dropped, bool (row, col).
    grid
        Where the cells lie, in pixels of the image.
    mask
        The mask or labels that were given, 0 in the dropped cells; ``None`` without one.
    axes
        Names of the axes of `cells`.
    """

    image: np.ndarray
    cells: np.ndarray
    grid: Grid
    mask: np.ndarray | None = None
    axes: tuple[str, ...] = ("row", "col")
    method: str = "drop_patches"
    params: dict[str, Any] = field(default_factory=dict)


def drop_patches(
    image: object,
    which: Which = "random",
    ratio: float = 0.2,
    cells: int | tuple[int, int] = (14, 14),
    mask: object = None,
    seed: int = 0,
    dropped: object = None,
) -> Dropped:
    """Black out patches of a picture, to see what the model makes of the rest.

    Parameters
    ----------
    image
        uint8 (row, col, 3). Cells fall on the patches of a model when this is the picture as the
        model takes it, ``model.picture(cache.images[0])``, and `cells` are the rows and columns of
        its grid.
    which
        Among which cells: ``"random"``, all; ``"salient"``, those of the object;
        ``"non-salient"``, the others.
    ratio
        Share of those cells that is dropped, 0 to 1, rounded down to whole cells.
    cells
        How many down and across; one number means as many each way. Where they do not divide the
        picture, the pixels left over at the bottom and at the right stay as they are.
    mask
        The object: bool (row, col) of pixels, or integers that are 0 where there is none. Labels
        that mark unsure pixels with a number of their own (255 in Pascal VOC) need a 0 there.
    seed
        Of the choice. With the same seed a larger `ratio` drops the same cells and more.
    dropped
        The cells themselves, bool (row, col); then `which`, `ratio` and `seed` say nothing.

    Returns
    -------
    Dropped

    Raises
    ------
    ValueError
        For an image, a mask, cells or a ratio that are none; for ``"salient"`` and
        ``"non-salient"`` without a mask, or where no cell is of that kind.

    Notes
    -----
    Nguyen et al. 2022, the occlusion of their code: a cell is of the object when more than 0.15 of
    its pixels are, and pixels become 0 before they are normalised. So a dropped patch is black,
    which is no zero to the model.

    Examples
    --------
    >>> grey = np.full((28, 28, 3), 128, np.uint8)
    >>> found = drop_patches(grey, ratio=0.5, cells=4)
    >>> int(found.cells.sum()), int((found.image == 0).all(axis=2).sum())
    (8, 392)
    """
    pixels = checked_picture(image)
    labels = None if mask is None else checked_mask(mask, pixels)
    grid = image_cells(pixels, cells)
    params: dict[str, Any] = {"cells": (grid.rows, grid.cols)}
    if dropped is None:
        candidates = _candidates(which, grid, labels)
        chosen = _drawn(candidates, ratio, seed)
        params |= {"which": which, "ratio": ratio, "seed": seed}
    else:
        chosen = _given(dropped, grid)
        params |= {"dropped": np.flatnonzero(chosen).tolist()}
    black = np.zeros(pixels.shape[:2], bool)
    for row, col in np.argwhere(chosen).tolist():
        x0, y0, x1, y1 = grid.box(row, col)
        black[y0:y1, x0:x1] = True
    return Dropped(
        np.where(black[..., None], np.uint8(0), pixels),
        chosen,
        grid,
        None if labels is None else np.where(black, labels.dtype.type(0), labels),
        params=params,
    )


def object_cells(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Tell which cells are of the object: more than 0.15 of their pixels are not 0.

    Parameters
    ----------
    mask
        (row, col) of pixels.
    grid
        From :func:`~vit_widgets.probes.image_cells.image_cells`.

    Returns
    -------
    numpy.ndarray
        bool (row, col) of cells.
    """
    height, width = (int(side) for side in grid.cell)
    inside = mask[: grid.rows * height, : grid.cols * width] != 0
    shares = inside.reshape(grid.rows, height, grid.cols, width).mean(axis=(1, 3))
    covered: np.ndarray = shares > COVERED
    return covered


def _candidates(which: Which, grid: Grid, mask: np.ndarray | None) -> np.ndarray:
    """Tell which cells may be dropped, bool (row, col)."""
    if which not in get_args(Which):
        msg = f"which={which!r} is not known; it is one of {', '.join(get_args(Which))}"
        raise ValueError(msg)
    if which == "random":
        return np.ones((grid.rows, grid.cols), bool)
    if mask is None:
        msg = f"{which} patches need a mask of the object: give mask, bool (row, col) of pixels"
        raise ValueError(msg)
    of_object = object_cells(mask, grid)
    candidates = of_object if which == "salient" else ~of_object
    if not candidates.any():
        msg = (
            f"there are no {which} cells: the object covers more than {COVERED:.0%} of "
            f"{int(of_object.sum())} of the {of_object.size} cells; give another mask or more cells"
        )
        raise ValueError(msg)
    return candidates


def _drawn(candidates: np.ndarray, ratio: float, seed: int) -> np.ndarray:
    if not 0 <= ratio <= 1:
        msg = f"ratio={ratio} is no share of the cells; it must lie between 0 and 1"
        raise ValueError(msg)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(candidates))
    # 0.29 of 100 cells are 29, though 0.29 * 100 falls short of it in floating point
    count = math.floor(ratio * len(order) + 1e-9)
    chosen = np.zeros(candidates.shape, bool)
    chosen.flat[order[:count]] = True
    return chosen


def _given(dropped: object, grid: Grid) -> np.ndarray:
    chosen = np.array(dropped)
    if chosen.shape != (grid.rows, grid.cols) or chosen.dtype != bool:
        msg = (
            f"dropped is {chosen.dtype} of shape {chosen.shape}; give bool "
            f"{(grid.rows, grid.cols)}, True for each cell to drop"
        )
        raise ValueError(msg)
    return chosen

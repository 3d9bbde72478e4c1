"""A picture whose cells are put in another order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.models.geometry import Grid
from vit_widgets.probes.image_cells import checked_mask, checked_picture, image_cells
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class Shuffled(Result):
    """A picture in another order: see :func:`shuffle_patches`.

    Attributes
    ----------
    image
        uint8 (row, col, 3).
    order
        Which cell of the original now stands at each place, counted in raster order, int (cell).
    grid
        Where the cells lie, in pixels of the image.
    mask
        The mask or labels that were given, in the same order; ``None`` without one.
    axes
        Names of the axes of `order`.
    """

    image: np.ndarray
    order: np.ndarray
    grid: Grid
    mask: np.ndarray | None = None
    axes: tuple[str, ...] = ("cell",)
    method: str = "shuffle_patches"
    params: dict[str, Any] = field(default_factory=dict)

    def restored(self, image: np.ndarray) -> np.ndarray:
        """Put what lies over the shuffled picture back to where it was.

        Parameters
        ----------
        image
            (row, col, ...): a picture or a mask of this size, or a map of the patches of a model
            for which :meth:`aligned` holds.

        Returns
        -------
        numpy.ndarray
            A copy.

        Raises
        ------
        ValueError
            If it does not fall into the same cells as the picture.

        Examples
        --------
        The picture again, and a map over its patches as the picture was:

        >>> found = shuffle_patches(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
        >>> found.restored(found.image)[0, 0].tolist()
        [0, 1, 2]
        >>> found.restored(found.order.reshape(2, 2)).tolist()
        [[0, 1], [2, 3]]
        """
        rows, cols = self.grid.rows, self.grid.cols
        if image.ndim < 2 or not all(
            _lie_over(*sides)
            for sides in zip(
                image.shape[:2], (rows, cols), self.image.shape[:2], self.grid.cell, strict=True
            )
        ):
            msg = (
                f"an array of shape {image.shape} does not fall into {rows} x {cols} cells; give "
                f"one of the image's {self.image.shape[:2]} pixels, or a map of patches that the "
                "cells do not cut through"
            )
            raise ValueError(msg)
        return _moved(image, image_cells(image, (rows, cols)), np.argsort(self.order))

    def aligned(self, grid: Grid) -> bool:
        """Say whether all cuts fall between the patches of a model.

        Then shuffling changes the order of the patches and nothing else. If not, it also makes
        patches that hold pieces of several ones.

        Parameters
        ----------
        grid
            The patches of a model that takes the picture as it is: ``cache.placement.axis.grid``.

        Examples
        --------
        >>> picture = np.zeros((224, 224, 3), np.uint8)
        >>> patches = Grid(14, 14, (16, 16))
        >>> [cells for cells in range(1, 15) if shuffle_patches(picture, cells).aligned(patches)]
        [1, 2, 7, 14]
        """
        return _between(
            self.grid.rows, self.grid.cell[0], grid.rows, grid.cell[0], grid.origin[0]
        ) and _between(self.grid.cols, self.grid.cell[1], grid.cols, grid.cell[1], grid.origin[1])


def shuffle_patches(
    image: object, cells: int | tuple[int, int] = 2, seed: int = 0, mask: object = None
) -> Shuffled:
    """Cut a picture into cells and put them in a random order.

    Parameters
    ----------
    image
        uint8 (row, col, 3); best as the model takes it, ``model.picture(cache.images[0])``.
    cells
        How many down and across; one number means as many each way. Where they do not divide the
        picture, the pixels left over at the bottom and at the right stay where they are.
    seed
        Of the order. Every order is as likely as any other, the original one included, so with few
        cells some may stay in place.
    mask
        Bool or integers (row, col) of pixels, put in the same order.

    Returns
    -------
    Shuffled

    Raises
    ------
    ValueError
        For an image, a mask or cells that are none.

    Notes
    -----
    Nguyen et al. 2022, the shuffling of their code: one uniform permutation of equal cells, 2 and 8
    each way for their statistics. Of a 224 pixel image with patches of 16, cells of 112 pixels
    fall between the patches and cells of 28 do not: see :meth:`Shuffled.aligned`.

    Examples
    --------
    >>> picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    >>> found = shuffle_patches(picture, cells=2, seed=1)
    >>> sorted(found.order.tolist()), bool((found.restored(found.image) == picture).all())
    ([0, 1, 2, 3], True)
    """
    pixels = checked_picture(image)
    labels = None if mask is None else checked_mask(mask, pixels)
    grid = image_cells(pixels, cells)
    order = np.random.default_rng(seed).permutation(grid.size)
    return Shuffled(
        _moved(pixels, grid, order),
        order,
        grid,
        None if labels is None else _moved(labels, grid, order),
        params={"cells": (grid.rows, grid.cols), "seed": seed},
    )


def _moved(values: np.ndarray, grid: Grid, order: np.ndarray) -> np.ndarray:
    """Copy (row, col, ...) so that each place holds the cell that `order` names."""
    moved = values.copy()
    for place, source in enumerate(order.tolist()):
        x0, y0, x1, y1 = grid.box(*divmod(place, grid.cols))
        left, top, right, bottom = grid.box(*divmod(source, grid.cols))
        moved[y0:y1, x0:x1] = values[top:bottom, left:right]
    return moved


def _lie_over(values: int, cells: int, pixels: int, side: float) -> bool:
    """Say whether values fall into the cells of so many pixels a side, along one direction."""
    each = values // cells
    # what no cell covers is no more of the values than of the picture
    return (values - cells * each) * side <= (pixels - cells * side) * each


def _between(cells: int, side: float, patches: int, patch: float, origin: float) -> bool:
    """Say whether the ends of all cells are ends of patches, along one direction."""
    if cells == 1:
        return True  # nothing moves in this direction
    cuts = (np.arange(cells + 1) * side - origin) / patch
    whole = np.abs(cuts - np.rint(cuts)) < 1e-9
    return bool((whole & (cuts >= 0) & (cuts <= patches)).all())

"""Altered versions of an image: its patches in another order, or some of them dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from vit_widgets import probes
from vit_widgets.activations import ActivationCache
from vit_widgets.models import Grid
from vit_widgets.probes.image_cells import image_cells

Version = Literal["shuffled", "salient", "non-salient", "random"]


@dataclass(frozen=True)
class Alteration:
    """What is done to an image.

    Attributes
    ----------
    version
        ``"shuffled"``: cells of the image in another order; else which patches are dropped, as in
        :func:`~vit_widgets.probes.drop_patches`.
    cells
        Cells each way that are put in another order.
    share
        Of the patches that is dropped, of those that can be.
    seed
        Of the order or the choice.
    """

    version: Version
    cells: int
    share: float
    seed: int

    @property
    def settings(self) -> tuple[float, ...]:
        """What the picture depends on beside the objects."""
        return (self.cells, self.seed) if self.version == "shuffled" else (self.share, self.seed)


@dataclass(frozen=True)
class Altered:
    """An altered version of an image: see :func:`altered`.

    Attributes
    ----------
    picture
        uint8 (row, col, 3), as the model takes it.
    objects
        Objects of its pixels, int (row, col), or ``None``.
    words
        What was done.
    """

    picture: np.ndarray
    objects: np.ndarray | None
    words: str


def altered(
    cache: ActivationCache, wanted: Alteration, marked: np.ndarray | None, known: np.ndarray | None
) -> Altered:
    """Alter the image of a cache, and move what is known of its pixels along.

    Parameters
    ----------
    cache
        Of the image as it is.
    wanted
        What to do.
    marked
        The object: bool of pixels (row, col); what is salient.
    known
        Objects of pixels, int (row, col), that are to be moved and dropped with them.

    Returns
    -------
    Altered

    Raises
    ------
    ValueError
        For a video, an image without known patches, or an object that is needed and not marked.
    """
    if cache.images.ndim != 4:
        msg = "altered versions are made of single images, and this is a video"
        raise ValueError(msg)
    axis = cache.placement.axis
    if axis is None or axis.grid is None:
        msg = "where the patches lie on the image is not known, so none can be moved or dropped"
        raise ValueError(msg)
    picture = cache.model.picture(cache.images[0])
    if wanted.version == "shuffled":
        moved = probes.shuffle_patches(picture, wanted.cells, wanted.seed, known)
        whole = moved.aligned(axis.grid)
        how = "between patches" if whole else "through patches, whose content changes as well"
        words = f"{wanted.cells} × {wanted.cells} cells in another order, cut {how}"
        return Altered(moved.image, moved.mask, words)
    if wanted.version != "random" and marked is None:
        msg = "mark an object first: what is dropped is told by it"
        raise ValueError(msg)
    cells = (axis.grid.rows, axis.grid.cols)
    chosen = probes.drop_patches(
        picture, wanted.version, wanted.share, cells, marked, wanted.seed
    ).cells
    dropped = probes.drop_patches(picture, cells=cells, mask=known, dropped=chosen)
    words = f"{int(chosen.sum())} of {chosen.size} patches black"
    if image_cells(picture, cells) != axis.grid:
        words += "; the image is no whole number of patches, so the black cells lie a little beside"
    return Altered(dropped.image, dropped.mask, words)


def batch(cache: ActivationCache, picture: np.ndarray) -> torch.Tensor:
    """Give an altered picture as the model takes it: (1, channels, height, width).

    Raises
    ------
    ValueError
        If the model's preprocessing is no affine function of colours.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
    return cache.model.normalize(pixels)


def of_pixels(labels: np.ndarray, grid: Grid, size: tuple[int, int]) -> np.ndarray:
    """Give every pixel the label of its patch, int (height, width), 0 beside the patches."""
    pixels = np.zeros(size, dtype=int)
    for row in range(grid.rows):
        for col in range(grid.cols):
            x0, y0, x1, y1 = grid.box(row, col)
            pixels[max(y0, 0) : y1, max(x0, 0) : x1] = labels[row, col]
    return pixels

"""Where on the image: one number for each patch, or for each pixel of the model's input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vit_widgets.models import Grid
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import ReadOut


@dataclass(frozen=True, repr=False)
class PatchMap(Result):
    """One number for each patch.

    Attributes
    ----------
    values
        float32 (row, col) of patches; the larger, the more the patch counts. NaN where the method
        says nothing.
    grid
        Where the patches lie, in pixels of the model's input.
    size
        Height and width of that input in pixels; of a video those of its strip of frames.
    target
        What was explained; ``None`` for a method that knows no class.
    score
        What the model gives for `target`; ``None`` without one.
    method
        Name of the function.
    params
        All that is needed to repeat it.
    notes
        What to know before the map is believed, in sentences.
    axes
        Names of the axes of `values`.

    Examples
    --------
    >>> two = PatchMap(np.float32([[0, 1]]), Grid(1, 2, (4, 4)), (4, 8))
    >>> two.upsampled()[0]
    array([0.   , 0.   , 0.125, 0.375, 0.625, 0.875, 1.   , 1.   ],
          dtype=float32)
    """

    values: np.ndarray
    grid: Grid
    size: tuple[int, int]
    target: ReadOut | None = None
    score: float | None = None
    method: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("row", "col")

    def upsampled(self) -> np.ndarray:
        """Bring the map to the pixels of the input: float32 (row, col).

        Bilinear between the centres of the patches; beyond the outermost centres, of each frame of
        a video, the map stays as it is there.
        """
        height, width = self.size
        rows = _between(height, self.grid.origin[0], self.grid.cell[0], self.grid.rows, 1)
        cols = _between(
            width, self.grid.origin[1], self.grid.cell[1], self.grid.across, self.grid.frames
        )
        down = _mixed(self.values, *rows)
        return np.ascontiguousarray(_mixed(down.T, *cols).T, dtype=np.float32)


@dataclass(frozen=True, repr=False)
class PixelMap(Result):
    """One number for each pixel of the model's input.

    Attributes
    ----------
    values
        float32 (row, col) at the size of the input; of a video its frames beside each other.
    size
        Height and width in pixels.
    target, score, method, params, notes, axes
        As of :class:`PatchMap`.
    residual
        By how much the sum over the pixels, before it was rounded, misses what it should be; only
        of methods that promise a sum.
    """

    values: np.ndarray
    size: tuple[int, int]
    target: ReadOut | None = None
    score: float | None = None
    method: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    residual: float | None = None
    axes: tuple[str, ...] = ("row", "col")

    def upsampled(self) -> np.ndarray:
        """Give `values`: they are at the size of the input already."""
        return self.values


def picture_size(batch: torch.Tensor, grid: Grid) -> tuple[int, int]:
    """Height and width of the picture on which a grid lies; of a video those of its strip.

    Parameters
    ----------
    batch
        As the model takes it.
    grid
        Where its patches lie.
    """
    height, width = (int(side) for side in batch.shape[-2:])
    if grid.frames > 1:
        width = grid.frames * round(grid.across * grid.cell[1])
    return height, width


def remarks(values: np.ndarray) -> tuple[str, ...]:
    """Say of a map that it says nothing: not finite, zero, or the same everywhere.

    Parameters
    ----------
    values
        Of any shape.

    Returns
    -------
    tuple of str
        Sentences for `notes`; empty for a map that differs from place to place.

    Examples
    --------
    >>> remarks(np.zeros((2, 2)))
    ('the map is zero everywhere: it tells no place from another',)
    """
    missing = int((~np.isfinite(values)).sum())
    found: tuple[str, ...] = ()
    if missing:
        found = (f"{missing} of {values.size} values are NaN or infinite",)
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() == finite.max():
        what = "zero" if finite[0] == 0 else "the same"
        found += (f"the map is {what} everywhere: it tells no place from another",)
    return found


def _between(
    pixels: int, origin: float, cell: float, count: int, frames: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the two cells between whose centres each pixel lies, and the share of the second."""
    at = (np.arange(pixels) + 0.5 - origin) / cell
    frame = np.clip(at // count, 0, frames - 1)
    place = np.clip(at - frame * count - 0.5, 0, count - 1)
    first = np.floor(place)
    second = np.minimum(first + 1, count - 1)
    start = frame * count
    return (start + first).astype(int), (start + second).astype(int), place - first


def _mixed(values: np.ndarray, first: np.ndarray, second: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Interpolate along the first axis."""
    share = t[:, None]
    return np.where(share == 0, values[first], (1 - share) * values[first] + share * values[second])

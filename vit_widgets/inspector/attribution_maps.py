"""Maps of an image and what is measured of them: made once, and kept while there is room."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from vit_widgets import probes
from vit_widgets.models import Grid, VisionModel
from vit_widgets.probes.faithfulness.units import cells_of
from vit_widgets.probes.maps import PatchMap, PixelMap
from vit_widgets.probes.progress import Progress

RANDOM_MAPS = 5
"""Random maps that every map is compared with."""

BASELINES = ("random map", "edge detector")

_MOST_KEPT = 256  # maps and measures; one of 224 x 224 pixels takes about half a MB

_AT_ONCE = 8  # pictures in one forward: how long it takes to hear a stop

BASIC = ("deletion", "insertion", "abpc", "confidence")
"""Measured together: they share most of their pictures."""

Asked: TypeAlias = tuple[str, int, int]
"""What is explained: the kind, the class, and the other class of a margin; -1 for none."""


@dataclass(frozen=True)
class MapTask:
    """A map to be made.

    Attributes
    ----------
    image_index, asked
        Of which image, and what of it.
    method
        A key of :data:`vit_widgets.probes.ATTRIBUTIONS`, or one of `BASELINES`.
    settings
        Pairs of name and value, in order.
    """

    image_index: int
    asked: Asked
    method: str
    settings: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class MeasureTask:
    """A map to be measured.

    Attributes
    ----------
    of
        The map.
    metrics
        Names of measures, as of :func:`vit_widgets.probes.faithfulness`.
    mask
        The object on the model's patches and their numbers (row, col), where it counts.
    """

    of: MapTask
    metrics: tuple[str, ...]
    mask: tuple[bytes, tuple[int, int]] | None = None


Task: TypeAlias = "MapTask | MeasureTask"


@dataclass(frozen=True)
class Failed:
    """Why there is none."""

    reason: str


@dataclass
class AttributionMaps:
    """Makes maps and measures them.

    Parameters
    ----------
    model
        Of which.
    batch
        Gives an image as the model takes it, (1, channels, height, width).
    grid
        Gives the cells on which the maps of an image are compared.
    """

    model: VisionModel
    batch: Callable[[int], Any]
    grid: Callable[[int], Grid]
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    def known(self, task: Task) -> Any:
        """Give what came of a task, a map or its measures; ``None`` before it is done."""
        return self._kept.get(task)

    def run(self, task: Task, progress: Progress) -> Any:
        """Do a task and keep what comes of it; ended by `progress`, nothing is kept.

        Returns
        -------
        PatchMap, PixelMap, Faithfulness or Failed
            Of a map that was ended, as far as it came.
        """
        ended = False

        def told(done: int, total: int) -> bool:
            nonlocal ended
            ended = progress(done, total) is False
            return not ended

        try:
            found = (
                self._made(task, told) if isinstance(task, MapTask) else self._measured(task, told)
            )
        except (ValueError, IndexError, TypeError, RuntimeError) as error:
            found = Failed(str(error))
        if not ended:
            self._kept[task] = found
            while len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return found

    def _made(self, task: MapTask, progress: Progress) -> PatchMap | PixelMap:
        image, settings = self.batch(task.image_index), dict(task.settings)
        if task.method == "random map":
            return probes.random_map(self.model, image, **settings)
        if task.method == "edge detector":
            return probes.edge_map(self.model, image)
        method = probes.ATTRIBUTIONS[task.method]
        return method(self.model, image, target_of(task.asked), progress, **settings)

    def _measured(self, task: MeasureTask, progress: Progress) -> probes.Faithfulness | Failed:
        of, found = task.of, self.known(task.of)
        if not isinstance(found, (PatchMap, PixelMap)):
            return found if isinstance(found, Failed) else Failed("the map was not made")
        image, grid = self.batch(of.image_index), self.grid(of.image_index)
        size = (int(image.shape[-2]), int(image.shape[-1]))
        mask = None
        if task.mask is not None:
            marked = np.frombuffer(task.mask[0], np.uint8).reshape(task.mask[1]) > 0
            mask = np.append(marked.ravel(), False)[cells_of(grid, size)]
        return probes.faithfulness(
            self.model, image, found, target_of(of.asked), task.metrics, mask,
            progress=progress, grid=grid, batch_size=_AT_ONCE,
        )  # fmt: skip


def target_of(asked: Asked) -> Any:
    """Give the target as probes take it."""
    kind, first, other = asked
    if kind == "margin":
        return ("margin", first, other)
    return first if kind == "class" else None


def on_cells(found: PatchMap | PixelMap, grid: Grid) -> np.ndarray:
    """Average a map over cells: float64 (row, col), NaN where it says nothing.

    Examples
    --------
    >>> on_cells(PixelMap(np.float32([[1, 3, 5, 7]]), (1, 4)), Grid(1, 2, (1, 2)))
    array([[2., 6.]])
    """
    values = np.where(np.isfinite(found.values), found.values, np.nan).astype(np.float64)
    own = found.grid if isinstance(found, PatchMap) else _pixels(found)
    if own == grid:
        return values
    plane = np.append(values.ravel(), np.nan)[cells_of(own, found.size)]
    at = cells_of(grid, found.size)
    inside = at >= 0
    count = np.bincount(at[inside], minlength=grid.size)
    sums = np.bincount(at[inside], weights=plane[inside], minlength=grid.size)
    with np.errstate(invalid="ignore"):
        return (sums / count).reshape(grid.rows, grid.cols)


def _pixels(found: PixelMap) -> Grid:
    rows, cols = found.values.shape
    return Grid(rows, cols, (1, 1))


def mean_scores(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average scores of several maps, by name."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row.get(name, np.nan) for row in rows])) for name in names}


def trust(area: float, of_random: Sequence[float], of_edges: float | None) -> str:
    """Say how far a map can be trusted on this picture, from its area between the two orders.

    Parameters
    ----------
    area
        Of the map, ``abpc``.
    of_random
        Those of random maps.
    of_edges
        That of the edge detector; ``None`` where it is not known.

    Examples
    --------
    >>> trust(0.02, [-0.05, 0.06], None)[:47]
    'No better than a random order here: its area be'
    >>> trust(0.73, [-0.05, 0.06], 0.2)[-46:]
    'edge detector, which knows no model, has 0.20.'
    """
    if not of_random or not math.isfinite(area):
        return ""
    low, high = (_two(end) for end in (min(of_random), max(of_random)))
    count = len(of_random)
    if area <= max(of_random):
        said = (
            f"No better than a random order here: its area between is {_two(area)}, and of {count} "
            f"random maps {low} to {high}."
        )
    else:
        said = (
            f"Better than each of {count} random maps here: its area between is {_two(area)}, and "
            f"theirs {low} to {high}."
        )
    if of_edges is None or not math.isfinite(of_edges):
        return said
    if of_edges >= area > max(of_random):
        return (
            f"{said} But the edge detector, which knows no model, does as well: {_two(of_edges)}."
        )
    return f"{said} The edge detector, which knows no model, has {_two(of_edges)}."


def _two(number: float) -> str:
    return f"{number:.2f}".replace("-", "−")

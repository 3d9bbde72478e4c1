"""Maps of images and what is measured of them: made once, and kept while there is room."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from vit_widgets import probes
from vit_widgets.inspector.explained import target_of
from vit_widgets.inspector.tokens import TokenSource
from vit_widgets.models import Grid
from vit_widgets.probes.baselines import BASELINES
from vit_widgets.probes.faithfulness.units import averaged_over, cells_of, even_cells
from vit_widgets.probes.maps import PatchMap, PixelMap
from vit_widgets.probes.progress import Progress

BASIC = ("deletion", "insertion", "abpc", "confidence")
"""Measured together: they share most of their pictures."""

_DRAWN: Mapping[str, Callable[..., PatchMap | PixelMap]] = dict(
    zip(BASELINES, (probes.random_map, probes.edge_map), strict=True)
)

_REMADE = frozenset({"max_sensitivity", "randomization"})  # these make maps of their own

_MOST_IMAGES = 4  # whose maps are kept, two at least; one of 224 x 224 pixels takes about half a MB

_MOST_KEPT = 256  # maps and measures of one image

_AT_ONCE = 8  # pictures in one forward: how long it takes to hear a stop


@dataclass(frozen=True)
class MapTask:
    """A map to be made.

    Attributes
    ----------
    image_index, explained
        Of which image, and what of it (:class:`~vit_widgets.widgets.explained.Explains`).
    method
        A key of :data:`vit_widgets.probes.ATTRIBUTIONS`, or one of `BASELINES`.
    settings
        Pairs of name and value, in order.
    """

    image_index: int
    explained: Any
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

    Maps are kept of the image in view and of some others, numbers of all.

    Parameters
    ----------
    source
        The images.
    in_view
        Which of them is looked at.
    """

    source: TokenSource
    in_view: int = 0
    _kept: dict[int, dict[Task, Any]] = field(default_factory=dict)
    _numbers: dict[MeasureTask, probes.Faithfulness | Failed] = field(default_factory=dict)

    def known(self, task: Task) -> Any:
        """Give what came of a task, a map or its measures; ``None`` where it is not kept."""
        return self._kept.get(_image(task), {}).get(task)

    def numbers(self, task: MeasureTask) -> probes.Faithfulness | Failed | None:
        """Give what was measured, perhaps without its picture; ``None`` before it is."""
        return self._numbers.get(task)

    def grid(self, image_index: int) -> Grid:
        """Give the cells on which maps are compared: the model's patches, where they are known."""
        cache = self.source.of_image(image_index)
        axis = cache.placement.axis
        if axis is not None and axis.grid is not None:
            return axis.grid
        return even_cells((int(cache.images.shape[-2]), int(cache.images.shape[-1])))

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
            self._keep(task, found)
        return found

    def _keep(self, task: Task, found: Any) -> None:
        if isinstance(task, MeasureTask):
            light = replace(found, _subject=None) if not isinstance(found, Failed) else found
            self._numbers[task] = light
        image = _image(task)
        own = self._kept.pop(image, {})
        self._kept[image] = own  # the latest comes last
        own[task] = found
        if len(own) > _MOST_KEPT:
            del own[next(iter(own))]
        if len(self._kept) > _MOST_IMAGES:
            others = (one for one in self._kept if one not in (image, self.in_view))
            del self._kept[next(others)]

    def _made(self, task: MapTask, progress: Progress) -> PatchMap | PixelMap:
        cache = self.source.of_image(task.image_index)
        target = target_of(task.explained, self.source)
        return _maker(task, progress)(cache.model, cache.images[:1], target)

    def _measured(self, task: MeasureTask, progress: Progress) -> probes.Faithfulness | Failed:
        of, found = task.of, self.known(task.of)
        if not isinstance(found, (PatchMap, PixelMap)):
            return found if isinstance(found, Failed) else Failed("the map was not made")
        cache, grid = self.source.of_image(of.image_index), self.grid(of.image_index)
        image = cache.images[:1]
        size = (int(image.shape[-2]), int(image.shape[-1]))
        mask = None
        if task.mask is not None:
            marked = np.frombuffer(task.mask[0], np.uint8).reshape(task.mask[1]) > 0
            mask = np.append(marked.ravel(), False)[cells_of(grid, size)]
        return probes.faithfulness(
            cache.model, image, _maker(of) if _REMADE & {*task.metrics} else found,
            target_of(of.explained, self.source), task.metrics, mask,
            progress=progress, grid=grid, batch_size=_AT_ONCE,
        )  # fmt: skip


def _image(task: Task) -> int:
    return task.image_index if isinstance(task, MapTask) else task.of.image_index


def _maker(task: MapTask, progress: Progress | None = None) -> Callable[..., PatchMap | PixelMap]:
    """Give the function of (model, image, target) that makes such a map, of any picture."""
    settings = dict(task.settings)
    if task.method in _DRAWN:
        return functools.partial(_DRAWN[task.method], **settings)
    method = probes.ATTRIBUTIONS[task.method]
    return functools.partial(method, progress=progress, **settings)


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
    there = np.isin(np.arange(grid.size), at)
    means = np.where(there, averaged_over(plane, at, grid.size), np.nan)
    return means.reshape(grid.rows, grid.cols)


def _pixels(found: PixelMap) -> Grid:
    rows, cols = found.values.shape
    return Grid(rows, cols, (1, 1))

"""Attribution methods side by side, where the answer is known."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from vit_widgets.models import Grid, VisionModel, load
from vit_widgets.probes import tables
from vit_widgets.probes.baselines import edge_map, patch_grid, random_map
from vit_widgets.probes.faithfulness import FaithfulnessOver, faithfulness_over
from vit_widgets.probes.faithfulness.plan import Method
from vit_widgets.probes.faithfulness.units import Units
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.result import Result
from vit_widgets.probes.scene_truth import seen_shares
from vit_widgets.probes.target import one_image

if TYPE_CHECKING:
    import pandas as pd

    from vit_widgets.demo import Scene

CELLS = 14
"""Cells a side where the patches of a model are not known."""

LOWER_IS_BETTER = frozenset(
    {
        "deletion",
        "average_drop_100",
        "average_drop_50",
        "average_drop_15",
        "max_sensitivity",
        "randomization",
        "ssim",
    }
)
"""Scores of which less is better; of the others more is."""


@dataclass(frozen=True, repr=False)
class Leaderboard(Result):
    """Methods and what their maps are worth: see :func:`leaderboard`.

    Attributes
    ----------
    results
        By the name of the method, the baselines last.
    failed
        By the name of a method that could not be measured, why.
    notes
        What to know before it is believed, in sentences.
    """

    results: Mapping[str, FaithfulnessOver]
    failed: Mapping[str, str]
    notes: tuple[str, ...] = ()
    method: str = "leaderboard"
    params: dict[str, Any] = field(default_factory=dict)
    _model: VisionModel | None = field(default=None, repr=False, compare=False)
    _scenes: tuple[Scene, ...] = field(default=(), repr=False, compare=False)

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of the scores."""
        return tuple(dict.fromkeys(name for one in self.results.values() for name in one.scores))

    def table(self) -> pd.DataFrame:
        """Make a table: a row for each method, and columns (score, mean | low | high | images).

        Raises
        ------
        ImportError
            Without pandas.
        """
        pd = tables.pandas("`results`")
        rows = {
            method: {
                (name, part): value
                for name, found in one.scores.items()
                for part, value in (
                    ("mean", found.mean),
                    ("low", found.low),
                    ("high", found.high),
                    ("images", found.count),
                )
            }
            for method, one in self.results.items()
        }
        table = pd.DataFrame.from_dict(rows, orient="index").reindex([*rows, *self.failed])
        table.columns = pd.MultiIndex.from_tuples(table.columns, names=("score", "of the images"))
        return table.rename_axis("method")

    def places(self) -> pd.DataFrame:
        """Make a table of where the maps fall: object, background, and every part of each class.

        Returns
        -------
        pandas.DataFrame
            A row for each (class, place) and a column for each method: the mean over the scenes of
            the share of positive attribution that lies there, divided by the share of the picture
            that it covers. 1 is what an even map has; NaN where no value is above 0.

        Raises
        ------
        ImportError
            Without pandas.
        """
        pd = tables.pandas("`results`")
        assert self._model is not None
        rows: dict[tuple[str, str], dict[str, list[float]]] = {}
        for at, scene in enumerate(self._scenes):
            kind = scene.attributes["object"] if scene.parts else ""
            masks = {("all", "object"): scene.mask, ("all", "background"): ~scene.mask}
            masks |= {(kind, part): mask for part, mask in scene.parts.items()}
            seen = seen_shares(self._model, list(masks.values()))
            for method, found in self.results.items():
                if at < len(found.each):
                    for place, plane in zip(masks, seen, strict=True):
                        density = _density(found.each[at].units, plane)
                        rows.setdefault(place, {}).setdefault(method, []).append(density)
        means = {
            place: {method: _mean(values) for method, values in found.items()}
            for place, found in sorted(rows.items(), key=lambda row: (row[0][0] != "all", row[0]))
        }
        table = pd.DataFrame.from_dict(means, orient="index", columns=list(self.results))
        table.index = pd.MultiIndex.from_tuples(table.index, names=("class", "place"))
        return table

    def best(self, score: str) -> str:
        """Name the method with the best mean of a score."""
        known = {
            name: one.scores[score].mean
            for name, one in self.results.items()
            if score in one.scores and np.isfinite(one.scores[score].mean)
        }
        if not known:
            msg = f"no method has a {score!r}; there is {', '.join(self.scores)}"
            raise KeyError(msg)
        pick = min if score in LOWER_IS_BETTER else max
        return pick(known, key=known.__getitem__)

    def show(self) -> Any:
        """Draw the curves of all methods (:func:`vit_widgets.plots.faithfulness_over`)."""
        return importlib.import_module("vit_widgets.plots").faithfulness_over(self.results)


def _density(units: Units, plane: np.ndarray) -> float:
    """Divide the share of a map that lies on a place by that of an even map."""
    positive = np.maximum(units.values, 0)
    shares = units.share(plane)
    total, even = positive.sum(), shares.mean()
    return float((positive * shares).sum() / total / even) if total > 0 < even else float("nan")


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def leaderboard(
    model: VisionModel | nn.Module | str,
    scenes: Sequence[Scene],
    methods: Mapping[str, Method],
    metrics: Sequence[str] = ("deletion", "insertion", "abpc", "localization"),
    target: Any = None,
    seed: int = 0,
    progress: Progress | None = None,
    **settings: Any,
) -> Leaderboard:
    """Measure methods on scenes whose object is known, beside a random map and an edge detector.

    All maps are measured on the same cells, the model's patches, so that maps of pixels have no
    advantage from their finer grain.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    scenes
        From :func:`vit_widgets.demo.scenes`, or anything with an `image`, a `mask` (bool (row, col)
        of its pixels), and `parts` (masks by name; may be empty).
    methods
        By name, functions of (model, image, target) that make a map. One that fails is named in
        `failed`, and the others go on.
    metrics
        As of :func:`faithfulness`.
    target
        As of :func:`faithfulness`: by default the class that the model predicts for each scene.
    seed
        Of all that is drawn; the random map is another one for each scene.
    progress
        Told of (done, total) maps; ends the work by returning ``False``.
    **settings
        Anything else of :func:`faithfulness`: ``steps``, ``baseline``, ``grid``, ``batch_size``.

    Returns
    -------
    Leaderboard
        Stopped by `progress`, with what was complete.

    Raises
    ------
    ValueError
        Without scenes, or where no method could be measured.

    Examples
    --------
    >>> scenes = vw.demo.scenes(20, seed=7)                            # doctest: +SKIP
    >>> board = leaderboard("demo", scenes, {"saliency": vw.probes.saliency})  # doctest: +SKIP
    >>> board.table()["abpc"]["mean"].round(2)                         # doctest: +SKIP
    """
    model, scenes = load(model), list(scenes)
    if not scenes:
        msg = "no scenes were given: pass at least one, such as vw.demo.scenes(20)"
        raise ValueError(msg)
    notes: tuple[str, ...] = ()
    if settings.get("grid") is None:
        settings["grid"], notes = _cells(model, scenes[0].image)
    seeds = iter(np.random.default_rng(seed).integers(2**31, size=2**16).tolist())
    all_methods: dict[str, Method] = {
        **methods,
        "random map": lambda model, image, target: random_map(model, image, target, next(seeds)),
        "edge detector": edge_map,
    }
    total = len(all_methods) * len(scenes)
    results: dict[str, FaithfulnessOver] = {}
    failed: dict[str, str] = {}
    stopped = False

    def tell(before: int, done: int, _total: int) -> bool:
        nonlocal stopped
        stopped = progress is not None and progress(before + done, total) is False
        return not stopped

    for at, (name, method) in enumerate(all_methods.items()):
        try:
            results[name] = faithfulness_over(
                model,
                [scene.image for scene in scenes],
                method,
                target,
                metrics,
                [scene.mask for scene in scenes],
                seed,
                functools.partial(tell, at * len(scenes)),
                **settings,
            )
        except (ValueError, RuntimeError) as error:
            failed[name] = str(error)
        if stopped:
            left = list(all_methods)[at + 1 :]
            notes += (f"stopped: {', '.join(left)} not measured",) if left else ()
            break
    if not results:
        msg = f"no method could be measured: {next(iter(failed.values()))}"
        raise ValueError(msg)
    cells = settings["grid"]
    params = {
        "model": model.name,
        "metrics": tuple(metrics),
        "seed": seed,
        "scenes": len(scenes),
        "cells": (cells.rows, cells.cols),
        **{key: value for key, value in settings.items() if key != "grid"},
    }
    return Leaderboard(
        MappingProxyType(results),
        MappingProxyType(failed),
        notes,
        params=params,
        _scenes=tuple(scenes),
        _model=model,
    )


def _cells(model: VisionModel, image: object) -> tuple[Grid, tuple[str, ...]]:
    """Find the patches of a model, or as many cells as will do."""
    pixels = one_image(model, image)
    grid = patch_grid(model, pixels)
    if grid is not None:
        return grid, ()
    height, width = pixels.shape[-2:]
    note = (
        f"where the patches of {model.name} lie is not known: measured on {CELLS} x {CELLS} cells"
    )
    return Grid(CELLS, CELLS, (height / CELLS, width / CELLS)), (note,)

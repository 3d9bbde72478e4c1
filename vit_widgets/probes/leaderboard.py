"""Attribution methods side by side, beside maps that know nothing of the model."""

from __future__ import annotations

import importlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from torch import nn

from vit_widgets import tables
from vit_widgets.models import Grid, VisionModel, load
from vit_widgets.probes.attribution.fills import Fill
from vit_widgets.probes.attribution.input_gradients import checked_count
from vit_widgets.probes.attribution.methods import methods_named
from vit_widgets.probes.baselines import BASELINES, edge_map, patch_grid
from vit_widgets.probes.faithfulness import Faithfulness, FaithfulnessOver, Interval
from vit_widgets.probes.faithfulness.averages import averaged, interval
from vit_widgets.probes.faithfulness.measurement import (
    Measurement,
    PictureAsked,
    checked_metrics,
)
from vit_widgets.probes.faithfulness.plan import Method
from vit_widgets.probes.faithfulness.scoring import Stopped, Work
from vit_widgets.probes.faithfulness.units import CELLS, Units, even_cells
from vit_widgets.probes.maps import PatchMap
from vit_widgets.probes.progress import Progress, watching
from vit_widgets.probes.result import Result
from vit_widgets.probes.scene_truth import seen_shares
from vit_widgets.probes.target import Target, one_image
from vit_widgets.probes.verdict import verdict

if TYPE_CHECKING:
    import pandas as pd

ENDING = ("deletion", "morf", "insertion")
"""Curves from a picture to its baseline, or back."""

LEAST = 0.01
"""A change of confidence below which a model is said not to look."""

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


@runtime_checkable
class Known(Protocol):
    """A picture whose object is known, such as a scene of :func:`vit_widgets.demo.scenes`."""

    @property
    def image(self) -> Any:
        """The picture, as of :func:`capture`."""

    @property
    def mask(self) -> np.ndarray:
        """The pixels of the object, bool (row, col)."""

    @property
    def parts(self) -> Mapping[str, np.ndarray]:
        """The pixels of each of its parts; may be empty."""


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
    _scenes: tuple[Known, ...] = field(default=(), repr=False, compare=False)

    def __str__(self) -> str:
        """Say what ``abpc`` allows to say, or, where it was not measured, the first score."""
        scores = self.scores
        said = self.sentence("abpc" if "abpc" in scores or not scores else scores[0])
        lines = [textwrap.fill(line, 88, subsequent_indent="  ") for line in said.splitlines()]
        return "\n".join(lines)

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
        ValueError
            Where no object is known.
        ImportError
            Without pandas.
        """
        pd = tables.pandas("`results`")
        assert self._model is not None
        if not self._scenes:
            msg = (
                "where maps fall is told of objects that are known: give things with an image, a "
                "mask and parts, such as vw.demo.scenes(20)"
            )
            raise ValueError(msg)
        rows: dict[tuple[str, str], dict[str, list[float]]] = {}
        for at, scene in enumerate(self._scenes):
            kind = getattr(scene, "attributes", {}).get("object", "")
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

    def to_markdown(self) -> str:
        """Write a table, the largest ``abpc`` first.

        Returns
        -------
        str
            For each method the means of all scores, of ``abpc`` with its 95 % interval; where the
            object is known, also how densely the map lies on it, on the background, and on that
            part of each class on which it lies most densely (:meth:`places`).

        Raises
        ------
        ImportError
            Without pandas.
        """
        shown: dict[str, dict[str, str]] = {
            name: {
                score: str(found) if score == "abpc" else f"{found.mean:.2f}"
                for score, found in one.scores.items()
            }
            for name, one in self.results.items()
        }
        if self._scenes:
            places = self.places()
            parts = places.drop("all", errors="ignore").groupby(level=0).max().mean()
            for name, row in shown.items():
                for place in ("object", "background"):
                    row[place] = f"{places.loc[('all', place), name]:.2f}"
                row["densest part"] = f"{parts[name]:.2f}"
        columns = list(dict.fromkeys(column for row in shown.values() for column in row))
        order = sorted(shown, key=lambda name: -_area(self.results[name]))
        none = "\N{EN DASH}"
        rows = [[name, *(shown[name].get(column, none) for column in columns)] for name in order]
        rows += [[name, *[none] * len(columns)] for name in self.failed]
        lines = [["", *columns], ["---"] * (1 + len(columns)), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

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

    def against(self, other: str, score: str = "abpc") -> dict[str, Interval]:
        """Tell by how much each method is better than another one, image by image.

        Parameters
        ----------
        other
            A method, or ``"random map"`` or ``"edge detector"``.
        score
            Of which number.

        Returns
        -------
        dict of str to Interval
            The mean of the differences, above 0 where the method is better than `other` (also of a
            score of which less is better), with its 95 % interval from resampling the images. All
            methods were measured on the same images, so that what makes an image easy or hard for
            both does not count.

        Raises
        ------
        KeyError
            For a method or score that was not measured.
        """
        if other not in self.results:
            msg = f"no method {other!r} was measured; there is {', '.join(self.results)}"
            raise KeyError(msg)
        known = {
            name: one.values[score] for name, one in self.results.items() if score in one.values
        }
        if other not in known:
            msg = f"{other} has no {score!r}; there is {', '.join(self.scores)}"
            raise KeyError(msg)
        sign = -1 if score in LOWER_IS_BETTER else 1
        return {
            name: interval(sign * (values - known[other]), self.params["seed"])
            for name, values in known.items()
            if name != other
        }

    def sentence(self, score: str = "abpc") -> str:
        """Say in words what the numbers allow: which methods beat the baselines, and each other.

        Parameters
        ----------
        score
            By which number.

        Returns
        -------
        str
            A line for each method, the best first, and one for how they compare.

        Raises
        ------
        KeyError
            For a score that was not measured.
        """
        return verdict(self, score)

    def show(self) -> Any:
        """Draw the curves of all methods (:func:`vit_widgets.plots.faithfulness_over`)."""
        return importlib.import_module("vit_widgets.plots").faithfulness_over(self.results)


def _area(found: FaithfulnessOver) -> float:
    return found.scores["abpc"].mean if "abpc" in found.scores else -np.inf


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
    images: Sequence[Known] | object,
    methods: Sequence[str] | Mapping[str, Method],
    metrics: Sequence[str] | None = None,
    target: Target = None,
    seed: int = 0,
    progress: bool | Progress = True,
    *,
    steps: int | None = None,
    baseline: Fill = "mean",
    grid: Grid | None = None,
    batch_size: int = 32,
) -> Leaderboard:
    """Measure methods on the same images, beside a random map and an edge detector.

    All maps are measured on the same cells, the model's patches, so that maps of pixels have no
    advantage from their finer grain. Image by image all methods are measured, so that wherever it
    is stopped they can be compared.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        As of :func:`capture`; or things whose object is known, from :func:`vit_widgets.demo.scenes`
        or with an `image`, a `mask` (bool (row, col) of its pixels), and `parts` (masks by name;
        may be empty) of their own.
    methods
        Names of :data:`vit_widgets.probes.ATTRIBUTIONS`, or functions of (model, image, target) by
        a name of your own. One that fails is named in `failed`, and the others go on.
    metrics
        As of :func:`faithfulness`; by default ``"deletion"``, ``"insertion"`` and ``"abpc"``, and
        ``"localization"`` where the object is known.
    target
        As of :func:`faithfulness`: by default the class that the model predicts for each image.
    seed
        Of all that is drawn; the random map is another one for each image.
    progress
        As of :func:`ablate_heads`; told of maps, and also in between.
    steps, baseline, grid, batch_size
        As of :func:`faithfulness`.

    Returns
    -------
    Leaderboard
        Stopped by `progress` or by the keyboard, over the images of which all maps were measured.

    Raises
    ------
    ValueError
        Without images, for an unknown name, and where no method could be measured.

    Notes
    -----
    Each interval is one of its own: of forty methods that are worth nothing, one or two are
    expected to be told from a random map at 95 %.

    Examples
    --------
    >>> board = leaderboard(model, images, ["rollout", "grad_cam"])    # doctest: +SKIP
    >>> print(board)                                                   # doctest: +SKIP
    >>> board.table()["abpc"].round(2)                                 # doctest: +SKIP
    """
    model = load(model)
    scenes, pictures = _pictures(model, images)
    if not pictures:
        msg = "no images were given: pass at least one, such as those of vw.demo.scenes(20)"
        raise ValueError(msg)
    given = methods_named(methods)
    taken = [name for name in given if name in BASELINES]
    if taken:
        msg = f"{taken[0]!r} is measured beside every method; give yours another name"
        raise ValueError(msg)
    if metrics is None:
        metrics = ("deletion", "insertion", "abpc", *(("localization",) if scenes else ()))
    checked_metrics(metrics)
    checked_count("steps", 1 if steps is None else steps)
    notes: tuple[str, ...] = ()
    if grid is None:
        grid, notes = _cells(model, pictures[0])
    seeds = np.random.default_rng(seed).integers(2**31, size=len(pictures)).tolist()
    each: dict[str, list[Faithfulness]] = {name: [] for name in (*given, *BASELINES)}
    failed: dict[str, str] = {}
    counts = {"pictures": 0, "forwards": 0}
    complete = 0

    with watching(progress, "leaderboard", "maps") as told:

        def tell(*_pictures: int) -> bool:
            return told(complete * len(each), len(pictures) * len(each)) is not False

        work = Work(0, tell)
        try:
            for at, picture in enumerate(pictures):
                mask = scenes[at].mask if scenes else None
                asked = PictureAsked(model, picture, target, mask, baseline, batch_size)
                every = {**given, **_baselines(asked, grid, seeds[at])}
                going = {name: make for name, make in every.items() if name not in failed}
                measured = _measured(asked, going, (metrics, steps, seed + at, grid), failed, work)
                for name, one in measured.items():
                    each[name].append(one)
                complete += 1
                counts["pictures"] += asked.scorer.pictures
                counts["forwards"] += asked.scorer.forwards
                work.step()
        except (Stopped, KeyboardInterrupt):
            # the images that are complete are the answer, and it says so
            if complete < len(pictures):
                notes += (f"stopped after {complete} of {len(pictures)} images",)
    if len(failed) == len(each):
        msg = f"no method could be measured: {next(iter(failed.values()))}"
        raise ValueError(msg)
    params = {
        "model": model.name,
        "metrics": tuple(metrics),
        "seed": seed,
        "images": complete,
        "cells": (grid.rows, grid.cols),
        "steps": steps,
        "baseline": baseline if isinstance(baseline, str) else "given",
        "batch_size": batch_size,
    }
    results = {
        name: averaged(found, seed, (), {"model": model.name, "metrics": tuple(metrics)})
        for name, found in each.items()
        if name not in failed
    }
    return Leaderboard(
        MappingProxyType(results),
        MappingProxyType(failed),
        notes + _unmoved(results, target),
        params={**params, **counts},
        _scenes=tuple(scenes[:complete]),
        _model=model,
    )


def _measured(
    asked: PictureAsked,
    methods: Mapping[str, Method],
    settings: tuple[Sequence[str], int | None, int, Grid],
    failed: dict[str, str],
    work: Work,
) -> dict[str, Faithfulness]:
    """Measure all maps of a picture, whose variants are scored together.

    Raises
    ------
    Stopped
        If they are not complete.
    """
    made: dict[str, Measurement] = {}
    for name, method in methods.items():
        try:
            made[name] = Measurement(asked, method, *settings)
        except (ValueError, IndexError, RuntimeError) as error:
            failed[name] = str(error)
        work.step()
    states = [(state, one.subject) for one in made.values() for state in one.states]
    asked.scorer.ahead(states, work)
    found: dict[str, Faithfulness] = {}
    for name, one in made.items():
        try:
            found[name] = one.read(work)
        except (ValueError, IndexError, RuntimeError) as error:
            failed[name] = str(error)
            continue
        if work.stopped or not one.complete:
            raise Stopped
    return found


def _unmoved(results: Mapping[str, FaithfulnessOver], target: Target) -> tuple[str, ...]:
    """Say so where a model is as sure of nothing as of the picture: no map can matter then."""
    known = [one.curves[name] for one in results.values() for name in ENDING if name in one.curves]
    if not known or not (target is None or isinstance(target, int)):
        return ()
    lost = float(np.abs(known[0].values[:, 0] - known[0].values[:, -1]).mean())
    if lost >= LEAST:
        return ()
    note = (
        f"replacing all of an image changes the model's confidence by {lost:.2g} on average: there "
        "is hardly anything that maps could be right about"
    )
    return (note,)


def _baselines(asked: PictureAsked, grid: Grid, seed: int) -> dict[str, Method]:
    values = np.random.default_rng(seed).random((grid.rows, grid.cols), np.float32)
    drawn = PatchMap(values, grid, asked.size, method="random_map", params={"seed": seed})
    return dict(zip(BASELINES, (lambda *_: drawn, edge_map), strict=True))


def _pictures(model: VisionModel, images: object) -> tuple[list[Known], list[Any]]:
    """Tell scenes from images that are nothing else, and give the images of both."""
    several = isinstance(images, Iterable) and not isinstance(images, str)
    listed = list(images) if several else [images]  # type: ignore[call-overload]
    scenes = [one for one in listed if isinstance(one, Known)]
    if not listed or len(scenes) == len(listed):
        return scenes, [scene.image for scene in scenes]
    return [], model.each(images)


def _cells(model: VisionModel, image: object) -> tuple[Grid, tuple[str, ...]]:
    """Find the patches of a model, or as many cells as will do."""
    pixels = one_image(model, image)
    grid = patch_grid(model, pixels)
    if grid is not None:
        return grid, ()
    note = (
        f"where the patches of {model.name} lie is not known: measured on {CELLS} x {CELLS} cells"
    )
    return even_cells((int(pixels.shape[-2]), int(pixels.shape[-1]))), (note,)

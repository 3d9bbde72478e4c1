"""Faithfulness over several pictures: means, and how sure they are."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from torch import nn

from vit_widgets.models import VisionModel, load
from vit_widgets.probes.faithfulness.measure import faithfulness
from vit_widgets.probes.faithfulness.plan import Method
from vit_widgets.probes.faithfulness.result import Faithfulness
from vit_widgets.probes.faithfulness.units import Attribution
from vit_widgets.probes.progress import Progress, watching
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import Target

LEVEL = 0.95
RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A mean and where it lies.

    Attributes
    ----------
    mean
        Over the images for which there is a number; NaN for none.
    low, high
        Ends of its confidence interval, from resampling the images; NaN with fewer than two.
    count
        Number of these images.
    """

    mean: float
    low: float
    high: float
    count: int

    @property
    def side(self) -> int | None:
        """On which side of 0 it lies: 1, -1, 0 for both; ``None`` where its ends are not known."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return None
        return int(self.low > 0) - int(self.high < 0)

    def __str__(self) -> str:
        numbers = [self.mean] if self.count < 2 else [self.mean, self.low, self.high]
        largest = max(abs(number) for number in numbers)
        # two digits of the largest at least, so that what is small does not read as nothing
        digits = 2 if not 0 < largest < 0.01 else 1 - math.floor(math.log10(largest))
        # 0 is added to what is rounded, so that there is no -0.00
        mean, *ends = [f"{round(number, digits) + 0.0:.{digits}f}" for number in numbers]
        return f"{mean} [{', '.join(ends)}]" if ends else mean


@dataclass(frozen=True, repr=False)
class MeanCurve(Result):
    """A curve averaged over images.

    Attributes
    ----------
    fractions
        As of :class:`Curve`, float64 (step).
    values
        The scores of each image, float64 (image, step).
    mean, low, high
        Over the images, and the ends of the confidence interval at each step, float64 (step).
    accuracy
        The share of the images whose class still has the greatest score, float64 (step); ``None``
        without classes. Of ``deletion`` and ``lerf`` with ``baseline="black", steps=10`` these are
        the positive and the negative perturbation test of Chefer et al. 2021.
    """

    fractions: np.ndarray
    values: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    accuracy: np.ndarray | None = None


@dataclass(frozen=True, repr=False)
class FaithfulnessOver(Result):
    """What maps of one kind are worth: see :func:`faithfulness_over`.

    Attributes
    ----------
    each
        The result of every image.
    curves
        Means by name.
    values
        Scores by name, float64 (image); NaN where a measure does not apply.
    scores
        Their means, by name.
    notes
        What to know before it is believed, in sentences, and of how many images.
    """

    each: tuple[Faithfulness, ...]
    curves: Mapping[str, MeanCurve]
    values: Mapping[str, np.ndarray]
    scores: Mapping[str, Interval]
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("image",)
    method: str = "faithfulness_over"
    params: dict[str, Any] = field(default_factory=dict)

    def show(self) -> Any:
        """Draw the curves (:func:`vit_widgets.plots.faithfulness_over`)."""
        return importlib.import_module("vit_widgets.plots").faithfulness_over({"": self})


def faithfulness_over(
    model: VisionModel | nn.Module | str,
    images: Sequence[object],
    attributions: Method | Sequence[Attribution],
    target: Target | list[Target] = None,
    metrics: Sequence[str] = ("deletion", "insertion", "abpc"),
    masks: Sequence[object] | None = None,
    seed: int = 0,
    progress: bool | Progress = True,
    **settings: Any,
) -> FaithfulnessOver:
    """Measure maps of several images, and give the means with confidence intervals.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        A list, each as of :func:`capture`.
    attributions
        A function of (model, image, target) that makes the map of each, or a map for each.
    target
        As of :func:`faithfulness`, for all; or a list with one for each image.
    metrics
        As of :func:`faithfulness`.
    masks
        One for each image.
    seed
        Of all that is drawn: for image i ``seed + i``, so that errors of chance are not shared.
    progress
        As of :func:`ablate_heads`; told after every image.
    **settings
        Anything else of :func:`faithfulness`: ``steps``, ``baseline``, ``grid``, ``batch_size``.

    Returns
    -------
    FaithfulnessOver
        Stopped by `progress` or by the keyboard, over the images that were complete.

    Raises
    ------
    ValueError
        As of :func:`faithfulness`, for no image at all, and for lists of different lengths.

    Notes
    -----
    Percentile bootstrap: the images are drawn anew 2000 times, with replacement, and 95 % of the
    means lie in the interval (Efron and Tibshirani 1993). It says how far the mean depends on which
    images were taken; with few of them it is too narrow.

    Examples
    --------
    >>> found = faithfulness_over(model, images, vw.probes.relevance)  # doctest: +SKIP
    >>> print(found.scores["abpc"])                                    # doctest: +SKIP
    0.41 [0.37, 0.46]
    """
    model = load(model)
    images = list(images)
    total = len(images)
    if not total:
        msg = "no images were given: pass at least one"
        raise ValueError(msg)
    targets = target if isinstance(target, list) else [target] * total
    maps = [attributions] * total if callable(attributions) else list(attributions)
    given = {"maps": maps, "targets": targets, "masks": [None] * total if masks is None else masks}
    for what, several in given.items():
        if len(several) != total:
            msg = f"{len(several)} {what} were given for {total} images; give one for each"
            raise ValueError(msg)
    each: list[Faithfulness] = []
    notes: tuple[str, ...] = ()
    with watching(progress, "faithfulness_over", "images") as told:
        try:
            for i, image in enumerate(images):
                each.append(
                    faithfulness(
                        model,
                        image,
                        maps[i],
                        targets[i],
                        metrics,
                        given["masks"][i],
                        seed=seed + i,
                        **settings,
                    )
                )
                if told(i + 1, total) is False:
                    break
        except KeyboardInterrupt:
            pass  # the images that are complete are the answer, and it says so
    if len(each) < total:
        notes = (f"stopped after {len(each)} of {total} images",)
    counts = {key: sum(one.params[key] for one in each) for key in ("pictures", "forwards")}
    return averaged(each, seed, notes, {"model": model.name, "metrics": tuple(metrics), **counts})


def interval(values: np.ndarray, seed: int) -> Interval:
    """Average numbers, and resample them to see how sure the mean is.

    Parameters
    ----------
    values
        (image); NaN where there is none.
    seed
        Of the resampling.

    Examples
    --------
    >>> found = interval(np.array([1.0, 2.0, np.nan, 3.0]), seed=0)
    >>> found.mean, found.count
    (2.0, 3)
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    mean, count = float(known.mean()), len(known)
    if count < 2:
        return Interval(mean, float("nan"), float("nan"), count)
    outside = (1 - LEVEL) / 2
    means = _draws(count, seed) @ known / count
    low, high = np.quantile(means, (outside, 1 - outside)).tolist()
    return Interval(mean, low, high, count)


@functools.lru_cache(maxsize=8)
def _draws(count: int, seed: int) -> np.ndarray:
    """Count how often each image is in each resample: int (resample, image)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)


def averaged(
    each: Sequence[Faithfulness],
    seed: int = 0,
    notes: tuple[str, ...] = (),
    params: Mapping[str, Any] = MappingProxyType({}),
) -> FaithfulnessOver:
    """Average what was measured of several images.

    Parameters
    ----------
    each
        The result of every image.
    seed
        Of the resampling.
    notes, params
        To be said of it, and what else is needed to repeat it.

    Raises
    ------
    ValueError
        For curves of different steps.

    Examples
    --------
    >>> averaged([]).scores
    {}
    """
    drawn = dict.fromkeys(name for one in each for name in one.curves)
    names = list(dict.fromkeys(name for one in each for name in one.scores))
    values = {name: np.array([one.scores.get(name, np.nan) for one in each]) for name in names}
    said: dict[str, int] = {}
    for one in each:
        for note in one.notes:
            said[note] = said.get(note, 0) + 1
    notes += tuple(f"{note} ({count} of {len(each)} images)" for note, count in said.items())
    if each:
        params = {**params, **{name: each[0].params[name] for name in ("baseline", "steps")}}
    return FaithfulnessOver(
        tuple(each),
        {name: _mean_curve(name, each, seed) for name in drawn},
        values,
        {name: interval(numbers, seed) for name, numbers in values.items()},
        notes,
        params={
            **params,
            "seed": seed,
            "level": LEVEL,
            "resamples": RESAMPLES,
            "images": len(each),
        },
    )


def _mean_curve(name: str, each: Sequence[Faithfulness], seed: int) -> MeanCurve:
    own = [one.curves[name] for one in each if name in one.curves]
    fractions = own[0].fractions
    if any(not np.array_equal(curve.fractions, fractions) for curve in own):
        msg = (
            f"the curves {name} of the images have different steps, because their maps have "
            "different cells; give grid= to measure all on the same"
        )
        raise ValueError(msg)
    values = np.stack([curve.scores for curve in own])
    found = [interval(column, seed) for column in values.T]
    mean, low, high = np.array([(one.mean, one.low, one.high) for one in found]).T
    hits = [curve.hits for curve in own if curve.hits is not None]
    accuracy = np.mean(hits, axis=0) if len(hits) == len(own) else None
    return MeanCurve(fractions, values, mean, low, high, accuracy)

"""Statistics of heads over many images: mean and spread, a few images at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from vit_widgets.activations import capture
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.head_statistics import STATISTICS, head_statistics
from vit_widgets.probes.hop_profile import Hops, hop_profile
from vit_widgets.probes.progress import Progress, watching
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class HeadSummary(Result):
    """Mean and spread of what heads do: see :func:`head_summary`.

    Attributes
    ----------
    mean, spread
        float64 (layer, head, statistic): mean and standard deviation over the images; NaN where a
        statistic has no meaning.
    hops, hop_spread
        float64 (layer, head, hop): mean and standard deviation of the sums of :func:`hop_profile`.
    images
        How many there were.
    statistics
        Names along the last axis of `mean`.
    notes
        What has to be known of these numbers, in sentences.
    """

    mean: np.ndarray
    spread: np.ndarray
    hops: np.ndarray
    hop_spread: np.ndarray
    images: int
    statistics: tuple[str, ...] = STATISTICS
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("layer", "head", "statistic")
    method: str = "head_summary"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """The means."""
        return self.mean

    def statistic(self, name: str) -> np.ndarray:
        """Give the mean of one statistic: float64 (layer, head).

        Raises
        ------
        ValueError
            For an unknown one, naming those that there are.
        """
        if name not in self.statistics:
            msg = f"statistic {name!r} is not known; it is one of {', '.join(self.statistics)}"
            raise ValueError(msg)
        return self.mean[..., self.statistics.index(name)]


def head_summary(
    model: VisionModel | nn.Module | str,
    images: Iterable[Any],
    masks: Iterable[np.ndarray] | None = None,
    metric: Hops = "chebyshev",
    *,
    progress: bool | Progress = True,
    at_once: int = 8,
) -> HeadSummary:
    """Measure what heads do over many images, read a few at a time.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        One image after the other, each as of :func:`capture`: a list, a generator, a dataset.
    masks
        Where the object is in each, bool (row, col) of pixels of the model's input.
    metric
        As of :func:`hop_profile`.
    progress
        As of :func:`ablate_heads`; told after every few images, the total being 0 where `images`
        has no length.
    at_once
        Images in a batch.

    Returns
    -------
    HeadSummary

    Raises
    ------
    ValueError
        Without any image, with fewer masks than images, and as :func:`head_statistics`.

    Notes
    -----
    Welford 1962: mean and sum of squares are updated image by image, so that nothing is kept of
    the images and no precision is lost.

    Examples
    --------
    >>> summary = head_summary("demo", (s.image for s in scenes))      # doctest: +SKIP
    >>> summary.statistic("entropy").shape                             # doctest: +SKIP
    (6, 6)
    """
    model = load(model)
    total = len(images) if isinstance(images, Sized) else 0
    truth = itertools.repeat(None) if masks is None else iter(masks)
    pictures, statistics, hops = iter(images), _Running(), _Running()
    notes: tuple[str, ...] = ()
    with watching(progress, "head_summary", "images") as told:
        try:
            while some := list(itertools.islice(pictures, at_once)):
                of_these = list(itertools.islice(truth, len(some)))
                if len(of_these) < len(some):
                    msg = f"there are more images than masks, {statistics.count + len(of_these)}"
                    raise ValueError(msg)
                cache = capture(model, some, keep=["attention"])
                for image, mask in enumerate(of_these):
                    found = head_statistics(cache, image, mask)
                    statistics.add(np.stack([getattr(found, name) for name in STATISTICS], axis=-1))
                    hops.add(hop_profile(cache, image, metric).sums)
                if told(statistics.count, total) is False:
                    notes = (f"stopped after {statistics.count} images",)
                    break
        except KeyboardInterrupt:
            if not statistics.count:
                raise
            notes = (f"stopped after {statistics.count} images",)
    if not statistics.count:
        msg = "there are no images to measure"
        raise ValueError(msg)
    return HeadSummary(
        statistics.mean,
        statistics.spread,
        hops.mean,
        hops.spread,
        statistics.count,
        notes=notes,
        params={"metric": metric, "model": model.name, "masks": masks is not None},
    )


class _Running:
    """Mean and spread of arrays that come one by one."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())

    def add(self, values: np.ndarray) -> None:
        """Take one more."""
        self.count += 1
        away = values.astype(np.float64) - self.mean
        self.mean = self.mean + away / self.count
        self._squares = self._squares + away * (values - self.mean)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of what came so far."""
        return np.sqrt(self._squares / self.count)

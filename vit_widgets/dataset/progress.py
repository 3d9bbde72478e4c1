"""How far a scan is, how fast, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from vit_widgets.wording import duration


@dataclass(frozen=True)
class Progress:
    """How far a scan is.

    Attributes
    ----------
    images
        Done in all, those before a resumption and the unreadable ones included.
    total
        Images of the dataset (or of the shard); ``None`` where that is not known.
    rate
        Images a second since this scan began; 0 before the first.
    remaining
        Seconds; ``None`` where `total` or the rate is not known.
    unreadable
        Images that could not be read.

    Examples
    --------
    >>> print(Progress(images=320, total=1000, rate=40.0, remaining=17.0, unreadable=1))
    320 of 1,000 images, 40 images/s, 17 s left, 1 unreadable
    """

    images: int
    total: int | None
    rate: float
    remaining: float | None
    unreadable: int

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        said = [f"{self.images:,}{of} images"]
        if self.rate:
            said.append(f"{self.rate:.{0 if self.rate >= 10 else 1}f} images/s")
        if self.remaining is not None:
            said.append(f"{duration(self.remaining)} left")
        if self.unreadable:
            said.append(f"{self.unreadable} unreadable")
        return ", ".join(said)


Report: TypeAlias = Callable[[Progress], object]
"""Told of the progress after every step; ends the scan by returning ``False``."""


class Clock:
    """Measures the rate from the first image of this scan.

    Parameters
    ----------
    images
        Done before.
    total
        Images to do in all, if known.
    """

    def __init__(self, images: int, total: int | None) -> None:
        self._before, self._total, self._start = images, total, time.monotonic()

    def at(self, images: int, unreadable: int) -> Progress:
        """Say how far a scan is that has done so many images."""
        now = images - self._before
        rate = now / max(time.monotonic() - self._start, 1e-9) if now else 0.0
        remaining = (self._total - images) / rate if self._total is not None and rate else None
        return Progress(images, self._total, rate, remaining, unreadable)

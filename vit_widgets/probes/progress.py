"""How long work is watched, and ended early."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeAlias

from vit_widgets.progress_line import ProgressLine
from vit_widgets.wording import duration

_SILENCE = 1.0  # seconds: what is quicker says nothing

Progress: TypeAlias = Callable[[int, int], object]
"""Told (done, total) after every step; ends the work by returning ``False``."""


@contextlib.contextmanager
def watching(
    progress: bool | Progress | None, what: str, unit: str = "steps"
) -> Iterator[Progress]:
    """Give what is to be told of every step.

    Parameters
    ----------
    progress
        Who is told; ``True``: a line of text on the standard error, with the time that is left,
        where the work takes longer than a second; ``False`` or ``None``: nobody.
    what
        Is done, in words.
    unit
        Of what is counted.

    Examples
    --------
    >>> with watching(True, "silencing heads") as told:                # doctest: +SKIP
    ...     for step in range(120):
    ...         told(step + 1, 120)
    silencing heads: 48 of 120 steps, 23 s left
    """
    if callable(progress):
        yield progress
        return
    if not progress:
        yield lambda _done, _total: None
        return
    line, begun, last = ProgressLine(after=_SILENCE), time.monotonic(), (0, 0)

    def counted() -> str:
        done, total = last
        return f"{what}: {done}{f' of {total}' if total else ''} {unit}"

    def told(done: int, total: int) -> None:
        nonlocal last
        last = done, total
        rest = (time.monotonic() - begun) * (total - done) / max(done, 1)
        line(f"{counted()}, {duration(rest)} left" if total else counted())

    try:
        yield told
    finally:
        if line.written:
            line.close(f"{counted()} in {duration(time.monotonic() - begun)}")

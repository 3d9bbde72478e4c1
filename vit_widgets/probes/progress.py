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
def watching(progress: bool | Progress | None, what: str) -> Iterator[Progress]:
    """Give what is to be told of every step.

    Parameters
    ----------
    progress
        Who is told; ``True``: a line of text on the standard error, with the time that is left,
        where the work takes longer than a second; ``False`` or ``None``: nobody.
    what
        Is done, in words.

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

    def told(done: int, total: int) -> None:
        nonlocal last
        last = done, total
        rest = (time.monotonic() - begun) * (total - done) / max(done, 1)
        line(_counted(what, done, total) + (f", {duration(rest)} left" if total else ""))

    try:
        yield told
    finally:
        if line.written:
            took = duration(time.monotonic() - begun)
            line.close(f"{_counted(what, *last)} in {took}")


def _counted(what: str, done: int, total: int) -> str:
    of = f" of {total}" if total else ""
    return f"{what}: {done}{of} steps"

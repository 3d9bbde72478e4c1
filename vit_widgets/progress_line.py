"""Progress as one line of text."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_LINES = 30.0  # seconds between lines where a line cannot be written over
_REFRESH = 0.2


class ProgressLine:
    """Writes progress as a line that is written over, or as a line now and then to a file.

    Parameters
    ----------
    stream
        Where to; default: the standard error as it is when something is written.
    after
        Seconds of silence before the first line.

    Examples
    --------
    >>> line = ProgressLine(sys.stdout)                                # doctest: +SKIP
    >>> line("2 of 3 steps")                                           # doctest: +SKIP
    2 of 3 steps
    """

    def __init__(self, stream: TextIO | None = None, after: float = 0.0) -> None:
        self._stream, self._width = stream, -1
        self._due = time.monotonic() + after

    def __call__(self, said: object) -> None:
        """Write the progress, unless it was written just now."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + (_REFRESH if self._over else _LINES)
            self._write(str(said), end="" if self._over else "\n")

    @property
    def written(self) -> bool:
        """Whether there is a line."""
        return self._width >= 0

    def close(self, said: str) -> None:
        """Write the last line."""
        self._write(said, end="\n")

    @property
    def _out(self) -> TextIO:
        return self._stream or sys.stderr

    @property
    def _over(self) -> bool:
        """Whether a line can be written over: on a terminal and in a notebook."""
        return self._out.isatty() or type(self._out).__module__.startswith("ipykernel")

    def _write(self, said: str, end: str) -> None:
        if self._over:
            self._out.write("\r" + said.ljust(self._width) + end)
        else:
            self._out.write(said + end)
        self._width = len(said)
        self._out.flush()

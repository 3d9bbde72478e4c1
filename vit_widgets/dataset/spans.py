"""Runs of image numbers: which images are done, and which are left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]
"""The first number, and the one after the last."""


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort spans and join those that touch.

    Raises
    ------
    ValueError
        If two overlap: what is in both would count twice.

    Examples
    --------
    >>> joined([(8, 12), (0, 4), (4, 8), (20, 21)])
    ((0, 12), (20, 21))
    """
    found: list[Span] = []
    for start, stop in sorted(span for span in spans if span[0] < span[1]):
        if found and start < found[-1][1]:
            msg = f"images {start} to {min(stop, found[-1][1]) - 1} are in both"
            raise ValueError(msg)
        if found and start == found[-1][1]:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return tuple(found)


def left(whole: Span, done: Iterable[Span]) -> tuple[Span, ...]:
    """Give what of a span is not done yet.

    Examples
    --------
    >>> left((0, 10), [(2, 4), (8, 10)])
    ((0, 2), (4, 8))
    """
    found, at = [], whole[0]
    for start, stop in joined(done):
        if at < min(start, whole[1]):
            found.append((at, min(start, whole[1])))
        at = max(at, stop)
    if at < whole[1]:
        found.append((at, whole[1]))
    return tuple(found)


def cut(spans: Iterable[Span], size: int) -> Iterator[Span]:
    """Cut spans at the multiples of a size, so that batches are the same wherever they begin.

    Examples
    --------
    >>> list(cut([(4, 10), (12, 13)], 4))
    [(4, 8), (8, 10), (12, 13)]
    """
    for start, stop in spans:
        while start < stop:
            end = min(stop, (start // size + 1) * size)
            yield start, end
            start = end


def count(spans: Iterable[Span]) -> int:
    """Count the numbers in spans."""
    return sum(stop - start for start, stop in spans)

"""How the measurements are taken and told: interleaved rounds, medians, plain tables."""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence

import torch


def interleaved(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Let each way report its own duration, one after the other, round after round.

    What else the machine does then falls on all of them alike; a first round is thrown away.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            duration = way()
            if number:
                times[name].append(duration)
    return times


def ratio(times: Sequence[float], reference: Sequence[float]) -> float:
    """Return the median of the ratios within a round, which outlives a change of load."""
    return statistics.median(a / b for a, b in zip(times, reference, strict=True))


def heading(title: str) -> None:
    """Print what was measured, and on what."""
    load = os.getloadavg()[0]
    print(f"\n{title}")
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"{os.cpu_count()} cores, load average {load:.1f}\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under a head, columns aligned."""
    cells = [list(head), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        first, *others = zip(row, widths, strict=True)
        print("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]))

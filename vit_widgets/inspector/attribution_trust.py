"""How far a map can be trusted, in a sentence, from its numbers and those of the baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vit_widgets.probes.faithfulness.averages import Interval, interval


def trust(area: float, of_random: Sequence[float], of_edges: float | None) -> str:
    """Say how far a map can be trusted on one picture.

    Parameters
    ----------
    area
        Of the map, ``abpc``.
    of_random
        Those of random maps.
    of_edges
        That of the edge detector; ``None`` where it is not known.

    Examples
    --------
    >>> trust(0.02, [-0.05, 0.06], None)[:47]
    'No better than a random order here: its area be'
    >>> trust(0.73, [-0.05, 0.06], 0.2)[-46:]
    'edge detector, which knows no model, has 0.20.'
    """
    if not of_random or not math.isfinite(area):
        return ""
    low, high = (_two(end) for end in (min(of_random), max(of_random)))
    count = len(of_random)
    if area <= max(of_random):
        said = (
            f"No better than a random order here: its area between is {_two(area)}, and of {count} "
            f"random maps {low} to {high}."
        )
    else:
        said = (
            f"Better than each of {count} random maps here: its area between is {_two(area)}, and "
            f"theirs {low} to {high}."
        )
    if of_edges is None or not math.isfinite(of_edges):
        return said
    if of_edges >= area > max(of_random):
        return (
            f"{said} But the edge detector, which knows no model, does as well: {_two(of_edges)}."
        )
    return f"{said} The edge detector, which knows no model, has {_two(of_edges)}."


def trust_over(areas: np.ndarray, of_random: np.ndarray, of_edges: np.ndarray) -> str:
    """Say how far a kind of map can be trusted, over several pictures.

    Better or worse is said where the 95 % interval of the mean difference, picture by picture, has
    no 0 in it.

    Parameters
    ----------
    areas
        Of the maps, ``abpc``, float (image).
    of_random, of_edges
        Those of a random map and of the edge detector on the same images; NaN where not known.

    Examples
    --------
    >>> trust_over(np.array([0.5, 0.7, 0.6]), np.array([0.1, 0.0, -0.1]), np.full(3, np.nan))
    'Over 3 images its area between is 0.60 [0.50, 0.70]: better than a random map, 0.00.'
    """
    mean = interval(areas, 0)
    if mean.count < 2:
        return ""
    said = f"Over {mean.count} images its area between is {_ends(mean)}"
    told = [
        f"{verdict} {name}, {_two(float(np.nanmean(other)))}"
        for name, other in (
            ("a random map", of_random),
            ("the edge detector, which knows no model", of_edges),
        )
        if (verdict := _verdict(areas - other))
    ]
    return f"{said}: {'; '.join(told)}." if told else f"{said}."


def _verdict(differences: np.ndarray) -> str:
    """Say whether a mean difference is above 0, below it, or cannot be told from it."""
    found = interval(differences, 0)
    if found.count < 2:
        return ""
    if found.low > 0:
        return "better than"
    return "worse than" if found.high < 0 else "not to be told from"


def _ends(found: Interval) -> str:
    return f"{_two(found.mean)} [{_two(found.low)}, {_two(found.high)}]"


def _two(number: float) -> str:
    return f"{number + 0.0:.2f}".replace("-", "−")

"""How far a map can be trusted, in a sentence, from its numbers and those of the baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vit_widgets.probes.faithfulness.averages import interval
from vit_widgets.probes.verdict import FEW


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
    others = [] if of_edges is None or not math.isfinite(of_edges) else [of_edges]
    own, low, high, *edges = _alike([area, min(of_random), max(of_random), *others])
    count = len(of_random)
    better = area > max(of_random)
    if better:
        said = (
            f"Better than each of {count} random maps here: its area between is {own}, and theirs "
            f"{low} to {high}."
        )
    else:
        said = (
            f"No better than a random order here: its area between is {own}, and of {count} random "
            f"maps {low} to {high}."
        )
    if not edges:
        return said
    if better and others[0] >= area:
        return f"{said} But the edge detector, which knows no model, does as well: {edges[0]}."
    return f"{said} The edge detector, which knows no model, has {edges[0]}."


def trust_over(areas: np.ndarray, of_random: np.ndarray, of_edges: np.ndarray) -> str:
    """Say how far a kind of map can be trusted, over several pictures.

    Better or worse is said of at least 10 images, where the 95 % interval of the mean difference,
    picture by picture, has no 0 in it.

    Parameters
    ----------
    areas
        Of the maps, ``abpc``, float (image).
    of_random, of_edges
        Those of a random map and of the edge detector on the same images; NaN where not known.

    Examples
    --------
    >>> areas, chance = np.full(10, 0.6), np.array([0.1, -0.1] * 5)
    >>> trust_over(areas, chance, np.full(10, np.nan))
    'Over 10 images its area between is 0.60 [0.60, 0.60]: better than a random map, 0.00.'
    """
    mean = interval(areas, 0)
    if mean.count < 2:
        return ""
    others = {
        "a random map": of_random,
        "the edge detector, which knows no model": of_edges,
    }
    verdicts = {name: _verdict(areas - other) for name, other in others.items()}
    told = [name for name, verdict in verdicts.items() if verdict]
    own, low, high, *numbers = _alike(
        [mean.mean, mean.low, mean.high, *(interval(others[name], 0).mean for name in told)]
    )
    said = f"Over {mean.count} images its area between is {own} [{low}, {high}]"
    compared = "; ".join(
        f"{verdicts[name]} {name}, {number}" for name, number in zip(told, numbers, strict=True)
    )
    if mean.count < FEW:
        return f"{said}; these are too few images to say more."
    return f"{said}: {compared}." if compared else f"{said}."


def _verdict(differences: np.ndarray) -> str:
    """Say whether a mean difference is above 0, below it, or cannot be told from it."""
    found = interval(differences, 0)
    if found.count < FEW or found.side is None:
        return ""
    return {1: "better than", -1: "worse than", 0: "not to be told from"}[found.side]


def _alike(numbers: Sequence[float]) -> list[str]:
    """Write numbers with the same decimals: two, or more where all of them are small."""
    largest = max(abs(one) for one in numbers)
    decimals = max(2, 1 - math.floor(math.log10(largest))) if largest > 0 else 2
    return [f"{round(one, decimals) + 0.0:.{decimals}f}".replace("-", "−") for one in numbers]

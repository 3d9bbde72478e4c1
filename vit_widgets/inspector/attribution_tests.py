"""What was measured of maps, for the page: of one image, or averaged over all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vit_widgets.inspector.attribution_maps import (
    BASIC,
    AttributionMaps,
    Failed,
    MapTask,
    MeasureTask,
)
from vit_widgets.inspector.attribution_trust import trust, trust_over
from vit_widgets.probes import Faithfulness
from vit_widgets.probes.baselines import BASELINES
from vit_widgets.probes.faithfulness.averages import FaithfulnessOver, averaged

CURVES = ("deletion", "insertion")

Tested = Mapping[MapTask, Sequence[MeasureTask]]
"""Maps that stand for one method, and what is measured of each."""


def tests_of_one(maps: AttributionMaps, rows: Mapping[str, Tested]) -> dict[str, Any]:
    """Collect what is measured of the maps of one image.

    Several maps of one row (random ones) are averaged.

    Parameters
    ----------
    maps
        Where it is held.
    rows
        By the name of the method, the baselines last.
    """
    found = {
        name: [_together(maps, measures) for measures in tested.values()]
        for name, tested in rows.items()
    }
    areas = {
        name: [one.scores["abpc"] for one in some if one is not None and "abpc" in one.scores]
        for name, some in found.items()
    }
    of_edges = areas[BASELINES[1]][0] if areas[BASELINES[1]] else None
    over = {name: averaged([one for one in some if one]) for name, some in found.items()}
    ends = {"deletion_ends", "insertion_ends", "ends"}  # of one image there are none
    return {
        **{name: drawn for name, drawn in _drawn(over).items() if name not in ends},
        "words": [
            trust(areas[name][0], areas[BASELINES[0]], of_edges)
            if areas[name] and name not in BASELINES
            else ""
            for name in rows
        ],
        "notes": ["; ".join(_notes(maps, tested)) for tested in rows.values()],
        "pictures": _pictures(maps, rows),
        "images": 1,
    }


def tests_over(maps: AttributionMaps, rows: Mapping[str, Tested]) -> dict[str, Any]:
    """Collect what is measured of maps of several images: means, and their intervals.

    Parameters
    ----------
    maps
        Where it is held.
    rows
        By the name of the method, one map for each image.

    Raises
    ------
    ValueError
        For images whose curves have different steps.
    """
    found: dict[str, list[Faithfulness]] = {}
    areas: dict[str, np.ndarray] = {}
    for name, tested in rows.items():
        each = [_together(maps, measures) for measures in tested.values()]
        found[name] = [one for one in each if one is not None]
        area = [np.nan if one is None else one.scores.get("abpc", np.nan) for one in each]
        areas[name] = np.array(area)
    over = {name: averaged(each) for name, each in found.items()}
    return {
        **_drawn(over),
        "words": [
            "" if name in BASELINES else trust_over(areas[name], *(areas[one] for one in BASELINES))
            for name in rows
        ],
        "notes": ["; ".join(over[name].notes) for name in rows],
        "pictures": _pictures(maps, rows),
        "images": min((len(each) for each in found.values()), default=0),
    }


def _together(maps: AttributionMaps, measures: Sequence[MeasureTask]) -> Faithfulness | None:
    """Join what several measures say of one map; ``None`` before its curves are there."""
    known = [maps.numbers(one) for one in measures]
    found = [one for one in known if isinstance(one, Faithfulness)]
    if not found or "deletion" not in found[0].curves:
        return None
    first, *others = found
    scores = dict(first.scores)
    notes = list(first.notes)
    for one in others:
        scores |= one.scores
        notes += [note for note in one.notes if note not in notes]
    curves = {name: first.curves[name] for name in CURVES}
    return Faithfulness(
        curves, scores, first.target, first.score, tuple(notes), params=first.params
    )


def _drawn(over: Mapping[str, FaithfulnessOver]) -> dict[str, Any]:
    """Lay the mean curves of all rows beside each other, with their ends, and the mean scores."""
    known = [curve for one in over.values() for curve in one.curves.values()]
    fractions = known[0].fractions if known else np.empty(0)
    none = np.full(len(fractions), np.nan)
    drawn: dict[str, Any] = {"names": list(over), "fractions": fractions.tolist()}
    for kind in CURVES:
        curves = [one.curves.get(kind) for one in over.values()]
        drawn[kind] = np.array([none if one is None else one.mean for one in curves])
        ends = [(none, none) if one is None else (one.low, one.high) for one in curves]
        drawn[f"{kind}_ends"] = np.array(ends)
    scores = [one.scores.items() for one in over.values()]
    drawn["scores"] = [{name: score.mean for name, score in each} for each in scores]
    drawn["ends"] = [{name: [score.low, score.high] for name, score in each} for each in scores]
    return drawn


def _notes(maps: AttributionMaps, tested: Tested) -> list[str]:
    """Say why a map is not measured, or what to know of its measures."""
    task, measures = next(iter(tested.items()))
    if isinstance(maps.known(task), Failed):
        return []  # said of the map itself
    found = [maps.numbers(one) for one in measures]
    said = [one.reason for one in found if isinstance(one, Failed)]
    said += [note for one in found if isinstance(one, Faithfulness) for note in one.notes]
    return list(dict.fromkeys(said))


def _pictures(maps: AttributionMaps, rows: Mapping[str, Tested]) -> int:
    """Count the pictures that were scored."""
    return sum(
        one.params["pictures"]
        for tested in rows.values()
        for measures in tested.values()
        for measure in measures
        if isinstance(one := maps.numbers(measure), Faithfulness)
    )


def basic(maps: AttributionMaps, task: MapTask) -> Faithfulness | None:
    """Give the measures whose steps have pictures, where they are kept."""
    found = maps.known(MeasureTask(task, BASIC))
    return found if isinstance(found, Faithfulness) and "deletion" in found.curves else None

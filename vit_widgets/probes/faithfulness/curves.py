"""Deletion, insertion, and the area between the two orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from vit_widgets.probes.faithfulness.plan import Case, Curve, Plan, Reading
from vit_widgets.probes.faithfulness.scoring import Scores, Work
from vit_widgets.probes.faithfulness.states import Blend, State

STEPS = 20
"""Steps of a curve unless asked otherwise: 5 % of the cells each."""


def deletion(case: Case) -> Plan:
    """Replace the most important cells first: the lower the area, the better the map.

    Notes
    -----
    Petsiuk et al. 2018, "RISE".
    """
    units, counts = case.subject.units, case.steps_of_all()
    return _plan("deletion", case, counts, [Blend(~units.first(count)) for count in counts])


def insertion(case: Case) -> Plan:
    """Show the most important cells first, on the baseline: the higher the area, the better.

    Notes
    -----
    Petsiuk et al. 2018, "RISE".
    """
    units, counts = case.subject.units, case.steps_of_all()
    return _plan("insertion", case, counts, [Blend(units.first(count)) for count in counts])


def abpc(case: Case) -> Plan:
    """Replace the most important cells first (MoRF), and the least (LeRF): the area between.

    The higher, the better: a map that says nothing has 0. What a score loses when anything at all
    is replaced is in both curves.

    Notes
    -----
    The area between perturbation curves; MoRF and LeRF are of Samek et al. 2017.
    """
    units, counts = case.subject.units, case.steps_of_all()
    orders = {"morf": units.first, "lerf": units.last}
    return between("abpc", case, counts, orders, lambda replaced: Blend(~replaced))


def between(
    name: str,
    case: Case,
    counts: Sequence[int],
    orders: Mapping[str, Callable[[int], np.ndarray]],
    change: Callable[[np.ndarray], State],
) -> Plan:
    """Plan two curves, and the area between the second and the first.

    Parameters
    ----------
    name
        Of the area.
    case
        The case.
    counts
        How many cells are changed at each step.
    orders
        By the name of the curve, which cells these are, bool (cell).
    change
        Makes a state of them.
    """
    states = [[change(chosen(count)) for count in counts] for chosen in orders.values()]

    def read(scores: Scores, _work: Work) -> Reading:
        size = len(counts)
        curves = {
            curve: _curve(case, counts, own, scores, slice(at * size, (at + 1) * size))
            for at, (curve, own) in enumerate(zip(orders, states, strict=True))
        }
        first, second = curves.values()
        return Reading(curves, {name: second.area - first.area})

    return Plan(read, [*states[0], *states[1]])


def _plan(name: str, case: Case, counts: Sequence[int], states: Sequence[State]) -> Plan:
    def read(scores: Scores, _work: Work) -> Reading:
        curve = _curve(case, counts, states, scores, slice(None))
        return Reading({name: curve}, {name: curve.area})

    return Plan(read, states)


def _curve(
    case: Case, counts: Sequence[int], states: Sequence[State], scores: Scores, which: slice
) -> Curve:
    hits = None if scores.hits is None else scores.hits[which]
    fractions = np.array(counts) / case.subject.units.count
    return Curve(fractions, scores.confidence[which], hits, states)

"""Average drop and increase in confidence: whether what the map keeps is enough."""

from __future__ import annotations

import numpy as np

from vit_widgets.probes.faithfulness.plan import Case, Plan, Reading
from vit_widgets.probes.faithfulness.scoring import Scores, Work
from vit_widgets.probes.faithfulness.states import Blend

RETAINED = (100, 50, 15)
"""Percent of the cells that are kept."""

_ROUNDING = 1e-6  # a probability is not raised by the order in which a batch is summed up


def confidence(case: Case) -> Plan:
    """Multiply the picture by the map, and see what is left of the confidence.

    The map is stretched to 0..1 and laid over the picture as the share that is kept of it, the rest
    being the baseline, and what is not among the highest 100, 50 or 15 % of the cells is not kept
    at all. ``average_drop_50`` is ``100 max(0, p - q) / p`` with p the confidence in the picture
    and q that in what is kept; ``increase_50`` is 100 where q is above p, else 0. Their means over
    images are the metrics' values.

    Notes
    -----
    Chattopadhyay et al. 2018, "Grad-CAM++"; the shares are those of T-TAME (Ntrougkas et al. 2024).
    """
    units = case.subject.units
    shares = _stretched(units.values)
    kept = [
        np.where(units.first(count), shares, 0)
        for count in (max(1, round(percent / 100 * units.count)) for percent in RETAINED)
    ]

    def read(scores: Scores, _work: Work) -> Reading:
        whole, *others = scores.confidence.tolist()
        if not whole > 0:
            note = (
                f"average_drop, increase: the picture scores {whole:.3g}, of which nothing can be "
                "lost in percent"
            )
            return Reading(notes=(note,))
        found = {}
        for percent, left in zip(RETAINED, others, strict=True):
            found[f"average_drop_{percent}"] = 100 * max(0.0, whole - left) / whole
            found[f"increase_{percent}"] = 100.0 * (left > whole * (1 + _ROUNDING))
        return Reading(scores=found)

    states = [Blend(np.ones(units.count, bool)), *map(Blend, kept)]
    return Plan(read, states, params={"retained": RETAINED})


def _stretched(values: np.ndarray) -> np.ndarray:
    """Bring values to 0..1, float32; all 1 where they are the same: nothing is taken away then."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.ones(len(values), np.float32)
    return ((values - low) / (high - low)).astype(np.float32)

"""Whether a map falls on the object, where that is known."""

from __future__ import annotations

import numpy as np

from vit_widgets.probes.faithfulness.plan import Case, Plan, Reading
from vit_widgets.probes.faithfulness.units import Units
from vit_widgets.probes.mask_iou import mask_iou


def localization(case: Case) -> Plan:
    """Compare the map with the mask of the object; no forward is run.

    ``pointing``
        1 where the centre of the most important cell lies on the object, else 0. Chance is the
        share of the picture that the object covers.
    ``iou``
        Intersection over union of the mask with the most important cells, as many as come closest
        to its size. No threshold is to be chosen.
    ``mass``
        The share of all positive attribution that lies on the object.

    Notes
    -----
    The pointing game is of Zhang et al. 2018, "Top-down Neural Attention by Excitation Backprop";
    here without a margin of pixels around the object. The mass is the energy-based pointing game of
    Wang et al. 2020, "Score-CAM".
    """
    mask, units = case.mask, case.subject.units
    if mask is None:
        note = "pointing, iou, mass compare the map with an object: give its mask"
        return Plan(lambda _scores, _work: Reading(notes=(note,)))
    if not mask.any():
        note = "pointing, iou, mass: the mask is empty at the model's input"
        return Plan(lambda _scores, _work: Reading(notes=(note,)))
    scores = {
        "pointing": float(_points(units, mask)),
        "iou": mask_iou(units.spread(_as_large(units, mask), outside=False), mask),
    }
    notes: tuple[str, ...] = ()
    on_object = mass(units, mask)
    if np.isfinite(on_object):
        scores["mass"] = on_object
    else:
        notes = ("mass: no value of the map is above 0",)
    return Plan(lambda _scores, _work: Reading(scores=scores, notes=notes))


def mass(units: Units, mask: np.ndarray) -> float:
    """Give the share of all positive attribution that lies on a mask.

    Parameters
    ----------
    units
        Cells with their values; a value is spread evenly over the cell.
    mask
        bool (row, col) at the input's size.

    Returns
    -------
    float
        0..1; NaN where no value is above 0.
    """
    positive = np.maximum(units.values, 0)
    total = positive.sum()
    return float((positive * units.share(mask)).sum() / total) if total > 0 else float("nan")


def _points(units: Units, mask: np.ndarray) -> bool:
    rows, cols = np.nonzero(units.at == units.order[0])
    if not len(rows):
        return False  # a cell that hangs over the border
    return bool(mask[round(float(rows.mean())), round(float(cols.mean()))])


def _as_large(units: Units, mask: np.ndarray) -> np.ndarray:
    """Name the first cells whose pixels are about as many as those of a mask, bool (cell)."""
    pixels = np.bincount(units.at[units.at >= 0], minlength=units.count)
    covered = np.cumsum(pixels[units.order])
    return units.first(1 + int(np.abs(covered - mask.sum()).argmin()))

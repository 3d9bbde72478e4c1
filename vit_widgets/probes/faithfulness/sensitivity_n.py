"""Whether the sum of the attributions of some cells says how much the score drops without them."""

from __future__ import annotations

import numpy as np

from vit_widgets.probes.faithfulness.plan import Case, Curve, Plan, Reading
from vit_widgets.probes.faithfulness.scoring import Scores, Work
from vit_widgets.probes.faithfulness.states import Blend

SUBSETS = 24
SIZES = 6
_LARGEST = 0.8  # of the cells


def sensitivity_n(case: Case) -> Plan:
    """Correlate, over random subsets of n cells, what the map adds up to with what the score loses.

    :data:`SUBSETS` subsets of each of :data:`SIZES` sizes n, spaced evenly on a logarithmic scale
    from 1 to 80 % of the cells. The score of a class is its logit here: probabilities do not add
    up. A value for a cell of several pixels stands for all of them.

    Notes
    -----
    Ancona et al. 2018, "Towards better understanding of gradient-based attribution methods for
    Deep Neural Networks", section 5: Pearson's correlation, 1 for every n where a model is linear
    and the map is gradient × (input - baseline).
    """
    units = case.subject.units
    largest = max(1, int(_LARGEST * units.count))
    sizes = np.unique(np.geomspace(1, largest, SIZES).round().astype(int))
    rng = np.random.default_rng(case.seed)
    removed = np.zeros((len(sizes), SUBSETS, units.count), bool)
    for at, size in enumerate(sizes):
        for subset in removed[at]:
            subset[rng.choice(units.count, size, replace=False)] = True

    def read(scores: Scores, _work: Work) -> Reading:
        drops = scores.score[0] - scores.score[1:].reshape(len(sizes), SUBSETS)
        # one size at a time: the product would need all subsets as numbers
        sums = np.array([subsets @ units.values for subsets in removed])
        found = np.array([_pearson(*pair) for pair in zip(sums, drops, strict=True)])
        said = np.isfinite(found)
        notes: tuple[str, ...] = ()
        if not said.all():
            left = f"{int((~said).sum())} of {len(sizes)} sizes"
            notes = (f"sensitivity_n: of {left} the sums or the drops do not differ",)
        mean = float(found[said].mean()) if said.any() else float("nan")
        curve = Curve(sizes / units.count, found)
        return Reading({"sensitivity_n": curve}, {"sensitivity_n": mean}, notes)

    whole = Blend(np.ones(units.count, bool))
    states = [whole, *(Blend(~subset) for subsets in removed for subset in subsets)]
    return Plan(read, states, params={"sizes": sizes.tolist(), "subsets": SUBSETS})


def _pearson(some: np.ndarray, others: np.ndarray) -> float:
    """Correlate two rows of numbers; NaN where one of them does not vary."""
    some, others = some - some.mean(), others - others.mean()
    scale = np.sqrt((some**2).sum() * (others**2).sum())
    tiny = 1e-12 * max(1.0, float(np.abs(some).max()), float(np.abs(others).max()))
    if np.abs(some).max() <= tiny or np.abs(others).max() <= tiny:
        return float("nan")
    return float((some * others).sum() / scale)

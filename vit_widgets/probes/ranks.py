"""How well numbers tell two groups apart: the area under the ROC curve, for many at once."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

_AT_ONCE = 64  # rows that are ranked together: ranking takes some twenty times their memory


def auc(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Give the chance that a labelled sample has a greater value than one without the label.

    The area under the ROC curve is the Mann-Whitney statistic over the number of pairs, and that is
    a sum of ranks: each row of `values` is sorted once, whatever the number of labellings.

    Parameters
    ----------
    values
        (neuron, sample) real numbers.
    labels
        (labelling, sample) bool.

    Returns
    -------
    numpy.ndarray
        float64 (labelling, neuron) in 0..1: 0.5 where values say nothing; equal values count half.
        NaN for a labelling that names no sample or every one, and for a row that holds a NaN.

    Notes
    -----
    Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve", Radiology 143(1).

    Examples
    --------
    >>> auc(np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([[False, False, True, True]]))
    array([[0.75]])
    """
    weights = labels.astype(np.float64)
    named = weights.sum(axis=1, keepdims=True)
    pairs = named * (labels.shape[1] - named)
    areas = np.full((len(labels), len(values)), np.nan)
    if not pairs.any():
        return areas
    for start in range(0, len(values), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        ranks = rankdata(values[rows], axis=1)  # equal values share their mean rank
        above = weights @ ranks.T - named * (named + 1) / 2
        np.divide(above, pairs, out=areas[:, rows], where=pairs > 0)
    return areas

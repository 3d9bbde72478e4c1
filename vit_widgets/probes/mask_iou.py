"""How well a mask agrees with what is known."""

from __future__ import annotations

import numpy as np


def mask_iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Divide what two masks share by what either of them covers.

    Parameters
    ----------
    mask, truth
        bool, of one shape.

    Returns
    -------
    float
        In [0, 1]; NaN where both are empty, which says nothing.

    Raises
    ------
    ValueError
        For masks of different shapes, or that are not bool.

    Notes
    -----
    Intersection over union, Jaccard 1912.

    Examples
    --------
    >>> mask_iou(np.array([True, True, False]), np.array([False, True, True]))
    0.3333333333333333
    """
    mask, truth = np.asarray(mask), np.asarray(truth)
    if mask.shape != truth.shape:
        msg = (
            f"masks of shapes {mask.shape} and {truth.shape} cannot be compared; bring both to one"
        )
        raise ValueError(msg)
    for one in (mask, truth):
        if one.dtype != bool:
            msg = f"a mask of {one.dtype} says no yes or no; compare it with a threshold first"
            raise ValueError(msg)
    either = (mask | truth).sum()
    return float((mask & truth).sum() / either) if either else float("nan")

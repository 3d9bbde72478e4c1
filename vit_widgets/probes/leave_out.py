"""Attention as it would be without some patches."""

from __future__ import annotations

import numpy as np


def leave_out(
    weights: np.ndarray, patches: np.ndarray, prefix: float | np.ndarray = 0
) -> np.ndarray:
    """Leave patches out of attention maps, and share their weight among what remains.

    Parameters
    ----------
    weights
        Attention to the patches, (..., row, col), not negative; NaN where a query cannot look.
    patches
        Which of them to leave out, bool (row, col), as :meth:`TokenNorms.outlier_map` gives them.
    prefix
        Weight on the prefix tokens (class, registers), a number or (...); they remain.

    Returns
    -------
    numpy.ndarray
        The same with NaN at what was left out; each map and its prefix keep the sum that they had.
        NaN everywhere for a map that has nothing else.

    Raises
    ------
    ValueError
        If the mask is of another size than the maps.

    Notes
    -----
    A softmax over fewer keys: ``w_i / Σ w`` over those that remain, the same as scores of minus
    infinity.

    Examples
    --------
    >>> leave_out(np.array([[0.5, 0.25], [0.25, 0.0]]), np.array([[1, 0], [0, 0]], bool))
    array([[nan, 0.5],
           [0.5, 0. ]])
    """
    if weights.shape[-2:] != patches.shape:
        msg = (
            f"the mask has {patches.shape[0]} × {patches.shape[1]} patches and the maps have "
            f"{weights.shape[-2]} × {weights.shape[-1]}: take the mask of the same layer"
        )
        raise ValueError(msg)
    whole = np.nansum(weights, axis=(-2, -1)) + prefix
    rest = np.where(patches, np.nan, weights)
    left = np.nansum(rest, axis=(-2, -1)) + prefix
    share = np.divide(whole, left, out=np.full(np.shape(left), np.nan), where=np.asarray(left) > 0)
    shared: np.ndarray = rest * share[..., None, None]
    return shared

"""Which filters say most about an image: one number a filter, to sort by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.local_view import checked_embedding
from vit_widgets.probes.result import Result

Score = Literal["contrast", "strength", "separation"]


@dataclass(frozen=True, repr=False)
class FilterScores(Result):
    """One number a filter: see :func:`filter_scores`.

    Attributes
    ----------
    values
        Not negative, float64 (filter,).
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    axes: tuple[str, ...] = ("filter",)
    method: str = "filter_scores"
    params: dict[str, Any] = field(default_factory=dict)


def filter_scores(
    cache: ActivationCache, image: int = 0, by: Score = "contrast", mask: ArrayLike | None = None
) -> FilterScores:
    """Score every filter of the patch embedding by its global view of one image.

    Parameters
    ----------
    cache
        From :func:`capture`.
    image
        Counted from 0.
    by
        Of the sums that a filter's view has over the patches: ``"contrast"``, their standard
        deviation; ``"strength"``, the mean of their magnitudes; ``"separation"``, how far the
        object is from the rest, ``|mean of the object - mean of the rest| / pooled deviation``.
    mask
        For ``"separation"`` alone: bool, (row, col) of patches, or of the pixels of the model's
        input, where a patch is of the object from one half on.

    Returns
    -------
    FilterScores

    Raises
    ------
    IndexError
        For an image out of range.
    ValueError
        For an unknown score, a mask of the wrong size, one that is of all patches or of none, or a
        mask with a score that takes none; as :func:`filters` does.

    Notes
    -----
    Nguyen et al. 2022 choose filters by eye; these scores are ours. The pooled deviation is the
    root of the mean of both variances, each weighed by its patches. Filters that see nothing of an
    image have 0.

    Examples
    --------
    >>> filter_scores(cache).values.argsort()[::-1][:3]                # doctest: +SKIP
    array([ 41, 187,  12])
    """
    if by not in get_args(Score):
        msg = f"by={by!r} is no score; take one of {', '.join(map(repr, get_args(Score)))}"
        raise ValueError(msg)
    if (mask is not None) != (by == "separation"):
        msg = f"by={by!r} takes {'a' if by == 'separation' else 'no'} mask"
        raise ValueError(msg)
    embedding = checked_embedding(cache, image)
    patches = embedding.patches(cache.images[image]).astype(np.float64)
    filters = embedding.filters.reshape(len(embedding.filters), -1)
    sums = patches.reshape(len(patches), -1) @ filters.T.astype(np.float64)  # (patch, filter)
    params: dict[str, Any] = {"model": cache.model.name, "image": image, "by": by}
    if by == "contrast":
        values = sums.std(axis=0)
    elif by == "strength":
        values = np.abs(sums).mean(axis=0)
    else:
        grid = embedding.grid(*cache.images.shape[-2:])
        inside = _of_patches(np.asarray(mask, bool), (grid.rows, grid.cols), patches.shape[-2:])
        params["patches"] = int(inside.sum())
        values = _separation(sums[inside], sums[~inside])
    return FilterScores(values, params=params)


def _of_patches(mask: np.ndarray, grid: tuple[int, int], cell: tuple[int, ...]) -> np.ndarray:
    """Say which patches a mask is of: bool (patch,)."""
    (rows, cols), (down, across) = grid, cell
    if mask.shape != grid:
        fits = mask.ndim == 2 and (mask.shape[0] // down, mask.shape[1] // across) == grid
        if not fits:
            msg = (
                f"a mask of shape {mask.shape} fits neither the {rows} x {cols} patches nor the "
                f"pixels of the model's input, {rows * down} x {cols * across}"
            )
            raise ValueError(msg)
        cut = mask[: rows * down, : cols * across].reshape(rows, down, cols, across)
        mask = cut.mean(axis=(1, 3)) >= 0.5
    if mask.all() or not mask.any():
        msg = f"the mask is of {'all' if mask.all() else 'no'} patches: there is nothing to compare"
        raise ValueError(msg)
    return mask.reshape(-1)


def _separation(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    spread = (len(inside) * inside.var(axis=0) + len(outside) * outside.var(axis=0)) / (
        len(inside) + len(outside)
    )
    apart = np.abs(inside.mean(axis=0) - outside.mean(axis=0))
    spread = np.sqrt(spread)
    found: np.ndarray = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0)
    return found

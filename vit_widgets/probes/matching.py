"""Which patch of another image is most like each patch of this one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.patch_features import Features, patch_features
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class Matching(Result):
    """What :func:`matching` finds.

    Attributes
    ----------
    values
        Cosine of each patch to the one that is most like it in the other image, in [-1, 1], float64
        (row, col); NaN for a patch whose features are all 0.
    best
        Row and column of that one, int (row, col, 2); -1 where there is none.
    mutual
        Whether this patch is also the one that is most like the other, bool (row, col): such pairs
        are the ones to trust.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    best: np.ndarray
    mutual: np.ndarray
    axes: tuple[str, ...] = ("row", "col")
    method: str = "matching"
    params: dict[str, Any] = field(default_factory=dict)


def matching(
    cache: ActivationCache,
    layer: int,
    image: int = 0,
    onto: ActivationCache | None = None,
    onto_image: int = 1,
    of: Features = "tokens",
) -> Matching:
    """Find for every patch of an image the patch of another image that is most like it.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``; of keys, keep ``"attention"`` too.
    layer
        Counts blocks from 0; -1 is the last.
    image
        Whose patches ask, counted from 0.
    onto, onto_image
        Where they are looked for: another capture of the same model (default: this one), and which
        of its images.
    of
        ``"tokens"`` or ``"keys"``, as in :func:`similarity`.

    Returns
    -------
    Matching

    Raises
    ------
    IndexError
        For a layer or an image out of range, naming the valid ones.
    ValueError
        If there is one image only, no patch of an image has a direction, the places of the patches
        are not known, or the two have other features.

    Notes
    -----
    The largest cosine; of patches that are equally like it, the first in raster order. Pairs that
    choose each other are the "best buddies" of Dekel et al. 2015.

    Examples
    --------
    >>> found = matching(cache, layer=3)                               # doctest: +SKIP
    >>> found.best[5, 4], bool(found.mutual[5, 4])                     # doctest: +SKIP
    (array([6, 7]), True)
    """
    if onto is None and len(cache.images) == 1:
        msg = (
            "there is one image only; capture two, or give the capture of another one as `onto` "
            "with its `onto_image`"
        )
        raise ValueError(msg)
    mine = patch_features(cache, layer, image, of)
    there = patch_features(onto or cache, layer, onto_image, of)
    if mine.patches.shape[1] != there.patches.shape[1]:
        msg = (
            f"patches of {mine.patches.shape[1]} and of {there.patches.shape[1]} features cannot "
            "be compared; take two captures of one model"
        )
        raise ValueError(msg)
    asking, answering = _unit(mine.patches), _unit(there.patches)
    for patches, which in ((asking, image), (answering, onto_image)):
        if not patches.any():
            msg = f"all patches of image {which} are 0: they are like no other"
            raise ValueError(msg)
    with one_thread():
        cosines = np.clip(asking @ answering.T, -1, 1)  # rounding goes a little beyond
    known = np.asarray(asking.any(axis=1))
    cosines[:, ~answering.any(axis=1)] = -np.inf
    best = cosines.argmax(axis=1)
    cosines[~known] = -np.inf
    back = cosines.argmax(axis=0)
    values = np.where(known, cosines[np.arange(len(best)), best], np.nan)
    places = np.stack(np.unravel_index(best, (there.grid.rows, there.grid.cols)), axis=-1)
    return Matching(
        mine.laid_out(values),
        mine.laid_out(np.where(known[:, None], places, -1)),
        mine.laid_out(known & (back[best] == np.arange(len(best)))),
        params={
            "model": cache.model.name, "layer": mine.layer, "image": image,
            "onto": (onto or cache).model.name, "onto_image": onto_image, "of": of,
        },
    )  # fmt: skip


def _unit(patches: np.ndarray) -> np.ndarray:
    """Scale each patch to length 1; one that is 0 stays so."""
    patches = patches.astype(np.float64)
    lengths = np.linalg.norm(patches, axis=1, keepdims=True)
    return np.divide(patches, lengths, out=np.zeros_like(patches), where=lengths > 0)

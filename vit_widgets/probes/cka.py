"""How alike layers are: centred kernel alignment of their patches, also between two models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_features import patches_of


@dataclass(frozen=True)
class CKA:
    """How alike layers are: see :func:`cka`.

    Attributes
    ----------
    values
        Linear CKA, in [0, 1], float64 (layer, other layer); NaN for a layer whose patches are all
        the same.
    samples
        How many patches were compared. The measure is biased upwards: independent features of
        width d reach about d / (samples + d), so that few samples look alike whatever they are.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    samples: int
    axes: tuple[str, ...] = ("layer", "other layer")
    method: str = "cka"
    params: dict[str, Any] = field(default_factory=dict)


def cka(cache: ActivationCache, other: ActivationCache | None = None) -> CKA:
    """Compare all layers with each other by what they make of the same patches.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    other
        Another model's, of the same images; default: the same one.

    Returns
    -------
    CKA

    Raises
    ------
    ValueError
        If layers or models do not have the same patches, with fewer than two patches, or where
        their places are not known.

    Notes
    -----
    Kornblith et al. 2019, eq. 3 with linear kernels: ``tr(K L) / sqrt(tr(K K) tr(L L))`` of the
    centred Gram matrices (patch, patch) of all images, computed as one product of the flattened
    Gram matrices, which costs nothing in the width of the features. It does not change when
    features are rotated, scaled or shifted.

    Examples
    --------
    >>> cka(cache).values.shape                                        # doctest: +SKIP
    (6, 6)
    """
    others = cache if other is None else other
    if len(cache.images) != len(others.images):
        msg = (
            f"{len(cache.images)} and {len(others.images)} images cannot be compared: capture the "
            "same images of both models"
        )
        raise ValueError(msg)
    with threadpool_limits(1, "blas"):
        mine = _grams(cache)
        theirs = mine if other is None else _grams(others)
        if mine.shape[1] != theirs.shape[1]:
            msg = (
                f"the models have {round(mine.shape[1] ** 0.5)} and "
                f"{round(theirs.shape[1] ** 0.5)} patches: they must be the same ones"
            )
            raise ValueError(msg)
        values = np.clip(mine @ theirs.T, 0, 1)  # rounding goes a little beyond
    return CKA(
        values,
        round(mine.shape[1] ** 0.5),
        params={"model": cache.model.name, "other": others.model.name},
    )


def _grams(cache: ActivationCache) -> np.ndarray:
    """Give the centred Gram matrix of each layer, of length 1: float64 (layer, patch * patch)."""
    grams: list[np.ndarray] = []
    for layer in range(len(cache.tokens)):
        found = patches_of(cache, layer)
        patches = found.patches.astype(np.float64)
        if len(patches) < 2:
            msg = f"{len(patches)} patches say nothing of how alike layers are; two are the least"
            raise ValueError(msg)
        if grams and len(patches) ** 2 != grams[0].size:
            msg = (
                f"layer {layer} has {len(patches)} patches and layer 0 has "
                f"{round(grams[0].size ** 0.5)}: layers with other grids cannot be compared"
            )
            raise ValueError(msg)
        patches -= patches.mean(axis=0)
        gram = (patches @ patches.T).ravel()
        # what does not vary beyond rounding is like no other layer
        varies = np.abs(patches).max() > found.rounding
        grams.append(gram / (np.linalg.norm(gram) if varies else np.nan))
    return np.stack(grams)

"""Which patches are alike: the cosine of one token to all patches of an image, or of another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_features import Features, patch_features
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class Similarity(Result):
    """How alike the patches are to one token: see :func:`similarity`.

    Attributes
    ----------
    values
        Cosine of the token to each patch, in [-1, 1], float64 (row, col); NaN for a patch whose
        features are all 0, which has no direction.
    prefix
        The same of each prefix token (class, registers), by its name.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    prefix: Mapping[str, float]
    axes: tuple[str, ...] = ("row", "col")
    method: str = "similarity"
    params: dict[str, Any] = field(default_factory=dict)


def similarity(
    cache: ActivationCache,
    layer: int,
    token: int,
    image: int = 0,
    onto: ActivationCache | None = None,
    onto_image: int | None = None,
    of: Features = "tokens",
) -> Similarity:
    """Compare one token of a layer with every patch, by the cosine of their features.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``; of keys, keep ``"attention"`` too.
    layer
        Counts blocks from 0; -1 is the last.
    token
        Counted from 0, the prefix tokens first, then the patches in raster order, as
        ``cache.token_axes[layer].token(row, col)`` counts them; a model of windows keeps its own
        order in ``cache.tokens``. Keys may lie on a grid of their own, and are then counted on it.
    image
        Image of the token.
    onto, onto_image
        Where the patches are taken from: another capture of the same model, another image. Default:
        the same ones.
    of
        ``"tokens"``, the residual stream after the block, or ``"keys"`` of its attention, all heads
        beside each other.

    Returns
    -------
    Similarity

    Raises
    ------
    IndexError
        For a layer, token or image out of range, naming the valid ones.
    ValueError
        If the token has no direction, the places of the patches are not known, the layers have
        other features, or keys were not kept.

    Notes
    -----
    ``a · b / (|a| |b|)``: no matter how large tokens are.

    Examples
    --------
    >>> similarity(cache, layer=3, token=61).values.shape              # doctest: +SKIP
    (12, 12)
    """
    mine = patch_features(cache, layer, image, of)
    whole = np.concatenate([mine.prefix, mine.patches])
    if not 0 <= token < len(whole):
        msg = (
            f"token {token} of layer {mine.layer} is out of range: there are 0 to {len(whole) - 1}"
        )
        raise IndexError(msg)
    asked = whole[token].astype(np.float64)
    if not asked.any():
        msg = f"token {token} of layer {mine.layer} is 0 everywhere: it is like no other token"
        raise ValueError(msg)
    there = mine
    if onto is not None or onto_image is not None:
        there = patch_features(
            onto or cache, layer, image if onto_image is None else onto_image, of
        )
    if there.patches.shape[1] != len(asked):
        msg = (
            f"tokens of {len(asked)} and of {there.patches.shape[1]} features cannot be compared; "
            "take two captures of one model"
        )
        raise ValueError(msg)
    return Similarity(
        there.laid_out(_cosines(there.patches, asked)),
        dict(zip(there.names, _cosines(there.prefix, asked).tolist(), strict=True)),
        params={
            "model": cache.model.name, "layer": mine.layer, "token": token, "image": image,
            "onto": (onto or cache).model.name,
            "onto_image": image if onto_image is None else onto_image, "of": of,
        },
    )  # fmt: skip


def _cosines(tokens: np.ndarray, asked: np.ndarray) -> np.ndarray:
    tokens = tokens.astype(np.float64)
    lengths = np.linalg.norm(tokens, axis=1) * np.linalg.norm(asked)
    known = np.divide(tokens @ asked, lengths, out=np.full(len(tokens), np.nan), where=lengths > 0)
    found: np.ndarray = np.clip(known, -1, 1)  # rounding goes a little beyond
    return found

"""Where a head looks, as a mask: the fewest patches that hold most of its attention."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class HeadMasks(Result):
    """What :func:`head_masks` finds.

    Attributes
    ----------
    values
        The fewest patches that hold the mass, bool (head, row, col).
    weights
        Attention of the query to each patch, (head, row, col), as the model applied it: float32,
        float64 of a float64 model; NaN where it cannot look.
    on_patches
        How much of the query's attention falls on patches at all, float64 (head).
    query
        Name of the token that asks: ``"class"``, ``"patch (5, 4)"``.
    notes
        What to bear in mind, in sentences.
    axes
        Names of the axes of the maps.
    """

    values: np.ndarray
    weights: np.ndarray
    on_patches: np.ndarray
    query: str
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("head", "row", "col")
    method: str = "head_masks"
    params: dict[str, Any] = field(default_factory=dict)


def head_masks(
    cache: ActivationCache, layer: int = -1, mass: float = 0.6, query: int = 0, image: int = 0
) -> HeadMasks:
    """Find for each head the fewest patches that hold a share of a query's attention on patches.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("attention",))``.
    layer
        Of ``cache.attention``, counted from 0; -1 is the last.
    mass
        Share of the attention that falls on patches, above 0, at most 1.
    query
        Token that asks, on the query axis of that layer: the prefix tokens first, then the patches
        in raster order. 0 is the class token where there is one.
    image
        Counted from 0.

    Returns
    -------
    HeadMasks

    Raises
    ------
    IndexError
        For a layer, query or image out of range, naming the valid ones.
    ValueError
        For a `mass` out of range, a cache without attention, weights of both signs, or tokens
        without known places.

    Notes
    -----
    Caron et al. 2021 (DINO), fig. 1 and appendix: 60 % of the mass, the class token asking. Of
    patches that are alike to the last bit, the earlier one is taken first.

    Examples
    --------
    >>> head_masks(cache).values.shape                                 # doctest: +SKIP
    (6, 12, 12)
    """
    if not 0 < mass <= 1:
        msg = f"mass={mass} is no share; it must lie above 0, and 1 at most"
        raise ValueError(msg)
    record = _record(cache, layer)
    if not 0 <= image < record.images:
        msg = f"image {image} is out of range: there are 0 to {record.images - 1}"
        raise IndexError(msg)
    axis = record.query_axis
    if axis.grid is not None and not 0 <= query < len(axis.prefix) + axis.grid.size:
        last = len(axis.prefix) + axis.grid.size - 1
        msg = f"query {query} of {record.name} is out of range: there are 0 to {last}"
        raise IndexError(msg)
    prefix = len(axis.prefix)
    weights = record.seen_from(axis.prefix[query] if query < prefix else query - prefix, image)
    flat = np.nan_to_num(weights.reshape(len(weights), -1)).astype(np.float64)
    if (flat < 0).any():
        msg = f"{record.name} has weights of both signs, so that a share of them has no meaning"
        raise ValueError(msg)
    on_patches = flat.sum(axis=1)
    values = np.stack([_fewest(head, mass) for head in flat]).reshape(weights.shape)
    blind = np.flatnonzero(on_patches == 0).tolist()
    notes = [f"heads {blind} attend to no patch"] if blind else []
    return HeadMasks(
        values,
        weights,
        on_patches,
        axis.name(query),
        tuple(notes),
        params={
            "model": cache.model.name,
            "layer": record.layer,
            "mass": mass,
            "query": query,
            "image": image,
        },
    )


def _fewest(weights: np.ndarray, mass: float) -> np.ndarray:
    """Choose the fewest patches that hold a share of the weights: bool (patch)."""
    order = np.argsort(-weights, kind="stable")
    held = np.cumsum(weights[order])
    before = np.concatenate([[0.0], held[:-1]])
    chosen = np.zeros(len(weights), dtype=bool)
    # a patch is needed as long as those before it do not hold enough
    chosen[order] = before < mass * held[-1]
    return chosen


def _record(cache: ActivationCache, layer: int) -> AttentionRecord:
    count = len(cache.attention)
    if not count:
        msg = (
            "there is no attention to look at; capture(model, images, keep=('attention',)) keeps "
            "what the model has"
        )
        raise ValueError(msg)
    if not -count <= layer < count:
        msg = f"layer {layer} is out of range: there are 0 to {count - 1}, and -1 for the last"
        raise IndexError(msg)
    return cache.attention[layer]

"""How much each patch of the image has in the view of a token, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.models import TokenAxis
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.result import Result

Heads = int | Literal["mean", "own"]


@dataclass(frozen=True, repr=False)
class ViewWeights(Result):
    """Weights of patches in the views of tokens: see :func:`view_weights`.

    Attributes
    ----------
    values
        ``R``, not negative, (level, token, patch), or of ``heads="own"`` (head, level, token,
        patch). Level 0 is the embedding, level l the output of layer l - 1. Patches in raster
        order. float64 of a float64 model, else float32.
    axis
        The tokens: the prefix first, then the patches.
    notes
        What should be known when it is read, in sentences: before which layer the levels end, where
        later layers attend in another way (class attention, an attention pool).
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    axis: TokenAxis
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("level", "token", "patch")
    method: str = "view_weights"
    params: dict[str, Any] = field(default_factory=dict)


def view_weights(
    cache: ActivationCache, image: int = 0, residual: bool = True, heads: Heads = "mean"
) -> ViewWeights:
    """Follow attention from each token at each level down to the patches.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("attention",))``.
    image
        Counted from 0.
    residual
        Whether a layer hands each token on beside what it attends to, in equal parts.
    heads
        ``"mean"`` of all heads; one head, counted from 0, in every layer; or ``"own"``: every head
        for itself, for the features that it owns (:func:`owning_head`).

    Returns
    -------
    ViewWeights

    Raises
    ------
    IndexError
        For an image or a head out of range, naming the valid ones.
    ValueError
        If the first layer is no self-attention, which these views are about.

    Notes
    -----
    Nguyen et al. 2022, views at higher layers, in closed form: ``V(z_l, i, j)`` on patch p is
    ``R_l[i, p] · V(z_0, p, j)`` with ``R_l = Ã_(l-1) ··· Ã_1 Ã_0[:, 1:]``, and ``Ã = (A + I) / 2``
    with residual, ``A`` without. Prefix tokens have no view at level 0: their rows are 0, and the
    rows of other levels sum to 1 less what comes from them. Values, MLPs and norms are left out: it
    is where attention could carry something from, not what it carries.

    Examples
    --------
    >>> view_weights(cache).values.shape                               # doctest: +SKIP
    (7, 145, 144)
    """
    axis, records, ends = self_layers(cache)
    if not 0 <= image < len(cache.images):
        msg = f"image {image} is out of range: there are 0 to {len(cache.images) - 1}"
        raise IndexError(msg)
    count = min(record.heads for record in records)
    if isinstance(heads, int) and not 0 <= heads < count:
        msg = f"head {heads} is out of range: there are 0 to {count - 1}"
        raise IndexError(msg)
    if not isinstance(heads, int) and heads not in ("mean", "own"):
        msg = f"heads={heads!r} is not known; take 'mean', 'own' or the number of a head"
        raise ValueError(msg)
    if heads == "own":
        if any(record.heads != count for record in records):
            msg = "layers have different numbers of heads: no head is a feature's own in all"
            raise ValueError(msg)
        values = np.stack([_chain(records, axis, image, residual, one) for one in range(count)])
    else:
        values = _chain(records, axis, image, residual, heads)
    return ViewWeights(
        values,
        axis,
        (ends,) if ends else (),
        ("head", "level", "token", "patch")[4 - values.ndim :],
        params={"model": cache.model.name, "image": image, "residual": residual, "heads": heads},
    )


def owning_head(feature: int, features: int, heads: int) -> int:
    """Say which head a feature of the embedding belongs to: ``⌊j H / D⌋``.

    Examples
    --------
    >>> owning_head(95, features=192, heads=6), owning_head(96, features=192, heads=6)
    (2, 3)
    """
    return feature * heads // features


def self_layers(cache: ActivationCache) -> tuple[TokenAxis, tuple[AttentionRecord, ...], str]:
    """Give the tokens, the layers from the first on that attend over them, and why they end.

    Raises
    ------
    ValueError
        If the first layer attends in another way than by a softmax over its own tokens.
    """
    if not cache.attention:
        msg = f"no attention of {cache.model.name} was kept or seen: it has no views of its layers"
        raise ValueError(msg)
    axis = cache.attention[0].query_axis
    for layer, record in enumerate(cache.attention):
        reason = _other(record, axis)
        if not reason:
            continue
        needed = "Views of layers need self-attention over the same tokens, the prefix and patches"
        if layer:
            ends = f"{needed}: they end before layer {layer}, {record.name}, which {reason}"
            return axis, cache.attention[:layer], ends
        msg = f"{needed} in raster order: {record.name} {reason}"
        raise ValueError(msg)
    return axis, cache.attention, ""


def _other(record: AttentionRecord, axis: TokenAxis) -> str:
    """Say what is other about an attention; empty where it is self-attention over these tokens."""
    if record.groups > 1:
        return "attends within windows"
    if record.kind != "self":
        return f"is attention of the kind {record.kind!r}"
    if record.query_axis.grid is None or record.key_axis.grid is None:
        return f"has tokens without known places ({record.reason})"
    if record.query_axis.cells is not None or record.query_axis != record.key_axis:
        return "attends from other tokens than to"
    if record.query_axis != axis:
        return f"has {record.queries} tokens, the first layer {axis.size}"
    if record.mixed or record.signed:
        return "mixes its heads after the softmax, so that weights need not be shares"
    return ""


def _chain(
    records: Sequence[AttentionRecord],
    axis: TokenAxis,
    image: int,
    residual: bool,
    heads: int | str,
) -> np.ndarray:
    """Multiply the attention of these layers up: (level, token, patch)."""
    assert axis.grid is not None
    first = records[0].weights(image, head=0)
    levels = [np.eye(axis.size, dtype=first.dtype)[:, len(axis.prefix) :]]
    with one_thread():
        for record in records:
            chosen = [heads] if isinstance(heads, int) else range(record.heads)
            weights = sum(record.weights(image, head=one) for one in chosen) / len(chosen)
            below = levels[-1]
            # (A + I) / its row sums, which are 2
            levels.append((weights @ below + below) / 2 if residual else weights @ below)
    return np.stack(levels)

"""What the class token and the registers attend to, and who attends to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class RegisterAttention(Result):
    """Attention between prefix tokens and patches: see :func:`register_attention`.

    Attributes
    ----------
    values
        Weight that each prefix token gives each patch, float32 (prefix, head, row, col); NaN where
        it cannot look.
    received
        Weight that each patch gives each prefix token, float32 (prefix, head, row, col).
    names
        Of the prefix tokens: ``"class"``, ``"register 0"``.
    to_patches
        Share of its attention that each prefix token gives to patches, float64 (prefix, head); the
        rest goes to prefix tokens.
    from_patches
        Share of its attention that a patch gives to each prefix token, the mean over the patches,
        float64 (prefix, head).
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    received: np.ndarray
    names: tuple[str, ...]
    to_patches: np.ndarray
    from_patches: np.ndarray
    axes: tuple[str, ...] = ("prefix", "head", "row", "col")
    method: str = "register_attention"
    params: dict[str, Any] = field(default_factory=dict)


def register_attention(cache: ActivationCache, layer: int, image: int = 0) -> RegisterAttention:
    """Lay out what the prefix tokens of a layer attend to, and which patches attend to them.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("attention",))``.
    layer
        Counts attention records from 0; -1 is the last.
    image
        Counted from 0.

    Returns
    -------
    RegisterAttention

    Raises
    ------
    IndexError
        For a layer or an image out of range, naming the valid ones.
    ValueError
        If the cache kept no attention, the places of the patches are not known, or the layer has no
        prefix tokens that ask and are asked.

    Notes
    -----
    Darcet et al. 2024, fig. 9, draw these maps: registers of a trained model attend to different
    parts of an image.

    Examples
    --------
    >>> register_attention(cache, layer=-1).values.shape               # doctest: +SKIP
    (1, 6, 12, 12)
    """
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
    record = cache.attention[layer]
    if not 0 <= image < record.images:
        msg = f"image {image} is out of range: there are 0 to {record.images - 1}"
        raise IndexError(msg)
    names = tuple(name for name in record.query_axis.prefix if name in record.key_axis.prefix)
    if not names:
        msg = f"{record.name} has no class or register token that attends and is attended to"
        raise ValueError(msg)
    given = np.stack([record.seen_from(name, image) for name in names])
    taken = np.stack([record.seen_by(name, image) for name in names])
    return RegisterAttention(
        given,
        taken,
        names,
        np.asarray(np.nansum(given, axis=(-2, -1), dtype=np.float64)),
        np.asarray(np.nanmean(taken, axis=(-2, -1), dtype=np.float64)),
        params={"model": cache.model.name, "layer": record.layer, "image": image},
    )

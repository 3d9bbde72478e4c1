"""Attention multiplied through the layers: how much of each patch could have reached the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.models import Grid
from vit_widgets.probes.attribution.token_layers import TokenLayers, token_layers
from vit_widgets.probes.maps import PatchMap, remarks
from vit_widgets.probes.result import Result

Fusion = Literal["mean", "max", "min"]
_FUSED: dict[str, Any] = {"mean": np.mean, "max": np.max, "min": np.min}


@dataclass(frozen=True, repr=False)
class PartialRollouts(Result):
    """Rollout as far as each layer: see :func:`partial_rollouts`.

    Attributes
    ----------
    values
        float32 (layer, row, col).
    layers
        The attention layer, of those of the cache, at which each ends.
    grid
        Where the patches lie.
    size
        Height and width of the picture in pixels.
    notes
        What to know before it is believed.
    """

    values: np.ndarray
    layers: tuple[int, ...]
    grid: Grid
    size: tuple[int, int]
    axes: tuple[str, ...] = ("layer", "row", "col")
    method: str = "partial_rollouts"
    params: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def rollout(
    cache: ActivationCache,
    image: int = 0,
    fusion: Fusion = "mean",
    discard: float = 0.0,
    start: int = 0,
) -> PatchMap:
    """Multiply attention through the layers, from the token that is read down to the patches.

    It knows no class: where information could have come from, not what it was used for.

    Parameters
    ----------
    cache
        From ``capture(model, images)``.
    image
        Counted from 0.
    fusion
        How heads are joined: ``"mean"``, ``"max"`` or ``"min"``.
    discard
        Share of the weights of each layer, the weakest, that is set to 0, from 0 up to but not 1.
    start
        The attention layer at which it begins, counted from 0 as in ``cache.attention``.

    Returns
    -------
    PatchMap
        Shares of the token that is read, or the mean of several; with those of the prefix tokens
        they sum to 1.

    Raises
    ------
    IndexError
        For an image or a layer out of range.
    ValueError
        If no attention goes from token to token, or its weights may be negative; for a fusion or
        a share that is none.

    Notes
    -----
    Abnar & Zuidema 2020, sec. 3: with ``Ã = (A + I) / 2`` of each layer, the rows of
    ``Ã_L … Ã_1``. Rows are made to sum to 1 again after `discard` and fusion. Which tokens are
    read the model is asked (the class token, or all patches where they are averaged).

    Examples
    --------
    >>> rollout(capture("demo", image)).values.shape                   # doctest: +SKIP
    (12, 12)
    """
    found = token_layers(cache)
    row = found.read
    for _, mixed in mixings(found, cache, image, fusion, discard, start):
        row = row @ mixed
    values = found.laid_out(row)
    assert found.axis.grid is not None
    return PatchMap(
        values,
        found.axis.grid,
        found.size,
        method="rollout",
        params=_params(cache, image, fusion, discard, start),
        notes=(*found.notes, *remarks(values)),
    )


def partial_rollouts(
    cache: ActivationCache,
    image: int = 0,
    fusion: Fusion = "mean",
    discard: float = 0.0,
    start: int = 0,
) -> PartialRollouts:
    """Roll attention out as far as each layer: what its token has gathered by then.

    Parameters
    ----------
    cache, image, fusion, discard, start
        As of :func:`rollout`, which is the last of them.

    Returns
    -------
    PartialRollouts

    Raises
    ------
    IndexError, ValueError
        As of :func:`rollout`.

    Examples
    --------
    >>> partial_rollouts(capture("demo", image)).values.shape          # doctest: +SKIP
    (6, 12, 12)
    """
    found = token_layers(cache)
    rows = np.empty((0, found.axis.size))
    layers: list[int] = []
    for record, mixed in mixings(found, cache, image, fusion, discard, start):
        rows = np.concatenate([found.read[None], rows]) @ mixed
        layers.insert(0, record.layer)
    values = found.laid_out(rows)
    assert found.axis.grid is not None
    return PartialRollouts(
        values,
        tuple(layers),
        found.axis.grid,
        found.size,
        params=_params(cache, image, fusion, discard, start),
        notes=found.notes,
    )


def rollout_matrix(
    cache: ActivationCache,
    image: int = 0,
    fusion: Fusion = "mean",
    discard: float = 0.0,
    start: int = 0,
) -> np.ndarray:
    """Roll attention out for every token: (token, token), rows sum to 1.

    Parameters
    ----------
    cache, image, fusion, discard, start
        As of :func:`rollout`, whose map is the row of the token that is read.
    """
    found = token_layers(cache)
    whole = np.eye(found.axis.size)
    for _, mixed in mixings(found, cache, image, fusion, discard, start):
        whole = whole @ mixed
    return whole


def mixings(
    found: TokenLayers,
    cache: ActivationCache,
    image: int,
    fusion: Fusion,
    discard: float,
    start: int,
) -> Iterator[tuple[AttentionRecord, np.ndarray]]:
    """Give ``Ã = (A + I) / 2`` of each layer, the last layer first.

    Parameters
    ----------
    found
        From :func:`token_layers`.
    cache, image, fusion, discard, start
        As of :func:`rollout`.
    """
    if fusion not in get_args(Fusion):
        msg = f"fusion={fusion!r} is not known; it is one of {', '.join(get_args(Fusion))}"
        raise ValueError(msg)
    if not 0 <= discard < 1:
        msg = f"discard={discard} is no share of the weights; it is at least 0 and less than 1"
        raise ValueError(msg)
    count = len(cache.attention)
    last = found.records[-1].layer
    if not 0 <= start <= last:
        msg = (
            f"start={start} is out of range: of {count} attention layers the last that is followed "
            f"is {last}"
        )
        raise IndexError(msg)
    for record in reversed(found.records):
        if record.layer >= start:
            yield record, _mixing(found, record, image, fusion, discard)


def _mixing(
    found: TokenLayers, record: AttentionRecord, image: int, fusion: Fusion, discard: float
) -> np.ndarray:
    if record.signed:
        msg = (
            f"the weights of {record.name} may be negative, so they are no shares to roll out; "
            "relevance and grad_cam can be asked"
        )
        raise ValueError(msg)

    def fused(one: AttentionRecord, group: int) -> np.ndarray:
        return _FUSED[fusion](one.weights(image=image, group=group), axis=0)

    mixed = found.matrix(record, fused)  # made for us: it may be written to
    if discard:
        count = int(discard * mixed.size + 1e-9)
        mixed.flat[np.argsort(mixed, axis=None, kind="stable")[:count]] = 0
    mixed.flat[:: len(mixed) + 1] += 1
    mixed /= mixed.sum(axis=1, keepdims=True)
    return mixed


def _params(
    cache: ActivationCache, image: int, fusion: Fusion, discard: float, start: int
) -> dict[str, Any]:
    return {
        "model": cache.model.name,
        "image": image,
        "fusion": fusion,
        "discard": discard,
        "start": start,
    }

"""From attention records to what the page draws: rows for all layers, numbers for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.widgets.maps import Direction, Layer, image_layer, matrix_layer


def layer_maps(
    record: AttentionRecord, queries: Sequence[int], direction: Direction, *, exact: bool = False
) -> Layer:
    """Pack one layer: rows (or columns) on the image, or a matrix with the reason.

    Parameters
    ----------
    record
        Attention of one image.
    queries
        Token indices to pack rows for; one that the layer does not have is left empty.
    direction
        ``"attends to"`` packs rows, ``"attended by"`` columns.
    exact
        float32 instead of bytes.
    """
    note = "heads are mixed after the softmax: rows need not sum to 1" if record.mixed else ""
    grid = record.key_axis.grid
    if grid is None:
        reason = record.reason
        if record.groups > 1:
            reason += "; the first is shown"
        layer = matrix_layer(record.weights(), reason, kind_of_record=record.kind, exact=exact)
        return {**layer, "note": " · ".join(filter(None, (layer["note"], note)))}
    values = np.stack([_row(record, query, direction) for query in queries])
    return image_layer(
        values,
        (grid.rows, grid.cols),
        record.key_axis.prefix,
        queries=queries,
        cell=grid.cell,
        exact=exact,
        note=note,
    )


def _row(record: AttentionRecord, token: int, direction: Direction) -> np.ndarray:
    if token >= record.queries:  # this layer has fewer tokens: nothing can be said
        return np.full((record.heads, record.keys), np.nan, dtype=np.float32)
    if direction == "attends to":
        return record.weights(query=token)
    return record.weights(key=token)


def all_layers(
    cache: ActivationCache,
    queries: Sequence[int],
    direction: Direction,
    *,
    first: int,
    held: dict[int, Layer],
    on_layer: Callable[[list[Layer | None]], None],
) -> None:
    """Pack every layer, the one in view first, and report after each.

    Parameters
    ----------
    cache
        Of one image.
    first
        The layer in view; the others follow by their distance from it.
    held
        Matrices of this image that were packed before; they depend on no query.
    on_layer
        Called after each layer with all that is there so far; it may raise to stop.
    """
    count = len(cache.attention)
    layers: list[Layer | None] = [None] * count
    for index in sorted(range(count), key=lambda other: abs(other - first)):
        layer = held.get(index) or layer_maps(cache.attention[index], queries, direction)
        if layer["kind"] == "matrix":
            held[index] = layer
        layers[index] = layer
        on_layer(layers)

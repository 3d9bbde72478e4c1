"""From attention records to what the page draws: rows for all layers, numbers for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.widgets.maps import Direction, Layer, image_layer, matrix_layer

SENT_AHEAD = 300_000
"""Bytes of rows that may be sent with the row that was asked for."""


def neighbours(cache: ActivationCache, token: int, others: int) -> list[int]:
    """Choose patches around a patch whose rows go along with its own.

    The pointer goes there next, and finds them in the page. It is quicker for the first one, too: a
    message of less than 64 kB waits 40 ms for the acknowledgement of the one before.

    Parameters
    ----------
    cache
        Of one image.
    token
        The token that was asked for.
    others
        Rows that are sent anyway.

    Returns
    -------
    list of int
        At most eight tokens, the four beside it first; as many as stay within `SENT_AHEAD` bytes.
    """
    axis = cache.placement.axis
    if axis is None or axis.grid is None or token < len(axis.prefix):
        return []
    row, col = divmod(token - len(axis.prefix), axis.grid.cols)
    around = [
        axis.token(row + down, col + right)
        for down, right in _AROUND
        if 0 <= row + down < axis.grid.rows and 0 <= col + right < axis.grid.cols
    ]
    bytes_each = sum(record.heads * record.keys for record in cache.attention)
    return around[: max(0, SENT_AHEAD // bytes_each - 1 - others)]


_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


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

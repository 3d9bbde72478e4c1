"""From attention records to what the page draws: rows for all layers, numbers for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.inspector.places import Position, box, described, position
from vit_widgets.models import TokenAxis
from vit_widgets.widgets.maps import (
    Axis,
    Direction,
    Layer,
    image_layer,
    matrix_layer,
)

SENT_AHEAD = 300_000
"""Bytes of rows that may be sent with the row that was asked for."""


def neighbours(cache: ActivationCache, token: int, others: int, layer: int) -> list[int]:
    """Choose patches around a patch whose rows go along with its own.

    The pointer goes there next, and finds them in the page. It is quicker for the first one, too: a
    message of less than 64 kB waits 40 ms for the acknowledgement of the one before.

    Parameters
    ----------
    cache
        Of one image.
    token
        The token that was asked for, on the reference axis.
    others
        Rows that are sent anyway.
    layer
        The layer in view: its patches are the ones that the pointer steps over.

    Returns
    -------
    list of int
        At most eight tokens, the four beside it first; as many as stay within `SENT_AHEAD` bytes.
    """
    axis = cache.placement.axis
    if axis is None or axis.grid is None or token < len(axis.prefix):
        return []
    grid = cache.attention[min(layer, len(cache.attention) - 1)].query_axis.grid or axis.grid
    here = grid.at(*axis.grid.center(*divmod(token - len(axis.prefix), axis.grid.cols)))
    if here is None:
        return []
    around = []
    for down, right in _AROUND:
        row, col = here[0] + down, here[1] + right
        if 0 <= row < grid.rows and 0 <= col < grid.cols:
            place = axis.grid.at(*grid.center(row, col))
            around += [axis.token(*place)] if place else []
    bytes_each = sum(record.heads * _cells(record) for record in cache.attention)
    return around[: max(0, SENT_AHEAD // bytes_each - 1 - others)]


_AROUND = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


def _cells(record: AttentionRecord) -> int:
    grid = record.key_axis.grid
    return record.keys if grid is None else grid.size


def reference_axis(cache: ActivationCache) -> Axis | None:
    """Describe for the page what `query` counts on; ``None`` where no layer has places."""
    return described(cache.placement.axis, _size(cache))


def _size(cache: ActivationCache) -> tuple[int, int]:
    return int(cache.images.shape[-2]), int(cache.images.shape[-1])


def layer_maps(
    cache: ActivationCache,
    layer: int,
    queries: Sequence[int],
    direction: Direction,
    *,
    exact: bool = False,
) -> Layer:
    """Pack one layer: rows (or columns) on the image, or a matrix with the reason.

    Parameters
    ----------
    cache
        Of one image.
    layer
        Which of its attention records.
    queries
        Tokens of the reference axis to pack rows for; one that the layer does not have is left
        empty.
    direction
        ``"attends to"`` packs rows, ``"attended by"`` columns.
    exact
        float32 instead of bytes.
    """
    record = cache.attention[layer]
    notes = [_NOTES.get(record.kind, "")]
    if record.mixed:
        notes.append("Heads are mixed or weights scaled after the softmax: rows need not sum to 1")
    if record.key_axis.grid is None:
        return _matrix(record, notes, exact=exact)
    if record.query_axis.grid is None:
        values, only = _only(record)
        asked, seen = None, record.key_axis
        places = np.full((len(queries), 2), np.nan)
        values = np.repeat(values[None], len(queries), axis=0)
    else:
        asked, seen = record.query_axis, record.key_axis
        if direction == "attended by":
            asked, seen = seen, asked
        only = ""
        reference = cache.placement.axis
        assert reference is not None
        found = [position(token, reference, asked) for token in queries]
        values = np.stack([_row(record, at, direction, seen) for at in found])
        places = np.stack([_place(at, asked, seen) for at in found])
        if record.groups > 1 and asked.prefix:
            name = asked.prefix[0]
            notes.append(f"The {name} token stands in every group: its maps lie side by side")
    assert seen.grid is not None
    if seen.grid.frames > 1:
        frames, across = seen.grid.frames, seen.grid.across
        notes.append(f"Frames stand beside each other: {frames} frames of {across} columns")
        places = np.full_like(places, np.nan)  # there are no pixels between one frame and another
    return image_layer(
        values,
        (seen.grid.rows, seen.grid.cols),
        seen.prefix,
        places=places,
        cell=seen.grid.cell,
        box=box(seen.grid, _size(cache)),
        asked=None if asked is None or asked == seen else described(asked, _size(cache)),
        only=only,
        record=record.kind,
        signed=record.signed,
        exact=exact,
        note=" · ".join(filter(None, notes)),
    )


_NOTES = {
    "factorised": "A softmax over the patches for each feature; their mean is drawn",
    "linear": "No softmax: the share of each patch in the sum, from the features of q and k",
    "additive": "One score for each patch, the same for every query",
    "outlook": "The kernels that write to this patch, added up",
    "difference": "The difference of two softmaxes that is applied",
}

_AXES = {"channel": ("channels", "channels"), "factorised": ("features", "keys")}


def _matrix(record: AttentionRecord, notes: list[str], *, exact: bool) -> Layer:
    reason = record.reason
    if record.groups > 1:
        reason += "; the first is shown"
    layer = matrix_layer(
        record.weights(),
        reason,
        kind_of_record=record.kind,
        axes=_AXES.get(record.kind, ("queries", "keys")),
        signed=record.signed,
        exact=exact,
    )
    return {**layer, "note": " · ".join(filter(None, (layer["note"], *notes)))}


def _only(record: AttentionRecord) -> tuple[np.ndarray, str]:
    """Give the map of a layer in which no patch asks, (head, prefix and cell), and who does."""
    names = record.query_axis.prefix
    if record.key_axis.cells is not None:  # each group scores its own patches
        groups = [record.to_image(record.weights(group=g), g) for g in range(record.groups)]
        known = np.stack(groups).mean(axis=2).reshape(record.groups, record.heads, -1)
        laid = np.full(known.shape[1:], np.nan, dtype=known.dtype)
        for one in known:
            laid = np.where(np.isnan(one), laid, one)
        beside = [record.weights(group=g).mean(axis=1) for g in range(record.groups)]
        prefix = np.mean(beside, axis=0)[:, : len(record.key_axis.prefix)]
        return np.concatenate([prefix, laid], axis=1), names[0]
    weights = record.weights()
    if record.kind == "factorised" or record.queries > 1:
        noun = "features" if record.kind == "factorised" else "queries"
        return weights.mean(axis=1), f"mean of {record.queries} {noun}"
    who = names[0] if record.kind == "additive" else f"{names[0]} token"
    return weights[:, 0], who


def _row(
    record: AttentionRecord, place: Position, direction: Direction, seen: TokenAxis
) -> np.ndarray:
    """Give the row (or column) of one position: (head, prefix and cell), NaN where unseen."""
    prefix, cell = place
    rows = direction == "attends to"
    axis = record.query_axis if rows else record.key_axis
    assert seen.grid is not None
    token = cell if prefix is None else axis.prefix[prefix]
    held = [] if token is None else axis.find(token)
    if token is None or not held:
        size = len(seen.prefix) + seen.grid.size
        return np.full((record.heads, size), np.nan, dtype=np.float32)
    if axis.cells is None and seen.cells is None:
        [(_, index)] = held
        row = record.weights(query=index) if rows else record.weights(key=index)
        if record.kind == "outlook":  # a stamp: no kernel reaches further
            row = np.where((row == 0).all(axis=0), np.nan, row)
        return row
    laid = (record.seen_from(token) if rows else record.seen_by(token)).reshape(record.heads, -1)
    if not seen.prefix:
        return laid
    beside = [
        record.weights(query=at, group=group) if rows else record.weights(key=at, group=group)
        for group, at in held
    ]
    return np.concatenate([np.mean(beside, axis=0)[:, : len(seen.prefix)], laid], axis=1)


def _place(place: Position, asked: TokenAxis, seen: TokenAxis) -> np.ndarray:
    """Row and column of a position in units of the cells of the map; NaN for none."""
    assert asked.grid is not None
    assert seen.grid is not None
    if place[1] is None:
        return np.full(2, np.nan)
    center = asked.grid.center(*divmod(place[1], asked.grid.cols))
    return (np.array(center) - seen.grid.origin) / seen.grid.cell - 0.5


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
        layer = held.get(index) or layer_maps(cache, index, queries, direction)
        if layer["kind"] == "matrix":
            held[index] = layer
        layers[index] = layer
        on_layer(layers)

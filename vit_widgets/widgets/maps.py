"""Maps of attention as one packet: some queries, every layer, in the form that the page draws.

A packet is one dict trait, set at once, that says what it shows::

    {image_index, direction, queries, layers: [layer or None, ...]}

so that a page can tell an answer from a stale one without counting requests. ``None`` for
`image_index`, `direction` or `queries` means *whichever*: maps that a user passes in as plain
arrays belong to no query. A layer is either placed on the image (:func:`image_layer`) or shown as
a matrix with the reason why it is not (:func:`matrix_layer`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from vit_widgets.widgets.wire import pack, pack_maps

Direction = Literal["attends to", "attended by"]
Packet: TypeAlias = dict[str, Any]
Layer: TypeAlias = dict[str, Any]

LARGEST_MATRIX = 256
"""Rows or columns of a matrix view; larger ones are shown by the maximum of each block."""


def packet(
    layers: Sequence[Layer | None],
    *,
    queries: Sequence[int] | None = None,
    image_index: int | None = None,
    direction: Direction | None = None,
) -> Packet:
    """Put layers together with what they show."""
    return {
        "image_index": image_index,
        "direction": direction,
        "queries": None if queries is None else [int(query) for query in queries],
        "layers": list(layers),
    }


def image_layer(
    values: np.ndarray,
    grid: tuple[int, int],
    prefix: Sequence[str] = (),
    *,
    queries: Sequence[int] | None = None,
    cell: tuple[float, float] = (1.0, 1.0),
    exact: bool = False,
    note: str = "",
) -> Layer:
    """Pack maps that have a place on the image.

    Parameters
    ----------
    values
        float (query, head, token), prefix tokens first, then patches in raster order. NaN where a
        token cannot be seen.
    grid
        Rows and columns of patches.
    prefix
        Names of the prefix tokens.
    queries
        Token index of each query, for distances; ``None`` if the maps belong to no query.
    cell
        Height and width of a patch in pixels.
    exact
        Send float32 values instead of bytes.
    note
        One sentence for the reader.

    Raises
    ------
    ValueError
        If the number of tokens is not that of prefix and grid.

    Examples
    --------
    >>> layer = image_layer(np.full((1, 2, 5), 0.2), (2, 2), ["class"], queries=[0])
    >>> layer["cells"]["shape"]
    [1, 2, 4]
    """
    values = np.asarray(values, dtype=np.float32)
    rows, cols = grid
    if values.ndim != 3 or values.shape[2] != len(prefix) + rows * cols:
        msg = (
            f"maps of shape {values.shape} do not fit {len(prefix)} prefix tokens and "
            f"{rows} × {cols} patches: expected (query, head, {len(prefix) + rows * cols})"
        )
        raise ValueError(msg)
    cells = values[..., len(prefix) :]
    statistics = row_statistics(values, grid, len(prefix), queries, cell)
    return {
        "kind": "image",
        "grid": [rows, cols],
        "prefix": list(prefix),
        "cells": pack(cells) if exact else pack_maps(cells),
        "prefix_values": pack(values[..., : len(prefix)]),
        **{name: pack(value) for name, value in statistics.items()},
        "note": note,
    }


def row_statistics(
    values: np.ndarray,
    grid: tuple[int, int],
    prefix: int,
    queries: Sequence[int] | None,
    cell: tuple[float, float],
) -> dict[str, np.ndarray]:
    """Entropy, distance and maximum of maps (query, head, token).

    Returns
    -------
    dict
        ``entropy`` in nats, of the whole map normalised to sum 1 (which a row of softmax already
        does, and a column does not); ``distance`` in pixels, the mean distance from the query patch
        to the patches, weighted by the map over patches alone, NaN for a query without a place;
        ``maximum`` over patches. All float32 (query, head).
    """
    known = np.nan_to_num(np.asarray(values, dtype=np.float64))
    total = known.sum(axis=-1, keepdims=True)
    share = known / np.where(total > 0, total, 1)
    entropy = -(share * np.log(np.where(share > 0, share, 1))).sum(axis=-1)
    cells = known[..., prefix:]
    distance = np.full(known.shape[:2], np.nan)
    row, col = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    for index, query in enumerate(queries or ()):
        if query < prefix:
            continue
        own_row, own_col = divmod(query - prefix, grid[1])
        away = np.hypot((row - own_row) * cell[0], (col - own_col) * cell[1])
        weight = cells[index].sum(axis=-1)
        distance[index] = (cells[index] @ away) / np.where(weight > 0, weight, np.nan)
    maximum = cells.max(axis=-1, initial=0)
    return {
        name: value.astype(np.float32)
        for name, value in (("entropy", entropy), ("distance", distance), ("maximum", maximum))
    }


def matrix_layer(
    values: np.ndarray, reason: str, *, kind_of_record: str = "self", exact: bool = False
) -> Layer:
    """Pack matrices that have no place on the image: float (head, query, key).

    Examples
    --------
    >>> layer = matrix_layer(np.eye(3)[None], "windows are not placed on the image yet")
    >>> layer["shape"], layer["note"]
    ([3, 3], '')
    """
    values = np.asarray(values, dtype=np.float32)
    full = values.shape[1:]
    shown = _block_maximum(values)
    note = ""
    if shown.shape != values.shape:
        note = (
            f"{full[0]} × {full[1]} values, shown by the maximum of each of "
            f"{shown.shape[1]} × {shown.shape[2]} blocks"
        )
    flat = shown.reshape(len(shown), -1)
    share = np.where(values > 0, values, 1)
    entropy = -(values * np.log(share)).sum(axis=-1).mean(axis=-1)
    return {
        "kind": "matrix",
        "shape": list(shown.shape[1:]),
        "cells": pack(flat) if exact else pack_maps(flat),
        "maximum": pack(flat.max(axis=-1, initial=0)),
        "entropy": pack(entropy.astype(np.float32)),
        "reason": reason,
        "kind_of_record": kind_of_record,
        "note": note,
    }


def _block_maximum(values: np.ndarray) -> np.ndarray:
    for axis in (1, 2):
        size = values.shape[axis]
        if size > LARGEST_MATRIX:
            edges = np.linspace(0, size, LARGEST_MATRIX + 1).astype(int)[:-1]
            values = np.maximum.reduceat(values, edges, axis=axis)
    return values


def attention_packet(
    attention: Sequence[np.ndarray],
    grid: tuple[int, int],
    prefix: Sequence[str],
    direction: Direction,
    image_index: int | None = None,
) -> Packet:
    """Pack whole attention matrices, every query of every layer: nothing is left to ask for.

    Parameters
    ----------
    attention
        For each layer float (head, query, key), as many queries as keys.
    grid, prefix
        The tokens: names of the prefix tokens, then ``grid[0] * grid[1]`` patches.
    direction
        Rows (``"attends to"``) or columns (``"attended by"``).
    """
    # (head, query, key): a row answers for its query, a column for the key that is looked at.
    axes = (1, 0, 2) if direction == "attends to" else (2, 0, 1)
    tokens = len(attention[0][0])
    layers = [
        image_layer(np.transpose(one, axes), grid, prefix, queries=range(tokens))
        for one in attention
    ]
    return packet(layers, queries=range(tokens), image_index=image_index, direction=direction)


def packet_of_maps(maps: np.ndarray | Sequence[np.ndarray]) -> Packet:
    """Pack plain maps that belong to no query.

    Parameters
    ----------
    maps
        float (row, col), (head, row, col), (layer, head, row, col), or a list with one
        (head, row, col) for each layer. Not negative; NaN where there is no value.

    Examples
    --------
    >>> packet = packet_of_maps(np.random.default_rng(0).random((4, 8, 14)))
    >>> packet["layers"][0]["grid"]
    [8, 14]
    """
    if isinstance(maps, np.ndarray):
        if not 2 <= maps.ndim <= 4:
            msg = (
                f"maps of shape {maps.shape} cannot be shown; accepted are (row, col), "
                "(head, row, col) and (layer, head, row, col)"
            )
            raise ValueError(msg)
        maps = list(maps) if maps.ndim == 4 else [maps.reshape((1,) * (3 - maps.ndim) + maps.shape)]
    layers = []
    for one in maps:
        values = np.asarray(one, dtype=np.float32)
        if values.ndim != 3:
            msg = f"each layer must be (head, row, col), one is {values.shape}"
            raise ValueError(msg)
        layers.append(image_layer(values.reshape(1, len(values), -1), values.shape[1:]))
    return packet(layers)

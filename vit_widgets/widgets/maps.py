"""Maps of attention as one packet: some queries, every layer, in the form that the page draws.

A packet is one dict trait, set at once, that says what it shows::

    {image_index, direction, queries, layers: [layer or None, ...]}

so that a page can tell an answer from a stale one without counting requests. ``None`` for
`image_index`, `direction` or `queries` means *whichever*: maps that a user passes in as plain
arrays belong to no query. A layer is either placed on the image (:func:`image_layer`) or shown as
a matrix with the reason why it is not (:func:`matrix_layer`).

Layers may differ in their grids. Then `reference` is the axis that queries count on, and a layer
answers for that of its own patches which contains the centre of the reference patch
(:func:`place_of`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from vit_widgets.export import WHOLE, Box
from vit_widgets.widgets.wire import Packed, pack, pack_maps, pack_signed_maps

Direction = Literal["attends to", "attended by"]
Packet: TypeAlias = dict[str, Any]
Layer: TypeAlias = dict[str, Any]
Axis: TypeAlias = dict[str, Any]

LARGEST_MATRIX = 256
"""Rows or columns of a matrix view; larger ones are shown by the maximum of each block."""


def packet(
    layers: Sequence[Layer | None],
    *,
    queries: Sequence[int] | None = None,
    image_index: int | None = None,
    direction: Direction | None = None,
    reference: Axis | None = None,
) -> Packet:
    """Put layers together with what they show.

    Parameters
    ----------
    layers
        In execution order; ``None`` where one is not there yet.
    queries
        Token index of each row, on the reference axis; ``None`` if the maps belong to no query.
    image_index, direction
        What the rows answer for.
    reference
        The axis (:func:`token_axis`) that `queries` count on; ``None``: each layer's own.
    """
    return {
        "image_index": image_index,
        "direction": direction,
        "queries": None if queries is None else [int(query) for query in queries],
        "reference": reference,
        "layers": list(layers),
    }


def token_axis(grid: tuple[int, int], prefix: Sequence[str] = (), box: Box = WHOLE) -> Axis:
    """Describe an axis of tokens: prefix tokens first, then patches in raster order.

    Parameters
    ----------
    grid
        Rows and columns of patches.
    prefix
        Names of the prefix tokens.
    box
        Top, left, bottom and right of the grid, in fractions of the picture's height and width;
        beyond 1 where the last patches hang over the border.

    Examples
    --------
    >>> token_axis((7, 7), ["class"])["box"]
    [0.0, 0.0, 1.0, 1.0]
    """
    rows, cols = grid
    return {
        "grid": [int(rows), int(cols)],
        "prefix": list(prefix),
        "box": [float(side) for side in box],
    }


_TIE = 1e-9  # a centre on the line between two patches belongs to the later one, on any machine


def place_of(token: int, reference: Axis, axis: Axis) -> tuple[int, int] | None:
    """Find the patch of one axis that contains the centre of a patch of another.

    Parameters
    ----------
    token
        Index on `reference`.
    reference, axis
        Two axes over one picture.

    Returns
    -------
    tuple of int, or None
        (row, col) on `axis`; ``None`` for a prefix token, and where `axis` has no patch.

    Examples
    --------
    >>> place_of(1 + 13 * 14 + 5, token_axis((14, 14), ["class"]), token_axis((7, 7)))
    (6, 2)
    """
    rows, cols = reference["grid"]
    patch = token - len(reference["prefix"])
    if not 0 <= patch < rows * cols:
        return None
    place = []
    for at, size, low in zip(divmod(patch, cols), (rows, cols), (0, 1), strict=True):
        start, end = reference["box"][low], reference["box"][low + 2]
        centre = start + (at + 0.5) / size * (end - start)
        start, end = axis["box"][low], axis["box"][low + 2]
        cell = math.floor((centre - start) / (end - start) * axis["grid"][low] + _TIE)
        if not 0 <= cell < axis["grid"][low]:
            return None
        place.append(cell)
    return place[0], place[1]


def box_of(place: tuple[int, int], axis: Axis) -> Box:
    """Give a patch (row, col) of an axis in fractions of the picture: top, left, bottom, right.

    Examples
    --------
    >>> box_of((0, 1), token_axis((2, 2)))
    (0.0, 0.5, 0.5, 1.0)
    """
    top, left, bottom, right = axis["box"]
    height, width = (bottom - top) / axis["grid"][0], (right - left) / axis["grid"][1]
    row, col = place
    return (
        top + row * height,
        left + col * width,
        top + (row + 1) * height,
        left + (col + 1) * width,
    )


def image_layer(
    values: np.ndarray,
    grid: tuple[int, int],
    prefix: Sequence[str] = (),
    *,
    queries: Sequence[int] | None = None,
    places: np.ndarray | None = None,
    cell: tuple[float, float] = (1.0, 1.0),
    box: Box = WHOLE,
    asked: Axis | None = None,
    only: str = "",
    record: str = "self",
    signed: bool = False,
    exact: bool = False,
    note: str = "",
) -> Layer:
    """Pack maps that have a place on the image.

    Parameters
    ----------
    values
        float (query, head, token), prefix tokens first, then patches in raster order. NaN where a
        token cannot be seen from the query: outside its window. A query that this layer does not
        have is NaN throughout.
    grid
        Rows and columns of patches.
    prefix
        Names of the prefix tokens.
    queries
        Token index of each query on this grid, for distances; ``None`` if the maps belong to no
        query.
    places
        Instead of `queries`, where they are no tokens of this grid: float (query, 2), the row and
        column of each query's centre in units of cells, (3, 5) being the centre of cell (3, 5);
        NaN for a query without a place.
    cell
        Height and width of a patch in pixels.
    box
        What of the picture the grid covers, see :func:`token_axis`.
    asked
        The axis (:func:`token_axis`) of what asks, where it is not that of the map: full-size
        queries over pooled keys, or the other way round.
    only
        Name of the single thing that asks, e.g. ``"class token"``: the map is then the same for
        every query.
    record
        Kind of the record, for the reader.
    signed
        Whether values have both signs (differences, linear forms); zero is then in the middle of
        the colours.
    exact
        Send float32 values instead of bytes.
    note
        One sentence for the reader.

    Raises
    ------
    ValueError
        If the number of tokens is not that of prefix and grid, `places` are not one a query, or a
        value is negative without `signed`.

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
    if places is None:
        places = _places(len(values), queries, grid, len(prefix))
    statistics = row_statistics(values, grid, len(prefix), places, cell)
    return {
        "kind": "image",
        **token_axis(grid, prefix, box),
        "asked": asked,
        "only": only,
        "record": record,
        "signed": signed,
        "cells": _packed(cells, signed=signed, exact=exact),
        "prefix_values": pack(values[..., : len(prefix)]),
        **{name: pack(value) for name, value in statistics.items()},
        "note": note,
    }


def _packed(values: np.ndarray, *, signed: bool, exact: bool) -> Packed:
    if exact:
        return pack(values)
    return pack_signed_maps(values) if signed else pack_maps(values)


def _places(
    count: int, queries: Sequence[int] | None, grid: tuple[int, int], prefix: int
) -> np.ndarray:
    """Rows and columns of queries that are tokens of the grid itself: float (query, 2)."""
    places = np.full((count, 2), np.nan)
    for index, query in enumerate(queries or ()):
        if query >= prefix:
            places[index] = divmod(query - prefix, grid[1])
    return places


def row_statistics(
    values: np.ndarray,
    grid: tuple[int, int],
    prefix: int,
    places: np.ndarray,
    cell: tuple[float, float],
) -> dict[str, np.ndarray]:
    """Entropy, distance and maximum of the magnitudes of maps (query, head, token).

    Parameters
    ----------
    values
        float (query, head, token), NaN where nothing can be seen.
    grid, prefix
        Rows and columns of patches, and the number of tokens before them.
    places
        float (query, 2): row and column of each query, NaN for one without a place.
    cell
        Height and width of a patch in pixels.

    Returns
    -------
    dict
        ``entropy`` in nats, of the whole map normalised to sum 1 (which a row of softmax already
        does, and a column does not); ``distance`` in pixels, the mean distance from the query to
        the patches, weighted by the map over patches alone, NaN for a query without a place;
        ``maximum`` over patches. All float32 (query, head), and NaN for a map without any value.
    """
    values = np.asarray(values, dtype=np.float64)
    if np.shape(places) != (len(values), 2):
        msg = f"places of shape {np.shape(places)} are not one a query: expected ({len(values)}, 2)"
        raise ValueError(msg)
    nothing = np.isnan(values).all(axis=-1)
    known = np.abs(np.nan_to_num(values))
    cells = known[..., prefix:]
    row, col = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    distance = np.empty(known.shape[:2])
    for index, (own_row, own_col) in enumerate(places):
        away = np.hypot((row - own_row) * cell[0], (col - own_col) * cell[1])
        weight = cells[index].sum(axis=-1)
        distance[index] = (cells[index] @ away) / np.where(weight > 0, weight, np.nan)
    maximum = cells.max(axis=-1, initial=0)
    numbers = {"entropy": _entropy(known), "distance": distance, "maximum": maximum}
    return {
        name: np.where(nothing, np.nan, value).astype(np.float32) for name, value in numbers.items()
    }


def _entropy(known: np.ndarray) -> np.ndarray:
    """Entropy in nats over the last axis, normalised to sum 1."""
    total = known.sum(axis=-1, keepdims=True)
    share = known / np.where(total > 0, total, 1)
    return -(share * np.log(np.where(share > 0, share, 1))).sum(axis=-1)


def matrix_layer(
    values: np.ndarray,
    reason: str,
    *,
    kind_of_record: str = "self",
    axes: tuple[str, str] = ("queries", "keys"),
    signed: bool = False,
    exact: bool = False,
) -> Layer:
    """Pack matrices that have no place on the image: float (head, query, key).

    Parameters
    ----------
    values
        float (head, query, key).
    reason
        Why they have no place, for the reader.
    kind_of_record
        Kind of the record, for the reader.
    axes
        What rows and columns are, in the plural: ``("channels", "channels")``.
    signed
        Whether values have both signs.
    exact
        Send float32 values instead of bytes.

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
    entropy = _entropy(np.abs(values, dtype=np.float64)).mean(axis=-1)
    return {
        "kind": "matrix",
        "shape": list(shown.shape[1:]),
        "axes": list(axes),
        "signed": signed,
        "cells": _packed(flat, signed=signed, exact=exact),
        "maximum": pack(np.abs(flat).max(axis=-1, initial=0)),
        "entropy": pack(entropy.astype(np.float32)),
        "reason": reason,
        "kind_of_record": kind_of_record,
        "note": note,
    }


def _block_maximum(values: np.ndarray) -> np.ndarray:
    """Keep of each block the value that is largest in magnitude."""
    for axis in (1, 2):
        size = values.shape[axis]
        if size > LARGEST_MATRIX:
            edges = np.linspace(0, size, LARGEST_MATRIX + 1).astype(int)[:-1]
            most = np.maximum.reduceat(values, edges, axis=axis)
            least = np.minimum.reduceat(values, edges, axis=axis)
            values = np.where(-least > most, least, most)
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

"""Attention that no model made: plausible to the eye, and known exactly."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vit_widgets.widgets.maps import (
    Axis,
    Direction,
    Layer,
    Packet,
    image_layer,
    matrix_layer,
    packet,
    place_of,
    token_axis,
)
from vit_widgets.widgets.wire import pack

Grid = tuple[int, int]


def pattern(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Draw an image (height, width, 3) with a different colour in every patch of 16 pixels."""
    colours = np.random.default_rng(seed).integers(40, 220, (rows, cols, 3), dtype=np.uint8)
    return colours.repeat(16, axis=0).repeat(16, axis=1)


def attention(
    image: np.ndarray, grid: Grid, prefix: int, layers: int, heads: int, seed: int = 0
) -> list[np.ndarray]:
    """Make softmax attention, per layer (head, query, key): of what is near or alike."""
    rng = np.random.default_rng(seed)
    rows, cols = grid
    height, width = image.shape[0] // rows, image.shape[1] // cols
    patches = image[: rows * height, : cols * width].reshape(rows, height, cols, width, 3)
    colour = patches.mean(axis=(1, 3)).reshape(-1, 3) / 255
    texture = patches.std(axis=(1, 3)).reshape(-1, 3).mean(axis=1) / 255
    place = np.stack(np.divmod(np.arange(rows * cols), cols), axis=1)
    step = place[None] - place[:, None]
    alike = -np.square(colour[None] - colour[:, None]).sum(axis=-1)
    result = []
    for layer in range(layers):
        depth = layer / max(1, layers - 1)
        logits = np.zeros((heads, prefix + rows * cols, prefix + rows * cols))
        for head in range(heads):
            shift = rng.normal(0, 1.5, 2) * (rng.random() < 0.4)
            spread = np.exp(rng.normal(0.4 + 1.2 * depth, 0.6, 2))
            near = -np.square((step - shift) / spread).sum(axis=-1) / 2
            content = rng.uniform(0, 60) * depth * alike + rng.uniform(-2, 8) * depth * texture
            inner = near * (1 - 0.85 * depth * rng.random()) + content
            inner += rng.normal(0, 0.35, inner.shape)
            sinks = rng.random(rows * cols) < 0.01
            inner[:, sinks] += 3 * depth
            logits[head, prefix:, prefix:] = inner
            logits[head, :prefix, prefix:] = (content.mean(axis=0) + 4 * texture)[None]
            logits[head, :, :prefix] = rng.normal(-1 + 2 * depth, 1.0, (1, prefix))
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        result.append((weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32))
    return result


def maps(
    attentions: list[np.ndarray | None],
    grid: Grid,
    prefix: list[str],
    queries: list[int],
    *,
    direction: Direction = "attends to",
    image_index: int = 0,
    exact: bool = False,
    patch: float = 16,
) -> Packet:
    """Pack rows (or columns) for some queries."""
    layers = [
        None
        if one is None
        else image_layer(
            (one if direction == "attends to" else one.transpose(0, 2, 1)).transpose(1, 0, 2)[
                queries
            ],
            grid,
            prefix,
            queries=queries,
            cell=(patch, patch),
            exact=exact,
        )
        for one in attentions
    ]
    return packet(layers, queries=queries, image_index=image_index, direction=direction)


def matrices(attentions: list[np.ndarray], reason: str, kind: str = "cross") -> Packet:
    """Pack records without a place on the image."""
    layers = [matrix_layer(one, reason, kind_of_record=kind) for one in attentions]
    return packet(layers, queries=[0], image_index=0, direction="attends to")


FINE = token_axis((56, 56), ["class"])
"""What the selection counts on in :func:`every_kind`."""

KINDS = ("window", "dilated", "coarse", "pooled", "class", "signed", "part", "channel")
"""Layers of :func:`every_kind`, in order."""


def every_kind(queries: list[int], heads: int = 4) -> Packet:
    """Pack one layer of each kind that models have, as a hierarchical model mixes them.

    Windows of 7 x 7 on 56 x 56; a dilated window on 28 x 28; a grid of 14 x 14; queries on 56 x 56
    over keys on 7 x 7; a class token that alone asks; values of both signs; a grid that covers a
    part of the picture and leaves the class token out; channels.
    """
    rng = np.random.default_rng(0)
    coarse = token_axis((14, 14), ["class"])
    part = token_axis((6, 9), box=(0.1, 0.05, 0.7, 0.95))

    def window(place: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return (cells // 7 == place // 7).all(axis=-1)

    def dilated(place: np.ndarray, cells: np.ndarray) -> np.ndarray:
        return (cells % 4 == place % 4).all(axis=-1)

    signed = _near(queries, heads, coarse, rng) - _near(queries, heads, coarse, rng, 2.0)
    channels = rng.dirichlet(np.full(24, 0.3), (heads, 24)).astype(np.float32)
    layers = [
        _placed(_near(queries, heads, token_axis((56, 56)), rng, seen=window), (56, 56), queries),
        _placed(_near(queries, heads, token_axis((28, 28)), rng, seen=dilated), (28, 28), queries),
        _placed(_near(queries, heads, coarse, rng), (14, 14), queries, ["class"]),
        _placed(_near(queries, heads, token_axis((7, 7)), rng), (7, 7), queries, asked=FINE),
        _placed(
            _near([1 + 20 * 56 + 30] * len(queries), heads, coarse, rng, 3.0), (14, 14), queries,
            ["class"], only="class token", record="class",
        ),
        _placed(signed, (14, 14), queries, ["class"], signed=True, record="difference"),
        _placed(_near(queries, heads, part, rng), (6, 9), queries, box=tuple(part["box"])),
        matrix_layer(
            channels, "It mixes channels, not places.", kind_of_record="channel",
            axes=("channels", "channels"),
        ),
    ]  # fmt: skip
    return packet(layers, queries=queries, image_index=0, direction="attends to", reference=FINE)


def _near(
    queries: list[int],
    heads: int,
    axis: Axis,
    rng: np.random.Generator,
    width: float = 1.5,
    seen: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Make rows (query, head, token) of what is near; NaN where nothing is seen."""
    (rows, cols), prefix = axis["grid"], len(axis["prefix"])
    cells = np.stack(np.divmod(np.arange(rows * cols), cols), axis=1)
    values = np.full((len(queries), heads, prefix + rows * cols), np.nan, np.float32)
    for index, query in enumerate(queries):
        place = place_of(query, FINE, axis)
        if place is None and not prefix:
            continue  # a token that this layer does not have
        centre = np.array(place or (rows / 2, cols / 2))
        for head in range(heads):
            shift = rng.normal(0, width, 2)
            away = np.square((cells - centre - shift) / (width * (1 + head))).sum(axis=-1)
            row = np.exp(-away / 2) + 0.02 * rng.random(len(cells))
            if seen is not None:
                row[~seen(centre, cells)] = np.nan
            values[index, head, :prefix] = 0.1
            values[index, head, prefix:] = 0.9 * row / np.nansum(row)
    return values


def _placed(
    values: np.ndarray, grid: Grid, queries: list[int], prefix: Sequence[str] = (), **more: Any
) -> Layer:
    asked = more.get("asked") or token_axis(grid, prefix, more.get("box", (0, 0, 1, 1)))
    own = [place_of(query, FINE, asked) or (np.nan, np.nan) for query in queries]
    scale = np.array(grid) / asked["grid"]
    places = (np.array(own) + 0.5) * scale - 0.5
    return image_layer(values, grid, prefix, places=places, **more)


def state(
    image: np.ndarray,
    grid: Grid,
    prefix: list[str],
    shape: tuple[int, int],
    query: int,
    *,
    queries: list[int] | None = None,
    **more: object,
) -> dict[str, object]:
    """Build the traits of an Inspector for (layer, head); a component takes those that it knows."""
    layers, heads = shape
    made = attention(image, grid, len(prefix), layers, heads)
    tokens = list(range(len(made[0][0])))
    entropy = [float(-(one * np.log(one + 1e-12)).sum(axis=-1).mean()) for one in made]
    return {
        "protocol": 2,
        "status": {"state": "ready", "text": "", "detail": "", "progress": None},
        "theme": "auto",
        "layer": 0,
        "head": 0,
        "heads": [],
        "query": query,
        "image_index": 0,
        "neuron": 0,
        "target": 0,
        "direction": "attends to",
        "layer_labels": [f"blocks.{i}.attn" for i in range(layers)],
        "layer_values": pack(np.array(entropy, np.float32)),
        "layer_caption": "mean entropy, nats",
        "playing": False,
        "maps": maps(made, grid, prefix, queries or tokens, patch=image.shape[0] / grid[0]),
        "exact": {},
        "image": pack(image, curve="raw"),
        "image_name": "",
        "pins": [],
        "opacity": 0.75,
        "drawing": "smooth",
        "contour": 0.0,
        "colormap": "magma",
        "sort": "head",
        "scale": "per map",
        "span": "this layer",
        "title": "vit_demo",
        "subtitle": f"{layers} layers · {heads} heads · {grid[0]} × {grid[1]} patches"
        " · class token · fused attention, exact",
        "thumbnails": {},
        "image_names": [],
        "predictions": [],
        "predictions_note": "",
        "tab": "attention",
        "code": "import vit_widgets as vw\nvw.inspect(vw.load('demo'), images)",
        **more,
    }

"""What is known of where queries and keys lie, and what kind of attention that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vit_widgets.activations.intercept import AttentionEvent
from vit_widgets.models.geometry import MAX_PREFIX, Grid, TokenAxis

Geometry = Literal["rule", "traced", "adapter", "given", "unknown"]
Kind = Literal[
    "self",
    "class",
    "pool",
    "cross",
    "channel",
    "factorised",
    "linear",
    "additive",
    "outlook",
    "difference",
]


@dataclass(frozen=True)
class Layout:
    """Where the queries and keys of one attention lie.

    Attributes
    ----------
    query_axis, key_axis
        What the positions are.
    members
        Which of the leading indices of q belong together, int (group, head).
    images_last
        Whether the leading indices run over the images last, and not first.
    kind, geometry, reason
        As in :class:`AttentionRecord`.
    """

    query_axis: TokenAxis
    key_axis: TokenAxis
    members: np.ndarray
    kind: Kind
    geometry: Geometry
    reason: str = ""
    images_last: bool = False


@dataclass(frozen=True)
class Placement:
    """The layouts of all attentions of a model at one input size.

    Attributes
    ----------
    axis
        What `query` counts on: the prefix tokens, then the patches of the finest grid; ``None``
        where no layer has a place on the image.
    layouts
        One for each attention, in execution order; ``None`` for what turned out to be none within
        an image.
    reason
        Why there is no axis.
    """

    axis: TokenAxis | None
    layouts: tuple[Layout | None, ...] = ()
    reason: str = ""

    def fits(self, events: Sequence[AttentionEvent], images: int) -> bool:
        """Whether another forward attended in the same way: as often, over as many tokens."""
        if len(events) != len(self.layouts):
            return False
        return all(
            layout is None
            or (
                (size := sizes_of(event, images)) is not None
                and size.queries == layout.query_axis.size
                and size.keys == layout.key_axis.size
                and size.leading == layout.members.size
            )
            for event, layout in zip(events, self.layouts, strict=True)
        )


@dataclass(frozen=True)
class Size:
    """Sizes of one attention: leading indices (heads and groups), queries, keys."""

    leading: int
    heads: int
    groups: int
    queries: int
    keys: int


def sizes_of(event: AttentionEvent, images: int) -> Size | None:
    """Read the sizes of an attention; ``None`` if it is none within an image."""
    if event.outlook is not None:
        assert event.weights is not None
        heads, tokens = int(event.weights.shape[1]), event.outlook.size
        return Size(heads, heads, 1, tokens, tokens)
    if event.queries is not None and event.keys is not None:
        shape, keys = tuple(event.queries.shape), int(event.keys.shape[-2])
    else:
        assert event.weights is not None
        shape, keys = tuple(event.weights.shape), int(event.weights.shape[-1])
    found = heads_and_groups(shape, images)
    if found is None:
        return None
    heads, groups = found
    return Size(heads * groups, heads, groups, int(shape[-2]), keys)


def heads_and_groups(shape: tuple[int, ...], images: int) -> tuple[int, int] | None:
    """Read (heads, groups) off the shape of q, (..., query, feature), or of weights.

    ``None`` when the leading axes are no multiple of the number of images: then this is no
    attention within an image (a product across the batch, for instance).

    Examples
    --------
    >>> heads_and_groups((2, 12, 197, 64), images=2)
    (12, 1)
    >>> heads_and_groups((128, 3, 49, 32), images=2)
    (3, 64)
    """
    leading = shape[:-2]
    if not leading or leading[0] % images:
        return None
    if len(leading) == 1:
        return (leading[0] // images, 1)
    heads = leading[-1]
    return (heads, int(np.prod(leading[:-1])) // images)


def kind_of(event: AttentionEvent, query: TokenAxis, key: TokenAxis) -> Kind:
    """Say what kind of attention it is, by its form and by who has a place."""
    if event.form != "softmax":
        return event.form
    if query.grid is not None:
        return "self"
    if "Cross" in event.of:
        return "cross"
    return "class" if key.prefix else "pool"


def placeless(count: int, prefix: tuple[str, ...]) -> TokenAxis:
    """Describe tokens that lie nowhere: prefix tokens, or queries that were learned."""
    names = prefix[:count]
    if len(names) < count:
        names = tuple(f"latent {index}" for index in range(count))
    return TokenAxis(count, names)


def axis_of_cells(size: int, grid: Grid, cells: np.ndarray, prefix: tuple[str, ...]) -> TokenAxis:
    """Describe positions; plain raster order after a prefix needs no table of cells.

    What begins every group and lies nowhere is a prefix where the rest are all patches, each once.
    """
    extra = size - grid.size // len(cells)
    if 0 <= extra <= MAX_PREFIX and (cells[:, :extra] == -1).all():
        patches = cells[:, extra:].reshape(-1)
        names = prefix if len(prefix) == extra else tuple(f"prefix {i}" for i in range(extra))
        if np.array_equal(patches, np.arange(grid.size)) and len(cells) == 1:
            return TokenAxis(size, names, grid)
        if np.array_equal(np.sort(patches), np.arange(grid.size)):
            return TokenAxis(size, names, grid, cells)
    return TokenAxis(size, (), grid, cells)

"""Which token is which patch, asked of the model itself.

A sequence of 197 tokens *looks like* a class token and 14 x 14 patches in raster order, and 64
groups of 49 tokens look like windows. Whether they are, and which, the model says: trial images are
run with everything that mixes tokens cut (:mod:`trial`), so that each token depends on the pixels
of its own place alone.

- *rule*: a plain layout that fits the count is believed when switching a random half of the
  patches moves exactly the tokens that the layout names.
- *traced*: otherwise each token spells the address of its patch (:mod:`mixtures`), whatever
  windows, shifts, strides or pools it went through.
- *unknown*: where neither holds, or where the model chooses tokens by their content. Nothing is
  drawn on the image then.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import nn

from vit_widgets.activations.given import asked
from vit_widgets.activations.intercept import AttentionEvent
from vit_widgets.activations.mixtures import (
    Places,
    address_bits,
    answers_as,
    grid_of,
    halves,
    mixture,
    read_places,
    textures,
)
from vit_widgets.activations.outputs import outputs_of
from vit_widgets.activations.trial import Site, Trial
from vit_widgets.models import VisionModel, anatomy
from vit_widgets.models.geometry import MAX_PREFIX, Grid, TokenAxis, candidate_axes

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

FINEST = 4
"""Side in pixels of the finest patches that are told apart where no convolution says more."""

_MOST_PIXELS = 16 * 256 * 256
"""Pixels of trial images that are run together."""

_ACROSS = "images attend to each other"
"""Then it is no attention within an image, and makes no record."""

_ANSWERING_IN_PLACE = {"WindowAttentionGlobal"}
"""Classes whose queries come from the whole image; row i is written to the place of key i."""

_CHOSEN = "the model chooses, merges or shuffles tokens by their content before this layer"


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
class _Size:
    """Sizes of one attention: leading indices (heads and groups), queries, keys."""

    leading: int
    heads: int
    groups: int
    queries: int
    keys: int


def place(
    model: VisionModel,
    shape: tuple[int, ...],
    events: Sequence[AttentionEvent],
    stems: Sequence[Grid],
    images: int,
) -> Placement:
    """Find and confirm where a model's tokens lie on an input of (channels, height, width).

    Of a video, (frame, channels, height, width), they lie on its frames beside each other.

    Costs three forwards for a plain model, and twenty for one with windows, pools or frames, once
    for each model and size; no attention is computed in them.

    Parameters
    ----------
    model
        The model.
    shape
        Of one input.
    events
        What a real forward left.
    stems
        Grids that convolutions cut the image into.
    images
        How many images that forward had.

    Examples
    --------
    >>> cache.placement.axis                                           # doctest: +SKIP
    TokenAxis(size=145, prefix=('class',), grid=Grid(rows=12, cols=12, cell=(12, 12)))
    """
    sizes = [sizes_of(event, images) for event in events]
    prefix = anatomy.prefix_tokens(model.module)
    layouts: list[Layout | None] = [None] * len(events)
    broken = {index for index, event in enumerate(events) if not _finite(event)}
    asked = [
        index
        for index, (event, size) in enumerate(zip(events, sizes, strict=True))
        if size is not None and not event.chosen and index not in broken
    ]
    if len(shape) == 3:  # the tokens of a video go frame by frame, and no row of the strip does
        _by_rule(model, shape, events, sizes, asked, stems, prefix, layouts)
    left = [index for index in asked if layouts[index] is None]
    reasons: dict[int, str] = {}
    if left:
        reasons = _by_trace(model, shape, events, sizes, left, stems, prefix, layouts)
    for index, event in enumerate(events):
        size = sizes[index]
        if reasons.get(index) == _ACROSS:
            continue
        if layouts[index] is None and size is not None:
            layouts[index] = _said(size, shape, model.grid)
        if layouts[index] is None and size is not None:
            reason = _CHOSEN if event.chosen else reasons.get(index, "")
            if index in broken:
                reason = "the model computes NaN or infinity"
            layouts[index] = _unknown(event, size, reason)
    if shape[-3] >= 6 and shape[-3] % 2 == 0:
        _by_halves(model, shape, events, layouts)
    known = [layout for layout in layouts if layout is not None]
    axis = _reference(known)
    reason = "" if axis else next((one.reason for one in known if one.reason), "")
    return Placement(axis, tuple(one and _on_strip(one, axis) for one in layouts), reason)


def _finite(event: AttentionEvent) -> bool:
    kept = (event.queries, event.keys, event.weights)
    return all(bool(tensor.isfinite().all()) for tensor in kept if tensor is not None)


def sizes_of(event: AttentionEvent, images: int) -> _Size | None:
    """Read the sizes of an attention; ``None`` if it is none within an image."""
    if event.outlook is not None:
        assert event.weights is not None
        heads, tokens = int(event.weights.shape[1]), event.outlook.size
        return _Size(heads, heads, 1, tokens, tokens)
    if event.queries is not None and event.keys is not None:
        shape, keys = tuple(event.queries.shape), int(event.keys.shape[-2])
    else:
        assert event.weights is not None
        shape, keys = tuple(event.weights.shape), int(event.weights.shape[-1])
    found = heads_and_groups(shape, images)
    if found is None:
        return None
    heads, groups = found
    return _Size(heads * groups, heads, groups, int(shape[-2]), keys)


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


def _unknown(event: AttentionEvent, size: _Size, reason: str) -> Layout:
    members = np.arange(size.leading).reshape(size.groups, size.heads)
    kind: Kind = "self" if size.queries == size.keys else "cross"
    if event.form != "softmax":
        kind = event.form
    if size.groups > 1:
        where = f"attention works in {size.groups} groups of {size.queries} × {size.keys} tokens"
    else:
        where = f"the places of its {size.queries} queries and {size.keys} keys were not found"
    why = f"{where}: {reason}" if reason else where
    return Layout(TokenAxis(size.queries), TokenAxis(size.keys), members, kind, "unknown", why)


def _by_halves(
    model: VisionModel,
    shape: tuple[int, ...],
    events: Sequence[AttentionEvent],
    layouts: list[Layout | None],
) -> None:
    """Find attention from one image to another, where two share the channels of the input."""
    both = textures(shape)
    half = shape[-3] // 2
    first, second = both[0].clone(), both[0].clone()
    first[..., :half, :, :] = both[1, ..., :half, :, :]
    second[..., half:, :, :] = both[1, ..., half:, :, :]
    trial = _run(model, torch.stack([both[0], first, second]), events, attention_only=True)
    for index, (event, layout) in enumerate(zip(events, layouts, strict=True)):
        if layout is None or layout.kind != "self":
            continue
        answers = [
            [not _nowhere(seen[[0, image]]) for image in (1, 2)]
            for side in ("queries", "keys")
            for site in _sites(event, side, last=layout.images_last)[:1]
            if (seen := trial.sites.get(site)) is not None and seen.size
        ]
        if len(answers) == 2 and sorted(answers) == [[False, True], [True, False]]:
            layouts[index] = replace(layout, kind="cross")


def _said(size: _Size, shape: tuple[int, ...], grid: tuple[int, int] | None) -> Layout | None:
    """Lay tokens out as the user says (``load(grid=)``), where the counts agree with that."""
    if grid is None or size.groups != 1 or len(shape) > 3:  # (rows, cols) says no order of frames
        return None
    rows, cols = grid
    lattice = Grid(rows, cols, (shape[1] / rows, shape[2] / cols))
    axes = []
    for count in (size.queries, size.keys):
        extra = count - lattice.size
        if not 0 <= extra <= MAX_PREFIX:
            return None
        axes.append(TokenAxis(count, tuple(f"prefix {index}" for index in range(extra)), lattice))
    members = np.arange(size.leading)[None]
    return Layout(axes[0], axes[1], members, "self", "given")


def _reference(layouts: Sequence[Layout]) -> TokenAxis | None:
    """Choose what `query` counts on: the finest grid, with the longest prefix that goes with it."""
    axes = [
        axis
        for layout in layouts
        for axis in (layout.query_axis, layout.key_axis)
        if axis.grid is not None
    ]
    if not axes:
        return None
    queried = [layout.query_axis for layout in layouts if layout.query_axis.grid is not None]
    finest = max(queried or axes, key=lambda axis: axis.grid.size if axis.grid else 0).grid
    assert finest is not None
    prefix = max((axis.prefix for axis in axes), key=len)
    return TokenAxis(len(prefix) + finest.size, prefix, finest)


def _on_strip(layout: Layout, reference: TokenAxis | None) -> Layout:
    """Give up the places of a layer that joins frames which lie apart in the picture."""
    grids = [axis.grid for axis in (layout.query_axis, layout.key_axis) if axis.grid is not None]
    frames = reference.grid.frames if reference and reference.grid else 1
    if all(grid.frames == frames for grid in grids):
        return layout
    return replace(
        layout,
        query_axis=TokenAxis(layout.query_axis.size),
        key_axis=TokenAxis(layout.key_axis.size),
        geometry="unknown",
        reason=f"its tokens join several of the {frames} frames that other layers tell apart",
    )


# --- plain layouts ------------------------------------------------------------------------------


def _by_rule(
    model: VisionModel,
    shape: tuple[int, ...],
    events: Sequence[AttentionEvent],
    sizes: Sequence[_Size | None],
    asked: Sequence[int],
    stems: Sequence[Grid],
    prefix: tuple[str, ...],
    layouts: list[Layout | None],
) -> None:
    """Confirm plain layouts, if plain ones can explain every layer at all."""
    counts = {
        count
        for index in asked
        if (size := sizes[index]) is not None
        for count in (size.queries, size.keys)
        if count > 1
    }
    height, width = shape[-2:]
    candidates = {count: candidate_axes(count, (height, width), stems, prefix) for count in counts}
    if not all(axes or count <= MAX_PREFIX for count, axes in candidates.items()):
        return
    grids = {axis.grid for axes in candidates.values() for axis in axes[:2]}
    if len(grids) > 3 or any(size is not None and size.leading > 64 for size in sizes):
        return  # windows or stages: each of their counts fits some grid by accident
    both = textures(shape)
    for grid in sorted((g for g in grids if g), key=lambda g: -g.size):
        waiting = [index for index in asked if layouts[index] is None]
        if not waiting:
            return
        chosen = halves(grid)
        batch = torch.stack([both[0], mixture(both, chosen, grid), mixture(both, ~chosen, grid)])
        trial = _run(model, batch, events, attention_only=True)
        for index in waiting:
            size = sizes[index]
            assert size is not None
            for last in (False, True):
                query, key = (
                    _plain(trial, sites, count, candidates, chosen, grid, prefix)
                    for sites, count in (
                        (_sites(events[index], "queries", last=last), size.queries),
                        (_sites(events[index], "keys", last=last), size.keys),
                    )
                )
                if query is not None and key is not None:
                    layouts[index] = Layout(
                        query_axis=query,
                        key_axis=key,
                        members=np.arange(size.leading)[None],
                        kind=_kind(events[index], query, key),
                        geometry="rule",
                        images_last=last,
                    )
                    break


def _plain(
    trial: Trial,
    sites: Sequence[Site],
    count: int,
    candidates: dict[int, list[TokenAxis]],
    chosen: np.ndarray,
    grid: Grid,
    prefix: tuple[str, ...],
) -> TokenAxis | None:
    seen = [trial.sites[site] for site in sites if site in trial.sites]
    if not seen:
        return None
    for axis in candidates.get(count, []):
        if axis.grid == grid and answers_as(seen[0], chosen, axis):
            return axis
    if count <= MAX_PREFIX and _nowhere(seen[0]):
        return _placeless(count, prefix)
    return None


def _nowhere(seen: np.ndarray) -> bool:
    """Whether the tokens of a site depend on no pixel."""
    return bool(np.abs(seen - seen[:1]).max(initial=0) <= 1e-4 * np.abs(seen).max(initial=1e-30))


def _placeless(count: int, prefix: tuple[str, ...]) -> TokenAxis:
    names = prefix[:count]
    if len(names) < count:
        names = tuple(f"latent {index}" for index in range(count))
    return TokenAxis(count, names)


def _sites(event: AttentionEvent, side: str, *, last: bool = False) -> tuple[Site, ...]:
    """Where queries or keys of an event can be looked at, the best first."""
    seen_as = ", images last" if last else ""
    if event.outlook is not None:
        return ((event.call, f"tokens{seen_as}"),)
    role = "q" if side == "queries" else "k"
    of_softmax = {"q": "a", "k": "v"}[role]
    behind = ((event.scores.call, f"{role}{seen_as}"),) if event.scores else ()
    own = role if event.softmax is None else of_softmax
    return (*behind, (event.call, f"{own}{seen_as}"))


def _kind(event: AttentionEvent, query: TokenAxis, key: TokenAxis) -> Kind:
    if event.form != "softmax":
        return event.form
    if query.grid is not None:
        return "self"
    if "Cross" in event.of:
        return "cross"
    return "class" if key.prefix else "pool"


def _run(
    model: VisionModel,
    batch: torch.Tensor,
    events: Sequence[AttentionEvent],
    plan: dict[int, str] | None = None,
    *,
    blocks: Collection[str] = (),
    attention_only: bool = False,
) -> Trial:
    batch = model.to_device(batch)
    trial = Trial(events, batch, plan, attention_only=attention_only)
    with (
        model.evaluating() as parts,
        remembered(parts),
        outputs_of([part for part in parts if part[0] in blocks], len(batch)) as outputs,
        asked(parts, model.attention, trial.note_given),
        trial,
    ):
        model.run(batch)
    trial.note_outputs([value for _, value in outputs])
    return trial


@contextlib.contextmanager
def remembered(parts: Sequence[tuple[str, nn.Module]]) -> Iterator[None]:
    """Give modules that note something in their forward what they had noted before it."""
    held = [(part, dict(vars(part)), dict(part._buffers)) for _, part in parts]
    caches = [
        (value, value.copy())
        for _, attributes, _ in held
        for name, value in attributes.items()
        if isinstance(value, dict) and not name.startswith("_")
    ]
    try:
        yield
    finally:
        for part, attributes, buffers in held:
            vars(part).clear()
            vars(part).update(attributes)
            part._buffers.clear()
            part._buffers.update(buffers)
        for cache, content in caches:
            cache.clear()
            cache.update(content)


# --- traced layouts -----------------------------------------------------------------------------


def _by_trace(
    model: VisionModel,
    shape: tuple[int, ...],
    events: Sequence[AttentionEvent],
    sizes: Sequence[_Size | None],
    asked: Sequence[int],
    stems: Sequence[Grid],
    prefix: tuple[str, ...],
    layouts: list[Layout | None],
) -> dict[int, str]:
    """Let every token spell its address; give the reason where that fails."""
    finest = finest_grid(shape, stems)
    sites, varying, bits = spelling(model, shape, events, finest)
    reasons: dict[int, str] = {}
    for index in asked:
        size = sizes[index]
        assert size is not None
        event = events[index]
        if any(site in varying for site in _sites(event, "queries")):
            reasons[index] = _ACROSS
            continue
        for last in (False, True):
            query, key, features = (
                _places(sites, names, bits)
                for names in (
                    _sites(event, "queries", last=last),
                    _sites(event, "keys", last=last),
                    ((event.scores.call, "features of q"),) if event.scores else (),
                )
            )
            layout = _traced(event, size, query, key, features, finest, prefix)
            if isinstance(layout, Layout):
                layouts[index] = replace(layout, images_last=last)
                break
            reasons.setdefault(index, layout)
    return reasons


def finest_grid(shape: tuple[int, ...], stems: Sequence[Grid]) -> Grid:
    """Choose the finest patches that are told apart on an input of (channels, height, width)."""
    *video, _, height, width = shape
    cells = [stem.cell for stem in stems if min(stem.cell) >= FINEST]
    down, across = (int(side) for side in min(cells, default=(FINEST, FINEST)))
    frames = max((stem.frames for stem in stems), default=math.prod(video))
    return Grid(-(-height // down), frames * -(-width // across), (down, across), frames=frames)


def spelling(
    model: VisionModel,
    shape: tuple[int, ...],
    events: Sequence[AttentionEvent],
    finest: Grid,
    blocks: Collection[str] = (),
) -> tuple[dict[Site, np.ndarray], set[Site], Sequence[int]]:
    """Run the mixtures, in as many parts as memory asks for.

    Returns
    -------
    seen, varying, bits
        What every site showed, the sites whose number of tokens is that of the images, and how
        many of the mixtures spell the row, the column and the frame.
    """
    masks, bits = address_bits(finest)
    both = textures(shape)
    # The highest bits of row, column and frame are enough to see what mixes tokens.
    highest = [sum(bits[:at]) for at, count in enumerate(bits) if count]
    rest = [index for index in range(len(masks)) if index not in highest]
    # As many at once as the first run has anyway, and more where they are small.
    together = max(1 + len(highest), _MOST_PIXELS // math.prod((*shape[:-3], *shape[-2:])) - 2)
    batch = torch.stack([*both, *(mixture(both, masks[i], finest) for i in highest)])
    looking = _run(model, batch, events, blocks=blocks)
    seen: dict[Site, dict[int, np.ndarray]] = {
        site: dict(zip((-2, -1, *highest), values, strict=True))
        for site, values in looking.sites.items()
    }
    varying: set[Site] = set()
    for start in range(0, len(rest), together):
        part = rest[start : start + together]
        # The first texture leads each part: what is the same for all is the same as in the others.
        batch = torch.stack([both[0], *(mixture(both, masks[i], finest) for i in part)])
        trial = _run(model, batch, events, looking.plan, blocks=blocks)
        varying |= {site for site, n in trial.tokens.items() if n != looking.tokens.get(site, n)}
        for site, values in trial.sites.items():
            if site in seen:
                seen[site] |= dict(zip(part, values[1:], strict=True))
    whole = {
        site: np.stack([values[index] for index in sorted(values)])
        for site, values in seen.items()
        if len({value.shape for value in values.values()}) == 1
    }
    return whole, varying, bits


def _places(
    sites: dict[Site, np.ndarray], names: Sequence[Site], bits: Sequence[int]
) -> Places | None:
    for name in names:
        if name in sites and sites[name].size:
            return read_places(sites[name], bits)
    return None


def _traced(
    event: AttentionEvent,
    size: _Size,
    query: Places | None,
    key: Places | None,
    features: Places | None,
    finest: Grid,
    prefix: tuple[str, ...],
) -> Layout | str:
    """Make a layout of the places of queries and keys, or say why there is none."""
    if event.form == "additive":
        query = Places.nowhere(size.leading, size.queries)
    if query is None or key is None or query.row.shape[1] != size.queries:
        return "its queries and keys could not be followed to their product"
    if key.row.shape[1] != size.keys:
        return "its keys could not be followed to their product"
    if features is not None and features.any and features.clean and not query.clean:
        members = np.arange(size.leading).reshape(size.groups, size.heads)
        return Layout(
            TokenAxis(size.queries),
            TokenAxis(size.keys),
            members,
            "channel",
            "unknown",
            "channels attend to channels, over all places at once",
        )
    on_keys = grid_of(key, finest)
    if on_keys is None:
        return "its keys depend on more than one place" if key.any else "its keys lie nowhere"
    key_grid, key_cells = _leading(on_keys, size.leading)
    if event.form == "outlook":
        axis = axis_of_cells(size.keys, key_grid, key_cells[:1], prefix)
        members = np.arange(size.heads)[None]
        return Layout(axis, axis, members, "outlook", "adapter")
    if event.scores is None and event.source == "softmax" and not query.clean:
        members = np.arange(size.leading).reshape(size.groups, size.heads)
        if len(np.unique(key_cells, axis=0)) > 1:
            return "its rows belong to no place"
        return Layout(
            TokenAxis(size.queries, tuple(f"feature {i}" for i in range(size.queries))),
            axis_of_cells(size.keys, key_grid, key_cells[:1], prefix),
            members.reshape(1, -1),
            "factorised",
            "traced",
        )
    on_queries = grid_of(query, finest)
    if on_queries is None and query.any:
        return "its queries depend on more than one place"
    query_cells = np.full((size.leading, size.queries), -1)
    query_grid = None
    if on_queries is not None:
        query_grid, query_cells = _leading(on_queries, size.leading)
    groups = _groups(query_cells, key_cells)
    if groups is None:
        return "its heads do not agree on the places"
    queries, keys = query_cells[groups[:, 0]], key_cells[groups[:, 0]]
    if repeated(queries.reshape(1, -1)) and query_grid is not None:
        if event.of not in _ANSWERING_IN_PLACE or size.queries != size.keys:
            return "several of its queries lie on the same patch"
        query_axis = key_axis = axis_of_cells(size.keys, key_grid, keys, prefix)
        return Layout(query_axis, key_axis, groups, "self", "adapter")
    if repeated(keys):
        return "several of its keys lie on the same patch"
    query_axis = (
        _placeless(size.queries, ("every patch",) if event.form == "additive" else prefix)
        if query_grid is None
        else axis_of_cells(size.queries, query_grid, queries, prefix)
    )
    key_axis = axis_of_cells(size.keys, key_grid, keys, prefix)
    return Layout(query_axis, key_axis, groups, _kind(event, query_axis, key_axis), "traced")


def _leading(on: tuple[Grid, np.ndarray], leading: int) -> tuple[Grid, np.ndarray]:
    """Bring cells to as many leading indices as q has (a key head may serve several)."""
    grid, cells = on
    if len(cells) == leading or leading % len(cells):
        return grid, cells
    return grid, np.repeat(cells, leading // len(cells), axis=0)


def _groups(queries: np.ndarray, keys: np.ndarray) -> np.ndarray | None:
    """Sort leading indices into groups with the same places, int (group, head)."""
    if len(queries) != len(keys):
        return None
    both = np.concatenate([queries, keys], axis=1)
    found: dict[bytes, list[int]] = {}
    for index, cells in enumerate(both):
        found.setdefault(cells.tobytes(), []).append(index)
    if len({len(members) for members in found.values()}) == 1:
        return np.array(list(found.values()))
    # A head may be deaf to a patch or to all of them; where it hears, it must agree.
    full = [members for members in found.values() if _hears(both[members[0]], both)]
    for members in found.values():
        if members in full:
            continue
        cells = both[members[0]]
        agreeing = [one for one in full if (cells == both[one[0]])[cells >= 0].all()]
        if len(agreeing) != 1:
            return None
        agreeing[0].extend(members)
    if len({len(members) for members in full}) != 1:
        return None
    return np.array([[members[0], *sorted(members[1:])] for members in full])


def _hears(cells: np.ndarray, others: np.ndarray) -> bool:
    """Whether cells have a place wherever those of any other leading index do."""
    return bool(((cells >= 0) | (others < 0).all(axis=0)).all())


def repeated(cells: np.ndarray) -> bool:
    """Whether a cell occurs twice in a row."""
    ordered = np.sort(cells, axis=1)
    return bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any())


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

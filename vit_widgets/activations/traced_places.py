"""Traced layouts: each token spells the address of its patch, whatever it went through."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch

from vit_widgets.activations.intercept import AttentionEvent
from vit_widgets.activations.layouts import Layout, Size, axis_of_cells, kind_of, placeless
from vit_widgets.activations.mixtures import (
    Places,
    address_bits,
    grid_of,
    mixture,
    read_places,
    textures,
)
from vit_widgets.activations.trial import Site
from vit_widgets.activations.trials import Question, run, sites_of
from vit_widgets.models import Grid, TokenAxis, VisionModel

FINEST = 4
"""Side in pixels of the finest patches that are told apart where no convolution says more."""

_MOST_PIXELS = 16 * 256 * 256
"""Pixels of trial images that are run together."""

ACROSS = "images attend to each other"
"""Then it is no attention within an image, and makes no record."""

_ANSWERING_IN_PLACE = {"WindowAttentionGlobal"}
"""Classes whose queries come from the whole image; row i is written to the place of key i."""


def by_trace(question: Question, asked: Sequence[int]) -> dict[int, Layout | str]:
    """Let every token spell its address.

    Parameters
    ----------
    question
        Whose tokens.
    asked
        Indices of the events to be placed.

    Returns
    -------
    dict
        A layout for each of them, or the reason why there is none.
    """
    finest = finest_grid(question.shape, question.stems)
    sites, varying, bits = spelling(question.model, question.shape, question.events, finest)
    found: dict[int, Layout | str] = {}
    for index in asked:
        size, event = question.size(index), question.events[index]
        if any(site in varying for site in sites_of(event, "queries")):
            found[index] = ACROSS
            continue
        for last in (False, True):
            query, key, features = (
                _places(sites, names, bits)
                for names in (
                    sites_of(event, "queries", last=last),
                    sites_of(event, "keys", last=last),
                    ((event.scores.call, "features of q"),) if event.scores else (),
                )
            )
            layout = _traced(event, size, query, key, features, finest, question.prefix)
            if isinstance(layout, Layout):
                found[index] = replace(layout, images_last=last)
                break
            found.setdefault(index, layout)
    return found


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
    looking = run(model, batch, events, blocks=blocks)
    seen: dict[Site, dict[int, np.ndarray]] = {
        site: dict(zip((-2, -1, *highest), values, strict=True))
        for site, values in looking.sites.items()
    }
    varying: set[Site] = set()
    for start in range(0, len(rest), together):
        part = rest[start : start + together]
        # The first texture leads each part: what is the same for all is the same as in the others.
        batch = torch.stack([both[0], *(mixture(both, masks[i], finest) for i in part)])
        trial = run(model, batch, events, looking.plan, blocks=blocks)
        counts = (2 + len(highest), 1 + len(part))
        varying |= {
            site
            for site, n in trial.tokens.items()
            if counts[0] != counts[1] and (looking.tokens.get(site), n) == counts
        }
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
    size: Size,
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
        placeless(size.queries, ("every patch",) if event.form == "additive" else prefix)
        if query_grid is None
        else axis_of_cells(size.queries, query_grid, queries, prefix)
    )
    key_axis = axis_of_cells(size.keys, key_grid, keys, prefix)
    return Layout(query_axis, key_axis, groups, kind_of(event, query_axis, key_axis), "traced")


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

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

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from vit_widgets.activations.intercept import AttentionEvent
from vit_widgets.activations.layouts import Kind, Layout, Placement, Size, sizes_of
from vit_widgets.activations.mixtures import textures
from vit_widgets.activations.plain_places import by_rule
from vit_widgets.activations.traced_places import ACROSS, by_trace
from vit_widgets.activations.trials import Question, TrialFailedError, nowhere, run, sites_of
from vit_widgets.models import VisionModel, anatomy
from vit_widgets.models.geometry import MAX_PREFIX, Grid, TokenAxis

_CHOSEN = "the model chooses, merges or shuffles tokens by their content before this layer"


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
    question = Question(model, shape, events, sizes, stems, prefix)
    layouts: list[Layout | None] = [None] * len(events)
    broken = {index for index, event in enumerate(events) if not _finite(event)}
    asked = [
        index
        for index, (event, size) in enumerate(zip(events, sizes, strict=True))
        if size is not None and not event.chosen and index not in broken
    ]
    reasons: dict[int, str] = {}
    for index, found in _asked(question, asked).items():
        if isinstance(found, Layout):
            layouts[index] = found
        else:
            reasons[index] = found
    for index, event in enumerate(events):
        size = sizes[index]
        if reasons.get(index) == ACROSS:
            continue
        if layouts[index] is None and size is not None:
            layouts[index] = _said(size, shape, model.grid)
        if layouts[index] is None and size is not None:
            reason = _CHOSEN if event.chosen else reasons.get(index, "")
            if index in broken:
                reason = "the model computes NaN or infinity"
            layouts[index] = _unknown(event, size, reason)
    known = [layout for layout in layouts if layout is not None]
    axis = _reference(known)
    reason = "" if axis else next((one.reason for one in known if one.reason), "")
    return Placement(axis, tuple(one and _on_strip(one, axis) for one in layouts), reason)


def _asked(question: Question, asked: Sequence[int]) -> dict[int, Layout | str]:
    """Ask the model itself: a layout of each event, or the reason why there is none."""
    found: dict[int, Layout | str] = {}
    try:
        # The tokens of a video go frame by frame, and no row of the strip does.
        if len(question.shape) == 3:
            found |= by_rule(question, asked)
        left = [index for index in asked if index not in found]
        if left:
            found |= by_trace(question, left)
        if question.shape[-3] >= 6 and question.shape[-3] % 2 == 0:
            _by_halves(question, found)
    except TrialFailedError as error:
        for index in asked:
            found.setdefault(index, str(error))
    return found


def _finite(event: AttentionEvent) -> bool:
    kept = (event.queries, event.keys, event.weights)
    return all(bool(tensor.isfinite().all()) for tensor in kept if tensor is not None)


def _unknown(event: AttentionEvent, size: Size, reason: str) -> Layout:
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


def _by_halves(question: Question, found: dict[int, Layout | str]) -> None:
    """Find attention from one image to another, where two share the channels of the input."""
    both = textures(question.shape)
    half = question.shape[-3] // 2
    first, second = both[0].clone(), both[0].clone()
    first[..., :half, :, :] = both[1, ..., :half, :, :]
    second[..., half:, :, :] = both[1, ..., half:, :, :]
    batch = torch.stack([both[0], first, second])
    trial = run(question.model, batch, question.events, attention_only=True)
    for index, layout in found.items():
        if isinstance(layout, str) or layout.kind != "self":
            continue
        answers = [
            [not nowhere(seen[[0, image]]) for image in (1, 2)]
            for side in ("queries", "keys")
            for site in sites_of(question.events[index], side, last=layout.images_last)[:1]
            if (seen := trial.sites.get(site)) is not None and seen.size
        ]
        if len(answers) == 2 and sorted(answers) == [[False, True], [True, False]]:
            found[index] = replace(layout, kind="cross")


def _said(size: Size, shape: tuple[int, ...], grid: tuple[int, int] | None) -> Layout | None:
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

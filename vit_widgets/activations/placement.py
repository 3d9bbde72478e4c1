"""Which token is which patch: a guess from the counts, confirmed by the model itself.

A sequence of 197 tokens *looks like* a class token and 14 x 14 patches in raster order. Whether it
is, is asked: change one patch of a trial image, run the model up to its first attention, and see
which token moved. Only a layout that answers rightly at both ends of the grid is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vit_widgets.activations.intercept import AttentionEvent, Interception
from vit_widgets.activations.records import heads_and_groups
from vit_widgets.models import VisionModel, anatomy
from vit_widgets.models.geometry import Grid, TokenAxis, candidate_axes


@dataclass(frozen=True)
class Placement:
    """The confirmed token layout of a model at one input size, or why there is none."""

    axis: TokenAxis | None
    reason: str = ""

    def of(self, tokens: int, groups: int) -> TokenAxis | None:
        """Place a sequence of some layer: the same tokens, or the same patches without prefix."""
        if self.axis is None or self.axis.grid is None or groups != 1:
            return None
        if tokens == self.axis.size:
            return self.axis
        if tokens == self.axis.grid.size:
            return TokenAxis(tokens, (), self.axis.grid)
        return None


class _SeenEnough(Exception):  # noqa: N818 - a signal, not an error
    """Ends a trial forward at the first attention."""


class _FirstAttention(Interception):
    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = super().__torch_function__(func, types, args, kwargs)
        if self.attention:
            raise _SeenEnough
        return result


def place(model: VisionModel, shape: tuple[int, int, int]) -> Placement:
    """Find and confirm where a model's tokens lie on an input of (channels, height, width).

    Costs a handful of forwards up to the first attention, once for each model and size.

    Examples
    --------
    >>> place(load("demo"), (3, 144, 144)).axis                       # doctest: +SKIP
    TokenAxis(size=145, prefix=('class',), grid=Grid(rows=12, cols=12, cell=(12, 12)))
    """
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(shape, generator=generator)
    event, stem = _first_attention(model, base)
    if event is None:
        return Placement(None, "no attention was seen")
    layout = heads_and_groups(_token_tensor(event).shape, images=1)
    tokens = _token_tensor(event).shape[-2]
    if layout is None or layout[1] != 1:
        groups = layout[1] if layout else "?"
        return Placement(None, f"attention works in {groups} groups of {tokens} tokens")
    before = _token_tensor(event)
    if not bool(before.isfinite().all()):
        return Placement(None, "the model computes NaN or infinity")
    candidates = candidate_axes(tokens, shape[1:], stem, anatomy.prefix_tokens(model.module))
    for axis in candidates:
        if _confirmed(model, base, before, axis, generator):
            return Placement(axis)
    if candidates:
        return Placement(None, f"the {tokens} tokens are not the image's patches in raster order")
    return Placement(None, f"{tokens} tokens fit no plain grid of patches")


def _confirmed(
    model: VisionModel,
    base: torch.Tensor,
    before: torch.Tensor,
    axis: TokenAxis,
    generator: torch.Generator,
) -> bool:
    """Change four patches, one at a time; the token that moves most must be theirs."""
    grid = axis.grid
    assert grid is not None
    last_row, last_col = grid.rows - 1, grid.cols - 1
    for row, col in {(0, 0), (0, last_col), (last_row, 0), (last_row // 2, last_col // 2)}:
        x0, y0, x1, y1 = grid.box(row, col)
        changed = base.clone()
        patch = changed[:, y0:y1, x0:x1]
        patch += 2 * torch.randn(patch.shape, generator=generator)
        event, _ = _first_attention(model, changed)
        if event is None or _token_tensor(event).shape != before.shape:
            return False
        moved = (_token_tensor(event).float() - before.float()).abs().sum(dim=-1)
        moved = moved.reshape(-1, moved.shape[-1]).sum(dim=0)
        if int(moved.argmax()) != axis.token(row, col):
            return False
    return True


def _first_attention(
    model: VisionModel, image: torch.Tensor
) -> tuple[AttentionEvent | None, Grid | None]:
    batch = model.to_device(image[None])
    with model.evaluating() as parts:
        seen = _FirstAttention(parts, tuple(batch.shape))
        try:
            with seen:
                model.run(batch)
        except _SeenEnough:
            pass
    return (seen.attention[0] if seen.attention else None), seen.stem


def _token_tensor(event: AttentionEvent) -> torch.Tensor:
    """Whatever the event says of each token: its query, else its row of weights."""
    tensor = event.queries if event.queries is not None else event.weights
    assert tensor is not None
    return tensor

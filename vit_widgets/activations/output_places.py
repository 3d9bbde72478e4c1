"""Where the tokens that a block returns lie on the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vit_widgets.activations.intercept import Interception
from vit_widgets.activations.layouts import axis_of_cells
from vit_widgets.activations.mixtures import grid_of, read_places
from vit_widgets.activations.traced_places import finest_grid, repeated, spelling
from vit_widgets.activations.trials import TrialFailedError
from vit_widgets.models import TokenAxis, VisionModel, anatomy


@dataclass(frozen=True)
class OutputPlace:
    """How the output of a block is laid out.

    Attributes
    ----------
    axis
        Its tokens in raster order, or ``None``.
    channels_first
        Whether a map has its features on the second axis.
    """

    axis: TokenAxis | None = None
    channels_first: bool = False

    def sequence(self, value: torch.Tensor) -> torch.Tensor:
        """Lay a map out as (image, token, feature); a sequence, or what is unknown, stays."""
        if value.ndim != 4 or self.axis is None:
            return value
        return value.flatten(2).mT if self.channels_first else value.flatten(1, 2)


def places_of_outputs(
    model: VisionModel,
    seen: Interception,
    shape: tuple[int, ...],
    blocks: Sequence[str],
    outputs: Sequence[torch.Tensor],
) -> tuple[OutputPlace, ...]:
    """Let the tokens of every block spell their addresses.

    Parameters
    ----------
    model
        The model.
    seen
        What a real forward left.
    shape
        Of the batch.
    blocks, outputs
        Path and output of each block, in execution order.

    Returns
    -------
    tuple of OutputPlace
        One for each block.
    """
    if len(shape) != 4 or not blocks or seen.chose:
        return (OutputPlace(),) * len(outputs)
    _, channels, height, width = shape
    finest = finest_grid((channels, height, width), seen.stems)
    try:
        sites, _, bits = spelling(
            model, (channels, height, width), seen.attention, finest, set(blocks)
        )
    except TrialFailedError:  # then nothing is known, as `placement.reason` says in words
        return (OutputPlace(),) * len(outputs)
    seen_outputs = {call for call, _ in sites if str(call).startswith("output ")}
    if len(seen_outputs) != len(outputs):  # taken from the residual stream, not from the blocks
        return (OutputPlace(),) * len(outputs)
    prefix = anatomy.prefix_tokens(model.module)
    found = []
    for index, value in enumerate(outputs):
        place = OutputPlace()
        for way in ("last", "first"):
            showed = sites.get((f"output {index}", way))
            on = None
            if showed is not None and showed.size:
                on = grid_of(read_places(showed, bits), finest)
            if on is not None and not repeated(on[1]):
                grid, cells = on
                tokens = cells.shape[1]
                axis = axis_of_cells(tokens, grid, cells[:1], prefix)
                place = OutputPlace(axis, value.ndim == 4 and way == "first")
                break
        found.append(place)
    return tuple(found)

"""Running trial images, and finding in a trial what an attention event left."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations.given import asked
from vit_widgets.activations.intercept import AttentionEvent
from vit_widgets.activations.layouts import Size
from vit_widgets.activations.outputs import outputs_of
from vit_widgets.activations.trial import Site, Trial
from vit_widgets.models import Grid, VisionModel, calling


class TrialFailedError(Exception):
    """The model, which ran with the user's images, does not run with trial images."""


_OF_EVERY_MODULE = frozenset(vars(nn.Module()))


@dataclass(frozen=True)
class Question:
    """Whose tokens are to be placed.

    Attributes
    ----------
    model
        The model.
    shape
        Of one input: (channels, height, width), with the frames in front for a video.
    events
        What a real forward left.
    sizes
        Of each event; ``None`` for what is no attention within an image.
    stems
        Grids that convolutions cut the image into.
    prefix
        Names of the prefix tokens that the model declares.
    """

    model: VisionModel
    shape: tuple[int, ...]
    events: Sequence[AttentionEvent]
    sizes: Sequence[Size | None]
    stems: Sequence[Grid]
    prefix: tuple[str, ...]

    def size(self, index: int) -> Size:
        """Give the size of an event that has one."""
        size = self.sizes[index]
        assert size is not None
        return size


def run(
    model: VisionModel,
    batch: torch.Tensor,
    events: Sequence[AttentionEvent],
    plan: dict[int, str] | None = None,
    *,
    blocks: Collection[str] = (),
    attention_only: bool = False,
) -> Trial:
    """Run trial images with everything that mixes tokens cut, and leave the model as it was.

    Raises
    ------
    TrialFailedError
        If the model cannot be run like that: it takes one image alone, or memory is short.
    """
    batch = model.to_device(batch)
    trial = Trial(events, batch, plan, attention_only=attention_only)
    with (
        model.evaluating() as parts,
        remembered(parts),
        outputs_of([part for part in parts if part[0] in blocks], len(batch)) as outputs,
        asked(parts, model.attention, trial.note_given),
        trial,
    ):
        try:
            model.run(batch)
        except calling.UNSUITABLE as error:
            cause = error.__cause__ or error
            msg = (
                f"{len(batch)} trial images could not be run together "
                f"({type(cause).__name__}: {cause})"
            )
            raise TrialFailedError(msg) from error
    trial.note_outputs([value for _, value in outputs])
    return trial


@contextlib.contextmanager
def remembered(parts: Sequence[tuple[str, nn.Module]]) -> Iterator[None]:
    """Give modules that note something in their forward what they had noted before it."""
    held = [(part, vars(part).copy(), part._buffers.copy()) for _, part in parts]
    caches = [
        (value, value.copy())
        for _, attributes, _ in held
        for name in attributes.keys() - _OF_EVERY_MODULE
        if isinstance(value := attributes[name], dict)
    ]
    try:
        yield
    finally:
        for part, attributes, buffers in held:
            _restore(vars(part), attributes)
            _restore(part._buffers, buffers)
        for cache, content in caches:
            _restore(cache, content)


def _restore(current: dict[Any, Any], before: dict[Any, Any]) -> None:
    """Give a dict its former content; what stays is never missing: another thread may look."""
    current.update(before)
    if len(current) > len(before):
        for added in current.keys() - before.keys():
            del current[added]


def sites_of(event: AttentionEvent, side: str, *, last: bool = False) -> tuple[Site, ...]:
    """Where queries or keys of an event can be looked at, the best first."""
    seen_as = ", images last" if last else ""
    if event.outlook is not None:
        return ((event.call, f"tokens{seen_as}"),)
    role = "q" if side == "queries" else "k"
    of_softmax = {"q": "a", "k": "v"}[role]
    behind = ((event.scores.call, f"{role}{seen_as}"),) if event.scores else ()
    own = role if event.softmax is None else of_softmax
    return (*behind, (event.call, f"{own}{seen_as}"))


def nowhere(seen: np.ndarray) -> bool:
    """Whether the tokens of a site depend on no pixel."""
    return bool(np.abs(seen - seen[:1]).max(initial=0) <= 1e-4 * np.abs(seen).max(initial=1e-30))

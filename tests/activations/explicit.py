"""Attention written out, with a number added to every weight: what autograd says of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import vit_widgets as vw
from tests.families.test_exact import Substitution, all_weights


class Nudged(Substitution):
    """Writes every attention product out, with a nudge of zero added to each of its weights.

    The nudges have the layout of the records, (image, group, head, query, key), so that their
    gradient is to be the records' own.
    """

    def __init__(self, weights: list[torch.Tensor], kinds: list[str]) -> None:
        super().__init__(weights, kinds)
        self.nudges = [torch.zeros_like(maps, requires_grad=True) for maps in weights]

    def _own(self, applied: torch.Tensor) -> torch.Tensor | None:
        found = super()._own(applied.detach())
        if found is None:
            return None
        maps = applied.detach().reshape(-1, *applied.shape[-2:])
        own = self.waiting[0]
        order = torch.cdist(maps.flatten(1), own.flatten(1)).argmin(dim=1)
        assert len(set(order.tolist())) == len(own), "two maps are alike: their order is not known"
        nudge = self.nudges[self.number].flatten(0, 2)[order]
        return applied + nudge.reshape(applied.shape)


def gradients_of_nudges(
    run: Callable[[], Any],
    score: Callable[[Any], torch.Tensor],
    cache: vw.ActivationCache,
    kinds: list[str],
) -> list[torch.Tensor]:
    """Differentiate a score by every weight of every record, through attention written out."""
    mode = Nudged([all_weights(record) for record in cache.attention], kinds)
    with torch.enable_grad():
        with mode:
            output = run()
        assert not mode.waiting, f"record {mode.number} was never multiplied"
        return list(torch.autograd.grad(score(output), mode.nudges, materialize_grads=True))


def all_gradients(record: Any) -> torch.Tensor:
    """Gradients (image, group, head, query, key)."""
    return torch.from_numpy(
        np.stack(
            [
                [record.gradient(image=image, group=group) for group in range(record.groups)]
                for image in range(record.images)
            ]
        )
    )


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference, as a part of the largest gradient."""
    return float((ours - theirs).abs().max() / theirs.abs().max())

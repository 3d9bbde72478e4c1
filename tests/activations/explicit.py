"""Attention written out, with a number added to every weight: what autograd says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import vit_widgets as vw
from tests.families.test_exact import TOLERANCE, Substitution, all_weights


class Nudged(Substitution):
    """Writes every attention product out, with a nudge of zero added to each of its weights.

    The nudges have the layout of the records, (image, group, head, query, key), so that their
    gradient is to be the records' own. Runs in float64, where a map is told from another.
    """

    def __init__(self, weights: list[torch.Tensor], kinds: list[str]) -> None:
        super().__init__(weights, kinds)
        self.nudges = [torch.zeros_like(maps, requires_grad=True) for maps in weights]

    def _own(self, applied: torch.Tensor) -> torch.Tensor | None:
        if super()._own(applied.detach()) is None:
            return None
        maps, own = applied.detach().reshape(-1, *applied.shape[-2:]), self.waiting[0]
        distances = torch.cdist(
            maps.flatten(1), own.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
        )
        order: list[int] = []
        for found in distances <= TOLERANCE:  # maps that are alike come in the same order
            order.append(next(int(at) for at in found.nonzero() if int(at) not in order))
        return applied + self.nudges[self.number].flatten(0, 2)[order].reshape(applied.shape)

    def _fused(self, result: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if self.subtracted:  # what is taken away stays as it is
            self.subtracted = False
            return result
        if self.kinds[self.number] != "difference":
            return super()._fused(result, *args, **kwargs)
        query, key, value = args[:3]
        nudge = self.nudges[self.number].reshape(*query.shape[:-1], key.shape[-2])
        self.subtracted = True
        del self.waiting[0]
        self.number += 1
        return result + nudge @ value


def gradients_of_nudges(
    run: Callable[[], Any],
    score: Callable[[Any], torch.Tensor],
    records: Sequence[vw.AttentionRecord],
    kinds: list[str],
) -> list[torch.Tensor]:
    """Differentiate a score by every weight of every record, through attention written out."""
    mode = Nudged([all_weights(record) for record in records], kinds)
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

"""Silencing part after part, over some images at a time, to the end or to where it is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from vit_widgets.activations.joint import Joints
from vit_widgets.probes.ablation import METRICS, Ablation
from vit_widgets.probes.effects import Measure
from vit_widgets.probes.progress import Progress, watching
from vit_widgets.probes.silencing import Kept, keep
from vit_widgets.probes.target import ReadOut

Step: TypeAlias = Callable[[Kept], "Iterator[tuple[Any, tuple[torch.Tensor, torch.Tensor]]]"]
"""Runs some edits of a kept forward: gives where they belong, an index of (layer, part), and the
scores and vectors (edit, image, ...)."""


def sweeping(
    measure: Measure,
    batch: torch.Tensor,
    joints: Joints,
    steps: Sequence[Step],
    shape: tuple[int, ...],
    *,
    images_at_once: int,
    method: str,
    axes: tuple[str, ...],
    params: dict[str, Any],
    known: Mapping[int, Kept] | None = None,
) -> Iterator[Ablation]:
    """Silence part after part, some images at a time: gives what is measured, again and again.

    Between two of them the model is as it was, and anybody's.

    Parameters
    ----------
    measure
        Reads the outputs.
    batch
        All images, as the model takes them.
    joints
        Where the parts are joined.
    steps
        What is run for every few images.
    shape
        Sizes of (layer, part).
    images_at_once
        How many images are kept at a time.
    method, axes, params
        Of the result.
    known
        Forwards that were kept before, by the number of their first image.

    Yields
    ------
    Ablation
        Before the first step, and after every one.
    """
    each = np.full((len(batch), *shape, len(METRICS)), np.nan)
    targets: list[ReadOut] = []
    starts = range(0, len(batch), images_at_once)
    done, total, evaluations = 0, len(steps) * len(starts), 0

    def so_far() -> Ablation:
        notes = [*joints.notes, *measure.notes()]
        if done < total:
            notes.append(f"stopped after {done} of {total} steps: what was not measured is NaN")
        return Ablation(
            each.copy(),
            tuple(targets),
            evaluations,
            evaluations / len(joints.blocks) if joints.blocks else float("nan"),
            tuple(notes),
            steps=(done, total),
            axes=axes,
            method=method,
            params={**params, "model": measure.model.name},
        )

    yield so_far()
    for first in starts:
        some = batch[first : first + images_at_once]
        with measure.model.evaluating():
            kept = (known or {}).get(first) or keep(measure, some, first, joints)
        targets += kept.settled.targets
        counted = kept.replay.evaluations
        evaluations += counted
        for step in steps:
            with measure.model.evaluating():
                for place, outputs in step(kept):
                    found = kept.settled.effects(*outputs)
                    each[(slice(first, first + len(some)), *place)] = found.swapaxes(0, 1)
            done += 1
            evaluations += kept.replay.evaluations - counted
            counted = kept.replay.evaluations
            yield so_far()


def swept(going: Iterator[Ablation], progress: bool | Progress) -> Ablation:
    """Take a measurement to its end, or to where it is stopped.

    Parameters
    ----------
    going
        From :func:`sweeping`.
    progress
        As of :func:`ablate_heads`.
    """
    found = next(going)
    with watching(progress, found.method) as told:
        try:
            for found in going:
                if told(*found.steps) is False:
                    break
        except KeyboardInterrupt:
            pass  # what there is so far is the answer, and says so
    return found


def in_batches(parts: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut a sequence into pieces of a size, the last one shorter."""
    for start in range(0, len(parts), max(1, size)):
        yield parts[start : start + max(1, size)]

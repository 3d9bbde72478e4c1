"""The heads that matter, found at the cost of a few forwards: a screen, then the exact effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn

from vit_widgets.activations.joint import Joint
from vit_widgets.activations.joints import head_joints
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.ablation import Ablation
from vit_widgets.probes.effects import Measure, checked_labels
from vit_widgets.probes.head_gradients import Gates, HeadGradients, differentiated
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.result import Result
from vit_widgets.probes.silencing import Kept, keep, silenced
from vit_widgets.probes.sweep import Step, in_batches, sweeping, swept
from vit_widgets.probes.target import ReadOut, Target


@dataclass(frozen=True, repr=False)
class HeadScreen(Result):
    """First-order effects of all heads, and exact ones of the largest: see :func:`screen_heads`.

    Attributes
    ----------
    first_order
        Of all heads.
    exact
        Of `chosen`; NaN for the others.
    chosen
        The heads that were silenced, (layer, head), the largest first-order effect first.
    agreement
        Spearman's rank correlation of the sizes of both over the chosen heads: 1 where the screen
        ranks them as they are. NaN for fewer than three. How many important heads the screen
        missed it cannot say.
    forwards
        What it took, in forwards of all images: blocks run in forwards, and one for the backward.
    """

    first_order: HeadGradients
    exact: Ablation
    chosen: tuple[tuple[int, ...], ...]
    agreement: float
    forwards: float
    axes: tuple[str, ...] = ("layer", "head")
    method: str = "screen_heads"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """Exact where that is known, to first order elsewhere: float64 (layer, head)."""
        exact = self.exact.metric("logit")
        return np.where(np.isnan(exact), self.first_order.values, exact)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known of these numbers, in sentences."""
        return self.exact.notes

    def ranked(self) -> list[tuple[int, ...]]:
        """List the chosen heads by their exact effects, the largest first."""
        return self.exact.ranked("logit")


def screen_heads(
    model: VisionModel | nn.Module | str,
    images: object,
    target: Target = None,
    share: float = 0.1,
    *,
    labels: object = None,
    progress: bool | Progress = True,
    at_once: int = 32,
) -> HeadScreen:
    """Rank all heads to first order, and silence those that come out on top.

    Parameters
    ----------
    model, images, target, labels, progress, at_once
        As of :func:`ablate_heads`.
    share
        Of the heads that are silenced, 0 to 1, rounded down; at least one.

    Returns
    -------
    HeadScreen

    Raises
    ------
    ValueError
        As :func:`ablate_heads` and :func:`head_gradients`, and for a share that is none.

    Notes
    -----
    Where all images fit in one batch, the forward of the screen is the one that is resumed. A head
    of an early layer costs nearly a forward, one of a late layer nearly nothing: for the 144 heads
    of ViT-B/16 that is 2 forwards and 14 times 0.5 where the chosen ones are spread evenly, and up
    to 16 where all are in the first layer. `forwards` is what it was.

    Examples
    --------
    >>> screen = screen_heads("demo", images)                          # doctest: +SKIP
    >>> screen.chosen, screen.forwards                                 # doctest: +SKIP
    (((1, 0), (4, 3), (5, 1)), 4.2)
    """
    if not 0 < share <= 1:
        msg = f"share={share} is no share of the heads; it must lie between 0 and 1"
        raise ValueError(msg)
    model = load(model)
    batch = model.batch(images)
    joints = head_joints(model, batch)
    measure = Measure(model, target, checked_labels(labels, len(batch)))
    images_at_once = max(1, min(len(batch), at_once))
    known: dict[int, Kept] = {}
    targets: list[ReadOut] = []

    def screened(first: int) -> np.ndarray:
        some = batch[first : first + images_at_once]

        def scores(gates: Gates) -> torch.Tensor:
            kept = keep(measure, some, first, joints, gates)
            targets.extend(kept.settled.targets)
            if len(some) == len(batch):
                known[0] = kept.without_graph()
            return kept.settled.scores(*(one[None] for one in kept.plain))

        return differentiated(model, joints, len(some), scores)

    each = [screened(first) for first in range(0, len(batch), images_at_once)]
    params = {"target": target, "share": share, "model": model.name}
    gradients = HeadGradients(np.concatenate(each), tuple(targets), joints.notes, params=params)
    heads = sum(one.parts for one in joints.found)
    chosen = gradients.ranked()[: max(1, int(share * heads + 1e-9))]

    def step(joint: Joint) -> Step:
        parts = [head for layer, head in chosen if layer == joint.layer]

        def run(kept: Kept) -> Any:
            for some in in_batches(parts, at_once // len(kept.rows)):
                yield (joint.layer, some), silenced(kept, joint, some)

        return run

    layers = {layer for layer, _ in chosen}
    exact = swept(
        sweeping(
            measure,
            batch,
            joints,
            [step(one) for one in joints.found if one.layer in layers],
            (len(joints.layers), joints.parts),
            images_at_once=images_at_once,
            method="ablate_heads",
            axes=("layer", "head", "metric"),
            params=params,
            known=known,
        ),
        progress,
    )
    # A backward to the first attention runs the products of a forward once more.
    forwards = exact.forwards / len(batch) + 1 + (0 if known else 1)
    return HeadScreen(
        gradients, exact, tuple(chosen), _agreement(gradients, exact, chosen), forwards,
        params=params,
    )  # fmt: skip


def _agreement(gradients: HeadGradients, exact: Ablation, chosen: list[tuple[int, ...]]) -> float:
    """Correlate the ranks of both over the chosen heads."""
    both = np.array([[gradients.values[head], exact.metric("logit")[head]] for head in chosen])
    both = np.abs(both[np.isfinite(both).all(axis=1)])
    if len(both) < 3:
        return float("nan")
    return float(stats.spearmanr(both[:, 0], both[:, 1]).statistic)

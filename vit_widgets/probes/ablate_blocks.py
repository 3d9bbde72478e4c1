"""What the model loses without a whole block: exactly, for every block."""

from __future__ import annotations

from typing import Any

from torch import nn

from vit_widgets.activations.joints import block_joints
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.ablation import Ablation
from vit_widgets.probes.effects import Measure, checked_labels
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.silencing import Kept, removed
from vit_widgets.probes.sweep import Step, sweeping, swept
from vit_widgets.probes.target import Target


def ablate_blocks(
    model: VisionModel | nn.Module | str,
    images: object,
    target: Target = None,
    *,
    labels: object = None,
    progress: bool | Progress = True,
    at_once: int = 32,
) -> Ablation:
    """Let each block alone hand on what it is given, and measure what the model loses.

    Parameters
    ----------
    model, images, target, labels, progress, at_once
        As of :func:`ablate_heads`.

    Returns
    -------
    Ablation
        (layer, metric). NaN for a block that returns another shape than it is given.

    Raises
    ------
    ValueError
        For a model without repeated blocks, or that returns no scores and no vectors.

    Examples
    --------
    >>> ablate_blocks("demo", images).metric("probability")            # doctest: +SKIP
    array([0.61, 0.42, 0.13, 0.1 , 0.22, 0.35])
    """
    model = load(model)
    batch = model.batch(images)
    joints = block_joints(model, batch)
    measure = Measure(model, target, checked_labels(labels, len(batch)))

    def step(layer: int, path: str) -> Step:
        def run(kept: Kept) -> Any:
            outputs = removed(kept, kept.replay.call(path))
            if outputs is not None:
                yield ([layer],), outputs

        return run

    return swept(
        sweeping(
            measure,
            batch,
            joints,
            [step(layer, path) for layer, path in enumerate(joints.blocks)],
            (len(joints.blocks),),
            images_at_once=max(1, at_once),
            method="ablate_blocks",
            axes=("layer", "metric"),
            params={"target": target},
        ),
        progress,
    )

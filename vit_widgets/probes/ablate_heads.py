"""What the model loses when a head is silenced: exactly, for every head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import torch
from torch import nn

from vit_widgets.activations.joint import Joint, Joints
from vit_widgets.activations.joints import head_joints
from vit_widgets.activations.seeing_joints import seeing_joints
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.ablation import Ablation
from vit_widgets.probes.effects import Measure, checked_labels
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.silencing import Kept, silenced
from vit_widgets.probes.sweep import Step, in_batches, sweeping, swept
from vit_widgets.probes.target import Target

Mode = Literal["zero", "mean"]


def ablate_heads(
    model: VisionModel | nn.Module | str,
    images: object,
    target: Target = None,
    mode: Mode = "zero",
    heads: Iterable[tuple[int, int]] | None = None,
    *,
    labels: object = None,
    progress: bool | Progress = True,
    at_once: int = 32,
) -> Ablation:
    """Silence each head alone, run the model on, and measure what it loses.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        As of :func:`capture`.
    target
        What is followed, see :data:`~vit_widgets.probes.target.Target`; default: the class that the
        whole model predicts for each image.
    mode
        What stands in the place of ``A_h V_h``: ``"zero"``, nothing; ``"mean"``, its mean over
        these images, token by token, so that only what it says of the image is lost.
    heads
        (layer, head) of those to silence; default: all.
    labels
        The right class of each image, for the accuracy.
    progress
        ``True`` writes how far it is where it takes longer than a second, ``False`` does not. A
        function is told (done, total) after every layer of some images, and ends it by returning
        ``False``. An interrupt ends it as well; what was measured is returned.
    at_once
        Images in a batch, heads times images.

    Returns
    -------
    Ablation
        (layer, head, metric). The layers are those of ``cache.attention``.

    Raises
    ------
    ValueError
        For a model whose heads cannot be told apart or that returns no scores and no vectors, an
        unknown mode, the mean of one image, labels that do not suit.
    IndexError
        For a head out of range.

    Notes
    -----
    The pruning-based importance of Li et al. 2023, "How Does Attention Work in Vision
    Transformers?"; the exact counterpart of :func:`head_gradients`. Head h is taken from the output
    of its layer as what it writes, ``A_h V_h W_h``, which is the same as silencing it before the
    projection; the blocks before that layer are not run again. So all L·H heads of a plain model
    cost (L + 1) / 2L of as many forwards, 0.54 for 12 layers, and one.

    Examples
    --------
    >>> found = ablate_heads("demo", images)                           # doctest: +SKIP
    >>> found.metric("probability").shape                              # doctest: +SKIP
    (6, 6)
    >>> found.ranked()[0]  # the head that the prediction needs most   # doctest: +SKIP
    (5, 1)
    """
    return swept(
        head_ablations(model, images, target, mode, heads, labels=labels, at_once=at_once), progress
    )


def head_ablations(
    model: VisionModel | nn.Module | str,
    images: object,
    target: Target = None,
    mode: Mode = "zero",
    heads: Iterable[tuple[int, int]] | None = None,
    *,
    labels: object = None,
    at_once: int = 32,
) -> Iterator[Ablation]:
    """Silence each head alone, and give what is known after every layer of some images.

    Between two of them the model is as it was, and anybody's. See :func:`ablate_heads`, which takes
    this to its end, for the parameters and errors.

    Yields
    ------
    Ablation
        First one that knows nothing; what was not measured yet is NaN.

    Examples
    --------
    >>> for found in head_ablations("demo", images):                   # doctest: +SKIP
    ...     print(found.steps)
    (0, 6)
    (1, 6)
    """
    model = load(model)
    batch = model.batch(images)
    if mode not in get_args(Mode):
        msg = f"mode={mode!r} is not known; it is one of {', '.join(get_args(Mode))}"
        raise ValueError(msg)
    if mode == "mean" and len(batch) < 2:
        msg = (
            "the mean of a head over one image is the head itself; give mode='mean' several images"
        )
        raise ValueError(msg)
    joints = head_joints(model, batch)
    wanted = checked_heads(joints, heads)
    measure = Measure(model, target, checked_labels(labels, len(batch)))
    images_at_once = max(1, at_once // max(1, joints.parts))
    instead = _means(measure, batch, joints, images_at_once) if mode == "mean" else {}

    def step(joint: Joint) -> Step:
        def run(kept: Kept) -> Any:
            for parts in in_batches(wanted[joint.layer], at_once // len(kept.rows)):
                yield (joint.layer, parts), silenced(kept, joint, parts, instead.get(joint))

        return run

    yield from sweeping(
        measure,
        batch,
        joints,
        [step(one) for one in joints.found if wanted[one.layer]],
        (len(joints.layers), joints.parts),
        images_at_once=images_at_once,
        method="ablate_heads",
        axes=("layer", "head", "metric"),
        params={"target": target, "mode": mode, "heads": None if heads is None else wanted},
    )


def checked_heads(joints: Joints, heads: Iterable[tuple[int, int]] | None) -> dict[int, list[int]]:
    """List the heads that are asked for, layer by layer.

    Raises
    ------
    IndexError
        For a head out of range.
    ValueError
        For a layer whose heads cannot be told apart.
    """
    if heads is None:
        return {
            layer: [] if one is None else list(range(one.parts))
            for layer, one in enumerate(joints.layers)
        }
    wanted: dict[int, list[int]] = {layer: [] for layer in range(len(joints.layers))}
    for layer, head in heads:
        if layer not in wanted:
            msg = f"layer {layer} is out of range: there are layers 0 to {len(wanted) - 1}"
            raise IndexError(msg)
        joint = joints.layers[layer]
        if joint is None:
            msg = f"the heads of layer {layer} cannot be told apart"
            raise ValueError(msg)
        if not 0 <= head < joint.parts:
            msg = f"head {head} is out of range: layer {layer} has heads 0 to {joint.parts - 1}"
            raise IndexError(msg)
        if head not in wanted[layer]:
            wanted[layer].append(int(head))
    return wanted


def _means(
    measure: Measure, batch: torch.Tensor, joints: Joints, images_at_once: int
) -> dict[Joint, torch.Tensor]:
    """Average what stands at each joint over the images: (token, head * feature)."""
    missing = [one.name for one in joints.found if one.reached == "site"]
    if missing:
        msg = (
            "mode='mean' needs the layer that joins the heads, and none was found for "
            f"{missing[0]}; mode='zero' works without"
        )
        raise ValueError(msg)
    model = measure.model
    sums: dict[Joint, torch.Tensor] = {}
    for some in batch.split(images_at_once):

        def add(at: Joint, parts: torch.Tensor) -> None:
            total = parts.double().sum(dim=0)
            sums[at] = sums[at] + total if at in sums else total

        with model.evaluating(), seeing_joints(model, joints.found, add):
            measure.forward(model.to_device(some))
    return {at: total / len(batch) for at, total in sums.items()}

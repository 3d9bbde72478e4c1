"""What the model loses when a neuron is silenced: exactly, for the neurons of a layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from vit_widgets.activations.joints import neuron_joints
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.ablation import Ablation
from vit_widgets.probes.effects import Measure, checked_labels
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.silencing import Kept, silenced
from vit_widgets.probes.sweep import Step, in_batches, sweeping, swept
from vit_widgets.probes.target import Target

_BEFORE_A_REPORT = 64  # neurons


def ablate_neurons(
    model: VisionModel | nn.Module | str,
    images: object,
    layer: int,
    neurons: Iterable[int] | None = None,
    target: Target = None,
    *,
    labels: object = None,
    progress: bool | Progress = True,
    at_once: int = 32,
) -> Ablation:
    """Silence each neuron of a layer alone, and measure what the model loses.

    Parameters
    ----------
    model, images, target, labels, at_once
        As of :func:`ablate_heads`.
    layer
        Counted from 0, as in ``cache.neurons``; -1 is the last.
    neurons
        Which of the layer; default: all.
    progress
        As of :func:`ablate_heads`; told after every few neurons.

    Returns
    -------
    Ablation
        (layer, neuron, metric) with one layer: its values are ``values[0]``.

    Raises
    ------
    IndexError
        For a layer or a neuron out of range.
    ValueError
        As :func:`ablate_heads`.

    Notes
    -----
    Neuron n is taken from the output of its layer as what it writes, ``a_n W_n``, on all tokens:
    the "remove" of NeuronPath (ICLR 2025), as :func:`neuron_effect` does it for one neuron.

    Examples
    --------
    >>> found = ablate_neurons("demo", images, layer=5, neurons=range(100))  # doctest: +SKIP
    >>> found.metric("logit").shape                                    # doctest: +SKIP
    (1, 768)
    """
    model = load(model)
    batch = model.batch(images)
    joints = neuron_joints(model, batch)
    count = len(joints.layers)
    if not -count <= layer < count:
        msg = f"layer {layer} is out of range: {model.name} has layers 0 to {count - 1}, or -1"
        raise IndexError(msg)
    joint = joints.layers[layer]
    assert joint is not None
    chosen = list(range(joint.parts)) if neurons is None else [int(one) for one in neurons]
    for neuron in chosen:
        if not 0 <= neuron < joint.parts:
            msg = (
                f"neuron {neuron} is out of range: layer {joint.layer} has neurons 0 to "
                f"{joint.parts - 1}"
            )
            raise IndexError(msg)
    measure = Measure(model, target, checked_labels(labels, len(batch)))

    def step(some: Sequence[int]) -> Step:
        def run(kept: Kept) -> Any:
            for parts in in_batches(some, at_once // len(kept.rows)):
                yield (0, parts), silenced(kept, joint, parts)

        return run

    return swept(
        sweeping(
            measure,
            batch,
            joints.only(joint),
            [step(some) for some in in_batches(chosen, _BEFORE_A_REPORT)],
            (1, joint.parts),
            images_at_once=max(1, at_once // 8),
            method="ablate_neurons",
            axes=("layer", "neuron", "metric"),
            params={"layer": joint.layer, "neurons": chosen, "target": target},
        ),
        progress,
    )

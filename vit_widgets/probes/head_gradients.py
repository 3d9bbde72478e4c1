"""What the model would lose without each head, to first order: all heads from one backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from vit_widgets.activations.gradients import differentiating
from vit_widgets.activations.joint import Joint, Joints
from vit_widgets.activations.joints import head_joints
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.ablation import ranked
from vit_widgets.probes.effects import Measure
from vit_widgets.probes.result import Result
from vit_widgets.probes.silencing import gating
from vit_widgets.probes.target import ReadOut, Target

Gates: TypeAlias = "Mapping[Joint, torch.Tensor]"
"""Factors (image, head) on the heads of each layer."""


@dataclass(frozen=True, repr=False)
class HeadGradients(Result):
    """How the target answers to a factor on each head: see :func:`head_gradients`.

    Attributes
    ----------
    each
        float64 (image, layer, head): the derivative by the factor, at 1. So by how much the target
        would fall without the head if it were linear in it. NaN where there is no head, or where it
        cannot be told apart.
    targets
        What was followed in each image.
    notes
        What has to be known of these numbers, in sentences.
    axes
        Names of the axes of `values`.
    """

    each: np.ndarray
    targets: tuple[ReadOut, ...]
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("layer", "head")
    method: str = "head_gradients"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """Mean over the images: float64 (layer, head)."""
        return self.each.mean(axis=0)

    @property
    def importance(self) -> np.ndarray:
        """Mean of the size over the images: float64 (layer, head), Michel et al. 2019, eq. 2."""
        return np.abs(self.each).mean(axis=0)

    def ranked(self) -> list[tuple[int, ...]]:
        """List the heads, (layer, head), by the size of the mean, the largest first."""
        return ranked(self.values)

    def show(self) -> Any:
        """Draw the derivatives, layers against heads.

        Returns
        -------
        bqplot.Figure
        """
        from importlib import import_module

        return import_module("vit_widgets.plots").head_matrix(
            self.values, "derivative of the target by a factor on the head"
        )


def head_gradients(
    model: VisionModel | nn.Module | str,
    images: object,
    target: Target = None,
    *,
    at_once: int = 8,
) -> HeadGradients:
    """Differentiate the target by a factor on each head: one forward and one backward.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        As of :func:`capture`.
    target
        What is followed, see :data:`~vit_widgets.probes.target.Target`; default: the class that is
        predicted for each image.
    at_once
        Images in a batch.

    Returns
    -------
    HeadGradients

    Raises
    ------
    ValueError
        For a model whose heads cannot be told apart, that returns no scores and no vectors, or
        through which no gradient flows.

    Notes
    -----
    ``∂f/∂g_h`` at 1 of ``Σ_h g_h A_h V_h W_h``, Michel et al. 2019, "Are Sixteen Heads Really
    Better than One?", eq. 2. The same number is ``Σ_ij A_ij ∂f/∂A_ij``. What a head does through
    the softmaxes and norms behind it is linearised: :func:`screen_heads` tells how far that holds.

    Examples
    --------
    >>> head_gradients("demo", images).values.shape                    # doctest: +SKIP
    (6, 6)
    """
    model = load(model)
    batch = model.batch(images)
    joints = head_joints(model, batch)
    measure = Measure(model, target, None)
    targets: list[ReadOut] = []

    def some(first: int) -> np.ndarray:
        rows = model.to_device(batch[first : first + at_once])

        def scores(gates: Gates) -> torch.Tensor:
            with gating(model, gates):
                plain = measure.forward(rows)
            settled = measure.settled(first, plain)
            targets.extend(settled.targets)
            return settled.scores(*(one[None] for one in plain))

        return differentiated(model, joints, len(rows), scores)

    each = [some(first) for first in range(0, len(batch), at_once)]
    return HeadGradients(
        np.concatenate(each),
        tuple(targets),
        joints.notes,
        params={"target": target, "model": model.name},
    )


def differentiated(
    model: VisionModel, joints: Joints, images: int, scores: Callable[[Gates], torch.Tensor]
) -> np.ndarray:
    """Differentiate the targets of some images by factors on the heads: (image, layer, head).

    Parameters
    ----------
    model
        The model.
    joints
        Of the heads.
    images
        How many images there are.
    scores
        Runs a forward with these factors, all of them 1, and gives the target of each image.
    """
    with differentiating(model):
        gates = {at: _ones(model, images, at) for at in joints.found}
        with torch.enable_grad():
            total = scores(gates).sum()
        if not total.requires_grad:
            msg = (
                f"no gradient flows through {type(model.module).__name__}: its forward runs under "
                "torch.no_grad or detaches what it computes; pass forward= that does not"
            )
            raise ValueError(msg)
        # Images do not hear of each other: the gradient of the sum is that of each one's target.
        answers = torch.autograd.grad(total, list(gates.values()), allow_unused=True)
    each = np.full((images, len(joints.layers), joints.parts), np.nan)
    for at, answer in zip(gates, answers, strict=True):
        found = torch.zeros_like(gates[at]) if answer is None else answer
        each[:, at.layer, : at.parts] = found.detach().double().cpu().numpy()
    return each


def _ones(model: VisionModel, images: int, at: Joint) -> torch.Tensor:
    one = torch.ones(images, at.parts, device=model.device, dtype=model.dtype)
    return one.requires_grad_()

"""How far a map moves when the picture hardly does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.models import VisionModel, load
from vit_widgets.probes.attribution.input_gradients import settled
from vit_widgets.probes.faithfulness.plan import Case, Method, Plan, Reading, without_method
from vit_widgets.probes.faithfulness.scoring import Scores, Stopped, Work
from vit_widgets.probes.faithfulness.units import numbers
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import Target, one_image, question

RADIUS = 0.02
DRAWS = 10


@dataclass(frozen=True, repr=False)
class MaxSensitivity(Result):
    """How much a map changed under noise: see :func:`max_sensitivity`.

    Attributes
    ----------
    values
        The change of the map relative to its size, for each noisy picture, float64 (draw).
    notes
        What to know before it is believed.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("draw",)
    method: str = "max_sensitivity"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def maximum(self) -> float:
        """The largest change, 0 for a map that stays as it is; NaN where none was measured."""
        return float(self.values.max()) if self.values.size else float("nan")


def max_sensitivity(
    model: VisionModel | nn.Module | str,
    image: object,
    method: Method,
    target: Target = None,
    radius: float = RADIUS,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> MaxSensitivity:
    """Add a little noise to a picture, and measure how much its map changes.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    method
        From (model, image, target) to a map; the image is a model input, float (1, channels,
        row, col).
    target
        As of :func:`faithfulness`. The class predicted for the picture itself stays the target for
        the noisy ones.
    radius
        Noise is drawn evenly from -radius to radius, in units of the model's input.
    draws
        How many noisy pictures.
    seed
        Of the noise.
    progress
        Told of (done, total) maps; ends the work by returning ``False``.

    Returns
    -------
    MaxSensitivity
        With fewer draws if it was stopped.

    Raises
    ------
    ValueError
        For several images, a radius below 0, or a map that is not finite.

    Notes
    -----
    Yeh et al. 2019, "On the (In)fidelity and Sensitivity of Explanations", with the change divided
    by the norm of the map (Frobenius).

    Examples
    --------
    >>> found = max_sensitivity(model, image, vw.probes.saliency)      # doctest: +SKIP
    >>> found.maximum                                                  # doctest: +SKIP
    0.83
    """
    model = load(model)
    [pixels] = one_image(model, image)
    if not radius >= 0:
        msg = f"radius={radius} is no distance; give a number from 0, such as {RADIUS}"
        raise ValueError(msg)
    fixed = class_fixed(model, target, pixels)
    first = numbers(method(model, pixels[None], fixed))
    size = float(np.linalg.norm(first))
    params = {"model": model.name, "radius": radius, "draws": draws, "seed": seed}
    if size == 0:
        note = "max_sensitivity: the map is zero, and its change has no size to be compared with"
        return MaxSensitivity(np.empty(0), (note,), params=params)
    noise = torch.Generator().manual_seed(seed)
    work, changes = Work(draws, progress), []
    notes: tuple[str, ...] = ()
    try:
        for _ in range(draws):
            moved = radius * (2 * torch.rand(pixels.shape, generator=noise) - 1)
            other = numbers(method(model, (pixels + moved.to(pixels))[None], fixed))
            changes.append(float(np.linalg.norm(other - first)) / size)
            work.step()
    except (Stopped, KeyboardInterrupt):
        notes = (f"stopped after {len(changes)} of {draws} draws",)
    return MaxSensitivity(np.array(changes), notes, params=params)


def plan_max_sensitivity(case: Case) -> Plan:
    """Plan it for :func:`faithfulness`."""
    method = case.method
    if method is None:
        return without_method("max_sensitivity")

    def read(_scores: Scores, work: Work) -> Reading:
        found = max_sensitivity(
            case.model,
            case.subject.pixels[None],
            method,
            case.target,
            seed=case.seed,
            progress=lambda *_: work.step(),
        )
        return Reading(scores={"max_sensitivity": found.maximum}, notes=found.notes)

    return Plan(read, maps=DRAWS, params={"radius": RADIUS, "draws": DRAWS})


def class_fixed(model: VisionModel, target: Target, pixels: torch.Tensor) -> Target:
    """Turn "the predicted class" into the one that is predicted for a picture."""
    if target is not None:
        return target
    score, _ = settled(question(model), pixels[None])
    return score.read_out.index

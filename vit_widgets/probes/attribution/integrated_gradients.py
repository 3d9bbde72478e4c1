"""Gradients along the way from a picture without anything to the picture."""

from __future__ import annotations

import torch
from torch import nn

from vit_widgets.models import VisionModel, load
from vit_widgets.probes.attribution.fills import Fill, filled
from vit_widgets.probes.attribution.input_gradients import (
    checked_count,
    laid_out,
    mean_gradient,
    settled,
    stopped,
)
from vit_widgets.probes.maps import PixelMap, remarks
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import Target, one_image, question


def integrated_gradients(
    model: VisionModel | nn.Module | str,
    image: object,
    target: Target = None,
    steps: int = 50,
    baseline: Fill = "black",
    at_once: int = 8,
    progress: Progress | None = None,
) -> PixelMap:
    """Share the score among the pixels, by their gradients on the way from a baseline.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`).
    steps
        Into how many the way is cut; one gradient is taken in the middle of each.
    baseline
        Where it begins (:data:`~vit_widgets.probes.attribution.fills.Fill`).
    at_once
        How many steps are run together.
    progress
        Called with how many are done, and of how many; ends by returning ``False``, and the
        residual then says what is missing.

    Returns
    -------
    PixelMap
        Signed, summed over the channels. `residual` is the sum over the pixels less the difference
        of the two scores; a note says so where it is more than 1 % of that.

    Raises
    ------
    ValueError
        For a model without scores or gradients, several images, a baseline that is none, and no
        steps.

    Notes
    -----
    Sundararajan, Taly & Yan 2017, eq. 1 and 3, by the midpoint rule.

    Examples
    --------
    >>> found = integrated_gradients("demo", image)                    # doctest: +SKIP
    >>> found.values.shape, found.residual                             # doctest: +SKIP
    ((144, 144), 0.012)
    """
    checked_count("steps", steps)
    checked_count("at_once", at_once)
    model = load(model)
    batch = one_image(model, image)
    start = filled(model, batch, baseline)
    score, value = settled(question(model, target), batch)
    difference = value - float(score.of(start)[0])

    def between(number: int) -> torch.Tensor:
        return start + (number + 0.5) / steps * (batch - start)

    mean, done = mean_gradient(score, between, steps, at_once, progress)
    shares = ((batch - start).double().numpy() * mean)[0].sum(axis=-3)
    residual = float(shares.sum()) - difference
    values = laid_out(shares)
    notes = stopped(done, steps, "steps")
    if abs(residual) > 0.01 * abs(difference):
        said = (
            f"the shares sum to {difference + residual:.4g}, and the scores differ by "
            f"{difference:.4g}: take more steps"
        )
        notes = (*notes, said)
    named = "given" if isinstance(baseline, torch.Tensor) else baseline
    return PixelMap(
        values,
        (values.shape[0], values.shape[1]),
        score.read_out,
        value,
        method="integrated_gradients",
        params={"model": model.name, "target": target, "steps": steps, "baseline": named},
        notes=(*notes, *remarks(values)),
        residual=residual,
    )

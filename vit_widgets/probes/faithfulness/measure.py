"""How far a map can be trusted, on one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.models import Grid, VisionModel, load
from vit_widgets.probes.attribution.fills import Fill, filled
from vit_widgets.probes.faithfulness.confidence import confidence
from vit_widgets.probes.faithfulness.curves import STEPS, abpc, deletion, insertion
from vit_widgets.probes.faithfulness.localization import localization
from vit_widgets.probes.faithfulness.plan import Case, Curve, Method, Plan
from vit_widgets.probes.faithfulness.randomization import plan_randomization
from vit_widgets.probes.faithfulness.result import Faithfulness
from vit_widgets.probes.faithfulness.road import road
from vit_widgets.probes.faithfulness.scoring import Scorer, Stopped, Work
from vit_widgets.probes.faithfulness.sensitivity_n import sensitivity_n
from vit_widgets.probes.faithfulness.stability import class_fixed, plan_max_sensitivity
from vit_widgets.probes.faithfulness.states import Blend, Subject
from vit_widgets.probes.faithfulness.units import Attribution, ranked
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.scene_truth import seen_shares
from vit_widgets.probes.target import Target, one_image

METRICS: Mapping[str, Callable[[Case], Plan]] = MappingProxyType(
    {
        "deletion": deletion,
        "insertion": insertion,
        "abpc": abpc,
        "road": road,
        "sensitivity_n": sensitivity_n,
        "confidence": confidence,
        "localization": localization,
        "max_sensitivity": plan_max_sensitivity,
        "randomization": plan_randomization,
    }
)
"""All there are, by name."""


def faithfulness(
    model: VisionModel | nn.Module | str,
    image: object,
    attribution: Attribution | Method,
    target: Target = None,
    metrics: Sequence[str] = ("deletion", "insertion", "abpc"),
    mask: object = None,
    steps: int | None = None,
    baseline: Fill = "mean",
    seed: int = 0,
    progress: Progress | None = None,
    *,
    grid: Grid | None = None,
    batch_size: int = 32,
) -> Faithfulness:
    """Measure whether what a map calls important is what the model uses.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    attribution
        A :class:`PatchMap` or :class:`PixelMap`; numbers (row, col), of pixels where they are as
        many as the input's, else of patches of equal size; or a function of (model, image, target)
        that makes one of these, which ``"max_sensitivity"`` and ``"randomization"`` need.
    target
        What the map explains, see :data:`vit_widgets.probes.target.Target`. For ``None`` and for a
        class the curves follow its probability, and ``"sensitivity_n"`` its score (logit).
    metrics
        Which measures, of :data:`METRICS`:

        - ``"deletion"``, ``"insertion"``: areas under the curves (lower, higher is better);
        - ``"abpc"``: the area between the curves ``morf`` and ``lerf`` (higher);
        - ``"road"``: the same with imputed pixels (higher);
        - ``"sensitivity_n"``: the mean correlation (higher, at most 1);
        - ``"confidence"``: ``average_drop_100`` (lower) and ``increase_100`` (higher), in percent,
          and the same for 50 and 15 percent of the cells;
        - ``"localization"``: ``pointing``, ``iou``, ``mass`` (higher), where `mask` is given;
        - ``"max_sensitivity"``: change under noise (lower);
        - ``"randomization"``: the mean rank correlation with maps of a model that forgets, and
          their ``ssim`` (lower).
    mask
        The object: bool (row, col) of the image's pixels. It goes through the model's
        preprocessing as the image does; beside a float tensor, which has been through it, it is of
        that tensor's pixels.
    steps
        Into how many a curve is cut; default: :data:`~.curves.STEPS`, at most one for each cell.
    baseline
        What replaces pixels (:data:`~vit_widgets.probes.attribution.fills.Fill`).
    seed
        Of all that is drawn.
    progress
        Told of (done, total) pictures and maps after each batch; ends the work by returning
        ``False``.
    grid
        Cells that are replaced together instead of the map's own, to compare maps of different
        resolution. The map is averaged over each.
    batch_size
        Pictures in one forward.

    Returns
    -------
    Faithfulness
        Stopped by `progress` or by the keyboard, with the measures that were complete; a note names
        the others.

    Raises
    ------
    ValueError
        For several images, a map that is not finite or of another size, an unknown measure or
        baseline, a class that the model has not, and scores that are NaN.
    TypeError
        For a target that is none.

    Notes
    -----
    Each measure names its source where it is defined. A measure says how a map agrees with the
    model under one way of removing pixels, not whether an explanation is right: compare with a
    random map and an edge detector (:func:`leaderboard`).

    Examples
    --------
    >>> found = faithfulness("demo", scene.image, scene.mask)          # doctest: +SKIP
    >>> found.scores["abpc"]                                           # doctest: +SKIP
    0.61
    >>> found.state(4).shape                                           # doctest: +SKIP
    (144, 144, 3)
    """
    model = load(model)
    _check(metrics, steps, batch_size)
    [pixels] = one_image(model, image)
    if pixels.ndim != 3:
        msg = "a video's map is not measured; give a model of images, or one frame"
        raise ValueError(msg)
    pixels = pixels.cpu()
    size = (int(pixels.shape[1]), int(pixels.shape[2]))
    seen = None if mask is None else _mask(model, image, mask, size)
    fixed = class_fixed(model, target, pixels)
    method = attribution if callable(attribution) else None
    given: Any = method(model, image, fixed) if method is not None else attribution
    units = ranked(given, size, grid, seed)
    subject = Subject(pixels, filled(model, pixels[None], baseline)[0].cpu(), units)
    scorer = Scorer(model, target, subject, batch_size)
    steps = min(steps or STEPS, units.count)
    case = Case(subject, steps, seed, seen, model, method, fixed)
    whole = Blend(np.ones(units.count, bool))
    plans = {name: METRICS[name](case) for name in metrics}
    keys = {whole.key, *(state.key for plan in plans.values() for state in plan.states)}
    work = Work(len(keys) + sum(plan.maps for plan in plans.values()), progress)
    found: dict[str, Curve] = {}
    scores: dict[str, float] = {}
    notes = list(units.notes)
    complete = 0
    score = float("nan")
    try:
        score = float(scorer([whole], work).confidence[0])
        for plan in plans.values():
            reading = plan.read(scorer(plan.states, work), work)
            found.update(reading.curves)
            scores.update(reading.scores)
            notes += reading.notes
            complete += 1
    except (Stopped, KeyboardInterrupt):
        # what is complete is the answer, and says so
        if complete < len(plans):
            notes.append(f"stopped: {', '.join(list(plans)[complete:])} not measured")
    return Faithfulness(
        MappingProxyType(found),
        MappingProxyType(scores),
        scorer.read_out,
        score,
        tuple(notes),
        params={
            "model": model.name,
            "metrics": tuple(metrics),
            "steps": steps,
            "baseline": baseline if isinstance(baseline, str) else "given",
            "seed": seed,
            "cells": (units.grid.rows, units.grid.cols),
            "batch_size": batch_size,
            "pictures": scorer.pictures,
            "forwards": scorer.forwards,
            **{key: value for plan in plans.values() for key, value in plan.params.items()},
        },
        _model=model,
        _subject=subject,
    )


def _check(metrics: Sequence[str], steps: int | None, batch_size: int) -> None:
    names = [metrics] if isinstance(metrics, str) else metrics
    for name in names:
        if name not in METRICS:
            msg = f"there is no measure {name!r}; the measures are {', '.join(METRICS)}"
            raise ValueError(msg)
    if isinstance(metrics, str):
        msg = f"metrics={metrics!r} is one name; give a list of names, ({metrics!r},)"
        raise TypeError(msg)
    for what, number in (("steps", 1 if steps is None else steps), ("batch_size", batch_size)):
        if number < 1:
            msg = f"{what}={number} is no count; give a whole number from 1"
            raise ValueError(msg)


def _mask(model: VisionModel, image: object, mask: object, size: tuple[int, int]) -> np.ndarray:
    """Bring the mask of the object to the pixels of the input, bool (row, col)."""
    given = np.asarray(mask)
    if given.ndim != 2 or given.dtype != bool:
        msg = f"the mask is {given.dtype} of shape {given.shape}; give bool (row, col) of pixels"
        raise ValueError(msg)
    [read] = model.each(image)
    preprocessed = isinstance(read, torch.Tensor)
    expected = size if isinstance(read, torch.Tensor) else (read.height, read.width)
    if given.shape != expected:
        msg = (
            f"the mask is of {given.shape[0]} x {given.shape[1]} pixels, and the image of "
            f"{expected[0]} x {expected[1]}; give one of the image's own pixels"
        )
        raise ValueError(msg)
    return given if preprocessed else seen_shares(model, [given])[0] >= 0.5

"""A picture that a model is asked about once, and the maps of it that are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from vit_widgets.models import Grid, VisionModel
from vit_widgets.probes.attribution.fills import Fill, filled
from vit_widgets.probes.attribution.input_gradients import checked_count
from vit_widgets.probes.faithfulness.confidence import confidence
from vit_widgets.probes.faithfulness.curves import STEPS, abpc, deletion, insertion
from vit_widgets.probes.faithfulness.localization import localization
from vit_widgets.probes.faithfulness.plan import Case, Curve, Method, Plan
from vit_widgets.probes.faithfulness.randomization import plan_randomization
from vit_widgets.probes.faithfulness.result import Faithfulness
from vit_widgets.probes.faithfulness.road import road
from vit_widgets.probes.faithfulness.scoring import Scorer, Stopped, Work
from vit_widgets.probes.faithfulness.sensitivity_n import sensitivity_n
from vit_widgets.probes.faithfulness.stability import plan_max_sensitivity
from vit_widgets.probes.faithfulness.states import Blend, State, Subject
from vit_widgets.probes.faithfulness.units import Attribution, ranked
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


class PictureAsked:
    """A picture with what all measures of all its maps share.

    Parameters
    ----------
    model
        The model.
    image, target, mask, baseline, batch_size
        As of :func:`faithfulness`.

    Attributes
    ----------
    target
        What maps explain: of ``None`` the class that is predicted for the picture.
    scorer
        What the model says of variants of it; none is scored twice, whatever map asks for it.

    Raises
    ------
    ValueError, TypeError
        As of :func:`faithfulness`.
    """

    def __init__(
        self,
        model: VisionModel,
        image: object,
        target: Target,
        mask: object,
        baseline: Fill,
        batch_size: int,
    ) -> None:
        checked_count("batch_size", batch_size)
        [pixels] = one_image(model, image)
        if pixels.ndim != 3:
            msg = "a video's map is not measured; give a model of images, or one frame"
            raise ValueError(msg)
        self.model, self.image = model, image
        self.pixels = pixels.cpu()
        self.size = (int(pixels.shape[1]), int(pixels.shape[2]))
        self.mask = None if mask is None else _mask(model, image, mask, self.size)
        self.scorer = Scorer(model, target, self.pixels, batch_size)
        self.target = self.scorer.read_out.index if target is None else target
        self.baseline = filled(model, self.pixels[None], baseline)[0].cpu()
        self.params = {
            "model": model.name,
            "baseline": baseline if isinstance(baseline, str) else "given",
            "batch_size": batch_size,
        }


class Measurement:
    """A map of a picture, made and ranked, and what its measures need to have scored.

    Parameters
    ----------
    asked
        The picture.
    attribution, metrics, steps, seed, grid
        As of :func:`faithfulness`.

    Attributes
    ----------
    states
        Pictures to be scored.
    size
        Pictures to be scored and maps to be made.
    complete
        Whether all measures were read.

    Raises
    ------
    ValueError, TypeError
        As of :func:`faithfulness`, and what a function that makes the map raises.
    """

    def __init__(
        self,
        asked: PictureAsked,
        attribution: Attribution | Method,
        metrics: Sequence[str],
        steps: int | None,
        seed: int,
        grid: Grid | None,
    ) -> None:
        checked_metrics(metrics)
        checked_count("steps", 1 if steps is None else steps)
        method = attribution if callable(attribution) else None
        given: Any = (
            attribution if method is None else method(asked.model, asked.image, asked.target)
        )
        units = ranked(given, asked.size, grid, seed)
        self._asked = asked
        self.subject = Subject(asked.pixels, asked.baseline, units)
        case = Case(
            self.subject,
            min(steps or STEPS, units.count),
            seed,
            asked.mask,
            asked.model,
            method,
            asked.target,
        )
        self._plans = {name: METRICS[name](case) for name in metrics}
        self._whole = Blend(np.ones(units.count, bool))
        states = [self._whole, *(state for plan in self._plans.values() for state in plan.states)]
        self.states: list[State] = list({state.key: state for state in states}.values())
        self.size = len(self.states) + sum(plan.maps for plan in self._plans.values())
        self.complete = False
        self._params = {
            "metrics": tuple(metrics),
            "steps": case.steps,
            "seed": seed,
            "cells": (units.grid.rows, units.grid.cols),
        }

    def read(self, work: Work) -> Faithfulness:
        """Score what is not scored yet, and read the measures.

        Stopped by `work` or by the keyboard, it has the measures that were complete.
        """
        asked, subject = self._asked, self.subject
        found: dict[str, Curve] = {}
        scores: dict[str, float] = {}
        notes = list(subject.units.notes)
        read = 0
        score = float("nan")
        try:
            score = float(asked.scorer([self._whole], subject, work).confidence[0])
            for plan in self._plans.values():
                reading = plan.read(asked.scorer(plan.states, subject, work), work)
                found.update(reading.curves)
                scores.update(reading.scores)
                notes += reading.notes
                read += 1
        except (Stopped, KeyboardInterrupt):
            # what is complete is the answer, and says so
            if read < len(self._plans):
                left = ", ".join(list(self._plans)[read:])
                notes.append(f"stopped: {left} not measured")
        self.complete = read == len(self._plans)
        plans = self._plans.values()
        return Faithfulness(
            MappingProxyType(found),
            MappingProxyType(scores),
            asked.scorer.read_out,
            score,
            tuple(notes),
            params={
                **asked.params,
                **self._params,
                **{key: value for plan in plans for key, value in plan.params.items()},
            },
            _model=asked.model,
            _subject=subject,
        )


def checked_metrics(metrics: Sequence[str]) -> None:
    """Refuse what names no measures.

    Raises
    ------
    ValueError
        For a name that there is not.
    TypeError
        For one name instead of several.
    """
    names = [metrics] if isinstance(metrics, str) else metrics
    for name in names:
        if name not in METRICS:
            msg = f"there is no measure {name!r}; the measures are {', '.join(METRICS)}"
            raise ValueError(msg)
    if isinstance(metrics, str):
        msg = f"metrics={metrics!r} is one name; give a list of names, ({metrics!r},)"
        raise TypeError(msg)


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

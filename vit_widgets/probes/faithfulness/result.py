"""What was measured of one map on one picture."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.models import VisionModel
from vit_widgets.probes.faithfulness.plan import Curve
from vit_widgets.probes.faithfulness.states import Subject
from vit_widgets.probes.faithfulness.units import Units
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import ReadOut


@dataclass(frozen=True, repr=False)
class Faithfulness(Result):
    """What a map is worth: see :func:`faithfulness`.

    Attributes
    ----------
    curves
        By name, see :class:`Curve`.
    scores
        Numbers by name.
    target
        What the model was asked.
    score
        The confidence in the picture itself: the probability of the class, or what any other target
        gives.
    notes
        What to know before it is believed, in sentences.
    axes
        Names of the axes of each curve.
    """

    curves: Mapping[str, Curve]
    scores: Mapping[str, float]
    target: ReadOut
    score: float
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("step",)
    method: str = "faithfulness"
    params: dict[str, Any] = field(default_factory=dict)
    _model: VisionModel | None = field(default=None, repr=False, compare=False)
    _subject: Subject | None = field(default=None, repr=False, compare=False)

    @property
    def units(self) -> Units:
        """The cells that were replaced together, with their values and their order."""
        assert self._subject is not None
        return self._subject.units

    def state(self, step: int, curve: str = "deletion") -> np.ndarray:
        """Show the picture at a step of a curve: uint8 (row, col, 3).

        Parameters
        ----------
        step
            Counted from 0; -1 is the last.
        curve
            Its name.

        Raises
        ------
        KeyError
            For a curve that was not measured.
        IndexError
            For a step that it has not.
        ValueError
            For a curve whose points are no pictures.
        """
        if curve not in self.curves:
            msg = f"the curve {curve!r} was not measured; there is {', '.join(self.curves)}"
            raise KeyError(msg)
        states = self.curves[curve].states
        if not states:
            msg = f"a point of {curve} stands for many pictures or none; deletion has one at a step"
            raise ValueError(msg)
        if not -len(states) <= step < len(states):
            msg = f"step {step} is out of range: {curve} has steps 0 to {len(states) - 1}"
            raise IndexError(msg)
        assert self._model is not None
        assert self._subject is not None
        return self._model.picture(states[step].picture(self._subject))

    def show(self) -> Any:
        """Draw the curves (:func:`vit_widgets.plots.faithfulness`)."""
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").faithfulness(self)

"""What a measure needs to have scored, and what it makes of the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.integrate import trapezoid

from vit_widgets.models import VisionModel
from vit_widgets.probes.faithfulness.scoring import Scores, Work
from vit_widgets.probes.faithfulness.states import State, Subject
from vit_widgets.probes.faithfulness.units import Attribution
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import Target

Method: TypeAlias = Callable[[VisionModel, Any, Any], Attribution]
"""From (model, image, target) to a map."""


@dataclass(frozen=True, repr=False)
class Curve(Result):
    """Scores of a picture that is changed step by step.

    Attributes
    ----------
    fractions
        The share of its cells that is changed at each step, 0..1, float64 (step).
    scores
        What the model gives, float64 (step).
    hits
        Whether the class still has the greatest score, bool (step); ``None`` without a class.
    states
        How the picture is changed at each step; empty where a point is no picture.
    """

    fractions: np.ndarray
    scores: np.ndarray
    hits: np.ndarray | None = None
    states: Sequence[State] = field(default=(), repr=False)

    @property
    def area(self) -> float:
        """Area under the curve by trapezoids, over the range of `fractions`: a mean score.

        With equal steps it is ``(sum - first / 2 - last / 2) / (steps - 1)``.

        Examples
        --------
        >>> Curve(np.array([0.1, 0.5, 0.9]), np.full(3, 0.25)).area
        0.25
        """
        width = self.fractions[-1] - self.fractions[0]
        return float(trapezoid(self.scores, self.fractions) / width)


@dataclass(frozen=True)
class Reading:
    """What a measure says.

    Attributes
    ----------
    curves, scores
        By name.
    notes
        What to know before it is believed, in sentences.
    """

    curves: Mapping[str, Curve] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How a measure is taken.

    Attributes
    ----------
    read
        From the scores of `states` to what it says; it tells its second argument of each map made.
    states
        What it needs to have scored.
    maps
        How many maps it makes itself.
    params
        Its settings.
    """

    read: Callable[[Scores, Work], Reading]
    states: Sequence[State] = ()
    maps: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """All that a measure may ask for.

    Attributes
    ----------
    subject
        The picture, its baseline and its ranked cells.
    steps
        Into how many a curve is cut.
    seed
        Of all that is drawn.
    mask
        Which pixels of the input are of the object, bool (row, col), if that is known.
    model, method, target
        The function that makes the map, if there is one, and what it is called with.
    """

    subject: Subject
    steps: int
    seed: int
    mask: np.ndarray | None
    model: VisionModel
    method: Method | None
    target: Target

    def counts(self, fractions: np.ndarray) -> list[int]:
        """Turn shares of the cells into whole numbers of them, each once."""
        counts = np.floor(fractions * self.subject.units.count + 0.5).astype(int)
        return np.unique(counts).tolist()

    def steps_of_all(self) -> list[int]:
        """Count the cells that are changed at each step, from none to all."""
        return self.counts(np.linspace(0, 1, self.steps + 1))

    def map_of(self, model: VisionModel, pixels: torch.Tensor) -> Any:
        """Make the map of a picture (channels, row, col)."""
        assert self.method is not None
        return self.method(model, pixels[None], self.target)


def without_method(name: str) -> Plan:
    """Plan nothing, and say why: the map was given, not what makes it."""
    note = f"{name} makes the map again: give the function (model, image, target) that makes it"
    return Plan(lambda _scores, _work: Reading(notes=(note,)))

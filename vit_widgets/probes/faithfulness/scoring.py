"""Scoring variants of a picture in batches, none of them twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vit_widgets.models import VisionModel, calling
from vit_widgets.probes.attribution.input_gradients import settled
from vit_widgets.probes.faithfulness.states import State, Subject
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import ReadOut, Target, question


class Stopped(Exception):  # noqa: N818 - it is no error
    """The progress said so."""


class Work:
    """Counts what is done, tells it, and notices when to stop.

    Parameters
    ----------
    total
        Pictures to score and maps to make.
    progress
        Told of it.

    Attributes
    ----------
    stopped
        Whether the progress said so.
    """

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._done, self._total, self._progress = 0, total, progress
        self.stopped = False

    def step(self, count: int = 1) -> None:
        """Say that so many more are done."""
        self._done += count
        if self._progress is not None and self._progress(self._done, self._total) is False:
            self.stopped = True
            raise Stopped


@dataclass(frozen=True)
class Scores:
    """What a model says of pictures.

    Attributes
    ----------
    confidence
        The probability of the class, or what any other target gives: float64 (picture).
    score
        What the target gives; of a class its score (logit): float64 (picture).
    hits
        Whether the class has the greatest score, bool (picture); ``None`` where there is no class.
    """

    confidence: np.ndarray
    score: np.ndarray
    hits: np.ndarray | None


class Scorer:
    """What a model says of variants of one picture.

    Parameters
    ----------
    model, target
        As of :func:`faithfulness`; the target is settled by the picture itself.
    pixels
        The picture, as the model takes it, float (channels, row, col).
    batch_size
        Variants in one forward.

    Attributes
    ----------
    read_out
        What is scored.
    pictures, forwards
        How many variants were scored so far, and in how many forwards; the picture itself, which
        settles the target, is not counted.
    """

    def __init__(
        self, model: VisionModel, target: Target, pixels: torch.Tensor, batch_size: int
    ) -> None:
        asked = question(model, target)
        self._model = asked.model
        self._is_class = target is None or isinstance(target, (int, np.integer))
        self._read, _ = settled(asked, pixels[None])
        self._at_once = 1 if self._read.one_by_one else batch_size
        self._known: dict[Any, tuple[float, float, bool]] = {}
        self.read_out: ReadOut = self._read.read_out
        self.pictures = self.forwards = 0

    def __call__(self, states: Sequence[State], subject: Subject, work: Work) -> Scores:
        """Score variants of the picture.

        Parameters
        ----------
        states
            The variants.
        subject
            The picture with its baseline, which is the same in every call, and the cells.
        work
            Told of each variant that is scored for the first time.

        Raises
        ------
        ValueError
            If a score is NaN.
        Stopped
            By `work`; what was scored until then stays known.
        """
        self.ahead([(state, subject) for state in states], work)
        if not states:
            return Scores(np.empty(0), np.empty(0), None)
        known = [self._known[_key(state, subject)] for state in states]
        confidence, score, hits = (np.array(each) for each in zip(*known, strict=True))
        return Scores(confidence, score, hits if self.read_out.index is not None else None)

    def ahead(self, several: Sequence[tuple[State, Subject]], work: Work) -> None:
        """Score what will be asked for, of several maps, in batches that are full.

        Raises
        ------
        ValueError, Stopped
            As above.
        """
        asked = {_key(state, subject): (state, subject) for state, subject in several}
        new = [(key, each) for key, each in asked.items() if key not in self._known]
        for start in range(0, len(new), self._at_once):
            some = new[start : start + self._at_once]
            answers = self._run(torch.stack([state.picture(of) for _, (state, of) in some]))
            self._known.update(zip([key for key, _ in some], answers, strict=True))
            work.step(len(some))

    def _run(self, pictures: torch.Tensor) -> list[tuple[float, float, bool]]:
        with self._model.evaluating():
            output = self._model.run(self._model.to_device(pictures))
            score = self._read(output)
        self.pictures, self.forwards = self.pictures + len(pictures), self.forwards + 1
        if bool(score.isnan().any()):
            raise ValueError(calling.not_finite(self._model.module))
        confidence, hits = score, torch.zeros(len(pictures), dtype=torch.bool)
        index, rows = self.read_out.index, self._model.logits(output)
        if index is not None and rows is not None:
            hits = rows.argmax(dim=-1) == index
            if self._is_class:
                confidence = rows.double().softmax(dim=-1)[:, index]
        return list(zip(*(each.tolist() for each in (confidence, score, hits)), strict=True))


def _key(state: State, subject: Subject) -> Any:
    """Name what looks the same on the same cells."""
    return subject.units.grid, state.key

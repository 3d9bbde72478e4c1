"""What a model loses when a part of it is silenced: one measure for heads, neurons and blocks.

Every edit is of one place; what comes before it is not run again
(:class:`~vit_widgets.activations.replay.Replay`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn import functional as F

from vit_widgets.activations.class_layer import ClassLayer
from vit_widgets.activations.joints import Joint, Joints, seeing_joints
from vit_widgets.activations.replay import Call, Replay, recording
from vit_widgets.models import VisionModel, anatomy, calling
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import Question, ReadOut, Target, question

METRICS = ("probability", "logit", "distribution", "embedding", "accuracy")
"""What is measured of a silenced part, each the larger the more it mattered.

``probability``
    By how much the probability of the target class falls.
``logit``
    By how much the target itself falls: the score of its class, or what else it is.
``distribution``
    Jensen–Shannon divergence of the probabilities with and without the part, 0 to ln 2 nats.
``embedding``
    1 minus the cosine of the vectors that the class layer is given, with and without the part.
``accuracy``
    By how much the share of images with the right class falls; known where labels are given.
"""


@dataclass(frozen=True)
class Ablation:
    """What silencing each part of a model did.

    Attributes
    ----------
    each
        float64 (image, layer, part, metric), the parts being heads, neurons or whole blocks; NaN
        where a part is not there, was not asked for or not reached, and where a metric has no
        meaning.
    metrics
        Names along the last axis, :data:`METRICS`.
    targets
        What was followed in each image.
    evaluations
        Blocks that were run, times images.
    forwards
        The same in whole forwards of one image.
    notes
        What has to be known of these numbers, in sentences.
    steps
        How many were done, and of how many.
    axes
        Names of the axes of `values`.
    """

    each: np.ndarray
    targets: tuple[ReadOut, ...]
    evaluations: int
    forwards: float
    notes: tuple[str, ...] = ()
    steps: tuple[int, int] = (0, 0)
    metrics: tuple[str, ...] = METRICS
    axes: tuple[str, ...] = ("layer", "head", "metric")
    method: str = "ablate_heads"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """Mean over the images: float64 (layer, head, metric)."""
        return np.ma.masked_invalid(self.each).mean(axis=0).filled(np.nan)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over the images, with `axes`; 0 for one image."""
        return np.ma.masked_invalid(self.each).std(axis=0).filled(np.nan)

    @property
    def complete(self) -> bool:
        """Whether all of it was done."""
        return self.steps[0] == self.steps[1]

    def metric(self, name: str) -> np.ndarray:
        """Give one metric: float64 (layer, head).

        Raises
        ------
        ValueError
            For an unknown one, naming those that there are.
        """
        if name not in self.metrics:
            msg = f"metric {name!r} is not known; it is one of {', '.join(self.metrics)}"
            raise ValueError(msg)
        return self.values[..., self.metrics.index(name)]

    def ranked(self, metric: str = "logit") -> list[tuple[int, ...]]:
        """List the parts, (layer, head), the most important first; those that are NaN are left out.

        By the size of the mean effect: a part that holds the target down matters as well.
        """
        return ranked(self.metric(metric))

    def show(self) -> Any:
        """Draw the effects, layers against heads.

        Returns
        -------
        bqplot.Figure
        """
        from importlib import import_module

        return import_module("vit_widgets.plots").head_matrix(
            self.metric("logit"), "by how much the target falls without the head"
        )


def ranked(values: np.ndarray) -> list[tuple[int, ...]]:
    """List the places of an array by the size of their values, the largest first, without NaN.

    Examples
    --------
    >>> ranked(np.array([[0.5, -2.0], [np.nan, 1.0]]))
    [(0, 1), (1, 1), (0, 0)]
    """
    order = np.argsort(-np.abs(values), axis=None, kind="stable")
    places = zip(*np.unravel_index(order, values.shape), strict=True)
    return [tuple(map(int, place)) for place in places if np.isfinite(values[place])]


class Measure:
    """Reads of a model's outputs what silencing is measured by.

    Parameters
    ----------
    model
        The model.
    target
        What is followed; each image has its own predicted class.
    labels
        The right class of each image, if known.
    """

    def __init__(self, model: VisionModel, target: Target, labels: Sequence[int] | None) -> None:
        self.model = model
        self._question: Question = question(model, target)
        self._labels = labels
        self._layer = ClassLayer(model)
        self._of_vectors = self._question.model is not model

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the model: scores (row, class) and vectors (row, feature), of width 0 if unknown.

        Raises
        ------
        ValueError
            For a model that returns neither.
        """
        with self._layer.watching() as given:
            output = self.model.run(rows)
        scores = self.model.logits(output)
        if scores is None:
            vectors = anatomy.embedding(output)
            if vectors is None:
                raise ValueError(calling.no_scores(self.model.module, output))
            return vectors.new_zeros(len(rows), 0), vectors
        vectors = given(scores)
        return scores, scores.new_zeros(len(rows), 0) if vectors is None else vectors

    def notes(self) -> Iterator[str]:
        """Say what is not known."""
        if self._layer.path == "":
            yield (
                f"the scores of {self.model.name} are not what one linear layer returns: the "
                "vector of an image is not known, and 'embedding' is NaN"
            )

    def settled(self, first: int, plain: tuple[torch.Tensor, torch.Tensor]) -> Settled:
        """Settle what is followed in some images by what the whole model gives for them.

        Parameters
        ----------
        first
            Number of the first of these images.
        plain
            Their scores and vectors.
        """
        scores, vectors = plain
        read = vectors if self._of_vectors or scores.shape[-1] == 0 else scores
        each = [self._question.score(read[image : image + 1]) for image in range(len(read))]
        labels = None if self._labels is None else self._labels[first : first + len(read)]
        return Settled(each, plain, labels, of_vectors=read is vectors)


class Settled:
    """What is followed in some images, and what the whole model gives for them.

    Attributes
    ----------
    targets
        In words, for each image.
    """

    def __init__(
        self,
        score: Sequence[Callable[[Any], torch.Tensor]],
        plain: tuple[torch.Tensor, torch.Tensor],
        labels: Sequence[int] | None,
        *,
        of_vectors: bool,
    ) -> None:
        self.targets = tuple(one.read_out for one in score)  # type: ignore[attr-defined]
        self._score, self._labels, self._of_vectors = score, labels, of_vectors
        self._plain = tuple(one.detach().double() for one in plain)

    def scores(self, scores: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        """Read the target: (edit, image) of scores and vectors (edit, image, ...)."""
        read = vectors if self._of_vectors else scores
        return torch.stack([one(read[:, image]) for image, one in enumerate(self._score)], dim=1)

    def levels(self, scores: torch.Tensor, vectors: torch.Tensor) -> np.ndarray:
        """Measure edited outputs: float64 (edit, image, metric).

        Probability, target and accuracy as they are; the distances from the whole model's.
        """
        scores, vectors = scores.double(), vectors.double()
        before, vectors_before = self._plain
        missing = scores.new_full(scores.shape[:2], torch.nan)
        probability = distribution = embedding = accuracy = missing
        if scores.shape[-1]:
            shares = scores.softmax(dim=-1)
            classes = [one.index for one in self.targets]
            if None not in classes:
                chosen = torch.tensor(classes, device=shares.device).expand(shares.shape[:2])
                probability = shares.gather(-1, chosen[..., None])[..., 0]
            distribution = jensen_shannon(shares, before.softmax(dim=-1))
            if self._labels is not None:
                right = torch.tensor(list(self._labels), device=scores.device)
                accuracy = (scores.argmax(dim=-1) == right).double()
        if vectors.shape[-1]:
            embedding = 1 - F.cosine_similarity(vectors, vectors_before, dim=-1)
        found = (probability, self.scores(scores, vectors), distribution, embedding, accuracy)
        return torch.stack(found, dim=-1).detach().cpu().numpy()

    def effects(self, scores: torch.Tensor, vectors: torch.Tensor) -> np.ndarray:
        """Measure by how much edited outputs fall behind: float64 (edit, image, metric)."""
        found = self.levels(scores, vectors)
        plain = self.levels(*(one[None] for one in self._plain))
        for metric in (0, 1, 4):
            found[..., metric] = plain[..., metric] - found[..., metric]
        return found


def jensen_shannon(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Compute the Jensen–Shannon divergence over the last axis, in nats: 0 to ln 2.

    Examples
    --------
    >>> float(jensen_shannon(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])))
    0.6931471824645996
    """
    middle = (some + others) / 2
    entropies = (torch.special.entr(one).sum(dim=-1) for one in (middle, some, others))
    of_middle, first, second = entropies
    return (of_middle - (first + second) / 2).clamp(min=0)


@dataclass(frozen=True)
class Kept:
    """A forward of some images that was kept, and what stood at the joints.

    Attributes
    ----------
    replay
        Resumes it.
    rows
        The images.
    joined
        The parts side by side, for each joint (image, token, part * feature).
    settled
        What is followed in these images.
    measure
        Reads the outputs.
    plain
        Scores and vectors of the whole model.
    """

    replay: Replay
    rows: torch.Tensor
    joined: Mapping[Joint, torch.Tensor]
    settled: Settled
    measure: Measure
    plain: tuple[torch.Tensor, torch.Tensor]

    def without_graph(self) -> Kept:
        """Let go of what a backward needed."""
        scores, vectors = self.plain
        return replace(self, plain=(scores.detach(), vectors.detach()))


def keep(
    measure: Measure,
    images: torch.Tensor,
    first: int,
    joints: Joints,
    gates: Mapping[Joint, torch.Tensor] | None = None,
) -> Kept:
    """Run a forward, and keep what it takes to resume it.

    To be used within ``model.evaluating()``.

    Parameters
    ----------
    measure
        Reads the outputs.
    images
        As the model takes them, on the CPU.
    first
        Number of the first of them.
    joints
        Where parts are joined.
    gates
        Factors (image, part) for some joints, to differentiate by.
    """
    model = measure.model
    rows = model.to_device(images)
    joined: dict[Joint, torch.Tensor] = {}

    def see(at: Joint, parts: torch.Tensor) -> torch.Tensor | None:
        joined[at] = parts.detach().clone()
        return at.gated(parts, gates[at]) if gates else None

    blocks = joints.blocks
    paths = [*blocks, *(one.returns for one in joints.found if one.returns)]
    with recording(model, paths, len(rows)) as calls, seeing_joints(model, joints.found, see):
        plain = measure.forward(rows)
    replay = Replay(model, rows, calls, blocks, skips=joints.resumes)
    replay.count_forward()
    return Kept(replay, rows, joined, measure.settled(first, plain), measure, plain)


def silenced(
    kept: Kept, joint: Joint, parts: Sequence[int], instead: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a forward again without each of some parts.

    Parameters
    ----------
    kept
        The forward.
    joint
        Where the parts are joined.
    parts
        Which are silenced, each in a run of its own.
    instead
        What stands in their place, all parts side by side (token, part * feature); default: 0.

    Returns
    -------
    scores, vectors : torch.Tensor
        (part, image, ...).
    """
    if joint.reached == "site":
        return _through_the_site(kept, joint, parts)
    model, at = kept.measure.model, kept.replay.call(joint.returns, joint.call)
    joined = kept.joined[joint]
    if instead is not None:
        joined = joined - instead.to(joined)
    assert at.stream is not None
    streams = at.stream - joint.written(model, joined, at.stream, parts)
    scores, vectors = kept.replay.resume(at, streams, kept.measure.forward)
    return scores, vectors


def _through_the_site(
    kept: Kept, joint: Joint, parts: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale each part by 0 in a full forward."""
    found = []
    for part in parts:
        gates = kept.rows.new_ones(len(kept.rows), joint.parts)
        gates[:, part] = 0
        with gating(kept.measure.model, {joint: gates}):
            found.append(kept.measure.forward(kept.rows))
        kept.replay.count_forward()
    scores, vectors = zip(*found, strict=True)
    return torch.stack(scores), torch.stack(vectors)


@contextlib.contextmanager
def gating(model: VisionModel, gates: Mapping[Joint, torch.Tensor]) -> Iterator[None]:
    """Scale parts in every forward within by factors (row, part)."""
    with seeing_joints(model, list(gates), lambda at, parts: at.gated(parts, gates[at])):
        yield


def removed(kept: Kept, call: Call) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Run a forward again without what a block adds: it hands on what it is given.

    ``None`` where it returns another shape than it is given.
    """
    if call.given is None or call.stream is None or call.given.shape != call.stream.shape:
        return None
    scores, vectors = kept.replay.resume(call, call.given[None], kept.measure.forward)
    return scores, vectors


Step: TypeAlias = Callable[[Kept], "Iterator[tuple[Any, tuple[torch.Tensor, torch.Tensor]]]"]
"""Runs some edits of a kept forward: gives where they belong, an index of (layer, part), and the
scores and vectors (edit, image, ...)."""


def sweeping(
    measure: Measure,
    batch: torch.Tensor,
    joints: Joints,
    steps: Sequence[Step],
    shape: tuple[int, ...],
    *,
    images_at_once: int,
    method: str,
    axes: tuple[str, ...],
    params: dict[str, Any],
    known: Mapping[int, Kept] | None = None,
) -> Iterator[Ablation]:
    """Silence part after part, some images at a time: gives what is measured, again and again.

    Between two of them the model is as it was, and anybody's.

    Parameters
    ----------
    measure
        Reads the outputs.
    batch
        All images, as the model takes them.
    joints
        Where the parts are joined.
    steps
        What is run for every few images.
    shape
        Sizes of (layer, part).
    images_at_once
        How many images are kept at a time.
    method, axes, params
        Of the result.
    known
        Forwards that were kept before, by the number of their first image.

    Yields
    ------
    Ablation
        Before the first step, and after every one.
    """
    each = np.full((len(batch), *shape, len(METRICS)), np.nan)
    targets: list[ReadOut] = []
    starts = range(0, len(batch), images_at_once)
    done, total, evaluations = 0, len(steps) * len(starts), 0

    def so_far() -> Ablation:
        notes = [*joints.notes, *measure.notes()]
        if done < total:
            notes.append(f"stopped after {done} of {total} steps: what was not measured is NaN")
        return Ablation(
            each.copy(),
            tuple(targets),
            evaluations,
            evaluations / len(joints.blocks) if joints.blocks else float("nan"),
            tuple(notes),
            steps=(done, total),
            axes=axes,
            method=method,
            params={**params, "model": measure.model.name},
        )

    yield so_far()
    for first in starts:
        some = batch[first : first + images_at_once]
        with measure.model.evaluating():
            kept = (known or {}).get(first) or keep(measure, some, first, joints)
        targets += kept.settled.targets
        counted = kept.replay.evaluations
        evaluations += counted
        for step in steps:
            with measure.model.evaluating():
                for place, outputs in step(kept):
                    found = kept.settled.effects(*outputs)
                    each[(slice(first, first + len(some)), *place)] = found.swapaxes(0, 1)
            done += 1
            evaluations += kept.replay.evaluations - counted
            counted = kept.replay.evaluations
            yield so_far()


def swept(going: Iterator[Ablation], progress: Progress | None) -> Ablation:
    """Take a measurement to its end, or to where it is stopped.

    Parameters
    ----------
    going
        From :func:`sweeping`.
    progress
        As of :func:`ablate_heads`.
    """
    found = next(going)
    try:
        for found in going:
            if progress is not None and progress(*found.steps) is False:
                break
    except KeyboardInterrupt:
        pass  # what there is so far is the answer, and says so
    return found


def in_batches(parts: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Cut a sequence into pieces of a size, the last one shorter."""
    for start in range(0, len(parts), max(1, size)):
        yield parts[start : start + max(1, size)]


def checked_labels(labels: object, images: int) -> list[int] | None:
    """Check the right classes: one integer for each image.

    Raises
    ------
    ValueError
        For another number of them, or what is no integer.
    """
    if labels is None:
        return None
    found = np.asarray(labels)
    if found.shape != (images,) or not np.issubdtype(found.dtype, np.integer):
        msg = (
            f"labels are {found.dtype} of shape {found.shape}; give one class, an integer, for "
            f"each of the {images} images"
        )
        raise ValueError(msg)
    return [int(one) for one in found]

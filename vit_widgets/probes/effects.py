"""What a silenced part is measured by: the model's outputs without it, against those with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from vit_widgets.activations.class_layer import ClassLayer
from vit_widgets.models import VisionModel, anatomy, calling
from vit_widgets.probes.target import Question, Target, question


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

        Raises
        ------
        ValueError
            For scores that are NaN, and a target or a label out of range.
        """
        scores, vectors = plain
        if scores.isnan().any() or vectors.isnan().any():
            raise ValueError(calling.not_finite(self.model.module))
        if scores.shape[-1]:
            self._check_labels(scores.shape[-1])
        read = vectors if self._of_vectors or scores.shape[-1] == 0 else scores
        each = [self._question.score(read[image : image + 1]) for image in range(len(read))]
        labels = None if self._labels is None else self._labels[first : first + len(read)]
        return Settled(each, plain, labels, of_vectors=read is vectors)

    def _check_labels(self, classes: int) -> None:
        """Check that the model has the classes which are called right."""
        for image, label in enumerate(self._labels or ()):
            if not 0 <= label < classes:
                msg = (
                    f"label {label} of image {image} is out of range: {self.model.name} has "
                    f"classes 0 to {classes - 1}"
                )
                raise ValueError(msg)


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

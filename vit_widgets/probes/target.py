"""What is explained: one number that a model gives for each image.

A target is chosen once and means the same in every probe: :func:`question` reads it, and
:meth:`Question.score` settles it when the scores of the image are known.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from vit_widgets.activations.class_layer import ClassLayer
from vit_widgets.models import VisionModel, anatomy, calling

Target: TypeAlias = "int | tuple[Any, ...] | Callable[[Any], torch.Tensor] | None"
"""What a probe may be asked to explain.

``None``
    The score (logit) of the class that is predicted.
an integer
    The score of that class.
``("margin", a, b)``
    By how much the score of class a exceeds that of class b.
``("probability", c)``
    The probability (softmax) of class c. In a pair ``None`` stands for the predicted class as well.
``("embedding", image)``
    The cosine between the vectors of this image and of another: those that the last linear layer
    reads, or that a model without classes returns.
a function
    Of the scores (1, class) of one image, or, of a model without scores, of what its forward
    returned. It returns one number.
"""

_ACCEPTED = (
    "a class; None for the predicted one; ('margin', a, b); ('probability', c); "
    "('embedding', image); or a function of the scores"
)


@dataclass(frozen=True)
class ReadOut:
    """What was explained, for whoever reads the result.

    Attributes
    ----------
    words
        For display: ``"class 3, fish (predicted)"``.
    index
        The class whose score or probability it is; ``None`` for anything else.
    """

    words: str
    index: int | None = None


@dataclass(frozen=True)
class Score:
    """One number for each image.

    Attributes
    ----------
    model
        Whose outputs are read.
    read_out
        What the number is.
    one_by_one
        Whether images have to be run one at a time: a function of an output that is no tensor.
    """

    model: VisionModel
    read_out: ReadOut
    _function: Callable[[Any], torch.Tensor] = field(repr=False, compare=False)
    one_by_one: bool = False

    def __call__(self, output: Any) -> torch.Tensor:
        """Read the number: (image,), differentiable.

        Parameters
        ----------
        output
            What ``model.run`` returned, or the scores in it.
        """
        return self._function(_readable(self.model, output))

    def of(self, batch: torch.Tensor, at_once: int = 8) -> np.ndarray:
        """Run images, and read the number of each: float64 (image,).

        Parameters
        ----------
        batch
            (image, channels, height, width), as the model takes it.
        at_once
            How many to run together.
        """
        found = []
        with self.model.evaluating():
            for some in batch.split(1 if self.one_by_one else at_once):
                scores = self(self.model.run(self.model.to_device(some)))
                found.append(scores.double().cpu().numpy())
        return np.concatenate(found)


@dataclass(frozen=True)
class Question:
    """A target that was checked, and the model to run for it.

    Attributes
    ----------
    model
        The model; for an embedding the same module, opened so that it returns that.
    target
        As it was given.
    """

    model: VisionModel
    target: Target
    _reference: torch.Tensor | None = field(default=None, repr=False, compare=False)

    def score(self, output: Any) -> Score:
        """Settle what is read, by the first output for the image.

        Parameters
        ----------
        output
            What ``model.run`` returned for one image (or for variants, the image itself first), or
            the scores in it.

        Raises
        ------
        ValueError
            For a class that the model has not, and where it has no scores.
        """
        seen = _readable(self.model, output)
        if callable(self.target):
            return self._by_function(self.target, seen)
        if self._reference is not None:
            reference = self._reference

            def cosine(vectors: torch.Tensor) -> torch.Tensor:
                return F.cosine_similarity(vectors, reference.to(vectors), dim=-1)

            words = "similarity to another image (cosine of the embeddings)"
            return Score(self.model, ReadOut(words), cosine)
        if self.model.logits(seen) is None:
            raise ValueError(calling.no_scores(self.model.module, output))
        return self._by_class(seen)

    def _by_function(self, function: Callable[[Any], Any], seen: Any) -> Score:
        name = getattr(function, "__name__", type(function).__name__)
        words = "a function of the user" if name == "<lambda>" else f"the function {name}"
        if not isinstance(seen, torch.Tensor):
            return Score(self.model, ReadOut(words), lambda out: _number(function(out))[None], True)

        def each(rows: torch.Tensor) -> torch.Tensor:
            return torch.stack([_number(function(rows[i : i + 1])) for i in range(len(rows))])

        return Score(self.model, ReadOut(words), each)

    def _by_class(self, scores: torch.Tensor) -> Score:
        model, count = self.model, int(scores.shape[-1])
        kind, *asked = self.target if isinstance(self.target, tuple) else ("class", self.target)
        classes = [_predicted(model, scores) if one is None else int(one) for one in asked]
        for one in classes:
            if not 0 <= one < count:
                msg = f"target {one} is out of range: {model.name} has classes 0 to {count - 1}"
                raise ValueError(msg)
        first = classes[0]
        names = [
            _named(model, index) + (" (predicted)" if one is None else "")
            for one, index in zip(asked, classes, strict=True)
        ]
        if kind == "margin":
            other = classes[1]
            read_out = ReadOut(" against ".join(names))
            return Score(model, read_out, lambda rows: rows[:, first] - rows[:, other])
        if kind == "probability":
            read_out = ReadOut(f"probability of {names[0]}", first)
            return Score(model, read_out, lambda rows: rows.softmax(dim=-1)[:, first])
        return Score(model, ReadOut(names[0], first), lambda rows: rows[:, first])


def question(model: VisionModel, target: Target = None) -> Question:
    """Read a target, and find the model to run for it.

    Parameters
    ----------
    model
        The model.
    target
        See :data:`Target`.

    Returns
    -------
    Question

    Raises
    ------
    TypeError
        For a target that is none of these.
    ValueError
        For an embedding of a model that has none.

    Examples
    --------
    >>> asked = question(load("demo"), ("margin", 3, 5))               # doctest: +SKIP
    >>> score = asked.score(asked.model.run(batch))                    # doctest: +SKIP
    >>> score.read_out.words                                           # doctest: +SKIP
    'class 3, fish against class 5, cat'
    """
    if isinstance(target, tuple) and len(target) == 2 and target[0] == "embedding":
        reference = model.batch(target[1])
        if len(reference) != 1:
            msg = f"('embedding', image) names one image; {len(reference)} were given"
            raise ValueError(msg)
        embedding = with_embedding(model, reference)
        with embedding.evaluating():
            vector = embedding.run(embedding.to_device(reference)).detach()
        return Question(embedding, target, vector)
    if target is None or callable(target) or _is_class(target):
        return Question(model, target)
    if isinstance(target, tuple) and target:
        kind, *classes = target
        counts = {"margin": 2, "probability": 1}
        known = isinstance(kind, str) and counts.get(kind) == len(classes)
        if known and all(one is None or _is_class(one) for one in classes):
            return Question(model, target)
    msg = f"target={reprlib.repr(target)} is not known; it is {_ACCEPTED}"
    raise TypeError(msg)


def one_image(model: VisionModel, image: object) -> torch.Tensor:
    """Preprocess the one image of a probe: (1, channels, height, width).

    Raises
    ------
    ValueError
        For several.
    """
    batch = model.batch(image)
    if len(batch) != 1:
        msg = f"{len(batch)} images were given; a map is of one: pass them one by one"
        raise ValueError(msg)
    return batch


def with_embedding(model: VisionModel, images: object) -> VisionModel:
    """Open a model so that its forward returns a vector for each image.

    Parameters
    ----------
    model
        The model.
    images
        Of the size that will be used, as of :func:`capture`: a forward finds the vector.

    Returns
    -------
    VisionModel
        Of the same module; its `run` gives (image, feature): what the linear layer reads that
        returns the scores, or, where there are none, what the model returns for the image.

    Raises
    ------
    ValueError
        If there is no such layer, and no such vector.

    Examples
    --------
    >>> embedding = with_embedding(load("demo"), image)                # doctest: +SKIP
    >>> with embedding.evaluating():                                   # doctest: +SKIP
    ...     embedding.run(embedding.to_device(embedding.batch(image))).shape
    torch.Size([1, 192])
    """
    batch = model.to_device(model.batch(images))
    layer = ClassLayer(model)
    with model.evaluating(), layer.watching() as given:
        output = model.run(batch)
        scores = model.logits(output)
        if scores is not None:
            given(scores)
    if scores is None:
        if anatomy.embedding(output) is None:
            msg = (
                f"{model.name} returns no vector for each image, so there is nothing to compare; "
                "open it with forward= that does"
            )
            raise ValueError(msg)
        return model.opened_with(
            forward=lambda _module, some: anatomy.embedding(model.run(some)),
        )
    if not layer.path:
        msg = (
            f"the scores of {model.name} are not what one linear layer returns, so which vector it "
            "compares is not known; pass a function of the scores, or open it with forward= that "
            "returns the vector"
        )
        raise ValueError(msg)

    def vectors(_module: nn.Module, some: torch.Tensor) -> torch.Tensor | None:
        with layer.watching() as given:
            found: torch.Tensor | None = given(model.logits(model.run(some)))
        return found

    return model.opened_with(forward=vectors)


def _readable(model: VisionModel, output: Any) -> Any:
    """Give the scores; what the forward returned where it has none."""
    scores = model.logits(output)
    return output if scores is None else scores


def _is_class(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _number(value: object) -> torch.Tensor:
    if not isinstance(value, torch.Tensor) or value.numel() != 1:
        kind = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        msg = (
            f"target= returned {kind}; it must return one number, a tensor made of the scores, "
            "for example target=lambda scores: scores[:, 3].sum()"
        )
        raise TypeError(msg)
    return value.reshape(())


def _predicted(model: VisionModel, scores: torch.Tensor) -> int:
    if bool(scores[0].isnan().any()):
        raise ValueError(calling.not_finite(model.module))
    return int(scores[0].argmax())


def _named(model: VisionModel, index: int) -> str:
    labels = model.labels or ()
    return f"class {index}, {labels[index]}" if index < len(labels) else f"class {index}"

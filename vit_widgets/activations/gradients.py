"""How a score answers to every attention weight: one forward, one backward.

The gradient is read where the product of weights and values is, ``dL/dA = dL/dO · Vᵀ``
(:mod:`applied`), so that fused attention has it too, and no matrix is made before someone asks.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations.applied import Applied
from vit_widgets.activations.cache import ActivationCache, placement_of, records_of
from vit_widgets.activations.given import asked
from vit_widgets.activations.intercept import AttentionEvent, Interception
from vit_widgets.activations.layouts import Placement
from vit_widgets.activations.records import AttentionRecord
from vit_widgets.activations.trials import remembered
from vit_widgets.models import VisionModel, calling, load

Target = int | Callable[[Any], torch.Tensor] | None
"""A class, a function of the scores, or ``None`` for the predicted class of each image."""


@dataclass(frozen=True, repr=False)
class GradientRecord(AttentionRecord):
    """The attention of one layer, and how the score answers to it.

    Examples
    --------
    >>> record = gradients("demo", images).attention[5]                # doctest: +SKIP
    >>> (record.weights(query=0) * record.gradient(query=0)).shape     # doctest: +SKIP
    (6, 145)
    """

    _values: torch.Tensor | None = field(default=None)
    _received: torch.Tensor | None = field(default=None)
    _why: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes that this record keeps alive: those of the weights, v and dL/dO."""
        kept = (self._values, self._received)
        return super().nbytes + sum(t.untyped_storage().nbytes() for t in kept if t is not None)

    def gradient(
        self,
        image: int = 0,
        head: int | None = None,
        query: int | None = None,
        key: int | None = None,
        group: int = 0,
    ) -> np.ndarray:
        """Compute the derivative of the score with respect to attention weights.

        Parameters
        ----------
        image, head, query, key, group
            As in :meth:`weights`.

        Returns
        -------
        numpy.ndarray
            float32 over the axes (head, query, key) that were not given: by how much the score
            grows for each unit of weight, per image. The weights count as free, so that a row has
            a gradient at masked pairs as well; where heads are mixed they are those after it.

        Raises
        ------
        IndexError
            For an index out of range, naming the valid one.
        ValueError
            If autograd does not reach this attention, or it is no product of weights and values.

        Notes
        -----
        ``dL/dO · Vᵀ``, O being the product of weights and values. What a model does with its
        weights beside that product (returning them, ranking tokens by them) is not in it.
        """
        if self._values is None or self._received is None:
            msg = f"the gradient of {self.name} is not known: {self._why}"
            raise ValueError(msg)
        return self._selected(self._answers, image, head, query, key, group)

    def _answers(self, image: int, group: int, heads: slice, queries: slice) -> np.ndarray:
        assert self._values is not None
        assert self._received is not None
        received = self._of(self._received, image, group)[heads, queries]
        return received @ self._of(self._values, image, group)[heads].swapaxes(-1, -2)


@dataclass(frozen=True, repr=False)
class GradientCache(ActivationCache):
    """What :func:`gradients` returns: records that know their gradient.

    Attributes
    ----------
    attention
        As of a capture; each with :meth:`GradientRecord.gradient`.
    target
        The class of each image whose score was followed; ``None`` for a function of the user.
    """

    attention: tuple[GradientRecord, ...]
    target: tuple[int, ...] | None = field(default=None)


def gradients(
    model: VisionModel | nn.Module | str, images: object, target: Target = None
) -> GradientCache:
    """Run one forward and one backward, and keep what attention and its gradient are made of.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        As of :func:`capture`. Each image is asked for its own score.
    target
        The class whose score (not probability) is followed; ``None`` for the one that is predicted
        for each image; or a function of the scores (image, class) that returns one number. Where a
        model has no scores the function is given what its forward returned.

    Returns
    -------
    GradientCache

    Raises
    ------
    ValueError
        For a class that the model has not, a model without scores, and one through which no
        gradient flows: quantised, made in ``torch.inference_mode``, or run without gradients.
    TypeError
        If the function of the user returns no single number.

    Notes
    -----
    The parameters and their ``.grad`` stay as they are, and so does what modules note or cache in
    their forward. The scores are those of ``model(images)`` with gradients enabled, bit for bit.
    Without, torch takes two kernels that it has not under autograd and that round differently: the
    inference path of ``nn.MultiheadAttention``, and fused attention whose mask is learned.

    Examples
    --------
    >>> cache = gradients("demo", images, target=3)                    # doctest: +SKIP
    >>> cache.attention[0].gradient(image=0, head=2).shape             # doctest: +SKIP
    (145, 145)
    """
    model = load(model)
    images = model.batch(images)
    batch = model.to_device(images)
    with differentiating(model) as parts:
        seen = Interception(parts, tuple(batch.shape), gradients=True)
        with torch.enable_grad():
            with asked(parts, model.attention, seen.note_given), seen:
                output = model.run(batch)
            score, classes = _score(model, output, target)
        answers = _backward(model, score, seen.attention)
    # What still holds the graph goes: of the events all that is kept is detached.
    seen.attention = [_detached(event) for event in seen.attention]
    placement = Placement(None, reason="no attention was seen")
    if seen.attention:
        placement = placement_of(model, seen, tuple(images.shape))
    of_event = {id(event): answer for event, answer in zip(seen.attention, answers, strict=True)}
    scores = model.logits(output)
    return GradientCache(
        model=model,
        images=images,
        attention=tuple(
            GradientRecord(
                **{each.name: getattr(record, each.name) for each in fields(record)},
                **of_event[id(record._event)],
            )
            for record in records_of(seen.attention, len(images), placement)
        ),
        logits=None if scores is None else scores.detach().float().cpu(),
        blocks=(),
        neuron_blocks=(),
        placement=placement,
        _seen=seen,
        target=classes,
    )


@contextlib.contextmanager
def differentiating(model: VisionModel) -> Iterator[list[tuple[str, nn.Module]]]:
    """Hold a model for a forward and a backward; all that it notes in them is put back on exit.

    Gives every part of the model with its path. Gradients are not enabled yet.

    Raises
    ------
    ValueError
        For a model whose parts cannot be differentiated, or would silently be left out: quantised
        parts, and weights made in ``torch.inference_mode``.

    Examples
    --------
    >>> model = load("demo")
    >>> with differentiating(model), torch.enable_grad():
    ...     scores = model.run(torch.zeros(1, 3, 144, 144))
    >>> scores.requires_grad
    True
    """
    with model.evaluating() as parts:
        _check_gradients_flow(model, [part for _, part in parts])
        with remembered(parts):
            yield parts


def _check_gradients_flow(model: VisionModel, parts: Sequence[nn.Module]) -> None:
    kind = type(model.module).__name__
    if any("quantized" in part.__module__ for part in {type(part) for part in parts}):
        msg = (
            f"no gradient flows through {kind}, which has quantised parts; open the float module "
            "that it was made from"
        )
        raise ValueError(msg)
    held = (t for part in parts for t in (*part._parameters.values(), *part._buffers.values()))
    if any(t.is_inference() for t in held if t is not None):
        msg = (
            f"no gradient flows through {kind}: its weights were made in torch.inference_mode; "
            "build or load it outside of that, or pass copy.deepcopy(module)"
        )
        raise ValueError(msg)


def _score(
    model: VisionModel, output: Any, target: Target
) -> tuple[torch.Tensor, tuple[int, ...] | None]:
    """Choose the number that is differentiated, and the class of each image."""
    scores = model.logits(output)
    if callable(target):
        score = target(output if scores is None else scores)
        if not isinstance(score, torch.Tensor) or score.numel() != 1:
            kind = tuple(score.shape) if isinstance(score, torch.Tensor) else type(score).__name__
            msg = (
                f"target= returned {kind}; it must return one number, a tensor made of the scores, "
                "for example target=lambda scores: scores[:, 3].sum()"
            )
            raise TypeError(msg)
        return score.reshape(()), None
    if scores is None:
        raise ValueError(calling.no_scores(model.module, output))
    count = int(scores.shape[-1])
    if target is None:
        classes = scores.detach().argmax(dim=-1)
    elif 0 <= target < count:
        classes = torch.full((len(scores),), target, device=scores.device)
    else:
        msg = f"target {target} is out of range: {model.name} has classes 0 to {count - 1}"
        raise ValueError(msg)
    # Images do not hear of each other, so that the gradient of the sum is that of each one's score.
    return scores.gather(-1, classes[:, None]).sum(), tuple(classes.tolist())


def _backward(
    model: VisionModel, score: torch.Tensor, events: Sequence[AttentionEvent]
) -> list[dict[str, Any]]:
    """Differentiate the score by what every attention product returned.

    Gives for each event what its record is to know, by the name of the field.
    """
    # The kernels of an outlook are multiplied, and its weights are sums of them.
    met = [None if event.form == "outlook" else event.applied for event in events]
    edges = [one.edge for one in met if one is not None and one.edge is not None]
    if edges and not score.requires_grad:
        msg = (
            f"no gradient flows from the scores of {type(model.module).__name__} to its attention: "
            "its forward runs under torch.no_grad or detaches what it computes; pass forward= that "
            "does not"
        )
        raise ValueError(msg)
    found = iter(torch.autograd.grad(score, edges, allow_unused=True) if edges else ())
    answers: list[dict[str, Any]] = []
    for event, one in zip(events, met, strict=True):
        if one is None:
            answers.append({"_why": "its weights are not what is multiplied with its values"})
        elif one.edge is None:
            answers.append({"_why": "the model runs it without gradients (torch.no_grad)"})
        else:
            gradient = next(found)
            answers.append({"_values": one.values, "_received": _received(event, one, gradient)})
    return answers


def _received(event: AttentionEvent, met: Applied, gradient: torch.Tensor | None) -> torch.Tensor:
    """Bring the gradient of a product to (..., query, feature)."""
    if gradient is None:  # the score does not depend on this layer at all
        rows = event.queries if event.queries is not None else event.weights
        assert rows is not None
        *leading, _, width = met.values.shape
        return met.values.new_zeros(*leading, rows.shape[-2], width)
    return met.arrange(gradient).contiguous()


def _detached(event: AttentionEvent) -> AttentionEvent:
    less = None if event.less is None else _detached(event.less)
    return replace(event, applied=None, less=less)

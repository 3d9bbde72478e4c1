"""What the model loses when a neuron is silenced, and gains when it is doubled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from vit_widgets.activations import edit
from vit_widgets.models import VisionModel, calling, load
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class NeuronEffect(Result):
    """Scores with a neuron scaled: see :func:`neuron_effect`.

    Attributes
    ----------
    values
        Scores (logits), float32 (factor, image, class).
    plain
        Scores of the model as it is, float32 (image, class).
    factors
        What the neuron was multiplied by.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    plain: np.ndarray
    factors: tuple[float, ...]
    axes: tuple[str, ...] = ("factor", "image", "class")
    method: str = "neuron_effect"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def change(self) -> np.ndarray:
        """By how much the scores change: float32 (factor, image, class)."""
        return self.values - self.plain

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of `values`: float32 (factor, image, class)."""
        return _softmax(self.values)

    @property
    def plain_probabilities(self) -> np.ndarray:
        """Softmax of `plain`: float32 (image, class)."""
        return _softmax(self.plain)


def neuron_effect(
    model: VisionModel | nn.Module | str,
    images: object,
    layer: int,
    neuron: int,
    factors: Sequence[float] = (0.0, 2.0),
) -> NeuronEffect:
    """Scale one neuron on every token, and see what becomes of the scores.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        As of :func:`capture`.
    layer, neuron
        Counted from 0, as in :attr:`ActivationCache.neurons`.
    factors
        What the neuron is multiplied by: 0 silences it, 2 doubles it. One forward for each, and
        one without.

    Returns
    -------
    NeuronEffect

    Raises
    ------
    IndexError
        For a layer or neuron out of range, naming the valid ones.
    ValueError
        If the model returns no (image, class) scores.

    Notes
    -----
    The "remove" and "enhance" of NeuronPath (ICLR 2025), on all tokens instead of the class token.

    Examples
    --------
    >>> effect = neuron_effect("demo", images, layer=5, neuron=100)    # doctest: +SKIP
    >>> effect.change[0, 0].argmin()  # the class that needed it most  # doctest: +SKIP
    7
    """
    model = load(model)
    batch = model.batch(images)
    plain = _scores(model, batch)
    scaled = []
    for factor in factors:
        with edit(model, neurons={(layer, neuron): factor}, images=batch):
            scaled.append(_scores(model, batch))
    return NeuronEffect(
        np.stack(scaled) if scaled else np.empty((0, *plain.shape), np.float32),
        plain,
        tuple(float(factor) for factor in factors),
        params={"layer": layer, "neuron": neuron, "model": model.name},
    )


def _scores(model: VisionModel, batch: Any) -> np.ndarray:
    with model.evaluating():
        output = model.run(model.to_device(batch))
    scores = model.logits(output)
    if scores is None:
        raise ValueError(calling.no_scores(model.module, output))
    return scores.detach().float().cpu().numpy()


def _softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)

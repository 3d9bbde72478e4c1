"""Where in an image a neuron fires, and which neurons fire at a place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vit_widgets.activations import ActivationCache
from vit_widgets.models import TokenAxis
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class NeuronMap(Result):
    """The map of one neuron on one image: see :func:`neuron_map`.

    Attributes
    ----------
    values
        Activation of each patch, float32 (row, col).
    axes
        Names of the axes.
    """

    values: np.ndarray
    axes: tuple[str, ...] = ("row", "col")
    method: str = "neuron_map"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The neuron's activation on the image: the mean of the map."""
        return float(self.values.mean(dtype=np.float64))

    @property
    def normalised(self) -> np.ndarray:
        """The map from 0 at its minimum to 1 at its maximum, float32 (row, col).

        It hides how large and how even the map is: state the minimum and the maximum beside it. A
        map of one value is 0 everywhere.
        """
        lowest, highest = self.values.min(), self.values.max()
        if lowest == highest:
            return np.zeros_like(self.values)
        scaled: np.ndarray = (self.values - lowest) / (highest - lowest)
        return scaled


@dataclass(frozen=True, repr=False)
class ActiveNeurons(Result):
    """The neurons that fire most at a token: see :func:`active_at`.

    Attributes
    ----------
    neurons
        Their numbers, the most active first, int (rank).
    values
        Their activations there, float32 (rank).
    axes
        Names of the axes.
    """

    neurons: np.ndarray
    values: np.ndarray
    axes: tuple[str, ...] = ("rank",)
    method: str = "active_at"
    params: dict[str, Any] = field(default_factory=dict)


def neuron_map(cache: ActivationCache, layer: int, neuron: int, image: int = 0) -> NeuronMap:
    """Lay the activations of a neuron on the patches of an image.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens", "neurons"))``.
    layer, neuron, image
        Counted from 0. Neuron i of one layer has nothing to do with neuron i of another.

    Returns
    -------
    NeuronMap

    Raises
    ------
    IndexError
        For a layer, neuron or image out of range, naming the valid ones.
    ValueError
        If the cache kept no neurons, or where the patches lie is not known.

    Notes
    -----
    Ghiasi et al. 2022, section 3: hidden units after the activation function, the class token and
    other prefix tokens left out, no gradients.

    Examples
    --------
    >>> neuron_map(cache, layer=3, neuron=40).values.shape             # doctest: +SKIP
    (12, 12)
    """
    values, axis = _layer(cache, layer)
    _within(neuron, values.shape[-1], f"neuron of layer {layer}")
    _within(image, len(values), "image")
    if axis is None or axis.grid is None:
        msg = (
            f"where the tokens of layer {layer} lie on the image is not known, so it has no maps; "
            "cache.neurons has the activations as the model gives them"
        )
        raise ValueError(msg)
    tokens = values[image, :, neuron].float().cpu().numpy()
    return NeuronMap(
        axis.laid_out(tokens),
        params={"model": cache.model.name, "layer": layer, "neuron": neuron, "image": image},
    )


def active_at(
    cache: ActivationCache, layer: int, query: int, n: int = 10, image: int = 0
) -> ActiveNeurons:
    """List the neurons that fire most at a token.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens", "neurons"))``.
    layer, image
        Counted from 0.
    query
        The token of that layer, counted from 0, prefix tokens first
        (``cache.neuron_axes[layer].token(row, col)`` is that of a patch).
    n
        How many.

    Returns
    -------
    ActiveNeurons

    Raises
    ------
    IndexError
        For a layer, token or image out of range, naming the valid ones.
    ValueError
        For `n` below 1 or more than there are neurons, or a cache without neurons.

    Examples
    --------
    >>> active_at(cache, layer=3, query=60, n=3).neurons               # doctest: +SKIP
    array([511, 208, 77])
    """
    values, _ = _layer(cache, layer)
    _within(image, len(values), "image")
    _within(query, values.shape[1], f"token of layer {layer}")
    if not 1 <= n <= values.shape[-1]:
        msg = f"n={n} neurons were asked for; layer {layer} has 1 to {values.shape[-1]} to give"
        raise ValueError(msg)
    there = values[image, query].float().cpu().numpy()
    order = np.argsort(-there, kind="stable")[:n]  # of equals the first
    return ActiveNeurons(
        order,
        there[order],
        params={"model": cache.model.name, "layer": layer, "query": query, "image": image},
    )


def _layer(cache: ActivationCache, layer: int) -> tuple[torch.Tensor, TokenAxis | None]:
    _within(layer, len(cache.neurons), "layer")
    return cache.neurons[layer], cache.neuron_axes[layer]


def _within(index: int, length: int, what: str) -> None:
    if not 0 <= index < length:
        msg = f"{what} {index} is out of range: there are 0 to {length - 1}"
        raise IndexError(msg)

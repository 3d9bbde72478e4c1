"""Interventions on a forward, undone on exit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from vit_widgets.activations.seeing import seeing
from vit_widgets.activations.sites import Site, sites
from vit_widgets.models import VisionModel, load


@contextlib.contextmanager
def edit(
    model: VisionModel | nn.Module | str,
    *,
    neurons: Mapping[tuple[int, int], float],
    images: object = None,
) -> Iterator[VisionModel]:
    """Scale hidden units in every forward within: 0 silences one, 2 doubles it.

    Every token is edited, prefix tokens as well. The weights stay as they are, and the model is
    what it was when the block is left, also by an exception. Only forwards of this thread are
    edited: a view that is open beside shows the model as it is.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    neurons
        From (layer, neuron), counted from 0 as in :attr:`ActivationCache.neurons`, to the factor.
    images
        Images of the size that will be used, where it is not the model's own.

    Yields
    ------
    VisionModel
        The edited model, for :func:`capture`, :meth:`VisionModel.predict` and the like.

    Raises
    ------
    IndexError
        For a layer or a neuron out of range, naming the valid ones.

    Notes
    -----
    NeuronPath (ICLR 2025) edits the class token alone; here the unit is edited wherever it fires,
    which is what silencing it means.

    Examples
    --------
    >>> model = load("demo")                                           # doctest: +SKIP
    >>> with edit(model, neurons={(5, 100): 0.0}):                     # doctest: +SKIP
    ...     without = model.predict(image)
    """
    model = load(model)
    found = sites(model, "ffn_act", images)
    factors: dict[Site, dict[int, float]] = {}
    for (layer, neuron), factor in neurons.items():
        at = checked(found, layer, neuron)
        factors.setdefault(at, {})[neuron] = float(factor)

    def scale(at: Site, values: torch.Tensor) -> torch.Tensor:
        # One unit at a time: a product with a tensor would look like a gate to who watches.
        values = values.clone()
        for neuron, factor in factors[at].items():
            values[..., neuron] *= factor
        return values

    with seeing(model, list(factors), scale):
        yield model


def checked(found: tuple[Site, ...], layer: int, neuron: int) -> Site:
    """Give the site of a layer that has this neuron.

    Raises
    ------
    IndexError
        For a layer or a neuron out of range, naming the valid ones.
    """
    if not 0 <= layer < len(found):
        msg = f"layer {layer} is out of range: {found[0].space} has layers 0 to {len(found) - 1}"
        raise IndexError(msg)
    if not 0 <= neuron < found[layer].features:
        msg = (
            f"neuron {neuron} is out of range: layer {layer} of {found[0].space} has neurons 0 to "
            f"{found[layer].features - 1}"
        )
        raise IndexError(msg)
    return found[layer]

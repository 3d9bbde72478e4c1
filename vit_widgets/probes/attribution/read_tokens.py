"""Which tokens of its last block a model reads: the class token, all patches, or others."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations import sites
from vit_widgets.models import VisionModel, anatomy
from vit_widgets.probes.attribution.gradients_from import differentiated, gradients_from

_known: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, np.ndarray]] = (
    weakref.WeakKeyDictionary()
)


def read_tokens(model: VisionModel, batch: torch.Tensor) -> np.ndarray:
    """Find the tokens of the last block that what the model returns depends on.

    A class token does not say that it is read: some models average the patches beside it. So the
    model is asked, once for each size of input: which tokens have a gradient that is not zero.

    Parameters
    ----------
    model
        The model.
    batch
        Of the size that will be used, as the model takes it.

    Returns
    -------
    numpy.ndarray
        bool (token,) of the last block's output.

    Raises
    ------
    ValueError
        Where no gradient flows, or no block was seen.

    Examples
    --------
    >>> model = load("demo")                                           # doctest: +SKIP
    >>> np.flatnonzero(read_tokens(model, model.batch(image)))         # doctest: +SKIP
    array([0])
    """
    known = _known.setdefault(model.module, {})
    question = (tuple(batch.shape[1:]), model.forward)
    if question not in known:
        read = _asked(model, batch[:1])
        if not read.any():  # a head of zeros, say, which may yet be trained
            return read
        known[question] = read
    return known[question]


def _asked(model: VisionModel, batch: torch.Tensor) -> np.ndarray:
    last = sites(model, "resid", batch)[-1]
    with gradients_from(model, last) as seen:
        output = model.run(model.to_device(batch))
        returned = _returned(model, output)
        # Some directions are flat: all features of a normalised vector have a sum that stays.
        noise = torch.randn(returned.shape, generator=torch.Generator().manual_seed(0))
        mixed = (returned * noise.to(returned)).sum()
        [gradient] = differentiated(model, mixed, seen, last.path)
    read: np.ndarray = (gradient[0] != 0).any(dim=-1).cpu().numpy()
    return read


def _returned(model: VisionModel, output: Any) -> torch.Tensor:
    for found in (model.logits(output), anatomy.embedding(output), anatomy.stream(output, 1)):
        if found is not None:
            return found
    msg = f"{model.name} returns no tensor, so which tokens it reads is not known"
    raise ValueError(msg)

"""What the patch embedding looks for: one filter a feature of the embedding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from vit_widgets.activations.embedding import patch_embedding
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class Filters(Result):
    """Filters of a patch embedding: see :func:`filters`.

    Attributes
    ----------
    values
        float (filter, channel, row, col), in units of embedding per normalised pixel; float64 of a
        float64 model, else float32.
    bias
        float (filter,); 0 where the model has none.
    path
        Of the module that holds them.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    bias: np.ndarray
    path: str
    axes: tuple[str, ...] = ("filter", "channel", "row", "col")
    method: str = "filters"
    params: dict[str, Any] = field(default_factory=dict)


def filters(model: VisionModel | nn.Module | str) -> Filters:
    """Take the filters of the patch embedding.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.

    Returns
    -------
    Filters

    Raises
    ------
    ValueError
        If the model applies no linear map to disjoint patches of the image (overlapping patches, a
        stem of convolutions, patches that are normalised first), saying what it has instead.

    Notes
    -----
    Nguyen et al. 2022: ``f_j``, the kernels of the convolution that makes patches tokens. Of a
    linear layer over flattened patches, the order of the pixels is read off the model itself.

    Examples
    --------
    >>> filters("demo").values.shape                                   # doctest: +SKIP
    (192, 3, 12, 12)
    """
    held = load(model)
    found = patch_embedding(held)
    return Filters(found.filters, found.bias, found.path, params={"model": held.name})

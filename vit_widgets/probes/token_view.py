"""What a token sees of the image through one filter, at any level."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.activations.embedding import PatchEmbedding
from vit_widgets.probes.local_view import check_filter, checked_embedding, lies_on
from vit_widgets.probes.result import Result
from vit_widgets.probes.view_weights import Heads, owning_head, self_layers, view_weights


@dataclass(frozen=True, repr=False)
class View(Result):
    """What is seen of the image through a filter: see :func:`global_view`, :func:`token_view`.

    Attributes
    ----------
    values
        float (channel, row, col), one a pixel of the model's input; 0 at the right and below, where
        patches do not reach.
    weights
        What each patch was multiplied with, float (row, col) of patches.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    weights: np.ndarray
    axes: tuple[str, ...] = ("channel", "row", "col")
    method: str = "global_view"
    params: dict[str, Any] = field(default_factory=dict)


def global_view(
    cache: ActivationCache,
    filter: int,  # noqa: A002 - what it is called
    image: int = 0,
) -> View:
    """Multiply every patch of an image with a filter, pixel by pixel.

    Parameters
    ----------
    cache
        From :func:`capture`.
    filter
        Of the patch embedding, counted from 0.
    image
        Counted from 0.

    Returns
    -------
    View

    Raises
    ------
    IndexError
        For a filter or an image out of range, naming the valid ones.
    ValueError
        If the model has no linear patch embedding, see :func:`filters`.

    Notes
    -----
    Nguyen et al. 2022, level 0: the local views of all patches, each at its place. The sum over a
    patch, with the bias and the position, is the patch's entry of the embedding.

    Examples
    --------
    >>> global_view(cache, filter=17).values.shape                     # doctest: +SKIP
    (3, 144, 144)
    """
    embedding = checked_embedding(cache, image)
    check_filter(embedding, filter)
    grid = embedding.grid(*cache.images.shape[-2:])
    weights = np.ones((grid.rows, grid.cols), embedding.filters.dtype)
    return View(
        _laid(cache, embedding, filter, image, weights),
        weights,
        params={"model": cache.model.name, "filter": filter, "image": image},
    )


def token_view(
    cache: ActivationCache,
    layer: int,
    token: int,
    filter: int,  # noqa: A002
    image: int = 0,
    residual: bool = True,
    heads: Heads = "mean",
) -> View:
    """Follow attention down from a token, to what a filter makes of each patch.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("attention",))``.
    layer
        Counted from 0; -1 is the last. The view is of the layer's output, level ``layer + 1``.
    token
        Counted from 0, the prefix tokens first, then the patches in raster order.
    filter, image
        As for :func:`global_view`.
    residual, heads
        As for :func:`view_weights`; ``"own"`` takes the head that owns the filter's feature.

    Returns
    -------
    View

    Raises
    ------
    IndexError
        For a layer, token, filter, image or head out of range, naming the valid ones.
    ValueError
        As :func:`view_weights` and :func:`filters` do.

    Notes
    -----
    Nguyen et al. 2022, ``V(z_l)``; see :func:`view_weights` for the closed form.

    Examples
    --------
    >>> token_view(cache, layer=3, token=0, filter=17).values.shape    # doctest: +SKIP
    (3, 144, 144)
    """
    embedding = checked_embedding(cache, image)
    check_filter(embedding, filter)
    axis, records, ends = self_layers(cache)
    count = len(cache.attention)
    grid = embedding.grid(*cache.images.shape[-2:])
    if not lies_on(axis, grid):
        msg = f"the tokens are not the {grid.rows} x {grid.cols} patches of {embedding.path}"
        raise ValueError(msg)
    if not -count <= layer < count:
        msg = f"layer {layer} is out of range: there are 0 to {count - 1}, and -1 for the last"
        raise IndexError(msg)
    if not 0 <= token < axis.size:
        msg = f"token {token} is out of range: there are 0 to {axis.size - 1}"
        raise IndexError(msg)
    layer %= count
    if layer >= len(records):
        raise ValueError(ends)
    head = heads
    if heads == "own":
        head = owning_head(filter, len(embedding.filters), cache.attention[0].heads)
    rows = view_weights(cache, image, residual, head).values
    weights = rows[layer + 1, token].reshape(grid.rows, grid.cols)
    return View(
        _laid(cache, embedding, filter, image, weights),
        weights,
        method="token_view",
        params={
            "model": cache.model.name, "layer": layer, "token": token, "filter": filter,
            "image": image, "residual": residual, "heads": heads,
        },
    )  # fmt: skip


def _laid(
    cache: ActivationCache,
    embedding: PatchEmbedding,
    number: int,
    image: int,
    weights: np.ndarray,
) -> np.ndarray:
    """Lay the weighted local views of all patches out: (channel, row, col) of pixels."""
    views = embedding.filters[number] * embedding.patches(cache.images[image])
    views = views * weights.reshape(-1, 1, 1, 1)
    rows, cols = weights.shape
    channels, down, across = views.shape[1:]
    laid = views.reshape(rows, cols, channels, down, across).transpose(2, 0, 3, 1, 4)
    whole = np.zeros((channels, *cache.images.shape[-2:]), views.dtype)
    whole[:, : rows * down, : cols * across] = laid.reshape(channels, rows * down, cols * across)
    return whole

"""What a filter sees of one patch, and how that makes an entry of the embedding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.activations.embedding import Embedded, PatchEmbedding, embedded, patch_embedding
from vit_widgets.models import Grid, TokenAxis
from vit_widgets.probes.result import Result

_NO_TOKENS = "the cache kept no tokens; capture(model, images, keep=('attention', 'tokens')) does"


@dataclass(frozen=True, repr=False)
class LocalView(Result):
    """A filter times a patch: see :func:`local_view`.

    Attributes
    ----------
    values
        ``f_j ⊗ x_p``, float (channel, row, col).
    sum
        Of all values.
    bias
        Of the filter.
    position
        What is added to them before the first block; ``None`` where that is not known.
    embedding
        Entry of the patch's token as the first block is given it: ``sum + bias + position``.
        ``None`` where that is not known.
    fixed
        Whether `position` is the same for another image. If not, it is no embedding of the
        position: a norm, or something else that depends on the image, was added.
    notes
        What to bear in mind, in sentences.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    sum: float
    bias: float
    position: float | None
    embedding: float | None
    fixed: bool
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("channel", "row", "col")
    method: str = "local_view"
    params: dict[str, Any] = field(default_factory=dict)


def local_view(
    cache: ActivationCache,
    patch: tuple[int, int],
    filter: int,  # noqa: A002 - what it is called
    image: int = 0,
) -> LocalView:
    """Multiply a patch with a filter of the patch embedding, pixel by pixel.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    patch
        Row and column.
    filter
        Counted from 0.
    image
        Counted from 0.

    Returns
    -------
    LocalView

    Raises
    ------
    IndexError
        For a patch, filter or image out of range, naming the valid ones.
    ValueError
        If the model has no linear patch embedding, see :func:`filters`.

    Notes
    -----
    Nguyen et al. 2022, V(z₀): ``f_j ⊗ x_p``. The model is run as far as its first block, to see
    what that is given.

    Examples
    --------
    >>> view = local_view(cache, patch=(5, 4), filter=17)              # doctest: +SKIP
    >>> view.sum + view.bias + view.position - view.embedding          # doctest: +SKIP
    0.0
    """
    embedding = checked_embedding(cache, image)
    check_filter(embedding, filter)
    grid = embedding.grid(*cache.images.shape[-2:])
    at = TokenAxis(grid.size, (), grid).token(*patch)
    values = embedding.filters[filter] * embedding.patches(cache.images[image])[at]
    entry, notes = entries(cache, embedding, image)
    position = token = None
    if entry is not None:
        position = float(entry.added[at, filter])
        token = float(entry.tokens[len(entry.tokens) - grid.size + at, filter])
    return LocalView(
        values,
        float(values.sum()),
        float(embedding.bias[filter]),
        position,
        token,
        entry is not None and entry.fixed,
        notes,
        params={
            "model": cache.model.name, "patch": tuple(patch), "filter": filter, "image": image,
            "path": embedding.path,
        },
    )  # fmt: skip


def entries(
    cache: ActivationCache, embedding: PatchEmbedding, image: int = 0
) -> tuple[Embedded | None, tuple[str, ...]]:
    """See what the first block is given of an image, or say why that is not known.

    Parameters
    ----------
    cache, image
        As for :func:`local_view`.
    embedding
        Of the model.

    Returns
    -------
    Embedded or None
        ``None`` where the tokens of the first block are not the patches in raster order.
    tuple of str
        What to bear in mind, in sentences.
    """
    if not cache.blocks:
        return None, (_NO_TOKENS,)
    axis = cache.token_axes[0]
    grid = embedding.grid(*cache.images.shape[-2:])
    found = None
    if axis is not None and axis.cells is None and lies_on(axis, grid):
        found = embedded(cache.model, embedding, cache.blocks[0], cache.images[image])
        found = found if found is not None and len(found.tokens) == axis.size else None
    if found is None:
        return None, (f"{cache.blocks[0]} is not given one token for each patch and filter",)
    note = (
        "what is added before the first block depends on the image (a norm, for instance): it is "
        "no embedding of the position"
    )
    return found, () if found.fixed else (note,)


def checked_embedding(cache: ActivationCache, image: int) -> PatchEmbedding:
    """Find the patch embedding of a cache's model, and refuse an image that there is not."""
    if not 0 <= image < len(cache.images):
        msg = f"image {image} is out of range: there are 0 to {len(cache.images) - 1}"
        raise IndexError(msg)
    return patch_embedding(cache.model, tuple(cache.images.shape[1:]))


def check_filter(embedding: PatchEmbedding, number: int) -> None:
    """Refuse a filter that there is not, naming the valid ones."""
    count = len(embedding.filters)
    if not 0 <= number < count:
        msg = f"filter {number} is out of range: there are 0 to {count - 1}"
        raise IndexError(msg)


def lies_on(axis: TokenAxis, grid: Grid) -> bool:
    """Whether tokens are the patches of a grid, in rows and columns."""
    return axis.grid is not None and (axis.grid.rows, axis.grid.cols) == (grid.rows, grid.cols)

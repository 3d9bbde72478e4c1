"""The tokens of one layer and one image, told apart: patches in raster order, and the prefix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vit_widgets.activations import ActivationCache
from vit_widgets.models import Grid
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class PatchTokens(Result):
    """Tokens of one layer and one image: see :func:`patch_tokens`.

    Attributes
    ----------
    patches
        (patch, feature), in raster order; float64 of a float64 model, else float32.
    prefix
        The tokens before the patches (class, registers), (prefix, feature).
    names
        Of the prefix tokens.
    grid
        Where the patches lie on the image.
    layer
        Counted from 0.
    """

    patches: np.ndarray
    prefix: np.ndarray
    names: tuple[str, ...]
    grid: Grid
    layer: int

    def laid_out(self, values: np.ndarray) -> np.ndarray:
        """Lay values (patch, ...) out on the image: (row, col, ...)."""
        return values.reshape(self.grid.rows, self.grid.cols, *values.shape[1:])


def patch_tokens(cache: ActivationCache, layer: int, image: int = 0) -> PatchTokens:
    """Take the tokens that a block returned, its patches in raster order.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    layer
        Counted from 0; -1 is the last.
    image
        Counted from 0.

    Returns
    -------
    PatchTokens

    Raises
    ------
    IndexError
        For a layer or an image out of range, naming the valid ones.
    ValueError
        If the cache kept no tokens, the places of the patches are not known, or the tokens are not
        finite.

    Examples
    --------
    >>> patch_tokens(cache, layer=-1).patches.shape                    # doctest: +SKIP
    (144, 192)
    """
    layer = checked_layer(cache, layer)
    tokens = cache.tokens[layer]
    if not 0 <= image < len(tokens):
        msg = f"image {image} is out of range: there are 0 to {len(tokens) - 1}"
        raise IndexError(msg)
    axis = cache.token_axes[layer]
    mine = tokens[image]
    if axis is None or axis.grid is None:
        broken = int((~torch.isfinite(mine)).any(dim=-1).sum())
        msg = (
            f"{broken} of the {len(mine)} tokens of layer {layer} hold NaN or infinity, so where "
            "they lie on the image is not known; look for the first layer that holds any"
            if broken
            else f"where the tokens of layer {layer} lie on the image is not known, so its patches "
            "cannot be told; cache.tokens has them as the model gives them"
        )
        raise ValueError(msg)
    # NumPy has no bfloat16, and what is computed from half precision should not round again
    values = (mine if mine.dtype == torch.float64 else mine.float()).cpu().numpy()
    patches = np.moveaxis(axis.laid_out(values.T), 0, -1).reshape(axis.grid.size, -1)
    wrong = int((~np.isfinite(patches)).any(axis=1).sum())
    if wrong:
        msg = (
            f"{wrong} of the {len(patches)} patches of layer {layer} hold NaN or infinity: nothing "
            "can be told from them; look for the first layer that holds any"
        )
        raise ValueError(msg)
    names = axis.prefix
    return PatchTokens(patches, values[: len(names)], names, axis.grid, layer)


def checked_layer(cache: ActivationCache, layer: int) -> int:
    """Count a layer of blocks from 0; -1 is the last.

    Raises
    ------
    IndexError
        For one out of range, naming the valid ones.
    """
    count = len(cache.tokens)
    if not -count <= layer < count:
        msg = f"layer {layer} is out of range: there are 0 to {count - 1}, and -1 for the last"
        raise IndexError(msg)
    return layer % count

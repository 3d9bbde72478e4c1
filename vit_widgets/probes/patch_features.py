"""What patches are compared by: the tokens of a layer, or the keys of its attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.models import Grid
from vit_widgets.probes.patch_keys import patch_keys
from vit_widgets.probes.patch_tokens import PatchTokens, patch_tokens

Features = Literal["tokens", "keys"]

_TAKEN: Mapping[str, Callable[[ActivationCache, int, int], PatchTokens]] = {
    "tokens": patch_tokens,
    "keys": patch_keys,
}


@dataclass(frozen=True)
class ImagePatches:
    """Features of the patches of one layer and several images: see :func:`patches_of`.

    Attributes
    ----------
    patches
        (patch, feature), image after image, each in raster order; float64 of a float64 model, else
        float32.
    images
        Which images.
    grid
        Where the patches of each lie.
    layer
        Counted from 0.
    model
        Name of the model; of several their names.
    """

    patches: np.ndarray
    images: tuple[int, ...]
    grid: Grid
    layer: int
    model: str

    @property
    def rounding(self) -> float:
        """What features of this size, and their means, are rounded by: less is no difference."""
        return float(8 * np.finfo(self.patches.dtype).eps * np.abs(self.patches).max())

    def laid_out(self, values: np.ndarray) -> np.ndarray:
        """Lay values (patch, ...) out on the images: (image, row, col, ...)."""
        shape = (len(self.images), self.grid.rows, self.grid.cols)
        return values.reshape(*shape, *values.shape[1:])


def patch_features(
    cache: ActivationCache, layer: int, image: int = 0, of: Features = "tokens"
) -> PatchTokens:
    """Take what the patches of one layer and image are compared by.

    Parameters
    ----------
    cache
        From ``capture(model, images)``.
    layer
        Counts blocks from 0; -1 is the last.
    image
        Counted from 0.
    of
        ``"tokens"``, the residual stream after the block, or ``"keys"`` of its attention, all heads
        beside each other.

    Returns
    -------
    PatchTokens

    Raises
    ------
    IndexError, ValueError
        As :func:`patch_tokens` and :func:`patch_keys` do, and for an unknown `of`.

    Examples
    --------
    >>> patch_features(cache, layer=-1, of="keys").patches.shape       # doctest: +SKIP
    (144, 192)
    """
    if of not in _TAKEN:
        msg = f"of={of!r} is not known; patches are compared by 'tokens' or 'keys'"
        raise ValueError(msg)
    return _TAKEN[of](cache, layer, image)


def patches_of(
    cache: ActivationCache | Sequence[ActivationCache],
    layer: int,
    images: Sequence[int] | None = None,
    of: Features = "tokens",
) -> ImagePatches:
    """Take the features of the patches of several images, which are looked at as one set.

    Parameters
    ----------
    cache
        A capture, or several whose images are counted through, one capture after the other.
    layer, of
        As for :func:`patch_features`.
    images
        Which of the images; default all of them.

    Returns
    -------
    ImagePatches

    Raises
    ------
    IndexError, ValueError
        As :func:`patch_features` does; for no images, and for captures whose patches differ in
        number or features.

    Examples
    --------
    >>> patches_of(cache, layer=-1, images=[0, 2]).patches.shape       # doctest: +SKIP
    (288, 192)
    """
    caches = [cache] if isinstance(cache, ActivationCache) else list(cache)
    places = [(one, image) for one in caches for image in range(len(one.images))]
    chosen = tuple(range(len(places)) if images is None else images)
    if not chosen:
        msg = "no images were chosen; name at least one, or leave `images` out for all of them"
        raise ValueError(msg)
    for image in chosen:
        if not 0 <= image < len(places):
            msg = f"image {image} is out of range: there are 0 to {len(places) - 1}"
            raise IndexError(msg)
    found = [patch_features(one, layer, image, of) for one, image in (places[at] for at in chosen)]
    first = found[0]
    for one in found:
        if one.grid != first.grid or one.patches.shape != first.patches.shape:
            msg = (
                f"patches of {_said(first)} and of {_said(one)} are no one set; "
                "take captures of one model and one size of image"
            )
            raise ValueError(msg)
    names = dict.fromkeys(places[image][0].model.name for image in chosen)
    patches = np.concatenate([one.patches for one in found])
    return ImagePatches(patches, chosen, first.grid, first.layer, ", ".join(names))


def _said(found: PatchTokens) -> str:
    return f"{found.grid.rows} x {found.grid.cols} with {found.patches.shape[1]} features"

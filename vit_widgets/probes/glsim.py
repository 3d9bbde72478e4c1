"""Which patches are most like the whole: the cosine of each patch to the class token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from vit_widgets.activations import ActivationCache
from vit_widgets.activations.final_norm import final_norm, normed
from vit_widgets.models import Grid
from vit_widgets.probes.patch_box import patch_box
from vit_widgets.probes.patch_tokens import PatchTokens, patch_tokens
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class GLSim(Result):
    """What :func:`glsim` finds.

    Attributes
    ----------
    values
        Cosine of each patch to the class token, in [-1, 1], float64 (row, col); NaN for a patch
        whose features are all 0.
    patches
        Row and column of the patches that are most like it, the best first, int (top, 2).
    box
        Around them, in pixels of the model's input: x0, y0, x1, y1, the last two excluded.
    size
        Height and width of the model's input.
    norm
        Path of the norm that the tokens went through, ``""`` where none was found.
    notes
        What to bear in mind, in sentences.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    patches: np.ndarray
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    norm: str
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("row", "col")
    method: str = "glsim"
    params: dict[str, Any] = field(default_factory=dict)

    def crop(self, picture: np.ndarray) -> np.ndarray:
        """Cut the box out of a picture and enlarge it to the size of the model's input.

        Parameters
        ----------
        picture
            uint8 (height, width, 3) of the model's input, as from ``model.picture(pixels)``.

        Returns
        -------
        numpy.ndarray
            uint8 of the same shape, by bilinear interpolation.

        Raises
        ------
        ValueError
            For a picture of another shape or type.

        Examples
        --------
        >>> found.crop(model.picture(cache.images[0])).shape           # doctest: +SKIP
        (144, 144, 3)
        """
        height, width = self.size
        if picture.shape != (height, width, 3) or picture.dtype != np.uint8:
            msg = (
                f"a picture of {picture.dtype} {picture.shape} is not what the box was found in; "
                f"give uint8 ({height}, {width}, 3), as model.picture(cache.images[image]) does"
            )
            raise ValueError(msg)
        x0, y0, x1, y1 = self.box
        part = Image.fromarray(picture[y0:y1, x0:x1])
        return np.asarray(part.resize((width, height), Image.Resampling.BILINEAR))


def glsim(
    cache: ActivationCache,
    layer: int = -1,
    top: int = 8,
    image: int = 0,
    official: bool = False,
) -> GLSim:
    """Compare every patch with the class token, and box those that are most like it.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    layer
        Counts blocks from 0; -1 is the last.
    top
        How many patches the box holds.
    image
        Counted from 0.
    official
        Whether the box ends, as in the authors' code, where the last of the patches begins, but is
        one patch at least.

    Returns
    -------
    GLSim

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        If there is no class token, it is 0, or the places of the patches are not known; for a `top`
        that is no number of patches.

    Notes
    -----
    Rios et al. 2024 (Global-Local Similarity), of the features after the norm behind the last block
    (:func:`~vit_widgets.activations.final_norm.final_norm`, one forward of one image for each
    model). That norm was trained on the last block; on an earlier one it is applied all the same.

    Examples
    --------
    >>> found = glsim(cache)                                           # doctest: +SKIP
    >>> found.values.shape, found.box                                  # doctest: +SKIP
    ((12, 12), (36, 24, 108, 84))
    """
    found = patch_tokens(cache, layer, image)
    if "class" not in found.names:
        msg = (
            f"layer {found.layer} has no class token to compare patches with; "
            "similarity() compares them with any other token"
        )
        raise ValueError(msg)
    if not 1 <= top <= len(found.patches):
        msg = f"top={top} is out of range: the image has 1 to {len(found.patches)} patches"
        raise ValueError(msg)
    tokens, norm, notes = _after_the_norm(cache, found)
    patches = tokens[len(found.names) :]
    whole = tokens[found.names.index("class")]
    if not whole.any():
        msg = f"the class token of layer {found.layer} is 0 everywhere: it is like no patch"
        raise ValueError(msg)
    lengths = np.linalg.norm(patches, axis=1) * np.linalg.norm(whole)
    cosines = np.divide(
        patches @ whole, lengths, out=np.full(len(patches), np.nan), where=lengths > 0
    )
    cosines = np.clip(cosines, -1, 1)  # rounding goes a little beyond
    known = int((lengths > 0).sum())
    if known < top:
        msg = f"only {known} patches are not 0 everywhere; top={top} asks for more"
        raise ValueError(msg)
    best = np.argsort(-cosines, kind="stable")[:top]  # NaN goes last
    chosen = np.stack(np.unravel_index(best, (found.grid.rows, found.grid.cols)), axis=1)
    size = (int(cache.images.shape[-2]), int(cache.images.shape[-1]))
    return GLSim(
        found.laid_out(cosines),
        chosen,
        _box(found.grid, chosen, size, official),
        size,
        norm,
        notes,
        params={
            "model": cache.model.name,
            "layer": found.layer,
            "top": top,
            "image": image,
            "official": official,
        },
    )


def _after_the_norm(
    cache: ActivationCache, found: PatchTokens
) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Give all tokens as they are after the final norm, its path, and what is to be said of it."""
    tokens = np.concatenate([found.prefix, found.patches])
    norm = final_norm(cache)
    if not norm:
        note = "no norm was found that takes what the last block returns: tokens are compared as is"
        return tokens.astype(np.float64), norm, (note,)
    if tokens.shape[-1] != cache.tokens[-1].shape[-1]:
        note = f"{norm} takes other features than layer {found.layer} has: it is not applied"
        return tokens.astype(np.float64), "", (note,)
    last = found.layer == len(cache.tokens) - 1
    note = f"{norm} was trained on the last block; here it is applied to layer {found.layer}"
    return normed(cache, norm, tokens).astype(np.float64), norm, () if last else (note,)


def _box(
    grid: Grid, chosen: np.ndarray, size: tuple[int, int], official: bool
) -> tuple[int, int, int, int]:
    (top, left), (bottom, right) = chosen.min(axis=0).tolist(), chosen.max(axis=0).tolist()
    if official:
        bottom, right = max(top, bottom - 1), max(left, right - 1)
    return patch_box(grid, (top, left), (bottom, right), size)

"""Three principal components of the patches as red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import linalg

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.patch_features import Features, ImagePatches, patches_of
from vit_widgets.probes.result import Result

COMPONENTS = 3


@dataclass(frozen=True, repr=False)
class PCAColors(Result):
    """Principal components of the patches of some images: see :func:`pca_colors`.

    Attributes
    ----------
    values
        The components from 0 at their smallest to 1 at their largest over all images, float64
        (image, row, col, component); 0.5 where a component does not vary, NaN for patches that are
        not in `foreground`.
    scores
        The components as they are, of all patches, float64 (image, row, col, component).
    explained
        Share of the variance of each component, the largest first, float64 (component); 0 for one
        that patches do not have beyond rounding (fewer patches, or patches on a line).
    components
        Directions of unit length, 0 for a component that is not there, float64 (component,
        feature); the loading of the largest magnitude is positive, so that colours do not flip
        from run to run.
    foreground
        Patches that the components were fitted on, bool (image, row, col): all, unless the
        foreground was asked for.
    notes
        What to bear in mind, in sentences: how the foreground was told.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    scores: np.ndarray
    explained: np.ndarray
    components: np.ndarray
    foreground: np.ndarray
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("image", "row", "col", "component")
    method: str = "pca_colors"
    params: dict[str, Any] = field(default_factory=dict)


def pca_colors(
    cache: ActivationCache | Sequence[ActivationCache],
    layer: int,
    images: Sequence[int] | None = None,
    of: Features = "tokens",
    foreground: bool = False,
) -> PCAColors:
    """Find the three directions in which the patches of a layer vary most, over all images at once.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``; of keys, keep ``"attention"`` too.
        Several captures are taken together, their images counted through.
    layer
        Counts blocks from 0; -1 is the last.
    images
        Which of the images; default all of them. Patches of the same colour are then alike across
        images.
    of
        ``"tokens"`` or ``"keys"``, as in :func:`similarity`.
    foreground
        Whether the first component is used to tell the foreground, and the three are then fitted
        once more on that alone.

    Returns
    -------
    PCAColors

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        For no images, fewer than two patches in all, patches without known places, keys that were
        not kept, or a foreground that is not there because patches do not vary.

    Notes
    -----
    Exact: the eigenvectors of the smaller of the Gram matrix (patch, patch) and the covariance
    (feature, feature), with BLAS on one thread, which is quicker for matrices of this size. The
    colours are those of Oquab et al. 2023 (DINOv2), section 7.4 and figure 1. They choose threshold
    and side of the first component by eye. Here the threshold is 0, the mean of all patches, and
    the foreground is the side that holds fewer of the patches along the border of the images (the
    positive side where both hold as many): a rule that no sign of the solver can turn, and that is
    wrong for an object which fills the picture.

    Examples
    --------
    >>> pca_colors(cache, layer=-1).values.shape                       # doctest: +SKIP
    (1, 12, 12, 3)
    """
    found = patches_of(cache, layer, images, of)
    patches = found.patches.astype(np.float64)
    if len(patches) < 2:
        msg = f"{len(patches)} patches do not vary: principal components need at least two"
        raise ValueError(msg)
    chosen = np.ones(len(patches), bool)
    notes: tuple[str, ...] = ()
    with one_thread():
        scores, explained, components = _fitted(patches, chosen, found.rounding)
        if foreground:
            chosen, notes = _foreground(found, scores[:, 0])
            scores, explained, components = _fitted(patches, chosen, found.rounding)
    low, high = scores[chosen].min(axis=0), scores[chosen].max(axis=0)
    flat = high == low  # a component that is not there has no colour
    values = np.where(flat, 0.5, (scores - low) / np.where(flat, 1, high - low))
    values[~chosen] = np.nan
    return PCAColors(
        found.laid_out(values),
        found.laid_out(scores),
        explained,
        components,
        found.laid_out(chosen),
        notes,
        params={
            "model": found.model, "layer": found.layer, "images": list(found.images), "of": of,
            "foreground": foreground,
        },
    )  # fmt: skip


def _fitted(
    patches: np.ndarray, chosen: np.ndarray, rounding: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit some patches: scores of all of them, shares of the variance, and directions."""
    fitted = patches[chosen]
    centre = fitted.mean(axis=0)
    components, explained = principal_directions(fitted - centre, rounding)
    return (patches - centre) @ components.T, explained, components


def _foreground(found: ImagePatches, first: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Tell the foreground by the first component, bool (patch), and say how."""
    if not first.any():
        msg = "the patches do not vary, so that no foreground can be told"
        raise ValueError(msg)
    border = np.zeros((len(found.images), found.grid.rows, found.grid.cols), bool)
    border[:, [0, -1]] = border[:, :, [0, -1]] = True
    sides = {"positive": first > 0, "negative": first < 0}
    along = {side: int((border.ravel() & mine).sum()) for side, mine in sides.items()}
    side = "positive" if along["positive"] <= along["negative"] else "negative"
    chosen = sides[side]
    if chosen.sum() < 2:
        msg = f"the foreground is {int(chosen.sum())} patch, which does not vary"
        raise ValueError(msg)
    note = (
        f"foreground: the {side} side of the first component, which holds {along[side]} of the "
        f"{int(border.sum())} patches along the border"
    )
    return chosen, (note,)


def principal_directions(centred: np.ndarray, rounding: float) -> tuple[np.ndarray, np.ndarray]:
    """Give directions (component, feature) and the share of the variance that each explains.

    A direction in which samples differ by no more than they are rounded is none: it is 0.

    Parameters
    ----------
    centred
        float64 (sample, feature), their mean taken off.
    rounding
        What a feature is rounded by.
    """
    count, features = centred.shape
    few = count <= features
    square = centred @ centred.T if few else centred.T @ centred
    wanted = [max(0, len(square) - COMPONENTS), len(square) - 1]
    rising, vectors = linalg.eigh(square, subset_by_index=wanted, check_finite=False)
    spread, directions = rising[::-1], vectors.T[::-1]
    if few:
        directions = directions @ centred
        lengths = np.linalg.norm(directions, axis=1, keepdims=True)
        directions = np.divide(
            directions, lengths, out=np.zeros_like(directions), where=lengths > 0
        )
    short = COMPONENTS - len(spread)  # fewer patches than components
    directions = np.pad(directions, ((0, short), (0, 0)))
    explained = np.pad(np.maximum(spread, 0), (0, short))
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(COMPONENTS), largest])
    total = float((centred**2).sum())
    # the sums of squares of a matrix of rounding errors, and what the solver adds to them
    least = rounding**2 * count * features + np.finfo(float).eps * max(centred.shape) * total
    there = explained > least
    directions = directions * (np.where(signs == 0, 1, signs) * there)[:, None]
    return directions, np.where(there, explained, 0) / (total or 1)

"""Three principal components of the patches as red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_tokens import patches_of

COMPONENTS = 3


@dataclass(frozen=True)
class PCAColors:
    """Principal components of the patches of some images: see :func:`pca_colors`.

    Attributes
    ----------
    values
        The components from 0 at their smallest to 1 at their largest over all images, float64
        (image, row, col, component); 0.5 where a component does not vary.
    scores
        The components as they are, float64 (image, row, col, component).
    explained
        Share of the variance of each component, the largest first, float64 (component); 0 for one
        that patches do not have beyond rounding (fewer patches, or patches on a line).
    components
        Directions of unit length, 0 for a component that is not there, float64 (component,
        feature); the loading of the largest magnitude is positive, so that colours do not flip
        from run to run.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    scores: np.ndarray
    explained: np.ndarray
    components: np.ndarray
    axes: tuple[str, ...] = ("image", "row", "col", "component")
    method: str = "pca_colors"
    params: dict[str, Any] = field(default_factory=dict)


def pca_colors(
    cache: ActivationCache, layer: int, images: Sequence[int] | None = None
) -> PCAColors:
    """Find the three directions in which the patches of a layer vary most, over all images at once.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    layer
        Counted from 0; -1 is the last.
    images
        Which of the images; default all of them. Patches of the same colour are then alike across
        images.

    Returns
    -------
    PCAColors

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        For no images, fewer than two patches in all, or patches without known places.

    Notes
    -----
    Exact: the eigenvectors of the smaller of the Gram matrix (patch, patch) and the covariance
    (feature, feature), with BLAS on one thread, which is quicker for matrices of this size. The
    colours are those that Oquab et al. 2023 (DINOv2) draw, without their second fit on the
    foreground.

    Examples
    --------
    >>> pca_colors(cache, layer=-1).values.shape                       # doctest: +SKIP
    (1, 12, 12, 3)
    """
    found = patches_of(cache, layer, images)
    patches = found.patches.astype(np.float64)
    if len(patches) < 2:
        msg = f"{len(patches)} patches do not vary: principal components need at least two"
        raise ValueError(msg)
    patches -= patches.mean(axis=0)
    with threadpool_limits(1, "blas"):
        components, explained = principal_directions(patches, found.rounding)
        scores = patches @ components.T
    low, high = scores.min(axis=0), scores.max(axis=0)
    flat = high == low  # a component that is not there has no colour
    values = np.where(flat, 0.5, (scores - low) / np.where(flat, 1, high - low))
    return PCAColors(
        found.laid_out(values),
        found.laid_out(scores),
        explained,
        components,
        params={"model": cache.model.name, "layer": found.layer, "images": list(found.images)},
    )


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
    rising, vectors = linalg.eigh(square, subset_by_index=wanted)
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

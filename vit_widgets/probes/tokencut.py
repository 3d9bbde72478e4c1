"""An object for free: the patches are cut in two where they hang together least."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import linalg, ndimage
from threadpoolctl import threadpool_limits

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_tokens import patch_tokens

WEAK = 1e-5
"""Weight between patches that are not alike: the graph stays in one piece."""


@dataclass(frozen=True)
class TokenCut:
    """What :func:`tokencut` finds.

    Attributes
    ----------
    eigenvector
        Second smallest generalised eigenvector, positive on the side of the object, float64
        (row, col), of ``vᵀ D v = 1``.
    eigenvalue
        Its eigenvalue, in [0, 2]; near 0 where the graph all but falls apart.
    bipartition
        Patches above the mean of the eigenvector, bool (row, col).
    mask
        Those of them that hang together with the seed, over their sides, bool (row, col).
    seed
        Row and column of the patch with the largest magnitude.
    box
        Of the mask, in pixels of the model's input: x0, y0, x1, y1, the last two excluded.
    notes
        What to bear in mind, in sentences.
    axes
        Names of the axes of the maps.
    """

    eigenvector: np.ndarray
    eigenvalue: float
    bipartition: np.ndarray
    mask: np.ndarray
    seed: tuple[int, int]
    box: tuple[int, int, int, int]
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("row", "col")
    method: str = "tokencut"
    params: dict[str, Any] = field(default_factory=dict)


def tokencut(cache: ActivationCache, layer: int = -1, tau: float = 0.2, image: int = 0) -> TokenCut:
    """Find the most salient object by a normalised cut of the patches.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    layer
        Counted from 0; -1 is the last.
    tau
        Cosine above which two patches hang together, -1 to 1.
    image
        Counted from 0.

    Returns
    -------
    TokenCut

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        For a `tau` outside of [-1, 1], fewer than three patches, patches of which all or no pairs
        are alike, a patch that is 0, or without known places.

    Notes
    -----
    Wang et al. 2022 (TokenCut), section 3: weights 1 where the cosine exceeds `tau`, 1e-5 where
    not; ``(D - W) v = λ D v``. They take the keys of the last attention of DINO; here it is the
    residual stream of any layer. Solved as the symmetric problem of ``D^-1/2 W D^-1/2``.

    Examples
    --------
    >>> found = tokencut(cache)                                        # doctest: +SKIP
    >>> found.mask.shape, found.box                                    # doctest: +SKIP
    ((12, 12), (24, 36, 108, 96))
    """
    if not -1 <= tau <= 1:
        msg = f"tau={tau} is no cosine; it must lie between -1 and 1"
        raise ValueError(msg)
    found = patch_tokens(cache, layer, image)
    weights = affinity(found.patches, tau)
    value, vector = second_eigenvector(weights)
    vector = found.laid_out(vector)
    above = vector > vector.mean()
    seed = np.unravel_index(np.abs(vector).argmax(), vector.shape)
    if not above[seed]:  # the seed is of the object, whatever the sign that a solver gives
        vector, above = -vector, ~above
    parts, _ = ndimage.label(above)
    mask = parts == parts[seed]
    rows, cols = np.nonzero(mask)
    x0, y0, _, _ = found.grid.box(int(rows.min()), int(cols.min()))
    _, _, x1, y1 = found.grid.box(int(rows.max()), int(cols.max()))
    notes = []
    if value < 100 * WEAK:
        notes.append("at this τ the patches fall into pieces that only the weak weights hold")
    return TokenCut(
        vector,
        value,
        above,
        mask,
        (int(seed[0]), int(seed[1])),
        (x0, y0, x1, y1),
        tuple(notes),
        params={"model": cache.model.name, "layer": found.layer, "tau": tau, "image": image},
    )


def affinity(patches: np.ndarray, tau: float) -> np.ndarray:
    """Weigh pairs of patches: 1 where their cosine exceeds `tau`, else 1e-5.

    Parameters
    ----------
    patches
        (patch, feature).
    tau
        A cosine.

    Returns
    -------
    numpy.ndarray
        float64 (patch, patch).

    Raises
    ------
    ValueError
        For fewer than three patches, a patch that is 0, or patches of which all or no pairs are
        alike.
    """
    patches = patches.astype(np.float64)
    if len(patches) < 3:
        msg = f"{len(patches)} patches cannot be cut in two; three are the least"
        raise ValueError(msg)
    lengths = np.linalg.norm(patches, axis=1, keepdims=True)
    if not lengths.all():
        msg = f"{int((lengths == 0).sum())} patches are 0 everywhere: they are like no other"
        raise ValueError(msg)
    unit = patches / lengths
    with threadpool_limits(1, "blas"):
        linked = unit @ unit.T > tau
    pairs = linked[~np.eye(len(unit), dtype=bool)]
    if pairs.all() or not pairs.any():
        side, way = ("above", "raise") if pairs.all() else ("of at most", "lower")
        msg = (
            f"all patches have a cosine {side} {tau:g} to each other: there is nothing to cut; "
            f"{way} tau"
        )
        raise ValueError(msg)
    return np.where(linked, 1.0, WEAK)


def second_eigenvector(weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Solve ``(D - W) v = λ D v`` for the second smallest λ.

    Parameters
    ----------
    weights
        Symmetric, positive, (patch, patch).

    Returns
    -------
    float, numpy.ndarray
        λ and v, with ``vᵀ D v = 1``.
    """
    scale = 1 / np.sqrt(weights.sum(axis=1))
    count = len(weights)
    with threadpool_limits(1, "blas"):
        # λ of the first problem is 1 - λ of this one: the second smallest is the second largest
        values, vectors = linalg.eigh(
            weights * scale[:, None] * scale, subset_by_index=[count - 2, count - 2]
        )
    return max(0.0, float(1 - values[0])), vectors[:, 0] * scale

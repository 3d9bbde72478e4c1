"""An object for free: the patches are cut in two where they hang together least."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, ndimage

from vit_widgets.activations import ActivationCache
from vit_widgets.models import Grid
from vit_widgets.probes.bilateral import bilateral
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.patch_box import patch_box
from vit_widgets.probes.patch_features import Features, patch_features
from vit_widgets.probes.result import Result

WEAK = 1e-5
"""Weight between patches that are not alike: the graph stays in one piece."""


@dataclass(frozen=True, repr=False)
class TokenCut(Result):
    """What :func:`tokencut` and :func:`cut` find.

    Attributes
    ----------
    eigenvector
        Second smallest generalised eigenvector, positive on the side of the object, float64
        (row, col), of ``vᵀ D v = 1``; NaN at patches that were left out.
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
    grid
        Where the patches lie on the image.
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
    grid: Grid
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("row", "col")
    method: str = "tokencut"
    params: dict[str, Any] = field(default_factory=dict)

    def refined(self, picture: np.ndarray) -> np.ndarray:
        """Let the mask follow the edges of the picture.

        Parameters
        ----------
        picture
            uint8 (height, width, 3) of the model's input, as from ``model.picture(pixels)``.

        Returns
        -------
        numpy.ndarray
            The object, bool (height, width): what :func:`bilateral` makes of the mask above a half,
            its largest part over sides of pixels, holes filled.

        Raises
        ------
        ValueError
            For a picture of another shape or type, or one that the patches do not cover.

        Notes
        -----
        Wang et al. 2022, section 3.4, with the settings of their code. Where no patch
        lies, the mask begins without an object.

        Examples
        --------
        >>> found.refined(model.picture(cache.images[0])).shape        # doctest: +SKIP
        (144, 144)
        """
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            msg = (
                f"a picture of {picture.dtype} {picture.shape} has no colours to follow; give "
                "uint8 (height, width, 3), as model.picture(cache.images[image]) does"
            )
            raise ValueError(msg)
        smooth = bilateral(self._in_pixels(picture.shape[:2]), picture)
        inside = smooth > 0.5
        if not inside.any():
            return inside
        parts, _ = ndimage.label(ndimage.binary_fill_holes(inside))
        largest = np.bincount(parts.ravel())[1:].argmax() + 1
        found: np.ndarray = parts == largest
        return found

    def _in_pixels(self, size: tuple[int, int]) -> np.ndarray:
        """Lay the mask on the picture: bool (height, width)."""
        height, width = size
        _, _, right, bottom = self.grid.box(self.grid.rows - 1, self.grid.cols - 1)
        (down, across) = self.grid.cell
        if not (
            bottom - down < height <= bottom + down and right - across < width <= right + across
        ):
            msg = (
                f"a picture of {height} x {width} pixels is not what the patches lie on; they "
                f"cover {bottom} x {right}; give model.picture(cache.images[image])"
            )
            raise ValueError(msg)
        laid = np.zeros(size, bool)
        for row, col in np.argwhere(self.mask):
            x0, y0, x1, y1 = self.grid.box(int(row), int(col))
            laid[max(0, y0) : y1, max(0, x0) : x1] = True
        return laid


def tokencut(
    cache: ActivationCache,
    layer: int = -1,
    tau: float = 0.2,
    image: int = 0,
    of: Features = "keys",
    binary: bool = True,
    eps: float = WEAK,
    without: ArrayLike | None = None,
) -> TokenCut:
    """Find the most salient object by a normalised cut of the patches.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("attention", "tokens"))``; of tokens, those alone will
        do.
    layer
        Counts blocks from 0; -1 is the last.
    tau
        Cosine above which two patches hang together, -1 to 1.
    image
        Counted from 0.
    of
        What patches are compared by: ``"keys"`` of the attention, all heads beside each other, or
        ``"tokens"``, the residual stream after the block.
    binary, eps, without
        As in :func:`cut`.

    Returns
    -------
    TokenCut

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        As :func:`cut` does; for an unknown `of`, patches without known places, or keys that were
        not kept.

    Notes
    -----
    Wang et al. 2022 (TokenCut), section 3. They take the keys of the last attention, which is why
    keys and -1 are the defaults: what the last block returns is already turned towards the class.
    In earlier layers tokens can be the better choice; :func:`object_iou` tells for a model.

    Patches of large norm, which some models use as scratch space (Darcet et al. 2024), are much
    alike and can be cut off in the object's place; `without` leaves them out.

    Examples
    --------
    >>> found = tokencut(cache)                                        # doctest: +SKIP
    >>> found.mask.shape, found.box                                    # doctest: +SKIP
    ((12, 12), (24, 36, 108, 96))
    >>> out = token_norms(cache).outlier_map(5)                        # doctest: +SKIP
    >>> tokencut(cache, 5, of="tokens", without=out).params["left_out"]  # doctest: +SKIP
    3
    """
    found = patch_features(cache, layer, image, of)
    size = (int(cache.images.shape[-2]), int(cache.images.shape[-1]))
    answer = cut(found.patches, found.grid, tau, binary, eps, size, without)
    where = {"model": cache.model.name, "layer": found.layer, "image": image, "of": of}
    return replace(answer, params={**where, **answer.params})


def cut(
    features: np.ndarray,
    grid: Grid,
    tau: float = 0.2,
    binary: bool = True,
    eps: float = WEAK,
    size: tuple[int, int] | None = None,
    without: ArrayLike | None = None,
) -> TokenCut:
    """Cut patches in two by features that are at hand.

    Parameters
    ----------
    features
        (patch, feature), in raster order.
    grid
        Where the patches lie on the image.
    tau
        Cosine above which two patches hang together, -1 to 1.
    binary
        Whether the weight of two such patches is 1, or their cosine; `tau` may not be negative
        then.
    eps
        Weight of all other pairs, between 0 and 1.
    size
        Height and width of the picture, which the box does not leave; default what the grid covers.
    without
        Patches to leave out of the graph, bool (row, col), as
        :meth:`~vit_widgets.probes.TokenNorms.outlier_map` gives them: the others are cut as if
        these were not there. Their features are not looked at.

    Returns
    -------
    TokenCut

    Raises
    ------
    ValueError
        For features that are no (patch, feature) of the grid or not finite, fewer than three
        patches, a patch that is 0; a `tau` or `eps` out of range, or a `tau` that all pairs of
        patches exceed, or no pair; a `without` that is not bool (row, col) of the grid, or leaves
        fewer than three.

    Notes
    -----
    ``(D - W) v = λ D v``, Shi and Malik 2000; solved as the symmetric problem of
    ``D^-1/2 W D^-1/2``.

    Examples
    --------
    >>> features = np.array([[5, 1], [5, 0], [0, 5], [0, 6], [0, 7], [0, 8]])
    >>> cut(features, Grid(2, 3, (8, 8))).mask.tolist()
    [[True, True, False], [False, False, False]]
    """
    if features.ndim != 2 or len(features) != grid.size:
        msg = (
            f"features of shape {features.shape} do not fit a grid of {grid.rows} x {grid.cols}; "
            f"give ({grid.size}, feature), a row for each patch"
        )
        raise ValueError(msg)
    stays = _staying(without, grid)
    value, found = second_eigenvector(affinity(features[stays.ravel()], tau, binary, eps))
    vector = np.full(stays.shape, np.nan)
    vector[stays] = found
    above = vector > found.mean()  # NaN never is
    seed = np.unravel_index(np.nanargmax(np.abs(vector)), vector.shape)
    if not above[seed]:  # the seed is of the object, whatever the sign that a solver gives
        vector, above = -vector, stays & ~above
    parts, _ = ndimage.label(above)
    mask = parts == parts[seed]
    rows, cols = np.nonzero(mask)
    corners = (int(rows.min()), int(cols.min())), (int(rows.max()), int(cols.max()))
    notes = []
    if value < 100 * eps:
        notes.append("at this τ the patches fall into pieces that only the weak weights hold")
    return TokenCut(
        vector,
        value,
        above,
        mask,
        (int(seed[0]), int(seed[1])),
        patch_box(grid, *corners, size),
        grid,
        tuple(notes),
        params={"tau": tau, "binary": binary, "eps": eps, "left_out": int((~stays).sum())},
    )


def _staying(without: ArrayLike | None, grid: Grid) -> np.ndarray:
    """Say which patches are cut: bool (row, col)."""
    shape = (grid.rows, grid.cols)
    out = np.zeros(shape, bool) if without is None else np.asarray(without)
    if out.shape != shape or out.dtype != bool:
        msg = (
            f"without of shape {out.shape} and type {out.dtype} does not say which of {grid.rows} "
            f"x {grid.cols} patches to leave out; give bool (row, col), True for those"
        )
        raise ValueError(msg)
    if out.any() and out.size - out.sum() < 3:
        msg = (
            f"without leaves {out.size - int(out.sum())} of {out.size} patches: at least three "
            "must stay to be cut in two"
        )
        raise ValueError(msg)
    stays: np.ndarray = ~out
    return stays


def affinity(patches: np.ndarray, tau: float, binary: bool = True, eps: float = WEAK) -> np.ndarray:
    """Weigh pairs of patches: 1, or their cosine, where it exceeds `tau`, else `eps`.

    Parameters
    ----------
    patches
        (patch, feature).
    tau, binary, eps
        As in :func:`cut`.

    Returns
    -------
    numpy.ndarray
        float64 (patch, patch).

    Raises
    ------
    ValueError
        As :func:`cut` does.
    """
    if not -1 <= tau <= 1:
        msg = f"tau={tau} is no cosine; it must lie between -1 and 1"
        raise ValueError(msg)
    if not binary and tau < 0:
        msg = f"tau={tau} lets negative cosines be weights; give 0 or more, or binary=True"
        raise ValueError(msg)
    if not 0 < eps < 1:
        msg = f"eps={eps} must lie between 0 and 1: the graph stays in one piece by it"
        raise ValueError(msg)
    patches = patches.astype(np.float64)
    if len(patches) < 3:
        msg = f"{len(patches)} patches cannot be cut in two; three are the least"
        raise ValueError(msg)
    if not np.isfinite(patches).all():
        msg = "some features are NaN or infinity: nothing can be told from them"
        raise ValueError(msg)
    lengths = np.linalg.norm(patches, axis=1, keepdims=True)
    if not lengths.all():
        msg = f"{int((lengths == 0).sum())} patches are 0 everywhere: they are like no other"
        raise ValueError(msg)
    unit = patches / lengths
    with one_thread():
        cosines = unit @ unit.T
    alike = cosines > tau
    others = ~np.eye(len(patches), dtype=bool)
    weights: np.ndarray = np.where(alike, 1.0 if binary else cosines, eps)
    if np.ptp(weights[others]) < 1e-12:  # cosines of equal patches differ by their rounding
        side, way = ("above", "raise") if alike[others].any() else ("of at most", "lower")
        msg = (
            f"all patches have a cosine {side} {tau:g} to each other: there is nothing to cut; "
            f"{way} tau"
        )
        raise ValueError(msg)
    return weights


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
    balanced = weights * scale[:, None] * scale
    with one_thread():
        # λ of the first problem is 1 - λ of this one: the second smallest is the second largest
        values, vectors = linalg.eigh(
            balanced.T,  # as it is symmetric, the order of LAPACK: nothing is copied
            subset_by_index=[count - 2, count - 2],
            overwrite_a=True,
            check_finite=False,
        )
    return max(0.0, float(1 - values[0])), vectors[:, 0] * scale

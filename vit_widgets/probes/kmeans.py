"""Patches put together by what is alike in their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_features import Features, patches_of
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class Segments(Result):
    """Segments of some images: see :func:`kmeans`.

    Attributes
    ----------
    labels
        Segment of each patch, int (image, row, col); the largest segment is 0.
    centers
        Mean features of each segment, float64 (segment, feature).
    inertia
        Sum of the squared distances of the patches to their centres.
    axes
        Names of the axes of `labels`.
    """

    labels: np.ndarray
    centers: np.ndarray
    inertia: float
    axes: tuple[str, ...] = ("image", "row", "col")
    method: str = "kmeans"
    params: dict[str, Any] = field(default_factory=dict)


def kmeans(
    cache: ActivationCache | Sequence[ActivationCache],
    layer: int,
    k: int,
    images: Sequence[int] | None = None,
    seed: int = 0,
    of: Features = "tokens",
) -> Segments:
    """Put the patches of a layer into `k` segments, over all images at once.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``; of keys, keep ``"attention"`` too.
        Several captures are taken together, their images counted through.
    layer
        Counts blocks from 0; -1 is the last.
    k
        How many segments.
    images
        Which of the images; default all of them.
    seed
        Of the first centres.
    of
        ``"tokens"`` or ``"keys"``, as in :func:`similarity`.

    Returns
    -------
    Segments

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        For no images, `k` below 1 or above the number of patches that differ, places that are not
        known, or keys that were not kept.

    Notes
    -----
    Lloyd's algorithm from k-means++ centres, the best of four starts (scikit-learn), on the
    features as they are. BLAS and OpenMP run on one thread.

    Examples
    --------
    >>> kmeans(cache, layer=-1, k=5).labels.shape                      # doctest: +SKIP
    (1, 12, 12)
    """
    found = patches_of(cache, layer, images, of)
    labels, centers, inertia = grouped(found.patches, k, seed)
    return Segments(
        found.laid_out(labels),
        centers,
        inertia,
        params={
            "model": found.model, "layer": found.layer, "k": k, "seed": seed, "of": of,
            "images": list(found.images),
        },
    )  # fmt: skip


def grouped(vectors: np.ndarray, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, float]:
    """Put vectors into `k` groups, as :func:`kmeans` does with patches.

    Parameters
    ----------
    vectors
        (sample, feature).
    k, seed
        As for :func:`kmeans`.

    Returns
    -------
    labels
        int (sample), the largest group is 0.
    centers
        float64 (group, feature).
    inertia
        Sum of the squared distances to the centres.

    Raises
    ------
    ValueError
        For `k` below 1 or above the number of vectors that differ.

    Examples
    --------
    >>> grouped(np.array([[0.0], [0.1], [9.0]]), k=2)[0].tolist()
    [0, 0, 1]
    """
    from sklearn.cluster import KMeans

    vectors = vectors.astype(np.float64)
    distinct = len(np.unique(vectors, axis=0))
    if not 1 <= k <= distinct:
        msg = f"k={k} segments were asked for; 1 to {distinct} are possible, as many patches differ"
        raise ValueError(msg)
    with threadpool_limits(1):
        fitted = KMeans(k, n_init=4, random_state=seed).fit(vectors)
    order = np.argsort(-np.bincount(fitted.labels_, minlength=k), kind="stable")
    ranked = np.empty(k, dtype=int)
    ranked[order] = np.arange(k)
    return ranked[fitted.labels_], fitted.cluster_centers_[order], float(fitted.inertia_)

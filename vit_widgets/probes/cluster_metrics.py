"""Whether the tokens of objects fall into groups of their own, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial import distance

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_tokens import patch_tokens

NOISE, OTHER = -1, -2
"""In `clusters`: a patch of an object in no cluster, and a patch of no object."""


@dataclass(frozen=True)
class Clustering:
    """Clusters of the tokens of some objects: see :func:`clustering`.

    Attributes
    ----------
    clusters
        Cluster of each token, int (token), -1 for noise.
    eps
        Largest distance of two neighbours.
    purity
        Share of the tokens that lie in a cluster whose most frequent object is theirs, in [0, 1].
    silhouette
        Of the clustered tokens, by cosine; 0 for one cluster, -1 for none.
    in_cluster, in_object
        Mean cosine of two tokens of a cluster (-1 without any), and of an object.
    unique_labels
        Objects that are the most frequent one of a cluster, as a share of all objects.
    cluster_ratio
        Clusters divided by objects.
    """

    clusters: np.ndarray
    eps: float
    purity: float
    silhouette: float
    in_cluster: float
    in_object: float
    unique_labels: float
    cluster_ratio: float


@dataclass(frozen=True)
class ClusterMetrics:
    """How well objects come apart in each layer: see :func:`cluster_metrics`.

    Attributes
    ----------
    values
        float64 (metric, layer), in the order of `metrics`.
    metrics
        ``"purity"``, ``"silhouette"``, ``"in_cluster"``, ``"in_object"``, ``"unique_labels"``,
        ``"cluster_ratio"``, as in :class:`Clustering`.
    clusters
        Cluster of each patch, int (layer, row, col): -1 noise, -2 a patch of no object.
    eps
        Largest distance of two neighbours, float64 (layer).
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    metrics: tuple[str, ...]
    clusters: np.ndarray
    eps: np.ndarray
    axes: tuple[str, ...] = ("metric", "layer")
    method: str = "cluster_metrics"
    params: dict[str, Any] = field(default_factory=dict)


METRICS = ("purity", "silhouette", "in_cluster", "in_object", "unique_labels", "cluster_ratio")


def cluster_metrics(
    cache: ActivationCache, labels: np.ndarray, image: int = 0, least: int = 3
) -> ClusterMetrics:
    """Cluster the tokens of objects in every layer, and compare the clusters with the objects.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    labels
        Object of each patch, int (row, col), 0 where there is none.
    image
        Counted from 0.
    least
        Tokens that a cluster has around one of its own.

    Returns
    -------
    ClusterMetrics

    Raises
    ------
    ValueError
        For labels of another shape than the patches, fewer than two objects, or an object of fewer
        than two patches.

    Notes
    -----
    Nguyen et al. 2022, their code: DBSCAN of the raw outputs of the blocks, objects only, with an
    `eps` of each layer's own (:func:`clustering`).

    Examples
    --------
    >>> cluster_metrics(cache, labels).values.shape                    # doctest: +SKIP
    (6, 12)
    """
    labels = np.asarray(labels)
    found, clusters = [], []
    for layer in range(len(cache.tokens)):
        tokens = patch_tokens(cache, layer, image)
        shape = (tokens.grid.rows, tokens.grid.cols)
        if labels.shape != shape:
            msg = (
                f"labels of shape {labels.shape} do not fit layer {layer}, which has patches "
                f"{shape}: give one whole number for each patch, 0 for no object"
            )
            raise ValueError(msg)
        chosen = labels.ravel() > 0
        found.append(clustering(tokens.patches[chosen], labels.ravel()[chosen], least=least))
        laid = np.full(labels.size, OTHER)
        laid[chosen] = found[-1].clusters
        clusters.append(laid.reshape(shape))
    return ClusterMetrics(
        np.array([[getattr(one, metric) for one in found] for metric in METRICS]),
        METRICS,
        np.stack(clusters),
        np.array([one.eps for one in found]),
        params={"model": cache.model.name, "image": image, "least": least},
    )


def clustering(
    tokens: np.ndarray, objects: np.ndarray, eps: float | None = None, least: int = 3
) -> Clustering:
    """Cluster tokens by DBSCAN, and compare the clusters with the objects that they are of.

    Parameters
    ----------
    tokens
        (token, feature), in raster order.
    objects
        Object of each token, int (token).
    eps
        Largest distance of two neighbours. Default: the distance of tokens that follow each other
        in an object, averaged over each object and then over objects.
    least
        Tokens within `eps` of one, itself included, for it to begin a cluster.

    Returns
    -------
    Clustering

    Raises
    ------
    ValueError
        For fewer than two objects, an object of fewer than two tokens, or tokens that are not
        finite.

    Examples
    --------
    >>> tokens = np.repeat(np.eye(2), 4, axis=0) + 0.01 * np.arange(8)[:, None]
    >>> clustering(tokens, np.repeat([1, 2], 4), eps=0.1).purity
    1.0
    """
    from sklearn.cluster import DBSCAN
    from sklearn.metrics import silhouette_score

    names, counts = np.unique(objects, return_counts=True)
    if len(names) < 2 or counts.min() < 2:
        msg = (
            f"{len(names)} objects of {counts.tolist()} patches: two objects of two patches each "
            "are the least that clusters can be compared with"
        )
        raise ValueError(msg)
    tokens = np.asarray(tokens, dtype=np.float64)
    wrong = int((~np.isfinite(tokens)).any(axis=1).sum())
    if wrong:
        msg = f"{wrong} of {len(tokens)} tokens hold NaN or infinity: they have no distances"
        raise ValueError(msg)
    if eps is None:
        steps = [np.diff(tokens[objects == name], axis=0) for name in names]
        eps = float(np.mean([np.linalg.norm(step, axis=1).mean() for step in steps]))
    # Distances from differences, not from products as DBSCAN's own: tokens that are the same have
    # exactly none. An eps of 0, which they give, is not taken.
    apart = distance.squareform(distance.pdist(tokens))
    fitted = DBSCAN(eps=max(eps, np.finfo(float).tiny), min_samples=least, metric="precomputed")
    clusters = fitted.fit(apart).labels_
    kept = clusters != NOISE
    groups = [clusters == cluster for cluster in range(clusters.max() + 1)]
    shares = [np.array([(objects[group] == name).sum() for name in names]) for group in groups]
    silhouette = -1.0
    if groups:
        silhouette = 0.0
        if 1 < len(groups) < kept.sum():
            silhouette = float(silhouette_score(tokens[kept], clusters[kept], metric="cosine"))
    return Clustering(
        clusters,
        eps,
        purity=float(sum(share.max() for share in shares) / len(objects)),
        silhouette=silhouette,
        in_cluster=float(np.mean([_cosine(tokens[group]) for group in groups])) if groups else -1.0,
        in_object=float(np.mean([_cosine(tokens[objects == name]) for name in names])),
        unique_labels=len({int(share.argmax()) for share in shares}) / len(names),
        cluster_ratio=len(groups) / len(names),
    )


def _cosine(tokens: np.ndarray) -> float:
    """Average the cosine over all pairs of different tokens."""
    lengths = np.linalg.norm(tokens, axis=1, keepdims=True)
    unit = np.divide(tokens, lengths, out=np.zeros_like(tokens), where=lengths > 0)
    count = len(unit)
    return float(((unit @ unit.T).sum() - (unit**2).sum()) / (count * (count - 1)))

"""Whether the tokens of objects fall into groups of their own, layer by layer."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial import distance

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_tokens import checked_layer, patch_tokens
from vit_widgets.probes.result import Result

NOISE, OTHER = -1, -2
"""In `clusters`: a patch of an object in no cluster, and a patch of no object."""

METRICS = ("purity", "silhouette", "in_cluster", "in_object", "unique_labels", "cluster_ratio")
"""What clusters are compared with objects by, see :class:`Clustering`."""

LEAST = 3
"""Tokens that make a cluster, and the fewest that an object can have (Nguyen et al. 2022)."""


@dataclass(frozen=True, repr=False)
class Clustering(Result):
    """Clusters of the tokens of some objects: see :func:`clustering`.

    Attributes
    ----------
    clusters
        Cluster of each token, int (token); 0 is the largest, -1 noise.
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


@dataclass(frozen=True, repr=False)
class ClusterMetrics(Result):
    """How well objects come apart in each layer: see :func:`cluster_metrics`.

    Attributes
    ----------
    values
        float64 (metric, layer), in the order of `metrics`.
    metrics
        ``"purity"``, ``"silhouette"``, ``"in_cluster"``, ``"in_object"``, ``"unique_labels"``,
        ``"cluster_ratio"``, as in :class:`Clustering`.
    layers
        Which layers, counted from 0.
    clusters
        Cluster of each patch, int (layer, row, col); 0 is the largest of its layer, -1 noise, -2 a
        patch of no object.
    eps
        Largest distance of two neighbours, float64 (layer).
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    metrics: tuple[str, ...]
    layers: tuple[int, ...]
    clusters: np.ndarray
    eps: np.ndarray
    axes: tuple[str, ...] = ("metric", "layer")
    method: str = "cluster_metrics"
    params: dict[str, Any] = field(default_factory=dict)

    def of(self, metric: str) -> np.ndarray:
        """Give one of the metrics, float64 (layer).

        Raises
        ------
        ValueError
            For a name that is none, with those that are.
        """
        if metric not in self.metrics:
            msg = f"{metric!r} was not measured; there are {', '.join(self.metrics)}"
            raise ValueError(msg)
        row: np.ndarray = self.values[self.metrics.index(metric)]
        return row

    def show(self, **altered: ClusterMetrics) -> Any:
        """Draw the curves against depth, dotted those of altered versions of the image.

        Parameters
        ----------
        **altered
            Other results, by the name that their curves shall have.

        Returns
        -------
        ipywidgets.HBox

        Examples
        --------
        >>> found.show(shuffled=of_shuffled, dropped=of_dropped)       # doctest: +SKIP
        """
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").cluster_metrics(self, altered)


@dataclass(frozen=True, repr=False)
class PatchClusters(Result):
    """Clusters of all patches of an image: see :func:`patch_clusters`.

    Attributes
    ----------
    values
        Cluster of each patch, int (row, col); 0 is the largest, -1 is noise.
    count
        How many clusters.
    eps
        Largest distance of two neighbours.
    silhouette, in_cluster
        As in :class:`Clustering`: those of its metrics that need no object.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    count: int
    eps: float
    silhouette: float
    in_cluster: float
    axes: tuple[str, ...] = ("row", "col")
    method: str = "patch_clusters"
    params: dict[str, Any] = field(default_factory=dict)


def cluster_metrics(
    cache: ActivationCache,
    labels: np.ndarray,
    image: int = 0,
    layers: Sequence[int] | None = None,
    eps: float | Sequence[float] | np.ndarray | None = None,
    least: int = LEAST,
) -> ClusterMetrics:
    """Cluster the tokens of objects in every layer, and compare the clusters with the objects.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    labels
        Object of each patch, int (row, col), 0 where there is none: :func:`object_labels` has them
        from masks.
    image
        Counted from 0.
    layers
        Which, counted from 0, -1 is the last. Default: all.
    eps
        Largest distance of two neighbours, one number or one for each of the layers. Default: each
        layer's own (:func:`clustering`).
    least
        Tokens within `eps` of one, itself included, for it to begin a cluster.

    Returns
    -------
    ClusterMetrics

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        For labels of another shape than the patches, fewer than two objects, or an object of fewer
        than three patches; for `eps` of another number than the layers; for patches without known
        places, or NaN.

    Notes
    -----
    Nguyen et al. 2022, their code: DBSCAN of the raw outputs of the blocks, objects only, with an
    `eps` of each layer's own. They took images of Pascal VOC 2009 with at least two objects, each
    of at least three patches and 2 % of the image. Their ViT-B/16 goes from the first to the last
    layer from 0.56 to 0.67 in purity, 0.04 to 0.27 in silhouette, 0.31 to 0.80 in the cosine within
    clusters and 0.30 to 0.75 within objects (means of 361 images, read off their notebook).

    A single cluster of everything is as pure as the share of the largest object: compare `purity`
    with that.

    Examples
    --------
    >>> cluster_metrics(cache, labels).of("purity").shape              # doctest: +SKIP
    (12,)
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "bui":
        msg = f"labels are {labels.dtype}: give one whole number for each patch, 0 for no object"
        raise ValueError(msg)
    chosen = range(len(cache.tokens)) if layers is None else layers
    counted = tuple(checked_layer(cache, layer) for layer in chosen)
    reach = _of_layers(eps, len(counted))
    found, clusters = [], []
    for layer, within in zip(counted, reach, strict=True):
        tokens = patch_tokens(cache, layer, image)
        shape = (tokens.grid.rows, tokens.grid.cols)
        if labels.shape != shape:
            msg = (
                f"labels of shape {labels.shape} do not fit layer {layer}, which has patches "
                f"{shape}: give one whole number for each patch, 0 for no object"
            )
            raise ValueError(msg)
        marked = labels.ravel() > 0
        found.append(clustering(tokens.patches[marked], labels.ravel()[marked], within, least))
        laid = np.full(labels.size, OTHER)
        laid[marked] = found[-1].clusters
        clusters.append(laid.reshape(shape))
    return ClusterMetrics(
        np.array([[getattr(one, metric) for one in found] for metric in METRICS]),
        METRICS,
        counted,
        np.stack(clusters),
        np.array([one.eps for one in found]),
        params={
            "model": cache.model.name, "image": image, "layers": counted,
            "eps": None if eps is None else reach, "least": least,
        },
    )  # fmt: skip


def _of_layers(
    eps: float | Sequence[float] | np.ndarray | None, count: int
) -> list[float] | list[None]:
    """Give each layer its `eps`; none where it is to be the layer's own."""
    if not count:
        msg = "no layers were chosen; name at least one, or leave `layers` out for all of them"
        raise ValueError(msg)
    if eps is None:
        return [None] * count
    given = np.asarray(eps, dtype=np.float64)
    if given.shape not in ((), (count,)):
        msg = f"eps of shape {given.shape} does not fit {count} layers: give one number, or {count}"
        raise ValueError(msg)
    return [float(one) for one in np.broadcast_to(given, count)]


def patch_clusters(
    cache: ActivationCache,
    layer: int,
    image: int = 0,
    eps: float | None = None,
    least: int = LEAST,
) -> PatchClusters:
    """Cluster all patches of a layer by DBSCAN, without knowing any object.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    layer
        Counted from 0; -1 is the last.
    image
        Counted from 0.
    eps
        Largest distance of two neighbours. Default: the mean distance of patches that follow each
        other in raster order, as if the whole image were one object of :func:`clustering`.
    least
        Tokens within `eps` of one, itself included, for it to begin a cluster.

    Returns
    -------
    PatchClusters

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        For a single patch, patches without known places, or NaN; `eps` or `least` out of range.

    Examples
    --------
    >>> patch_clusters(cache, layer=-1).values.shape                   # doctest: +SKIP
    (12, 12)
    """
    tokens = patch_tokens(cache, layer, image)
    patches = tokens.patches.astype(np.float64)
    if len(patches) < 2:
        msg = f"layer {tokens.layer} has one patch: there is nothing to cluster it with"
        raise ValueError(msg)
    if eps is None:
        eps = _step(patches)
    clusters = _dbscan(patches, eps, least)
    return PatchClusters(
        tokens.laid_out(clusters),
        int(clusters.max()) + 1,
        eps,
        *_of_clusters(patches, clusters),
        params={
            "model": cache.model.name, "layer": tokens.layer, "image": image, "eps": eps,
            "least": least,
        },
    )  # fmt: skip


def clustering(
    tokens: np.ndarray, objects: np.ndarray, eps: float | None = None, least: int = LEAST
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
        For fewer than two objects, an object of fewer than three tokens, tokens that are not
        finite, or `eps` or `least` out of range.

    Examples
    --------
    >>> tokens = np.repeat(np.eye(2), 4, axis=0) + 0.01 * np.arange(8)[:, None]
    >>> clustering(tokens, np.repeat([1, 2], 4), eps=0.1).purity
    1.0
    """
    names, counts = np.unique(objects, return_counts=True)
    if len(names) < 2 or counts.min() < LEAST:
        sizes = ", ".join(f"{name}: {count}" for name, count in zip(names, counts, strict=True))
        msg = (
            f"objects with these numbers of patches: {{{sizes}}}; clusters are compared with at "
            f"least 2 objects of at least {LEAST} patches each: label what is smaller 0, or mark "
            "more"
        )
        raise ValueError(msg)
    tokens = np.asarray(tokens, dtype=np.float64)
    wrong = int((~np.isfinite(tokens)).any(axis=1).sum())
    if wrong:
        msg = f"{wrong} of {len(tokens)} tokens hold NaN or infinity: they have no distances"
        raise ValueError(msg)
    if eps is None:
        eps = float(np.mean([_step(tokens[objects == name]) for name in names]))
    clusters = _dbscan(tokens, eps, least)
    groups = _groups(clusters)
    shares = [np.array([(objects[group] == name).sum() for name in names]) for group in groups]
    silhouette, in_cluster = _of_clusters(tokens, clusters)
    return Clustering(
        clusters,
        eps,
        purity=float(sum(share.max() for share in shares) / len(objects)),
        silhouette=silhouette,
        in_cluster=in_cluster,
        in_object=float(np.mean([_cosine(tokens[objects == name]) for name in names])),
        unique_labels=len({int(share.argmax()) for share in shares}) / len(names),
        cluster_ratio=len(groups) / len(names),
    )


def _groups(clusters: np.ndarray) -> list[np.ndarray]:
    """Give the tokens of each cluster, bool (token)."""
    return [clusters == cluster for cluster in range(clusters.max() + 1)]


def _of_clusters(tokens: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Measure what needs no object: the silhouette, and the mean cosine in a cluster."""
    from sklearn.metrics import silhouette_score

    groups = _groups(clusters)
    if not groups:
        return -1.0, -1.0
    in_cluster = float(np.mean([_cosine(tokens[group]) for group in groups]))
    if len(groups) == 1:
        return 0.0, in_cluster
    kept = clusters != NOISE
    return float(silhouette_score(tokens[kept], clusters[kept], metric="cosine")), in_cluster


def _step(tokens: np.ndarray) -> float:
    """Average the distance of tokens that follow each other."""
    return float(np.linalg.norm(np.diff(tokens, axis=0), axis=1).mean())


def _dbscan(tokens: np.ndarray, eps: float, least: int) -> np.ndarray:
    """Give each token its cluster, the largest first, -1 for noise."""
    from sklearn.cluster import DBSCAN

    if not 0 <= eps < np.inf or least < 2:
        msg = (
            f"eps={eps:g}, least={least}: the distance of neighbours must be a finite number from "
            "0 on, and a cluster has at least 2 tokens"
        )
        raise ValueError(msg)
    # Distances from differences, not from products as DBSCAN's own: tokens that are the same have
    # exactly none. An eps of 0, which they give, is not taken.
    apart = distance.squareform(distance.pdist(tokens))
    fitted = DBSCAN(eps=max(eps, np.finfo(float).tiny), min_samples=least, metric="precomputed")
    clusters = fitted.fit(apart).labels_
    sizes = np.bincount(clusters[clusters != NOISE])
    rank = np.full(len(sizes) + 1, NOISE)  # its last entry is what -1 looks up
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    ranked: np.ndarray = rank[clusters]
    return ranked


def _cosine(tokens: np.ndarray) -> float:
    """Average the cosine over all pairs of different tokens; 1 for a token alone.

    A cluster of one is left where `least` is above 3 and others took what lay around it.
    """
    if len(tokens) == 1:
        return 1.0
    lengths = np.linalg.norm(tokens, axis=1, keepdims=True)
    unit = np.divide(tokens, lengths, out=np.zeros_like(tokens), where=lengths > 0)
    count = len(unit)
    return float(((unit @ unit.T).sum() - (unit**2).sum()) / (count * (count - 1)))

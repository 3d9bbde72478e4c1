"""Clusters of a layer, of objects or of all patches, of the image or an altered version of it."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from vit_widgets import probes
from vit_widgets.activations import ActivationCache, capture
from vit_widgets.activations.cache import Part
from vit_widgets.inspector.altered import Alteration, Altered, altered, batch, of_pixels
from vit_widgets.inspector.captures import captures
from vit_widgets.inspector.tokens import TokenSource
from vit_widgets.models import Grid
from vit_widgets.probes.cluster_metrics import METRICS

NO_OBJECTS = (
    "No object is marked in this image: draw one on the patches, take what TokenCut finds, or set "
    "page.token_mask."
)

_KEPT: tuple[Part, ...] = ("tokens",)
_MOST = 2048  # layers whose clusters are held


@dataclass(frozen=True)
class Question:
    """What clusters of a layer depend on, beside the layer.

    Attributes
    ----------
    image_index
        Which image.
    version
        Which version of it: ``"original"``, or one of an :class:`Alteration`.
    clustered
        ``"patches"``, all of them, or those of ``"objects"``.
    reach
        How far neighbours may lie apart, as a multiple of the layer's own distance.
    cells, share, seed
        As in :class:`Alteration`.
    drawn
        Bytes and shape of the objects, uint8 (row, col); ``None`` without any.
    """

    image_index: int
    version: str
    clustered: str
    reach: float
    cells: int
    share: float
    seed: int
    drawn: tuple[bytes, tuple[int, int]] | None

    @property
    def settings(self) -> list[float]:
        """What altered versions depend on."""
        return [self.cells, self.share, self.seed]

    @property
    def marked(self) -> np.ndarray | None:
        """The objects, uint8 (row, col)."""
        if self.drawn is None:
            return None
        values, shape = self.drawn
        return np.frombuffer(values, np.uint8).reshape(shape)

    @property
    def rest(self) -> bool:
        """Whether there is one object, which is compared with everything around it."""
        marked = self.marked
        return marked is not None and len(np.unique(marked[marked > 0])) == 1

    @property
    def objects(self) -> np.ndarray | None:
        """What is compared, int (row, col); the rest is an object where there is but one."""
        marked = self.marked
        if marked is None or not self.rest:
            return None if marked is None else marked.astype(int)
        only = int(marked.max())
        return np.where(marked > 0, only, only + 1)

    @property
    def alteration(self) -> Alteration:
        """What is done to the image."""
        return Alteration(self.version, self.cells, self.share, self.seed)  # type: ignore[arg-type]

    @property
    def picture(self) -> Hashable:
        """What the altered picture depends on."""
        told = self.drawn if self.version in ("salient", "non-salient") else None
        return (self.image_index, self.version, self.alteration.settings, told)


@dataclass(frozen=True)
class Found:
    """Clusters of one layer.

    Attributes
    ----------
    metrics
        In the order of ``METRICS``, NaN for those that need objects and have none.
    labels
        int (row, col), as in :class:`~vit_widgets.probes.ClusterMetrics`.
    owners
        Most frequent object of each cluster.
    eps
        Largest distance of two neighbours.
    """

    metrics: np.ndarray
    labels: np.ndarray
    owners: list[int]
    eps: float


class Clusterings:
    """Finds clusters, each once, from one forward of each version of an image.

    Parameters
    ----------
    source
        The tokens of the images.
    running
        Called with ``True`` before a forward of an altered version, and with ``False`` after it.

    Attributes
    ----------
    forwards
        How many there were.

    Examples
    --------
    >>> clusterings = Clusterings(source, print)                       # doctest: +SKIP
    >>> clusterings.of(question, layer=3).metrics.shape                # doctest: +SKIP
    (6,)
    """

    def __init__(self, source: TokenSource, running: Callable[[bool], None]) -> None:
        self._source, self._running = source, running
        self._held: OrderedDict[Hashable, Found | str] = OrderedDict()
        self._owner = object()
        self.forwards = 0
        weakref.finalize(self, captures.drop, self._owner)

    def known(self, question: Question, layer: int) -> Found | str | None:
        """Give what was found before; ``None`` if that was never asked."""
        return self._held.get(self._key(question, layer))

    def of(self, question: Question, layer: int) -> Found | str:
        """Cluster a layer; or say in a sentence why that cannot be."""
        key = self._key(question, layer)
        found = self._held.get(key)
        if found is None:
            try:
                found = self._clustered(question, layer)
            except ValueError as error:  # too few patches, NaN, no places, no object to drop
                found = str(error)
            self._held[key] = found
            if len(self._held) > _MOST:
                self._held.popitem(last=False)
        return found

    def altered(self, question: Question) -> Altered:
        """Make an altered version of the image, without running it.

        Raises
        ------
        ValueError
            If it cannot be made.
        """
        cache = self._source.of_image(question.image_index)
        size = (int(cache.images.shape[-2]), int(cache.images.shape[-1]))
        marked = known = None
        if question.drawn is not None:
            marked = self._pixels(question, question.marked, size) > 0
            known = self._pixels(question, question.objects, size)
        return altered(cache, question.alteration, marked, known)

    def grid(self, image_index: int) -> Grid:
        """Give the patches that the selection of a page counts on.

        Raises
        ------
        ValueError
            If where they lie is not known.
        """
        cache = self._source.of_image(image_index)
        axes = [cache.placement.axis, *cache.token_axes]
        grids = [axis.grid for axis in axes if axis is not None and axis.grid is not None]
        if not grids:
            msg = "where the patches lie on the image is not known, so there are no clusters on it"
            raise ValueError(msg)
        return grids[0]

    def _key(self, question: Question, layer: int) -> Hashable:
        drawn = question.drawn if question.clustered == "objects" else None
        picture = None if question.version == "original" else question.picture
        return (question.image_index, picture, drawn, question.clustered, question.reach, layer)

    def _clustered(self, question: Question, layer: int) -> Found:
        if question.clustered == "objects" and question.drawn is None:
            raise ValueError(NO_OBJECTS)
        eps = None
        if question.reach != 1:
            own = self.of(replace(question, reach=1.0), layer)
            if isinstance(own, str):
                raise ValueError(own)
            eps = question.reach * own.eps
        cache, pixels = self._version(question)
        if question.clustered == "patches":
            every = probes.patch_clusters(cache, layer, eps=eps)
            alone = {"silhouette": every.silhouette, "in_cluster": every.in_cluster}
            metrics = np.array([alone.get(metric, np.nan) for metric in METRICS])
            return Found(metrics, every.values, [], every.eps)
        axis = cache.token_axes[layer]
        if axis is None or pixels is None:
            msg = f"where the tokens of layer {layer} lie on the image is not known"
            raise ValueError(msg)
        labels = probes.object_labels(pixels, axis, pixels.shape)
        found = probes.cluster_metrics(cache, labels, layers=[layer], eps=eps)
        clusters = found.clusters[0]
        owners = [
            int(np.bincount(labels[clusters == cluster]).argmax())
            for cluster in range(clusters.max() + 1)
        ]
        return Found(found.values[:, 0], clusters, owners, float(found.eps[0]))

    def _version(self, question: Question) -> tuple[ActivationCache, np.ndarray | None]:
        """Give what a forward of the version left, and the objects of its pixels."""
        if question.version == "original":
            cache = self._source.of_image(question.image_index)
            if question.drawn is None:
                return cache, None
            span = span_of(self.grid(question.image_index))
            return cache, self._pixels(question, question.objects, span)
        made = self.altered(question)

        def run() -> ActivationCache:
            self._running(True)
            try:
                cache = self._source.of_image(question.image_index)
                self.forwards += 1
                return capture(cache.model, batch(cache, made.picture), keep=_KEPT)
            finally:
                self._running(False)

        return captures.get((self._owner, question.picture), run), made.objects

    def _pixels(self, question: Question, objects: Any, size: tuple[int, int]) -> np.ndarray:
        grid = self.grid(question.image_index)
        if objects.shape != (grid.rows, grid.cols):
            msg = (
                f"token_mask of shape {objects.shape} does not fit the image, which has patches "
                f"{(grid.rows, grid.cols)} (row, col)"
            )
            raise ValueError(msg)
        return of_pixels(objects, grid, size)


def span_of(grid: Grid) -> tuple[int, int]:
    """Give the height and width in pixels of what a grid covers, from the top left."""
    _, _, right, bottom = grid.box(grid.rows - 1, grid.cols - 1)
    return bottom, right

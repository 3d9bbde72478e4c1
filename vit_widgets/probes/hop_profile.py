"""How much each head attends to the patch itself, to its neighbours, and to those further away."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.models import Grid
from vit_widgets.probes.result import Result

Hops = Literal["chebyshev", "manhattan"]


@dataclass(frozen=True, repr=False)
class HopProfile(Result):
    """Attention by the distance in patches: see :func:`hop_profile`.

    Attributes
    ----------
    sums
        float32 (layer, head, hop): weight on all patches that are so many hops away, the mean over
        the patches that ask. Over the hops they add up to 1 less what the patches give to prefix
        tokens.
    means
        float32 (layer, head, hop): weight on one patch that is so far away, the mean over the
        patches that have one. Even attention is flat in this, and not in `sums`.
    axes
        Names of the axes of either.
    """

    sums: np.ndarray
    means: np.ndarray
    axes: tuple[str, ...] = ("layer", "head", "hop")
    method: str = "hop_profile"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """The sums."""
        return self.sums

    def show(self, layer: int = -1) -> Any:
        """Draw the profile of each head of a layer.

        Returns
        -------
        bqplot.Figure
        """
        from importlib import import_module

        return import_module("vit_widgets.plots").hop_profile(self, layer)


def hop_profile(cache: ActivationCache, image: int = 0, metric: Hops = "chebyshev") -> HopProfile:
    """Add up the attention of patches by how many patches away it goes.

    Parameters
    ----------
    cache
        What a forward left.
    image
        Which image of the cache.
    metric
        How hops are counted: ``"chebyshev"``, in square rings, a step to any of eight neighbours;
        ``"manhattan"``, in diamonds, a step to one of four.

    Returns
    -------
    HopProfile
        NaN where a layer has fewer heads or hops, and for layers whose patches have no known place,
        lie in frames, or ask of another grid than their own.

    Raises
    ------
    ValueError
        For an unknown metric.

    Notes
    -----
    After the "k-hop neighbours" of Li et al. 2023, "How Does Attention Work in Vision
    Transformers?". Their exact rings are not established here: that they are square is this
    reading, and `metric` gives the other.

    Examples
    --------
    >>> hop_profile(cache).sums[0, 2, :3]  # self, neighbours, theirs  # doctest: +SKIP
    array([0.05, 0.31, 0.22], dtype=float32)
    """
    if metric not in get_args(Hops):
        msg = f"metric={metric!r} is not known; it is one of {', '.join(get_args(Hops))}"
        raise ValueError(msg)
    records = cache.attention
    found = [_of_layer(record, image, metric) for record in records]
    heads = max((record.heads for record in records), default=0)
    hops = max((one.shape[-1] for one in found if one is not None), default=0)
    table = np.full((2, len(records), heads, hops), np.nan, dtype=np.float32)
    for layer, one in enumerate(found):
        if one is not None:
            table[:, layer, : one.shape[1], : one.shape[2]] = one
    sums, means = table
    return HopProfile(sums, means, params={"image": image, "metric": metric})


def _of_layer(record: AttentionRecord, image: int, metric: Hops) -> np.ndarray | None:
    """Measure sums and means of a layer, (2, head, hop); ``None`` where hops have no meaning."""
    grid = record.query_axis.grid
    if grid is None or grid != record.key_axis.grid or grid.frames > 1:
        return None
    away = hops_between(grid, metric)
    count = int(away.max()) + 1
    totals = np.zeros((2, record.heads, count))
    asking = np.zeros((2, count))
    for group in range(record.groups):
        queries = _cells(record.query_axis.places, group)
        keys = _cells(record.key_axis.places, group)
        weights = record.weights(image=image, group=group).astype(np.float64)
        weights = weights[:, queries >= 0][:, :, keys >= 0]
        hop = away[np.ix_(queries[queries >= 0], keys[keys >= 0])]
        for distance in range(count):
            ring = hop == distance
            size = ring.sum(axis=1)
            given = (weights * ring).sum(axis=-1)  # (head, query)
            totals[0, :, distance] += given.sum(axis=-1)
            totals[1, :, distance] += (given[:, size > 0] / size[size > 0]).sum(axis=-1)
            asking[:, distance] += len(size), (size > 0).sum()
    with np.errstate(invalid="ignore"):  # a ring that no patch of a window has
        return totals / asking[:, None]


def hops_between(grid: Grid, metric: Hops = "chebyshev") -> np.ndarray:
    """Count the hops between all patches of a grid: int (patch, patch).

    Examples
    --------
    >>> np.bincount(hops_between(Grid(14, 14, (16, 16))).ravel())[:4].tolist()
    [196, 1404, 2496, 3300]
    """
    row, col = np.divmod(np.arange(grid.size), grid.cols)
    down, across = (np.abs(np.subtract.outer(one, one)) for one in (row, col))
    hops: np.ndarray = np.maximum(down, across) if metric == "chebyshev" else down + across
    return hops


def _cells(places: np.ndarray, group: int) -> np.ndarray:
    return places[min(group, len(places) - 1)]

"""How spread, far-reaching and self-centred each head of the model is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.models import Grid, TokenAxis
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class HeadStatistics(Result):
    """One number for each head: see :func:`head_statistics`.

    Attributes
    ----------
    entropy
        Mean entropy of the rows in nats, (layer, head).
    distance
        Mean attention distance in pixels, (layer, head).
    self_mass
        Mean weight of a token on itself, (layer, head).
    prefix_mass
        Mean weight on the prefix tokens, (layer, head).
    mask_mass
        Mean weight on the object, (layer, head): each patch counts by the share of it that the mask
        covers. NaN without a mask.
    axes
        Names of the axes.
    """

    entropy: np.ndarray
    distance: np.ndarray
    self_mass: np.ndarray
    prefix_mass: np.ndarray
    mask_mass: np.ndarray
    axes: tuple[str, ...] = ("layer", "head")
    method: str = "head_statistics"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """The entropy, which the layer slider draws."""
        return self.entropy


STATISTICS = ("entropy", "distance", "self_mass", "prefix_mass", "mask_mass")
"""The names of the statistics of :class:`HeadStatistics`."""


def head_statistics(
    cache: ActivationCache, image: int = 0, mask: np.ndarray | None = None
) -> HeadStatistics:
    """Measure how spread, how far-reaching and how self-centred each head is.

    Parameters
    ----------
    cache
        What a forward left.
    image
        Which image of the cache.
    mask
        Where the object is, bool (row, col) of pixels of the model's input.

    Returns
    -------
    HeadStatistics
        float32 (layer, head); NaN where a layer has fewer heads, or where a statistic has no
        meaning (a distance without places or between frames, a diagonal without as many queries as
        keys).

    Raises
    ------
    ValueError
        For a mask of another size than the model's input, or that is not bool.

    Notes
    -----
    Entropy ``E = mean_i(-sum_j A_ij ln A_ij)``, between 0 and ln(tokens). Distance
    ``mean_i(sum_j A_ij |x_i - x_j|)`` over patch rows and patch columns, in pixels between patch
    centres, rows not renormalised after the prefix columns are left out (Dosovitskiy et al. 2021,
    fig. 7; Raghu et al. 2021, sec. 3).

    Examples
    --------
    >>> head_statistics(cache).entropy.mean(axis=1)                    # doctest: +SKIP
    array([4.6, 4.2, 3.9, 3.1, 2.8, 3.0], dtype=float32)
    """
    if mask is not None:
        mask = _checked_mask(mask, tuple(cache.images.shape[-2:]))
    heads = max((record.heads for record in cache.attention), default=0)
    table = np.full((len(STATISTICS), len(cache.attention), heads), np.nan, dtype=np.float32)
    for layer, record in enumerate(cache.attention):
        table[:4, layer, : record.heads] = layer_statistics(record, image)
        if mask is not None:
            table[4, layer, : record.heads] = _mask_mass(record, image, mask)
    params = {"image": image, "mask": None if mask is None else "given"}
    entropy, distance, self_mass, prefix_mass, mask_mass = table
    return HeadStatistics(entropy, distance, self_mass, prefix_mass, mask_mass, params=params)


def layer_statistics(record: AttentionRecord, image: int = 0) -> np.ndarray:
    """Measure one layer: entropy, distance, self mass and prefix mass, (4, head).

    The same numbers as :func:`head_statistics`, for whoever wants them as they come.
    """
    groups = range(record.groups)
    of_groups = [_of_group(record, record.weights(image=image, group=g), g) for g in groups]
    return np.mean(of_groups, axis=0)


def _of_group(record: AttentionRecord, weights: np.ndarray, group: int) -> np.ndarray:
    """Statistics (4, head) of one group's weights (head, query, key)."""
    logs = np.log(np.where(weights > 0, weights, 1))
    entropy = -(weights * logs).sum(axis=-1).mean(axis=-1)
    nothing = np.full(record.heads, np.nan)
    same = record.kind == "self" and record.queries == record.keys
    self_mass = np.trace(weights, axis1=1, axis2=2) / record.queries if same else nothing
    distance = prefix_mass = nothing
    asking, seen = _centers(record.query_axis, group), _centers(record.key_axis, group)
    grid = record.key_axis.grid
    if asking is not None and seen is not None and grid is not None and grid.frames == 1:
        patches = ~np.isnan(asking[:, 0])
        away = np.hypot(*np.moveaxis(asking[patches, None] - seen, -1, 0))
        near = np.nan_to_num(away)  # a key without a place adds no distance
        distance = (weights[:, patches] * near).sum(axis=-1).mean(axis=-1)
    if seen is not None:
        prefix = len(record.key_axis.prefix)
        prefix_mass = weights[..., :prefix].sum(axis=-1).mean(axis=-1)
    return np.stack([entropy, distance, self_mass, prefix_mass])


def _mask_mass(record: AttentionRecord, image: int, mask: np.ndarray) -> np.ndarray:
    """Average the weight on an object over the queries: (head,)."""
    axis = record.key_axis
    if axis.grid is None or axis.grid.frames > 1:
        return np.full(record.heads, np.nan)
    shares = cell_shares(mask, axis.grid)
    masses = []
    for group in range(record.groups):
        cells = axis.places[min(group, len(axis.places) - 1)]
        of_keys = np.where(cells >= 0, shares.flat[np.maximum(cells, 0)], 0)
        masses.append((record.weights(image=image, group=group) @ of_keys).mean(axis=-1))
    mean: np.ndarray = np.mean(masses, axis=0)
    return mean


def cell_shares(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Measure how much of each cell a mask covers.

    Parameters
    ----------
    mask
        bool (row, col) of pixels.
    grid
        Where the cells lie.

    Returns
    -------
    numpy.ndarray
        float64 (row, col) of cells, 0 to 1.

    Examples
    --------
    >>> cell_shares(np.eye(4, dtype=bool), Grid(2, 2, (2, 2))).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
    """
    shares = np.zeros((grid.rows, grid.cols))
    for row, col in np.ndindex(grid.rows, grid.cols):
        x0, y0, x1, y1 = grid.box(row, col)
        inside = mask[max(0, y0) : y1, max(0, x0) : x1]
        shares[row, col] = inside.sum() / ((y1 - y0) * (x1 - x0))
    return shares


def _checked_mask(mask: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != size:
        msg = (
            f"the mask is {mask.dtype} of shape {mask.shape}; give bool {size}, a yes or no for "
            "each pixel of the model's input"
        )
        raise ValueError(msg)
    return mask


def _centers(axis: TokenAxis, group: int) -> np.ndarray | None:
    """Middle of each position's patch in pixels, (position, 2); NaN where there is none."""
    if axis.grid is None:
        return None
    cells = axis.places[min(group, len(axis.places) - 1)]
    row, col = np.divmod(cells, axis.grid.cols)
    center = np.stack([row, col], axis=-1) * axis.grid.cell + np.multiply(axis.grid.cell, 0.5)
    return np.where(cells[:, None] >= 0, center + axis.grid.origin, np.nan)

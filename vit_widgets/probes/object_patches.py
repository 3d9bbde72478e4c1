"""Which object each patch belongs to, from masks of pixels."""

from __future__ import annotations

import numpy as np

from vit_widgets.models import Grid, TokenAxis

COVERED = 0.4
"""Share of a patch from which on it belongs to an object (Nguyen et al. 2022, their code)."""


def object_labels(
    masks: object,
    grid: Grid | TokenAxis,
    size: tuple[int, int],
    covered: float = COVERED,
) -> np.ndarray:
    """Give each patch the object that covers most of it.

    Parameters
    ----------
    masks
        Of several objects, bool (object, height, width); or one label a pixel, int (height, width),
        0 for no object. In the pixels that the model takes.
    grid
        Where the patches lie: ``patch_tokens(cache, layer).grid`` or ``cache.token_axes[layer]``.
    size
        Height and width of what the model takes, ``cache.images.shape[-2:]``.
    covered
        The least share of the pixels of a patch that an object has there, above 0 and up to 1.

    Returns
    -------
    numpy.ndarray
        int (row, col): 0 where no object has enough; 1, 2, ... in the order of `masks`, or the
        labels of the pixels as they are.

    Raises
    ------
    ValueError
        For masks of another size than the picture or that are neither yes nor no, labels that are
        no whole numbers from 0 on, a grid whose places are not known, or a share out of range.

    Notes
    -----
    Where two objects have enough of a patch it belongs to the one that has more, and to the first
    of two that have the same. The authors' code adds the numbers of both there, which names a third
    object. Pascal VOC marks what is uncertain with 255: set it to 0 first.

    Examples
    --------
    >>> cat = np.zeros((4, 8), bool)
    >>> cat[:, :5] = True
    >>> object_labels(cat[None], Grid(1, 2, (4, 4)), (4, 8)).tolist()
    [[1, 0]]
    """
    grid = _known(grid)
    names, planes = _planes(np.asarray(masks), (int(size[0]), int(size[1])))
    if not 0 < covered <= 1:
        msg = f"covered={covered:g} is no share of a patch: give one above 0 and up to 1"
        raise ValueError(msg)
    shares = np.zeros((len(planes) + 1, grid.rows, grid.cols))
    for row in range(grid.rows):
        for col in range(grid.cols):
            x0, y0, x1, y1 = grid.box(row, col)
            inside = planes[:, max(y0, 0) : y1, max(x0, 0) : x1]
            if inside[0].size:
                shares[1:, row, col] = inside.mean(axis=(1, 2))
    # a patch that is covered to 0.4 counts, whatever 0.4 is in binary
    shares[1:][shares[1:] < covered - 1e-9] = 0
    labels: np.ndarray = np.concatenate([[0], names])[shares.argmax(axis=0)]
    return labels


def _known(grid: Grid | TokenAxis) -> Grid:
    if isinstance(grid, Grid):
        return grid
    if grid.grid is None:
        msg = "where these tokens lie on the image is not known, so no patch can have an object"
        raise ValueError(msg)
    return grid.grid


def _planes(masks: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Tell the objects apart: their names, int (object), and bool (object, height, width)."""
    if masks.ndim not in (2, 3) or masks.shape[-2:] != size or not masks.size:
        msg = (
            f"masks of shape {masks.shape} do not fit a picture of {size[0]} × {size[1]} pixels: "
            f"give bool (object, {size[0]}, {size[1]}), or one label a pixel, cut and resized as "
            "the model does it with the picture"
        )
        raise ValueError(msg)
    if masks.ndim == 3:
        if masks.dtype != bool:
            msg = (
                f"masks of several objects must be bool, these are {masks.dtype}: say from which "
                "value on a pixel belongs to its object, for example masks > 0.5"
            )
            raise ValueError(msg)
        return np.arange(1, len(masks) + 1), masks
    if masks.dtype.kind not in "bui" or masks.min() < 0:
        said = f"{masks.dtype}" if masks.dtype.kind not in "bui" else f"as low as {masks.min()}"
        msg = f"labels of pixels must be whole numbers, 0 for no object; these are {said}"
        raise ValueError(msg)
    names = np.unique(masks[masks > 0]).astype(int)
    if not len(names):
        return np.array([1]), np.zeros((1, *size), bool)
    return names, masks[None] == names[:, None, None]

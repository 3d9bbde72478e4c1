"""A picture cut into equal cells: what is dropped from it, or moved about in it."""

from __future__ import annotations

import numpy as np

from vit_widgets.models.geometry import Grid


def image_cells(image: np.ndarray, cells: int | tuple[int, int]) -> Grid:
    """Cut a picture into cells of whole pixels, from its top left.

    Parameters
    ----------
    image
        (row, col, ...), in pixels.
    cells
        How many down and across; one number means as many each way.

    Returns
    -------
    Grid
        Cells of ``height // rows`` by ``width // cols`` pixels. What is left over at the bottom and
        at the right belongs to no cell.

    Raises
    ------
    ValueError
        If `cells` are no counts, or a cell would have no pixel.

    Examples
    --------
    >>> image_cells(np.zeros((40, 50, 3)), (3, 5))
    Grid(rows=3, cols=5, cell=(13, 10), origin=(0, 0))
    """
    counts = np.asarray(cells)
    if counts.shape not in ((), (2,)) or counts.dtype.kind not in "iu":
        msg = f"cells={cells!r} is neither a whole number nor two of them, rows and columns"
        raise ValueError(msg)
    rows, cols = np.broadcast_to(counts, 2).tolist()
    height, width = image.shape[:2]
    if not (1 <= rows <= height and 1 <= cols <= width):
        msg = (
            f"a picture of {height} x {width} pixels cannot be cut into {rows} x {cols} cells; "
            "take at least one cell each way, and at most as many as there are pixels"
        )
        raise ValueError(msg)
    return Grid(rows, cols, (height // rows, width // cols))


def checked_picture(image: object) -> np.ndarray:
    """Give a picture as uint8 (row, col, 3).

    Raises
    ------
    ValueError
        If it is none.
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        msg = (
            f"the image is {pixels.dtype} of shape {pixels.shape}; give uint8 (row, col, 3), "
            "for example model.picture(cache.images[0])"
        )
        raise ValueError(msg)
    return pixels


def checked_mask(mask: object, image: np.ndarray) -> np.ndarray:
    """Give a mask, or labels, of the pixels of a picture.

    Raises
    ------
    ValueError
        If they are neither bool nor integers, or of another size than the picture.
    """
    labels = np.asarray(mask)
    if labels.shape != image.shape[:2] or labels.dtype.kind not in "bui":
        msg = (
            f"the mask is {labels.dtype} of shape {labels.shape}; give bool, or integers that are "
            f"0 where there is no object, of the image's {image.shape[:2]} pixels"
        )
        raise ValueError(msg)
    return labels

"""A mask that follows the edges of its picture: the fast bilateral solver."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import sparse
from scipy.sparse import linalg

ROUNDS = 10
"""How often the grid is balanced, which all but converges."""


def bilateral(
    target: np.ndarray,
    picture: np.ndarray,
    *,
    spatial: float = 16,
    luma: float = 16,
    chroma: float = 8,
    smoothness: float = 256,
    confidence: float = 0.999,
) -> np.ndarray:
    """Smooth values over a picture where it is smooth, and not across its edges.

    Parameters
    ----------
    target
        What is given of each pixel, (height, width); True counts as 1.
    picture
        uint8 (height, width, 3).
    spatial, luma, chroma
        How near pixels are that belong together: in pixels, in brightness and in each of the two
        colours (YCbCr, 0 to 255).
    smoothness
        What a difference between neighbours costs beside one to the target (λ of the paper).
    confidence
        How far the target is trusted, the same for all pixels.

    Returns
    -------
    numpy.ndarray
        float64 (height, width).

    Raises
    ------
    ValueError
        For shapes that do not fit, a picture that is not uint8, or a width that is not positive.

    Notes
    -----
    Barron and Poole 2016, the simplified grid: a pixel counts for the one vertex that is nearest
    below in place and colour, two vertices are neighbours one step apart along one axis, and the
    blur is balanced until every row sums to what the vertex holds (Algorithm 1). The system
    ``(λ (Dm - Dn B Dn) + diag(S c)) y = S (c t)`` is solved directly; it has some thousand
    unknowns.

    Examples
    --------
    >>> flat = np.zeros((8, 8, 3), np.uint8)
    >>> bilateral(np.ones((8, 8)), flat).round(6).min().item()
    1.0
    """
    target = np.asarray(target, dtype=np.float64)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape != (*target.shape, 3):
        msg = (
            f"a picture of {picture.dtype} {picture.shape} does not fit a target of "
            f"{target.shape}; give uint8 (height, width, 3) of the same height and width"
        )
        raise ValueError(msg)
    widths = np.array([spatial, spatial, luma, chroma, chroma], dtype=np.float64)
    if not (widths > 0).all():
        msg = f"spatial={spatial}, luma={luma} and chroma={chroma} must all be positive"
        raise ValueError(msg)
    vertices, vertex = _grid(picture, widths)
    blur = _blur(vertices)
    held = np.bincount(vertex).astype(np.float64)  # pixels of each vertex
    scale = np.ones_like(held)
    for _ in range(ROUNDS):
        scale = np.sqrt(scale * held / (blur @ scale))
    mass = scale * (blur @ scale)  # so that rows of the Laplacian sum to 0 exactly
    laplacian = sparse.diags(mass) - sparse.diags(scale) @ blur @ sparse.diags(scale)
    system = (smoothness * laplacian + confidence * sparse.diags(held)).tocsc()
    given = confidence * np.bincount(vertex, weights=target.ravel())
    answer = linalg.spsolve(system, given)
    found: np.ndarray = answer[vertex].reshape(target.shape)
    return found


def _grid(picture: np.ndarray, widths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the vertices in use, int (vertex, 5), and which of them each pixel belongs to."""
    colours = np.asarray(Image.fromarray(picture).convert("YCbCr"), dtype=np.float64)
    places = np.indices(picture.shape[:2]).reshape(2, -1)
    features = np.concatenate([places, colours.reshape(-1, 3).T]).T
    cells = np.floor(features / widths).astype(np.int64)
    vertices, vertex = np.unique(cells, axis=0, return_inverse=True)
    return vertices, vertex.ravel()


def _blur(vertices: np.ndarray) -> sparse.csr_matrix:
    """Weigh a vertex twice for each axis, and its neighbours along that axis once."""
    spans = vertices.max(axis=0) + 2  # room for a step beyond, so that none wraps around
    codes = np.ravel_multi_index(tuple((vertices + 1).T), tuple(spans))  # in rising order
    count = len(codes)
    steps = np.cumprod([1, *spans[:0:-1]])[::-1]
    blur = sparse.diags(np.full(count, 2.0 * len(spans)))
    for step in steps:
        at = np.minimum(np.searchsorted(codes, codes + step), count - 1)
        ahead = np.flatnonzero(codes[at] == codes + step)
        one = sparse.csr_matrix((np.ones(len(ahead)), (ahead, at[ahead])), (count, count))
        blur = blur + one + one.T
    return blur.tocsr()

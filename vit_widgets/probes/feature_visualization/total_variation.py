"""How rough an image is."""

from __future__ import annotations

import torch


def total_variation(images: torch.Tensor) -> torch.Tensor:
    """Measure how much neighbouring pixels differ, in four directions.

    Parameters
    ----------
    images
        (..., image, channel, height, width).

    Returns
    -------
    torch.Tensor
        (...): the mean over images and channels.

    Notes
    -----
    For each direction (down, right and both diagonals) the Euclidean norm, not its square, of the
    differences between neighbours, over a whole channel; the four are added. So it is the code of
    Ghiasi et al. 2022, not the sum of absolute differences that is mostly called so.

    Examples
    --------
    A step of height 1 between two columns of a 5 × 5 image, √5 + 2 √4:

    >>> step = (torch.arange(5) > 2).float().expand(1, 1, 5, 5)
    >>> round(total_variation(step).item(), 4)
    6.2361
    """
    norms = [
        torch.linalg.vector_norm(difference, dim=(-2, -1)).mean(dim=(-2, -1))
        for difference in (
            images[..., 1:, :] - images[..., :-1, :],
            images[..., :, 1:] - images[..., :, :-1],
            images[..., 1:, 1:] - images[..., :-1, :-1],
            images[..., 1:, :-1] - images[..., :-1, 1:],
        )
    ]
    return torch.stack(norms).sum(dim=0)

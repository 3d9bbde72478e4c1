"""Keeping the bias of a fused attention without keeping queries x keys numbers.

Models with decomposed relative positions (SAM, ViTDet) hand the fused call a bias of all queries
and keys, which is a sum: one number for each query and row of keys, one for each query and column.
Where that holds, the two summands are kept: at 1 024 px, 26 MB a layer instead of 805.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

SMALL = 1 << 24
"""Bytes up to which a mask is kept as it is."""

_ROUNDING = 16


@dataclass(frozen=True)
class SumOfAxes:
    """A bias that is a sum over rows and columns of keys.

    Attributes
    ----------
    down
        (..., query, row of keys).
    across
        (..., query, column of keys).
    """

    down: torch.Tensor
    across: torch.Tensor

    @property
    def nbytes(self) -> int:
        """Bytes that are kept."""
        return self.down.nbytes + self.across.nbytes


def slim(mask: torch.Tensor | None) -> torch.Tensor | SumOfAxes | None:
    """Keep a mask as the sum of two axes if it is large and is such a sum; else as it is.

    Examples
    --------
    >>> rows, cols = torch.randn(1, 4, 900, 30, 1), torch.randn(1, 4, 900, 1, 30)
    >>> type(slim((rows + cols).flatten(-2))).__name__
    'Tensor'
    >>> rows, cols = torch.randn(1, 8, 1600, 40, 1), torch.randn(1, 8, 1600, 1, 40)
    >>> type(slim((rows + cols).flatten(-2))).__name__
    'SumOfAxes'
    """
    if mask is None:
        return None
    mask = mask.detach()
    if mask.is_meta or not mask.is_floating_point() or mask.nbytes <= SMALL or mask.ndim < 2:
        return mask
    keys = mask.shape[-1]
    rows = int(keys**0.5)
    while keys % rows:
        rows -= 1
    for height in dict.fromkeys((rows, keys // rows)):
        planes = mask.unflatten(-1, (height, keys // height))
        down = planes[..., 0].clone()
        across = (planes[..., 0, :] - planes[..., 0, :1]).clone()
        if _is_sum(planes, down, across):
            return SumOfAxes(down, across)
    return mask


def _is_sum(planes: torch.Tensor, down: torch.Tensor, across: torch.Tensor) -> bool:
    """Whether every number is the sum, looked at a part of the queries at a time."""
    allowed = (
        _ROUNDING
        * torch.finfo(planes.dtype).eps
        * float(torch.stack(torch.aminmax(planes)).abs().max())
    )
    step = max(1, planes.shape[-3] // 64)
    for start in range(0, planes.shape[-3], step):
        part = slice(start, start + step)
        total = down[..., part, :, None] + across[..., part, None, :]
        if float((planes[..., part, :, :] - total).abs().max()) > allowed:
            return False
    return True

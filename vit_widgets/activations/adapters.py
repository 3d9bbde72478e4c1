"""Attention of known classes that no softmax and value product show as it is applied.

What a class multiplies is known here, and nothing else of it: the watcher of the forward looks at
the tensors that the class itself computes.

- *additive*: one score for each token, which weights a sum that all tokens receive (MobileViTv2,
  SwiftFormer).
- *linear*: ``phi(q) (phi(k)ᵀ v)``, divided by the sum of the shares (EfficientViT's LiteMLA).
- *outlook*: a small kernel of weights for each place, all of them added up where they overlap
  (VOLO).
- *difference*: two softmaxes, the second taken times a number from the first (timm's
  ``DiffAttention``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Additive:
    """How an additive attention scores its tokens.

    Attributes
    ----------
    operation
        Name of the function whose result the scores are.
    weights
        From that result to (image, group..., 1, token).
    tokens
        From the input of the module to (image, group..., token, feature).
    signed
        Whether scores have both signs.
    """

    operation: str
    weights: Callable[[torch.Tensor], torch.Tensor]
    tokens: Callable[[torch.Tensor], torch.Tensor]
    signed: bool = False


_SEPARABLE = Additive(
    "softmax",
    weights=lambda scores: scores.unsqueeze(-2),  # (image, 1, pixel of a patch, patch)
    tokens=lambda x: x.permute(0, 2, 3, 1)[:, None],
)
_EFFICIENT = Additive(
    "normalize",
    weights=lambda scores: scores.mT,  # (image, token, 1), normalised over the tokens
    tokens=lambda x: x.flatten(2).mT,
    signed=True,
)

_ADDITIVE = {
    ("timm", "LinearSelfAttention"): _SEPARABLE,
    ("transformers", "MobileViTV2LinearSelfAttention"): _SEPARABLE,
    ("timm", "EfficientAdditiveAttention"): _EFFICIENT,
}
_LINEAR = {("timm", "LiteMLA")}
_DIFFERENTIAL = {("timm", "DiffAttention")}
_OUTLOOK = {("timm", "OutlookAttention")}


def _class(module: object) -> tuple[str, str]:
    kind = type(module)
    return kind.__module__.partition(".")[0], kind.__name__


def additive(module: object, operation: str) -> Additive | None:
    """Say how a module's scores are read off an operation; ``None`` if they are not."""
    known = _ADDITIVE.get(_class(module))
    return known if known is not None and known.operation == operation else None


def is_linear(module: object) -> bool:
    """Whether a module multiplies ``q (kᵀ v)`` and divides by the sum of its shares."""
    return _class(module) in _LINEAR


def is_differential(module: object) -> bool:
    """Whether a module applies the difference of two attentions."""
    return _class(module) in _DIFFERENTIAL


@dataclass(frozen=True)
class Outlook:
    """The kernels of an outlook attention, and where they overlap.

    Attributes
    ----------
    rows, cols
        Of the tokens.
    kernel, stride, padding
        Of the unfolding, in tokens.
    """

    rows: int
    cols: int
    kernel: int
    stride: int
    padding: int

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.rows * self.cols

    def cells(self) -> np.ndarray:
        """Token under each slot of each kernel, int (kernel, slot); -1 in the padding.

        Examples
        --------
        >>> Outlook(2, 2, kernel=3, stride=1, padding=1).cells()[0]
        array([-1, -1, -1, -1,  0,  1, -1,  2,  3])
        """
        steps = np.arange(self.kernel) - self.padding
        down = -(-self.rows // self.stride)
        across = -(-self.cols // self.stride)
        row = (np.arange(down) * self.stride)[:, None, None, None] + steps[:, None]
        col = (np.arange(across) * self.stride)[None, :, None, None] + steps[None, :]
        row, col = np.broadcast_arrays(row, col)
        inside = (row >= 0) & (row < self.rows) & (col >= 0) & (col < self.cols)
        return np.where(inside, row * self.cols + col, -1).reshape(down * across, -1)

    def applied(self, kernels: np.ndarray, queries: slice) -> np.ndarray:
        """Add up the kernels that write to some tokens.

        Parameters
        ----------
        kernels
            float (head, kernel, slot, slot).
        queries
            Which tokens.

        Returns
        -------
        numpy.ndarray
            float (head, query, key). Each row sums to the number of kernels that write there, less
            what they take from the padding.
        """
        cells = self.cells()
        wanted = range(*queries.indices(self.size))
        rows = np.zeros((len(kernels), len(wanted), self.size), dtype=kernels.dtype)
        for at, token in enumerate(wanted):
            for kernel, slot in zip(*np.nonzero(cells == token), strict=True):
                seen = cells[kernel] >= 0
                rows[:, at, cells[kernel][seen]] += kernels[:, kernel, slot][:, seen]
        return rows


def outlook(module: Any, x: object = None) -> Outlook | None:
    """Read the geometry of an outlook attention off its module and its input (image, h, w, c)."""
    if _class(module) not in _OUTLOOK or not isinstance(x, torch.Tensor):
        return None
    sizes = (module.kernel_size, module.stride, module.padding)
    kernel, stride, padding = (int(size) for size in sizes)
    return Outlook(int(x.shape[1]), int(x.shape[2]), kernel, stride, padding)

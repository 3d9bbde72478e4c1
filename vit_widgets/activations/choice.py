"""Noticing that a model chooses tokens by what they contain.

Token dropping, merging, routing and random masking pick tokens with an index that depends on the
image (or on chance). A trial image would pick others, so where the tokens of *this* image lie
cannot be learned from one: from the first such choice on, places are unknown.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import torch
from torch.utils.weak import WeakIdKeyDictionary

CHOOSING = {
    *("topk", "sort", "argsort", "argmax", "argmin", "kthvalue", "nonzero", "max", "min"),
    *("multinomial", "randperm", "randint", "masked_select", "__getitem__"),
}
"""Operations whose result may name tokens, or that pick them by a mask."""

_PICKING = {
    *("gather", "index_select", "take_along_dim", "take", "__getitem__", "masked_select"),
    *("scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_"),
    *("index_add", "index_add_", "index_put", "index_put_", "index_copy", "__setitem__"),
    *("matmul", "__matmul__", "bmm", "einsum"),
}
_CASTS = {"to", "float", "half", "bfloat16", "double", "type", "type_as", "one_hot"}


class Choice:
    """Follow chosen indices to where they pick tokens.

    Attributes
    ----------
    made
        Whether anything was chosen yet.
    applied
        Whether a choice has picked tokens.
    """

    def __init__(self) -> None:
        self.made = False
        self.applied = False
        self._chosen: MutableMapping[torch.Tensor, bool] = WeakIdKeyDictionary()

    def follow(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Look at one call."""
        given = [*_tensors(args), *_tensors(tuple(kwargs.values()))]
        followed = any(tensor in self._chosen for tensor in given)
        if (followed and name in _PICKING) or _by_mask(name, args):
            self.applied = True
        chooses = name in CHOOSING and name != "__getitem__"
        for tensor in _tensors(result if isinstance(result, (tuple, list)) else (result,)):
            names = not tensor.is_floating_point() or name in _CASTS
            if (followed or chooses) and names:
                self._chosen[tensor] = True
                self.made = True


def _by_mask(name: str, args: tuple[Any, ...]) -> bool:
    """Whether elements are picked by a mask: how many there are is then up to the image."""
    if name == "masked_select":
        return True
    masks = _tensors(args[1:]) if name == "__getitem__" else []
    return any(mask.dtype == torch.bool for mask in masks)


def _tensors(values: tuple[Any, ...] | list[Any]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += _tensors(value)
    return found

"""What torch allocates while something runs: every tensor, and the bytes that are alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):
    """Follow every storage that an operation makes until it is freed.

    Buffers inside of a kernel are not seen; what is made outside of torch (numpy) neither.

    Attributes
    ----------
    shapes
        Of every tensor that owns what was allocated.
    peak
        Most bytes that were alive at once, beyond what was there before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []
        self.peak = self._alive = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run an operation, and count what it made."""
        given = {
            leaf.untyped_storage()._cdata
            for leaf in tree_leaves((args, kwargs))
            if isinstance(leaf, torch.Tensor)
        }
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.untyped_storage()._cdata not in given:
                self._follow(leaf)
        return result

    def _follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self.shapes.append(tuple(tensor.shape))
        self._alive += size
        self.peak = max(self.peak, self._alive)

        def freed(_: object) -> None:
            del self._known[key]
            self._alive -= size

        self._known[key] = weakref.ref(storage, freed)

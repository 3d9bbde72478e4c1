"""What all results of probes share: they say what they hold, and print no arrays."""

from __future__ import annotations

import reprlib
from dataclasses import fields
from typing import Any

_FEW = 4  # values of an array that are said, and parts of a tuple or a dict


class _Short(reprlib.Repr):
    """Says arrays by their type and shape, and many things by their number."""

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = _FEW
        self.maxlevel, self.maxstring, self.maxother = 2, 100, 100

    def repr_ndarray(self, array: Any, _level: int) -> str:
        if 0 < array.size <= _FEW:
            return " ".join(repr(array).split())
        return f"<{array.dtype} {array.shape}>"

    def repr_Tensor(self, tensor: Any, _level: int) -> str:  # noqa: N802 - reprlib asks by name
        return f"<{tensor.dtype} {tuple(tensor.shape)}>"

    def repr_tuple(self, values: tuple[Any, ...], level: int) -> str:
        if len(values) > _FEW and not isinstance(values[0], (str, int, float)):
            return f"<{len(values)} {type(values[0]).__name__}>"
        return super().repr_tuple(values, level)


class Result:
    """A frozen dataclass of arrays with a short ``repr``.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> @dataclass(frozen=True, repr=False)
    ... class Distances(Result):
    ...     values: np.ndarray
    ...     axes: tuple[str, ...] = ("layer", "head")
    >>> Distances(np.zeros((12, 6)))
    Distances(values=<float64 (12, 6)>, axes=('layer', 'head'))
    """

    def __repr__(self) -> str:
        short = _Short()
        held = (one.name for one in fields(self) if one.repr)  # type: ignore[arg-type]
        said = (f"{name}={short.repr(getattr(self, name))}" for name in held)
        return f"{type(self).__name__}({', '.join(said)})"

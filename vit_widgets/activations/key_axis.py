"""Following the key axis of a softmax through the operations that keep it.

A softmax is attention only if its axis, the keys, ends in a product with something that carries
tokens along the same axis. Between the two a model may permute, reshape, cast, drop out, mix heads
or pick rows; it may also rank tokens by the scores, sum them up, or do nothing more with them. So
what is followed is the *axis*: :func:`follow` says where it lies after an operation, or that it is
gone. Shapes alone decide; no family of models is known here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

Shape = Sequence[int]

# The axis stays where it is: same shape, or a shape that broadcasting only widens on the left.
_ELEMENTWISE = {
    *("contiguous", "clone", "detach", "to", "type", "type_as", "float", "half", "bfloat16"),
    *("double", "cuda", "cpu", "requires_grad_", "dropout", "dropout_", "feature_dropout"),
    *("mul", "__mul__", "__rmul__", "mul_", "__imul__", "multiply"),
    *("div", "__truediv__", "div_", "__itruediv__", "divide", "true_divide"),
    *("add", "__add__", "__radd__", "add_", "__iadd__", "sub", "__sub__", "__rsub__"),
    *("masked_fill", "masked_fill_", "where", "nan_to_num", "clamp", "clamp_min"),
}
_SCALING = {
    *("mul", "__mul__", "__rmul__", "multiply", "div", "__truediv__", "divide", "true_divide"),
}
_RESHAPING = {"reshape", "view", "flatten", "unflatten", "unsqueeze", "squeeze"}
_SPLITTING = {"chunk", "split", "unbind", "tensor_split"}

HEAD_MIXING = {"conv2d", "linear"}
"""Operations after which the heads are no longer those of the softmax."""


def follow(
    name: str, before: torch.Tensor, axis: int, after: object, args: tuple[Any, ...]
) -> int | None:
    """Say where the key axis of `before` lies in `after`, or ``None`` if it is lost.

    Parameters
    ----------
    name
        Name of the operation, as in ``torch.Tensor.permute.__name__``.
    before
        The operand whose axis is followed.
    axis
        Its key axis, counted from 0.
    after
        What the operation returned.
    args
        Its positional arguments, `before` among them.

    Returns
    -------
    int or None
        The axis in `after`, counted from 0.

    Examples
    --------
    >>> scores = torch.zeros(2, 3, 5, 7)
    >>> follow("transpose", scores, 3, scores.transpose(1, 3), (scores, 1, 3))
    1
    """
    if not isinstance(after, torch.Tensor):
        return None
    if name in _ELEMENTWISE:
        if name in _SCALING and after.numel() > before.numel():
            return None  # a row of weights that gates tokens: what follows are tokens
        return _same_size(before, axis, after, axis + after.ndim - before.ndim)
    if name in {"transpose", "swapaxes", "swapdims"} and len(args) == 3:
        order = list(range(before.ndim))
        first, second = args[1] % before.ndim, args[2] % before.ndim
        order[first], order[second] = order[second], order[first]
        return order.index(axis)
    if name == "permute":
        dims = args[1] if len(args) == 2 else args[1:]
        return [place % before.ndim for place in dims].index(axis)
    if name in {"t", "mT", "T"} and before.ndim >= 2:
        order = [*range(before.ndim - 2), before.ndim - 1, before.ndim - 2]
        return order.index(axis)
    if name in _RESHAPING:
        return after_reshape(before.shape, axis, after.shape)
    if name == "__getitem__":
        return _after_getitem(before, axis, args[1])
    if name == "expand":
        return _same_size(before, axis, after, axis + after.ndim - before.ndim)
    if name == "conv2d":  # heads are its channels; a kernel of one pixel leaves the maps alone
        return axis if after.shape[-2:] == before.shape[-2:] and axis >= 2 else None
    if name == "linear":  # mixes the last axis: heads, if the keys are elsewhere
        return axis if axis != before.ndim - 1 else None
    return None


def follow_parts(name: str, before: torch.Tensor, axis: int, dim: int) -> int | None:
    """Say where the key axis lies in each part after a split; ``None`` if it is cut."""
    if name not in _SPLITTING or dim % before.ndim == axis:
        return None
    return axis - (name == "unbind" and dim % before.ndim < axis)


def after_reshape(before: Shape, axis: int, after: Shape) -> int | None:
    """Find an axis again after a reshape or a selection on other axes.

    The axis survives when some axis of the new shape has its size and as many elements behind it:
    what lies to the left may be fused, split or selected from.

    Examples
    --------
    >>> after_reshape((2, 3, 5, 7), 3, (6, 5, 7))
    2
    >>> after_reshape((2, 3, 5, 7), 3, (2, 3, 35)) is None
    True
    """
    behind = math.prod(before[axis + 1 :])
    matches = [
        place
        for place, size in enumerate(after)
        if size == before[axis] and math.prod(after[place + 1 :]) == behind
    ]
    # A size-1 axis beside the keys would match twice; the keys are the ones with their own size.
    return matches[-1] if matches else None


def contracted(
    equation: str, ranks: Sequence[int], place: int, axis: int
) -> tuple[bool, int | None]:
    """Read what an einsum does with the key axis of its operand number `place`.

    Parameters
    ----------
    equation
        As given to ``torch.einsum``.
    ranks
        Number of axes of each operand, to spell out an ellipsis.
    place, axis
        Which operand is followed, and its key axis counted from 0.

    Returns
    -------
    tuple of (bool, int or None)
        Whether the axis is summed against another operand; else where it lies in the result.

    Examples
    --------
    >>> contracted("bhij,bhjd->bhid", (4, 4), 0, 3)
    (True, None)
    >>> contracted("...ij,hg->...gij", (4, 2), 0, 3)
    (False, 4)
    """
    operands, output = spell(equation, ranks)
    letter = operands[place][axis]
    if letter in output:
        return (False, output.index(letter))
    return (any(letter in other for index, other in enumerate(operands) if index != place), None)


def einsum_query_axis(equation: str, ranks: Sequence[int], place: int, axis: int) -> int | None:
    """Find the query axis of an einsum that applies attention.

    It is the axis that only the attention has and that the result keeps: batch and head axes are
    shared with the values.

    Examples
    --------
    >>> einsum_query_axis("bhij,bhjd->bhid", (4, 4), 0, 3)
    2
    """
    operands, output = spell(equation, ranks)
    others = "".join(other for index, other in enumerate(operands) if index != place)
    kept = [
        index
        for index, letter in enumerate(operands[place])
        if letter in output and letter not in others and index != axis
    ]
    return kept[-1] if kept else None


def spell(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Write an einsum equation with one letter an axis, ellipses spelled out as digits.

    Examples
    --------
    >>> spell("...ij,...jd->...id", (4, 4))
    (['01ij', '01jd'], '01id')
    """
    left, _, output = equation.replace(" ", "").partition("->")
    operands = left.split(",")
    hidden = [
        rank - len(operand.replace("...", "")) if "..." in operand else 0
        for operand, rank in zip(operands, ranks, strict=True)
    ]
    widest = max(hidden)
    digits = "".join(str(digit) for digit in range(widest))
    spelled = [
        operand.replace("...", digits[widest - count :])  # they align on the right
        for operand, count in zip(operands, hidden, strict=True)
    ]
    return spelled, output.replace("...", digits)


def _after_getitem(before: torch.Tensor, axis: int, index: Any) -> int | None:
    """Follow an axis through ``before[index]``; lost unless it is taken whole."""
    entries = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(entry, (list, torch.Tensor)) for entry in entries):
        return None  # gathering by index: the places are the model's secret for now
    given = sum(entry is not None and entry is not Ellipsis for entry in entries)
    whole = [slice(None)] * (before.ndim - given)
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        entries[at : at + 1] = whole
    else:
        entries += whole
    old = new = 0
    for entry in entries:
        if entry is None:
            new += 1
            continue
        if old == axis:
            return new if entry == slice(None) else None
        old += 1
        new += not isinstance(entry, int)
    return None


def _same_size(before: torch.Tensor, axis: int, after: torch.Tensor, place: int) -> int | None:
    if 0 <= place < after.ndim and after.shape[place] == before.shape[axis]:
        return place
    return None

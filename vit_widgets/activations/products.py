"""What a product of two tensors sums over, whichever way it is written.

``q @ k.mT``, ``torch.bmm``, ``torch.einsum``: every one of them is an equation of letters, and the
letters say which operand carries the queries, which the keys, and along which axis they meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vit_widgets.activations.key_axis import spell

PRODUCTS = {"matmul", "__matmul__", "__rmatmul__", "bmm", "baddbmm", "einsum"}


@dataclass(frozen=True)
class Product:
    """A product of two operands, spelled with one letter an axis.

    Attributes
    ----------
    operands
        In the order of the equation.
    letters
        Of each operand.
    output
        Letters of the result.

    Examples
    --------
    >>> q, k = torch.zeros(2, 5, 4), torch.zeros(2, 7, 4)
    >>> product = product_of("matmul", (q, k.mT), {})
    >>> product.rows(1).shape, product.own(1)
    (torch.Size([2, 7, 4]), 2)
    """

    operands: tuple[torch.Tensor, torch.Tensor]
    letters: tuple[str, str]
    output: str

    def own(self, operand: int) -> int | None:
        """Give the axis of the result that comes from one operand alone; the last if several do."""
        axis = self.own_axis(operand)
        return None if axis is None else self.output.index(self.letters[operand][axis])

    def own_axis(self, operand: int) -> int | None:
        """Give the axis of an operand that it has alone and the result keeps."""
        other = self.letters[1 - operand]
        kept = [
            axis
            for axis, letter in enumerate(self.letters[operand])
            if letter in self.output and letter not in other
        ]
        return kept[-1] if kept else None

    def sums(self, operand: int, axis: int) -> bool:
        """Whether an axis of one operand is summed against the other operand."""
        letter = self.letters[operand][axis]
        return letter not in self.output and letter in self.letters[1 - operand]

    def kept(self, operand: int, axis: int) -> int | None:
        """Say where an axis of one operand lies in the result, or ``None``."""
        letter = self.letters[operand][axis]
        return self.output.index(letter) if letter in self.output else None

    def rows(self, operand: int, token: str | None = None) -> torch.Tensor:
        """Turn an operand to (..., token, feature).

        Parameters
        ----------
        operand
            Which of the two.
        token
            Letter of its token axis; by default the one that it has alone.
        """
        letters = self.letters[operand]
        if token is None:
            axis = self.own_axis(operand)
            token = letters[-2 if axis is None else axis]
        summed = [letter for letter in letters if letter not in self.output and letter != token]
        features = summed or [letter for letter in letters if letter != token]
        return self.operands[operand].movedim(
            (letters.index(token), letters.index(features[-1])), (-2, -1)
        )


def product_of(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Product | None:
    """Read the equation off a call; ``None`` unless it multiplies two tensors of rank 2 or more."""
    if name == "einsum":
        rest = args[1:]
        operands = rest[0] if len(rest) == 1 and isinstance(rest[0], (tuple, list)) else rest
        equation = args[0] if args else kwargs.get("equation")
        if len(operands) != 2 or not isinstance(equation, str):
            return None
        if "->" not in equation:  # the letters that occur once, in the order of the alphabet
            letters_once = sorted(c for c in equation if c.isalpha() and equation.count(c) == 1)
            equation = f"{equation}->{'...' * ('...' in equation)}{''.join(letters_once)}"
        letters, output = spell(equation, [tensor.ndim for tensor in operands])
        return Product(tuple(operands), (letters[0], letters[1]), output)
    given = [*args, *(value for value in kwargs.values() if isinstance(value, torch.Tensor))]
    tensors = given[1:3] if name == "baddbmm" else given[:2]
    if len(tensors) != 2 or not all(isinstance(t, torch.Tensor) and t.ndim > 1 for t in tensors):
        return None
    left, right = reversed(tensors) if name == "__rmatmul__" else tensors
    batch = "0123456789"
    shared = [batch[len(batch) - tensor.ndim + 2 :] for tensor in (left, right)]
    output = max(shared, key=len) + "ik"
    return Product((left, right), (shared[0] + "ij", shared[1] + "jk"), output)

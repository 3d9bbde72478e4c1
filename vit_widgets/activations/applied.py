"""What attention was applied to, and where the gradient of its product arrives.

Of ``O = A V`` the gradient with respect to the weights is ``dL/dA = dL/dO · Vᵀ``: V and dL/dO say
it all, and the fused kernel that never made A still runs. The model goes on with a copy of O; the
gradient is read off the graph at that copy, so that nothing that the model does to it afterwards,
in place or not, comes between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.graph import GradientEdge, get_gradient_edge

from vit_widgets.activations import multi_head
from vit_widgets.activations.products import Product

Arrange = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Applied:
    """The other side of an attention product.

    Attributes
    ----------
    values
        Copy of v: (..., key, feature), with the leading axes of the weights.
    edge
        Where dL/dO arrives in the graph; ``None`` where the model runs without gradients.
    arrange
        From that gradient, in the shape that the model gave to O, to (..., query, feature).
    """

    values: torch.Tensor
    edge: GradientEdge | None
    arrange: Arrange


def fused(
    args: Any, kwargs: Any, queries: torch.Tensor, output: torch.Tensor
) -> tuple[torch.Tensor, Applied]:
    """Read a fused call: what it returned, to go on with, and what its weights met.

    Parameters
    ----------
    args, kwargs
        Of ``F.scaled_dot_product_attention``.
    queries
        Its q.
    output
        What it returned.
    """
    values = args[2] if len(args) > 2 else kwargs["value"]
    if values.ndim > 2 and values.shape[-3] not in (1, queries.shape[-3]):  # grouped heads
        values = values.repeat_interleave(queries.shape[-3] // values.shape[-3], dim=-3)
    output, edge = _watched(output)
    leading = queries.shape[:-2]
    return output, Applied(
        _copy(values.expand(*leading, *values.shape[-2:])),
        edge,
        lambda gradient: gradient.expand(*leading, *gradient.shape[-2:]),
    )


def multi_headed(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], output: torch.Tensor
) -> tuple[torch.Tensor, Applied]:
    """Read a call of ``F.multi_head_attention_forward``, as :func:`fused`."""
    values, arrange = multi_head.values(func, args, kwargs)
    output, edge = _watched(output)
    return output, Applied(_copy(values), edge, arrange)


def multiplied(
    product: Product, place: int, token: int, output: torch.Tensor
) -> tuple[torch.Tensor, Applied]:
    """Read ``A @ V`` in any spelling, as :func:`fused`.

    Parameters
    ----------
    product
        The equation.
    place, token
        Which operand is A, and which of its axes are the keys.
    output
        What the product returned.
    """
    weights, values = product.operands[place], product.operands[1 - place]
    own, others = product.letters[place], product.letters[1 - place]
    query = product.own_axis(place)
    sizes = dict(zip(others, values.shape, strict=True))
    leading = [axis for axis in range(weights.ndim) if axis not in (query, token)]
    # One map may serve several values: their axis is then summed over, as a feature is.
    alone = [own[axis] for axis in leading if weights.shape[axis] >= sizes.get(own[axis], 1)]
    features = [letter for letter in others if letter not in alone and letter != own[token]]
    full = [weights.shape[axis] for axis in leading]

    def arranged(tensor: torch.Tensor, letters: str, rows: str) -> torch.Tensor:
        order = [*(own[axis] for axis in leading if own[axis] in alone), rows, *features]
        tensor = tensor.permute([letters.index(letter) for letter in order if letter in letters])
        for at, letter in enumerate(order):
            if letter not in letters:
                tensor = tensor.unsqueeze(at)
        before = tensor.shape[: len(order) - len(features)]
        tensor = tensor.expand(*before, *(sizes[letter] for letter in features))
        tensor = tensor.reshape(*before, -1)
        for at, axis in enumerate(leading):
            if own[axis] not in alone:
                tensor = tensor.unsqueeze(at)
        return tensor.expand(*full, *tensor.shape[-2:])

    assert query is not None
    output, edge = _watched(output)
    return output, Applied(
        _copy(arranged(values, others, own[token])),
        edge,
        lambda gradient: arranged(gradient, product.output, own[query]),
    )


def _watched(output: torch.Tensor) -> tuple[torch.Tensor, GradientEdge | None]:
    """Copy what a product returned, and mark where the gradient of the copy arrives.

    The copy also begins the graph, where nothing before it needs gradients.
    """
    if not torch.is_grad_enabled() or output.is_inference():
        return output, None
    if not output.requires_grad:
        output = output.detach().requires_grad_()
    output = output.clone()
    return output, get_gradient_edge(output)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)

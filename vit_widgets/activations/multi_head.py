"""What ``nn.MultiheadAttention`` multiplies: q, k and the mask of a call, computed once more.

torch projects inside ``F.multi_head_attention_forward``, out of our sight; the arguments of the
call hold all that is needed to do the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional


def project(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Compute q, k and the added mask of a call of ``F.multi_head_attention_forward``.

    Returns
    -------
    queries, keys : torch.Tensor
        (image, head, token, feature).
    mask : torch.Tensor or None
        Added to the scores; broadcasts to (image, head, query, key).

    Examples
    --------
    >>> attention = torch.nn.MultiheadAttention(8, 2)
    >>> x = torch.zeros(5, 1, 8)
    >>> own = (attention.in_proj_weight, attention.in_proj_bias, None, None, False, 0.0)
    >>> out = (attention.out_proj.weight, attention.out_proj.bias)
    >>> queries, _, _ = project(
    ...     functional.multi_head_attention_forward, (x, x, x, 8, 2, *own, *out), {}
    ... )
    >>> queries.shape
    torch.Size([1, 2, 5, 4])
    """
    call = inspect.signature(func).bind(*args, **kwargs)
    call.apply_defaults()
    given = call.arguments
    heads = given["num_heads"]
    queries, keys = (
        # (token, image, head * feature) -> (image, head, token, feature)
        tensor.reshape(len(tensor), tensor.shape[1], heads, -1).permute(1, 2, 0, 3)
        for tensor in _projections(given)
    )
    return queries, keys, _mask(given, len(queries), heads)


def values(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """Compute v of such a call, and how the gradient of its output returns to ``A V``.

    Returns
    -------
    values : torch.Tensor
        (image, head, token, feature).
    arrange : callable
        From the gradient of the output, (token, image, feature), to that of the product before the
        output projection: (image, head, token, feature).
    """
    call = inspect.signature(func).bind(*args, **kwargs)
    call.apply_defaults()
    given = call.arguments
    heads, width = given["num_heads"], given["embed_dim_to_check"]
    bias, value = given["in_proj_bias"], given["value"]
    separate = given["use_separate_proj_weight"]
    weight = given["v_proj_weight"] if separate else given["in_proj_weight"][2 * width :]
    value = value[:, None] if value.dim() == 2 else value
    projected = functional.linear(value, weight, None if bias is None else bias[2 * width :])
    if given["bias_v"] is not None:
        projected = torch.cat([projected, given["bias_v"].expand(-1, projected.shape[1], -1)])
    if given["add_zero_attn"]:
        projected = torch.cat([projected, projected.new_zeros(1, *projected.shape[1:])])
    out = given["out_proj_weight"].detach()

    def by_head(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.reshape(*tensor.shape[:2], heads, -1).permute(1, 2, 0, 3)

    def arrange(gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient[:, None] if gradient.dim() == 2 else gradient
        return by_head(gradient @ out)

    return by_head(projected), arrange


def joined(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> torch.Tensor:
    """Compute what the output projection of such a call is given: (image, token, head * feature).

    The heads' products ``A V`` side by side; without dropout.
    """
    queries, keys, mask = project(func, args, kwargs)
    each, _ = values(func, args, kwargs)
    product = functional.scaled_dot_product_attention(queries, keys, each, attn_mask=mask)
    return product.transpose(1, 2).flatten(-2)


def projection(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> torch.Tensor:
    """Give the weight of the output projection of such a call: (feature, head * feature)."""
    call = inspect.signature(func).bind(*args, **kwargs)
    weight: torch.Tensor = call.arguments["out_proj_weight"]
    return weight


def _projections(given: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute q and k of a multi-head attention call: (token, image, head * feature)."""
    query, key, bias = given["query"], given["key"], given["in_proj_bias"]
    width = given["embed_dim_to_check"]
    if given["use_separate_proj_weight"]:
        weights = (given["q_proj_weight"], given["k_proj_weight"])
    else:
        weights = given["in_proj_weight"].split(width)[:2]
    biases = (None, None) if bias is None else bias.split(width)[:2]
    if query.dim() == 2:
        query, key = query[:, None], key[:, None]
    queries = functional.linear(query, weights[0], biases[0])
    keys = functional.linear(key, weights[1], biases[1])
    if given["bias_k"] is not None:
        keys = torch.cat([keys, given["bias_k"].expand(-1, keys.shape[1], -1)])
    if given["add_zero_attn"]:
        keys = torch.cat([keys, keys.new_zeros(1, *keys.shape[1:])])
    return queries, keys


def _mask(given: Mapping[str, Any], images: int, heads: int) -> torch.Tensor | None:
    """Join the two masks of a multi-head attention call into one that is added."""
    mask, padding = given["attn_mask"], given["key_padding_mask"]
    total = None
    if mask is not None:
        total = _additive(mask, given["query"].dtype)
        if total.dim() == 3:
            total = total.reshape(images, heads, *total.shape[-2:])
    if padding is not None:
        hidden = _additive(padding, given["query"].dtype).reshape(images, 1, 1, -1)
        total = hidden if total is None else total + hidden
    return total


def _additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask.detach()
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf"))

"""What the normalisation layers of the blocks are given, and what they make of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from vit_widgets.activations.cache import ActivationCache
from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import anatomy


@dataclass(frozen=True, repr=False)
class Normalization:
    """One normalisation layer of the tokens, as it was used.

    Attributes
    ----------
    path
        Path of the module.
    kind
        Name of its class, e.g. ``"LayerNorm"``.
    layer
        Block that it is in, counted from 0; one behind the last block has the last one's number.
    before, after
        What it was given and what it returned, (image, token, feature).
    """

    path: str
    kind: str
    layer: int
    before: torch.Tensor
    after: torch.Tensor


@dataclass(frozen=True, repr=False)
class Normalizations:
    """What :func:`normalizations` found.

    Attributes
    ----------
    embedded
        What the first block was given, (image, token, feature); ``None`` where that is no sequence
        of tokens.
    norms
        The normalisation layers, in execution order.
    """

    embedded: torch.Tensor | None
    norms: tuple[Normalization, ...]


def normalizations(cache: ActivationCache) -> Normalizations:
    """Run the model once more, and keep what its normalisation layers saw and returned.

    Those count that are given all tokens of their block, features last (LayerNorm, RMSNorm and
    their like, by the name of the class); norms of queries and keys, or of some channels, do not.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``: its images are run again.

    Returns
    -------
    Normalizations

    Raises
    ------
    ValueError
        If the cache kept no tokens.

    Examples
    --------
    >>> [norm.path for norm in normalizations(cache).norms][:2]        # doctest: +SKIP
    ['blocks.0.norm1', 'blocks.0.norm2']
    """
    sizes = [tuple(tokens.shape) for tokens in cache.tokens]
    norms: list[Normalization] = []
    embedded: list[torch.Tensor] = []
    if not sizes:
        return Normalizations(None, ())
    model = cache.model
    batch = model.to_device(cache.images)

    def noting(path: str, layer: int) -> Callable[..., None]:
        def note(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            before = _sequence(args[0] if args else None, sizes[layer])
            after = _sequence(output, sizes[layer])
            if before is not None and after is not None:
                kind = type(module).__name__
                norms.append(Normalization(path, kind, layer, before, after))

        return note

    def enter(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        value = anatomy.stream((*args, *kwargs.values()), len(batch))
        if value is not None and not embedded:
            found = value.detach() if value.ndim == 3 else _sequence(value, sizes[0])
            embedded.extend([] if found is None else [found])

    with model.evaluating() as parts, contextlib.ExitStack() as hooks:
        for path, part in parts:
            if path == cache.blocks[0]:
                first = part.register_forward_pre_hook(of_this_thread(enter), with_kwargs=True)
                hooks.callback(first.remove)
            if "norm" in type(part).__name__.lower() and not part._modules:
                handle = part.register_forward_hook(
                    of_this_thread(noting(path, _layer_of(path, cache.blocks)))
                )
                hooks.callback(handle.remove)
        model.run(batch)
    return Normalizations(embedded[0] if embedded else None, tuple(norms))


def _layer_of(path: str, blocks: tuple[str, ...]) -> int:
    """Find the block that a module is in; the last one for what stands behind them all."""
    inside = [layer for layer, block in enumerate(blocks) if path.startswith(f"{block}.")]
    return inside[0] if inside else len(blocks) - 1


def _sequence(value: object, size: tuple[int, ...]) -> torch.Tensor | None:
    """Lay tokens out as (image, token, feature) of this size; ``None`` for anything else."""
    if not isinstance(value, torch.Tensor) or value.ndim < 3 or value.shape[0] != size[0]:
        return None
    if value.shape[-1] != size[-1] or value.shape[1:-1].numel() != size[1]:
        return None
    return value.detach().reshape(size)

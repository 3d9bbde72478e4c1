"""The norm behind the last block: what tokens go through before anything is read from them."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations.cache import ActivationCache
from vit_widgets.activations.outputs import outputs_of
from vit_widgets.activations.threads import of_this_thread

# Found by a forward of one image, once a model. Weak: the model may go.
_found: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, str]] = weakref.WeakKeyDictionary()


def final_norm(cache: ActivationCache) -> str:
    """Find the norm that the model applies to what its last block returns.

    The model is asked, not recognised: one forward of the first image shows which norm is given the
    output of the last block, or the first token of it (CLIP).

    Returns
    -------
    str
        Path of the module, ``""`` where no norm is given these tokens: the model has none, or pools
        the tokens first.

    Examples
    --------
    >>> final_norm(capture("demo", images))                            # doctest: +SKIP
    'norm'
    """
    model = cache.model
    last = cache.blocks[-1]
    known = _found.setdefault(model.module, {})
    if (last, model.forward) in known:
        return known[last, model.forward]
    given: list[tuple[str, torch.Tensor]] = []

    def noting(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, args: tuple[Any, ...]) -> None:
            if args and isinstance(args[0], torch.Tensor):
                given.append((path, args[0].detach()))

        return note

    one = model.to_device(cache.images[:1])
    with model.evaluating() as parts, contextlib.ExitStack() as hooks:
        inside = [(path, part) for path, part in parts if path == last]
        returned = hooks.enter_context(outputs_of(inside, 1))
        for path, part in parts:
            if "norm" in type(part).__name__.lower() and not part._modules:
                handle = part.register_forward_pre_hook(of_this_thread(noting(path)))
                hooks.callback(handle.remove)
        model.run(one)
    tokens = returned[-1][1]
    found = next((path for path, seen in given if _is_of(seen, tokens)), "")
    known[last, model.forward] = found
    return found


def _is_of(seen: torch.Tensor, tokens: torch.Tensor) -> bool:
    """Whether a norm was given these tokens (1, token, feature), or the first of them."""
    return tokens.ndim == 3 and any(
        seen.shape == one.shape and torch.equal(seen, one) for one in (tokens, tokens[:, 0])
    )


def normed(cache: ActivationCache, path: str, tokens: np.ndarray) -> np.ndarray:
    """Apply a norm of the model to tokens.

    Parameters
    ----------
    cache
        What a forward of the model left.
    path
        From :func:`final_norm`.
    tokens
        float (token, feature), all of one image.

    Returns
    -------
    numpy.ndarray
        (token, feature), float64 of a float64 model, else float32.
    """
    with cache.model.evaluating() as parts:
        norm = dict(parts)[path]
        batch = cache.model.to_device(torch.from_numpy(tokens))[None]
        values = norm(batch)[0].cpu()
    return (values if values.dtype == torch.float64 else values.float()).numpy()

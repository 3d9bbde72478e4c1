"""Attention that the user describes, because a custom kernel hides it from torch.

``load(module, attention={Kernel: lambda module, x: (module.q(x), module.k(x))})`` names the class
that attends and how q and k are made of its inputs. While a forward is watched, those modules are
asked after they have run; the hooks are gone afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from vit_widgets.activations.threads import of_this_thread

Described = Mapping["type[nn.Module] | str", Callable[..., Any]]
Listener = Callable[[nn.Module, tuple[Any, ...], Any, Any], Any]
"""Told of the module, its inputs, its output, and (q, k) or weights; may replace the output."""


@contextlib.contextmanager
def asked(
    parts: Iterable[tuple[str, nn.Module]], described: Described | None, listener: Listener
) -> Iterator[None]:
    """Ask every part that the user described how it attended.

    Parameters
    ----------
    parts
        Every part of the model, with its path.
    described
        From class, or its name, to a function of the module and its inputs.
    listener
        Is told the answers, one for each call of such a part.
    """
    handles = []
    for _, part in parts:
        for kind, answer in (described or {}).items():
            fits = type(part).__name__ == kind if isinstance(kind, str) else isinstance(part, kind)
            if fits:
                hook = _hook(answer, listener)
                handles.append(part.register_forward_hook(of_this_thread(hook), with_kwargs=True))
                break
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(answer: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    def ask(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        with torch._C.DisableTorchFunctionSubclass(), torch._C.DisableTorchFunction():
            told = answer(module, *args, **kwargs)
        return listener(module, args, output, _checked(told, type(module).__name__))

    return ask


def _checked(told: Any, kind: str) -> Any:
    if isinstance(told, torch.Tensor) and told.ndim >= 3:
        return told
    pair = isinstance(told, (tuple, list)) and len(told) == 2
    if pair and all(isinstance(one, torch.Tensor) and one.ndim >= 3 for one in told):
        return tuple(told)
    msg = (
        f"attention= of {kind} returned {type(told).__name__}; it must return (q, k), each "
        "(image, head, token, feature) or (image, token, feature), or the weights "
        "(image, head, query, key)"
    )
    raise TypeError(msg)

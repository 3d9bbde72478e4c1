"""What the blocks of a model return, and where those tokens lie."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import anatomy


@contextlib.contextmanager
def outputs_of(
    parts: list[tuple[str, nn.Module]], images: int
) -> Iterator[list[tuple[str, torch.Tensor]]]:
    """Collect what some parts return; the hooks are gone on exit, whatever happens."""
    outputs: list[tuple[str, torch.Tensor]] = []

    def keeping(name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _args: Any, output: Any) -> None:
            value = anatomy.stream(output, images)
            if value is not None:
                outputs.append((name, value.detach()))
            # Returning nothing matters: a value would replace the part's output.

        return keep

    handles = [part.register_forward_hook(of_this_thread(keeping(name))) for name, part in parts]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()

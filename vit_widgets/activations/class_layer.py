"""The layer that returns the class scores: what it is given is the vector of an image."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import VisionModel


class ClassLayer:
    """What the last linear layer of a model was given in each forward.

    The layer is not recognised by its name: it returned the very scores of the first forward.

    Parameters
    ----------
    model
        The model.

    Attributes
    ----------
    path
        Of the layer, once a forward was watched; ``""`` where no linear layer returns the scores.

    Examples
    --------
    >>> from vit_widgets.models import load
    >>> model = load("demo")
    >>> layer = ClassLayer(model)
    >>> with model.evaluating(), layer.watching() as given:
    ...     vector = given(model.logits(model.run(torch.zeros(1, 3, 144, 144))))
    >>> layer.path, vector.shape
    ('head', torch.Size([1, 192]))
    """

    def __init__(self, model: VisionModel) -> None:
        self.path: str | None = None
        self._model = model

    @contextlib.contextmanager
    def watching(self) -> Iterator[Any]:
        """Watch the forward that runs within.

        Yields a function of the scores of that forward, which gives the vectors (row, feature) that
        they were made of, or ``None`` where no layer makes them.
        """
        parts = {
            path: part
            for path, part in self._model.module.named_modules()
            if isinstance(part, nn.Linear) and self.path in (None, path)
        }
        seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

        def noting(path: str) -> Any:
            def note(_module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> None:
                if args and output.ndim == 2:
                    seen[path] = args[0], output

            return note

        def given(scores: torch.Tensor) -> torch.Tensor | None:
            if self.path is None:
                same = [path for path, (_, returned) in seen.items() if _is_same(returned, scores)]
                self.path = same[0] if same else ""
            return seen[self.path][0] if self.path else None

        with contextlib.ExitStack() as stack:
            for path, part in parts.items():
                handle = part.register_forward_hook(of_this_thread(noting(path)))
                stack.callback(handle.remove)
            yield given


def _is_same(some: torch.Tensor, others: torch.Tensor) -> bool:
    return some.shape == others.shape and torch.equal(some, others)

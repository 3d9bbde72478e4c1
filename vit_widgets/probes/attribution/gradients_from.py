"""Gradients that begin at a place: no pass of derivatives below it, and nothing kept for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch

from vit_widgets.activations import Site, seeing
from vit_widgets.activations.gradients import differentiating
from vit_widgets.models import VisionModel


@contextlib.contextmanager
def gradients_from(model: VisionModel, place: Site) -> Iterator[list[torch.Tensor]]:
    """Run forwards without gradients as far as a place, and with them from there on.

    Parameters
    ----------
    model
        The model; it is held in evaluation mode, and is as before on exit.
    place
        Where derivatives are wanted.

    Yields
    ------
    list of torch.Tensor
        What was at the place in each forward, (image, token, feature): leaves of the graph.

    Raises
    ------
    ValueError
        For a model that cannot be differentiated.

    Examples
    --------
    >>> with gradients_from(model, sites(model, "resid")[-1]) as seen:  # doctest: +SKIP
    ...     scores = model.run(batch)
    ...     torch.autograd.grad(scores[0, 3], seen[0])[0].shape
    torch.Size([1, 145, 192])
    """
    seen: list[torch.Tensor] = []

    def begin(_at: Site, values: torch.Tensor) -> torch.Tensor:
        seen.append(values.detach().clone().requires_grad_())
        torch.set_grad_enabled(True)  # until `evaluating` ends
        return seen[-1].view_as(seen[-1])  # a leaf may not be written to, and blocks write

    with differentiating(model), seeing(model, [place], begin):
        yield seen


def differentiated(
    model: VisionModel, score: torch.Tensor, at: Sequence[torch.Tensor], where: str
) -> list[torch.Tensor]:
    """Differentiate a score by some tensors; zeros where it does not depend on one.

    Raises
    ------
    ValueError
        If the forward keeps no gradients.
    """
    if not score.requires_grad:
        msg = (
            f"no gradient flows from {where} to the scores of {model.name}: its forward runs under "
            "torch.no_grad or detaches what it computes; pass forward= that does not"
        )
        raise ValueError(msg)
    found = torch.autograd.grad(score, at, allow_unused=True)
    return [
        torch.zeros_like(one) if slope is None else slope
        for one, slope in zip(at, found, strict=True)
    ]

"""Reading what each head or neuron of a layer makes, and editing it, in every forward within."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from vit_widgets.activations import multi_head
from vit_widgets.activations.intercept import module_frame
from vit_widgets.activations.joint import Joint
from vit_widgets.activations.replay import whole
from vit_widgets.activations.seeing import seeing
from vit_widgets.models import VisionModel

See = Callable[[Joint, torch.Tensor], "torch.Tensor | None"]
"""Takes a joint and its parts side by side (image, token, part * feature); what it returns takes
their place."""


@contextlib.contextmanager
def seeing_joints(model: VisionModel, joints: Sequence[Joint], see: See) -> Iterator[None]:
    """Hand over the parts of some layers in every forward, and let them be replaced.

    To be used within ``model.evaluating()``. As of :func:`~vit_widgets.activations.seeing`, the
    forwards of other threads are left alone, and nothing is left on exit.

    Parameters
    ----------
    model
        The model.
    joints
        Where to look (:func:`head_joints`, :func:`neuron_joints`).
    see
        Called with a joint and its parts side by side (image, token, part * feature), which carry
        gradients where they are enabled. A tensor that it returns takes their place.

    Examples
    --------
    >>> from vit_widgets.activations.joints import head_joints
    >>> from vit_widgets.models import load
    >>> model = load("demo")
    >>> found = head_joints(model).found
    >>> with model.evaluating(), seeing_joints(model, found, lambda _at, parts: 0 * parts):
    ...     without_attention = model.run(torch.zeros(1, 3, 144, 144))
    """
    at_sites = {one.site: one for one in joints if one.reached != "multi-head"}
    beside = [one for one in joints if one.reached == "multi-head"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(seeing(model, list(at_sites), lambda at, z: see(at_sites[at], z)))
        if beside:
            stack.enter_context(_MultiHead(model, beside, see))
        stack.enter_context(whole(model))
        yield


class _MultiHead(TorchFunctionMode):
    """Show the heads of ``nn.MultiheadAttention``, and add what an edit of them changes."""

    def __init__(self, model: VisionModel, joints: Sequence[Joint], see: See) -> None:
        super().__init__()
        self._see = see
        self._joints: dict[int, dict[int, Joint]] = {}
        self._counts: dict[int, int] = {}
        for one in joints:
            module = model.module.get_submodule(one.name)
            self._joints.setdefault(id(module), {})[one.site.call] = one

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Let everything run; what an edit changes is projected, and added."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is not functional.multi_head_attention_forward:
            return result
        running = id(module_frame().get("self"))
        here = self._joints.get(running, {})
        number = self._counts.get(running, 0)
        self._counts[running] = number + 1
        at = next((one for call, one in here.items() if number % one.site.calls == call), None)
        if at is None:
            return result
        joined = multi_head.joined(func, args, kwargs)
        changed = self._see(at, joined)
        if changed is None:
            return result
        output, weights = result
        added = functional.linear(changed - joined, multi_head.projection(func, args, kwargs))
        return output + (added[0] if output.dim() == 2 else added.transpose(0, 1)), weights

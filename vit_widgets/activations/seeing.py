"""Reading features where they arise, replacing them, and ending the forward there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from vit_widgets.activations import multi_head
from vit_widgets.activations.sites import Site
from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import VisionModel

See = Callable[[Site, torch.Tensor], "torch.Tensor | None"]
"""Takes a site and its values (image, token, feature); what it returns takes their place."""


class Reached(BaseException):
    """All that was to be read has been computed: the rest of the forward is not needed."""


@contextlib.contextmanager
def seeing(model: VisionModel, sites: Sequence[Site], see: See) -> Iterator[None]:
    """Hand over the features of some sites in every forward, and let them be replaced.

    To be used within ``model.evaluating()``. Forwards of other threads are left alone. Hooks are
    gone on exit, whatever happens.

    Parameters
    ----------
    model
        The model.
    sites
        Where to look (:func:`~vit_widgets.activations.sites.sites`).
    see
        Called with a site and its values (image, token, feature), which carry gradients where they
        are enabled. A tensor that it returns takes their place; ``None`` leaves them.

    Examples
    --------
    >>> model, seen = load("demo"), []                                 # doctest: +SKIP
    >>> with model.evaluating(), seeing(model, sites(model), lambda at, x: seen.append(x.shape)):
    ...     _ = model.run(batch)                                       # doctest: +SKIP
    """
    parts = {one.path: one.part for one in sites if one.end == "output"}
    counts: dict[tuple[str, str], int] = {}

    def look(path: str, end: str, value: torch.Tensor) -> torch.Tensor | None:
        """Show what a module has; give what is to take its place."""
        number, place = counts.get((path, end), 0), None
        counts[path, end] = number + 1
        for at in sites:
            if (at.path, at.end) == (path, end) and number % at.calls == at.call:
                current = value if place is None else place
                changed = see(at, at.sequence(current))
                place = place if changed is None else at.restored(changed, current)
        return place

    def given(path: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            value = _first_tensor(args, kwargs)
            place = look(path, "input", value)
            if place is None:
                return None
            # nn.MultiheadAttention is given its tokens three times over
            others = {key: place if one is value else one for key, one in kwargs.items()}
            return tuple(place if one is value else one for one in args), others

        return hook

    def returned(path: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
            part = parts[path]
            value = output if part is None else output[part]
            place = look(path, "output", value)
            return None if place is None else _exchanged(output, value, place)

        return hook

    def attended(call: int, operands: dict[str, torch.Tensor]) -> None:
        for at in sites:
            if at.end == "attention" and call % at.calls == at.call:
                changed = see(at, at.sequence(operands[at.space]))
                if changed is not None:
                    operands[at.space] = at.restored(changed, operands[at.space])

    with contextlib.ExitStack() as stack:
        for path in dict.fromkeys(one.path for one in sites if one.end == "input"):
            hook = model.module.get_submodule(path).register_forward_pre_hook(
                of_this_thread(given(path)), with_kwargs=True
            )
            stack.callback(hook.remove)
        for path in parts:
            part = model.module.get_submodule(path)
            hook = part.register_forward_hook(of_this_thread(returned(path)))
            stack.callback(hook.remove)
        if any(one.end == "attention" for one in sites):
            stack.enter_context(Operands(attended))
        yield


def read(model: VisionModel, site: Site, batch: torch.Tensor) -> torch.Tensor:
    """Run the model as far as a site, and give what is there.

    To be used within ``model.evaluating()``; differentiable by `batch` under
    ``torch.enable_grad()``.

    Parameters
    ----------
    model
        The model.
    site
        Where to read.
    batch
        From :meth:`VisionModel.batch`, on the weights' device and of their type.

    Returns
    -------
    torch.Tensor
        (image, token, feature).

    Raises
    ------
    RuntimeError
        If the forward ended without passing the site: the model takes another way with these
        images than it took when the site was found.

    Examples
    --------
    >>> model = load("demo")                                           # doctest: +SKIP
    >>> with model.evaluating():                                       # doctest: +SKIP
    ...     read(model, site(model, 0), batch).shape
    torch.Size([1, 145, 768])
    """
    [values] = read_all(model, [site], batch)
    return values


def read_all(model: VisionModel, sites: Sequence[Site], batch: torch.Tensor) -> list[torch.Tensor]:
    """Read several sites in one forward, which ends at the last of them; see :func:`read`."""
    found: dict[Site, torch.Tensor] = {}

    def see(at: Site, values: torch.Tensor) -> None:
        found[at] = values
        if len(found) == len(wanted):
            raise Reached

    wanted = set(sites)
    with seeing(model, list(wanted), see), contextlib.suppress(Reached):
        model.run(batch)
    missed = [one.path for one in sites if one not in found]
    if missed:
        msg = (
            f"{model.name} did not run {missed[0]} with these images; find its sites again with "
            "images of this size: sites(model, space, images)"
        )
        raise RuntimeError(msg)
    return [found[one] for one in sites]


class Operands(TorchFunctionMode):
    """Show what every fused attention is given, and let it be replaced.

    Parameters
    ----------
    see
        Called with the number of the call in this mode and ``{"q", "k", "v"}``, each
        (..., head, token, feature); what it puts in their place is attended with.
    """

    def __init__(self, see: Callable[[int, dict[str, torch.Tensor]], None]) -> None:
        super().__init__()
        self._see = see
        self._calls = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Let everything run but attention, which is shown first."""
        kwargs = kwargs or {}
        if func is functional.scaled_dot_product_attention:
            names = {"q": "query", "k": "key", "v": "value"}
            operands = {
                short: args[at] if at < len(args) else kwargs[name]
                for at, (short, name) in enumerate(names.items())
            }
            self._show(operands)
            rest = {key: value for key, value in kwargs.items() if key not in names.values()}
            return func(*operands.values(), *args[3:], **rest)
        if func is functional.multi_head_attention_forward:
            queries, keys, _ = multi_head.project(func, args, kwargs)
            values, _ = multi_head.values(func, args, kwargs)
            shown = {"q": queries, "k": keys, "v": values}
            self._show(shown)
            if any(
                a is not b for a, b in zip(shown.values(), (queries, keys, values), strict=True)
            ):
                msg = (
                    "q, k and v of nn.MultiheadAttention can be read but not replaced: torch "
                    "projects them out of sight; replace attn_in or attn_out instead"
                )
                raise RuntimeError(msg)
        return func(*args, **kwargs)

    def _show(self, operands: dict[str, torch.Tensor]) -> None:
        call, self._calls = self._calls, self._calls + 1
        self._see(call, operands)


def _first_tensor(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
    """Find the first tensor that a module was given."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor):
            return value
    msg = "the module was given no tensor"
    raise RuntimeError(msg)


def _exchanged(output: Any, value: torch.Tensor, place: torch.Tensor) -> Any:
    """Put a tensor in the place of another in whatever a module returned."""
    if output is value:
        return place
    if isinstance(output, Mapping):
        kind: Any = type(output)
        return kind({key: place if one is value else one for key, one in output.items()})
    several = [place if one is value else one for one in output]
    return type(output)(several) if not hasattr(output, "_fields") else type(output)(*several)

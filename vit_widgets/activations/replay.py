"""Running a forward again from a place within it: what comes before is answered from memory.

An edit in block l leaves the blocks before it as they were. So one forward is kept
(:func:`recording`), and each edit runs only what comes after it (:meth:`Replay.resume`), several
edits of one place as one batch. While it runs, the ``forward`` of the modules that were kept is
stood in for, on this thread alone; it is the model's own again on exit, whatever happens.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from vit_widgets.activations.outputs import outputs_of
from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import VisionModel, anatomy

Forward = Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
"""Runs the model on a batch (row, ...), and gives what is wanted of it, each (row, ...)."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a module in a forward that was kept.

    Attributes
    ----------
    path
        Of the module.
    number
        Which of the calls of this module, counted from 0.
    begun, ended
        When: a call lies within another that began before and ended after it.
    given
        The tokens that it was given; ``None`` where it was given no tensor.
    returned
        What it returned, whatever that is.
    stream
        The tokens in `returned`.
    """

    path: str
    number: int
    begun: int
    ended: int
    given: torch.Tensor | None
    returned: Any = field(repr=False)
    stream: torch.Tensor | None = field(repr=False)


class Uncut(TorchFunctionMode):
    """Keep torch from its shortcut through a whole ``nn.TransformerEncoderLayer``.

    It is taken while no mode is active, runs no part of the layer, and rounds differently: a
    forward that is to be resumed must go the same way each time.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Let everything run as it is."""
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def whole(model: VisionModel) -> Iterator[None]:
    """Let every part of a model run in the forwards within (:class:`Uncut`)."""
    parts = anatomy.walk(model.module)
    shortcuts = any(isinstance(part, nn.TransformerEncoderLayer) for _, part in parts)
    with Uncut() if shortcuts else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def recording(model: VisionModel, paths: Sequence[str], images: int) -> Iterator[list[Call]]:
    """Keep what some modules return in the forward that runs within.

    Parameters
    ----------
    model
        The model.
    paths
        Of the modules to keep: blocks, and places within them where an edit is made.
    images
        How many images the forward has.

    Yields
    ------
    list of Call
        Filled in the order in which the calls end. Copies, without gradients.
    """
    calls: list[Call] = []
    clock = itertools.count()
    begun: list[int] = []
    counts: dict[str, int] = {}

    def begin(_module: nn.Module, _args: Any) -> None:
        begun.append(next(clock))

    def noting(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            given = anatomy.stream((*args, *kwargs.values()), images)
            returned = _tensors(lambda tensor: tensor.detach().clone(), output)
            stream = anatomy.stream(returned, images)
            number = counts.get(path, 0)
            counts[path] = number + 1
            kept = None if given is None else given.detach().clone()
            calls.append(Call(path, number, begun.pop(), next(clock), kept, returned, stream))

        return note

    with contextlib.ExitStack() as stack:
        for path in dict.fromkeys(paths):
            part = model.module.get_submodule(path)
            first = part.register_forward_pre_hook(of_this_thread(begin))
            stack.callback(first.remove)
            last = part.register_forward_hook(of_this_thread(noting(path)), with_kwargs=True)
            stack.callback(last.remove)
        stack.enter_context(whole(model))
        yield calls


class Replay:
    """One forward that was kept, to be resumed at any of its calls.

    Parameters
    ----------
    model
        The model.
    batch
        What the forward was given (image, ...), on the weights' device.
    calls
        From :func:`recording`.
    blocks
        Paths of the blocks, which are counted.
    skips
        Whether what comes before an edit is answered from memory and several edits are one batch;
        if not, every edit is a full forward (:func:`confirmed`).

    Attributes
    ----------
    evaluations
        Blocks that were run so far, times images: what the work is counted in.

    Examples
    --------
    >>> with model.evaluating(), recording(model, blocks, 1) as calls: # doctest: +SKIP
    ...     model.run(batch)
    >>> replay = Replay(model, batch, calls, blocks)                   # doctest: +SKIP
    >>> silent = torch.zeros_like(calls[5].stream)[None]               # doctest: +SKIP
    >>> run = lambda rows: (model.run(rows),)                          # doctest: +SKIP
    >>> [logits] = replay.resume(calls[5], silent, run)                # doctest: +SKIP
    >>> logits.shape                                                   # doctest: +SKIP
    torch.Size([1, 1, 12])
    """

    def __init__(
        self,
        model: VisionModel,
        batch: torch.Tensor,
        calls: Sequence[Call],
        blocks: Sequence[str],
        *,
        skips: bool = True,
    ) -> None:
        self.model = model
        self.evaluations = 0
        self._batch = batch
        self._calls = tuple(calls)
        self._blocks = frozenset(blocks)
        self._skips = skips

    def call(self, path: str, number: int = 0) -> Call:
        """Find a call of a module."""
        return next(one for one in self._calls if (one.path, one.number) == (path, number))

    def count_forward(self) -> None:
        """Count a whole forward that was run beside this one."""
        ran = sum(call.path in self._blocks for call in self._calls)
        self.evaluations += ran * len(self._batch)

    def resume(self, at: Call, streams: torch.Tensor, forward: Forward) -> tuple[torch.Tensor, ...]:
        """Run on from a call that returns something else than it did.

        To be used within ``model.evaluating()``.

        Parameters
        ----------
        at
            The call.
        streams
            What stands in the place of its tokens: (edit, ...) over the shape of ``at.stream``.
        forward
            Run on what is left; gives tensors (row, ...).

        Returns
        -------
        tuple of torch.Tensor
            What `forward` gave, each (edit, image, ...).

        Raises
        ------
        RuntimeError
            If the forward did not pass the call again.
        """
        together = [streams] if self._skips else list(streams[:, None])
        images = len(self._batch)
        found = []
        for edits in together:
            copies = len(edits)
            with self.again(at, edits):
                read = forward(_repeated(self._batch, copies, 0))
            found.append([one.unflatten(0, (copies, images)) for one in read])
        return tuple(torch.cat(parts) for parts in zip(*found, strict=True))

    @contextlib.contextmanager
    def again(self, at: Call, streams: torch.Tensor | None, copies: int = 1) -> Iterator[None]:
        """Answer for what comes before a call in the forward that runs within.

        Parameters
        ----------
        at
            The call.
        streams
            As of :meth:`resume`; ``None`` lets the call run as well.
        copies
            How often the forward repeats each image, where `streams` does not say.
        """
        if streams is not None:
            copies = len(streams)
        images = len(self._batch)
        waiting: dict[str, deque[Call]] = {}
        for one in self._calls:
            waiting.setdefault(one.path, deque()).append(one)
        reached = False

        def pass_over(call: Call) -> None:
            """Leave out the calls within one that is not run."""
            for inner in self._calls:
                if call.begun < inner.begun and inner.ended < call.ended:
                    waiting[inner.path].remove(inner)

        def answer(call: Call) -> Any:
            """Give what a call returned, or what is to stand in its place."""
            place = streams if call is at else None

            def repeated(tensor: torch.Tensor) -> torch.Tensor:
                if tensor is not call.stream:
                    return _repeated(tensor, copies, _exact(tensor.shape, images))
                axis = _axis_of_images(tensor.shape, images)
                if place is None:
                    return _repeated(tensor, copies, axis)
                return place[0] if axis is None else torch.cat(list(place), dim=axis)

            return _tensors(repeated, call.returned)

        def standing_in(path: str, own: Callable[..., Any]) -> Callable[..., Any]:
            thread = threading.get_ident()

            def forward(*args: Any, **kwargs: Any) -> Any:
                nonlocal reached
                if threading.get_ident() != thread or not waiting[path]:
                    return own(*args, **kwargs)
                call = waiting[path].popleft()
                reached |= call is at
                replaced = call is at and streams is not None
                if self._skips and (replaced or call.ended < at.begun):
                    pass_over(call)
                    return answer(call)
                if path in self._blocks:
                    self.evaluations += copies * images
                returned = own(*args, **kwargs)
                return answer(call) if replaced else returned

            return forward

        with contextlib.ExitStack() as stack:
            for path in waiting:
                part = self.model.module.get_submodule(path)
                stack.enter_context(_forward_of(part, standing_in(path, part.forward)))
            stack.enter_context(whole(self.model))
            yield
        if not reached:
            msg = (
                f"{self.model.name} did not run {at.path} again: its forward takes another way "
                "each time, so that it cannot be resumed"
            )
            raise RuntimeError(msg)


def confirmed(model: VisionModel, batch: torch.Tensor, calls: Sequence[Call], at: Call) -> bool:
    """Tell whether resuming a forward gives what the whole forward gives.

    Tried at one call with another stream: once resumed, twice in a batch, and once from the start.

    Parameters
    ----------
    model
        The model.
    batch, calls
        Of a forward that was kept.
    at
        Where to try; best in the middle.
    """
    if at.stream is None:
        return False
    last = calls[-1].path
    module = model.module.get_submodule(last)

    def forward(rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
        # a fresh model may have a head of zeros: what its last block returns is compared as well
        with outputs_of([(last, module)], len(rows)) as outputs:
            result = _first_tensor(model.run(rows))
        stream = outputs[-1][1]
        axis = _axis_of_images(stream.shape, len(rows)) or 0
        return result, stream.movedim(axis, 0).reshape(len(rows), -1)

    # large, so that it is seen behind the smallest scales that fresh layers begin with
    other = 1e3 * at.stream.roll(1, dims=-1)
    streams = torch.stack([other, at.stream])
    whole_way = Replay(model, batch, calls, (), skips=False)
    resumed = Replay(model, batch, calls, ())
    try:
        expected = whole_way.resume(at, streams, forward)
        found = resumed.resume(at, streams, forward)
    except (RuntimeError, IndexError, ValueError, TypeError):
        return False  # it cannot be run so: what it keeps elsewhere has the size of one batch
    if not all(bool(one.isfinite().all()) for one in expected):
        return False  # NaN is like nothing, so that nothing can be compared
    moved = any(bool((one[0] != one[1]).any()) for one in expected)
    return moved and all(
        torch.allclose(new, old, rtol=1e-4, atol=1e-5 * _largest(old))
        for new, old in zip(found, expected, strict=True)
    )


def _largest(tensor: torch.Tensor) -> float:
    """Give the size of the largest finite value, 0 without any."""
    return float(tensor.abs().nan_to_num(0, posinf=0).max())


@contextlib.contextmanager
def _forward_of(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Let another function stand in for a module's forward."""
    attributes = vars(module)
    own = attributes.get("forward")
    attributes["forward"] = forward
    try:
        yield
    finally:
        if own is None:
            del attributes["forward"]
        else:  # wrappers of other libraries put theirs in the same place
            attributes["forward"] = own


def _tensors(change: Callable[[torch.Tensor], torch.Tensor], tree: Any) -> Any:
    """Change every tensor in whatever a module returned."""
    return tree_map(lambda one: change(one) if isinstance(one, torch.Tensor) else one, tree)


def _exact(shape: torch.Size, images: int) -> int | None:
    """Find the axis over the images among the first two."""
    return next((axis for axis, size in enumerate(shape[:2]) if size == images), None)


def _axis_of_images(shape: torch.Size, images: int) -> int | None:
    """Find the axis over the images, or over the windows of one image after the other."""
    axis = _exact(shape, images)
    return 0 if axis is None and shape and shape[0] % images == 0 else axis


def _repeated(tensor: torch.Tensor, copies: int, axis: int | None) -> torch.Tensor:
    if axis is None or copies == 1:
        return tensor
    times = [1] * tensor.ndim
    times[axis] = copies
    return tensor.repeat(times)


def _first_tensor(output: Any) -> torch.Tensor:
    scores = anatomy.logits(output)
    if scores is not None:
        return scores
    if isinstance(output, Mapping):
        output = tuple(output.values())
    several = output if isinstance(output, (tuple, list)) else (output,)
    return next(one for one in several if isinstance(one, torch.Tensor))

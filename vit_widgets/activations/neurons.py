"""The hidden units of feed-forward layers, found in what a forward computes.

A feed-forward layer is known by what it does, whatever its parts are called: a projection, an
activation function, and a projection back to the width that went in. Between the two may stand a
gate of its own (GLU), a norm, dropout, a depthwise convolution, or a change of layout. Its neurons
are the values that the second projection is given.

:class:`NeuronWatch` is told each function call and follows the tensors; :func:`feed_forwards` then
leaves out what only looks alike: gates, squeeze and excitation, position biases, attention.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

Layout = Literal["channels last", "channels first", "images second"]


def _operators(*names: str) -> set[str]:
    """Name an operation in all its forms: plain, in place, reflected, as an operator."""
    forms = ("{}", "{}_", "__{}__", "__r{}__", "__i{}__")
    return {form.format(name) for name in names for form in forms}


_ACTIVATIONS = _operators(
    *("gelu", "silu", "relu", "relu6", "hardswish", "mish", "leaky_relu", "elu", "celu", "selu"),
    *("prelu", "rrelu", "softplus", "softsign", "sigmoid", "hardsigmoid", "logsigmoid", "tanh"),
    *("hardtanh", "erf", "exp", "glu", "threshold"),
)
_PRODUCTS = _operators("mul", "multiply", "div", "divide", "truediv", "addcmul")
_SUMS = _operators("add", "sub", "cat", "concat")
# The same units afterwards, at the same places or in another layout.
_BESIDE = {
    *_operators("dropout", "alpha_dropout", "feature_dropout", "pow", "square", "clamp"),
    *("layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm", "normalize"),
    *("contiguous", "clone", "to", "type", "type_as", "float", "half", "bfloat16", "double"),
    *(
        "reshape",
        "reshape_as",
        "view",
        "view_as",
        "flatten",
        "unflatten",
        "permute",
        "transpose",
        "movedim",
    ),
    *("swapaxes", "squeeze", "unsqueeze", "mT", "T", "t", "pad", "roll", "__getitem__"),
    *("chunk", "split", "split_with_sizes", "unbind", "narrow", "tensor_split"),
}
_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
_MATRIX_PRODUCTS = {"matmul", "__matmul__"}
STEPS = frozenset(
    {"linear"} | (_ACTIVATIONS | _PRODUCTS | _SUMS | _BESIDE | _CONVOLUTIONS | _MATRIX_PRODUCTS)
)
"""Names of the functions that a :class:`NeuronWatch` must be told of."""


@dataclass(frozen=True)
class NeuronEvent:
    """The hidden units of one feed-forward layer, as its second projection was given them.

    Attributes
    ----------
    path
        Path of the layer: the smallest part that holds both projections.
    first, module
        Paths of the first and of the second projection.
    values
        (image, token, neuron). The positions of a map are in raster order.
    shape
        The axes that `token` runs over, as the model has them: ``(196,)`` for a sequence,
        ``(14, 14)`` for a map, ``(64, 49)`` for 64 windows (or other groups) of 49 tokens.
    groups
        How many groups an image was cut into along the first axis of the model's tensor; 1 when
        that axis is the images. The groups of an image follow each other in `values`.
    layout
        Where the model has the neurons: on the last axis, on the second (``"channels first"``), or
        on the last with the images on the second (``"images second"``).
    features
        Width that the layer was given and gives back.
    block
        Path of the block around it; empty until :func:`feed_forwards` has found it.
    """

    path: str
    first: str
    module: str
    values: torch.Tensor
    shape: tuple[int, ...]
    groups: int
    layout: Layout
    features: int
    block: str = ""
    spatial: bool = False  # a convolution over neighbours stands between the projections
    gated: bool = False  # multiplied by something from outside the layer
    stream: torch.Tensor | None = None  # what its output was added to, where no block returns it

    @property
    def narrow(self) -> bool:
        """Whether there are no more neurons than features, as in gates and bottlenecks."""
        return self.values.shape[-1] <= self.features


@dataclass(frozen=True)
class _Units:
    """What is known of a tensor that came out of a projection."""

    features: int  # width of what was projected
    positions: int  # over all images
    first: int  # which projection it was, counted in execution order
    module: str  # where that projection is
    activated: bool = False
    spatial: bool = False
    gated: bool = False
    ends: int | None = None  # the event whose second projection this was


class NeuronWatch:
    """Follow projections through activation functions to the next projection.

    Parameters
    ----------
    parts
        Every part of the model that is about to run, with its path.
    images
        Number of images in the batch.

    Examples
    --------
    >>> watch = NeuronWatch([], images=1)
    >>> x, w = torch.ones(1, 3, 2), torch.ones(4, 2)
    >>> hidden = torch.nn.functional.linear(x, w)
    >>> watch.see("linear", [x, w], {}, hidden, str)
    >>> active = hidden.relu()
    >>> watch.see("relu", [hidden], {}, active, str)
    >>> watch.see("linear", [active, w.T], {}, active @ w, str)
    >>> [event.values.shape for event in watch.events]
    [torch.Size([1, 3, 4])]
    """

    def __init__(self, parts: Iterable[tuple[str, nn.Module]], images: int) -> None:
        self._images = images
        parts = list(parts)
        self._images_second = any(
            isinstance(part, nn.MultiheadAttention) and not part.batch_first for _, part in parts
        )
        # Projected coordinates are position biases; they are kept as buffers. A forward may put
        # others in their place, and a number of one that is gone may be that of a new tensor.
        self._tables = {id(table): table for _, part in parts for table in part._buffers.values()}
        self._units: MutableMapping[torch.Tensor, _Units] = WeakIdKeyDictionary()
        # Units that were joined with others (attention, in a parallel block) for one projection.
        self._joined: MutableMapping[torch.Tensor, torch.Tensor] = WeakIdKeyDictionary()
        # Pairs of attention and feed-forward layer in a list: no block returns the residual stream.
        lists = {path for path, part in parts if isinstance(part, nn.ModuleList)}
        self._unreturned = any(path.rpartition(".")[0] in lists for path in lists)
        self._seen: list[NeuronEvent | None] = []
        self._projections = 0

    @property
    def events(self) -> list[NeuronEvent]:
        """What may be a feed-forward layer, in execution order."""
        return [event for event in self._seen if event is not None]

    def see(
        self,
        name: str,
        operands: Sequence[Any],
        kwargs: dict[str, Any],
        result: Any,
        running: Callable[[], str],
    ) -> None:
        """Take note of one function call.

        Parameters
        ----------
        name
            Of the function, one of :data:`STEPS`.
        operands
            What it worked on, in order.
        kwargs
            Its other arguments.
        result
            What it returned.
        running
            Tells the path of the module that is running; asked only when neurons are found.
        """
        if name == "linear" or name in _MATRIX_PRODUCTS:
            weight = operands[1]
            if name == "linear":
                self._project(operands[0], weight.shape[1], result, -1, running)
            elif isinstance(weight, nn.Parameter) and weight.ndim == 2:
                self._project(operands[0], weight.shape[0], result, -1, running)
        elif name in _CONVOLUTIONS:
            self._convolve(operands[0], operands[1], operands, kwargs, result, running)
        else:
            self._follow(name, operands, result)

    def _project(
        self,
        given: torch.Tensor,
        width: int,
        result: torch.Tensor,
        axis: int,
        running: Callable[[], str],
    ) -> None:
        """Note a projection over one axis: the second of a layer, or a first, or both."""
        hidden = self._joined.get(given, given)
        units = self._units.get(hidden)
        ends, module = None, running()
        if units is not None and units.activated and self._closes(units, hidden, result, axis):
            ends = len(self._seen)
            self._seen.append(self._event(units, hidden, axis, module))
        self._begin(given, width, result, module, ends=ends)

    def _begin(
        self,
        given: torch.Tensor,
        width: int,
        result: torch.Tensor,
        module: str,
        *,
        ends: int | None = None,
        spatial: bool = False,
    ) -> None:
        """Follow what a projection gives, unless it was given a table."""
        if id(given) not in self._tables:
            self._units[result] = _Units(
                features=width,
                positions=given.numel() // width,
                first=self._projections,
                module=module,
                ends=ends,
                spatial=spatial,
            )
            self._projections += 1

    def _closes(self, units: _Units, given: torch.Tensor, result: torch.Tensor, axis: int) -> bool:
        """Whether a projection gives back the width and the places that its layer was given.

        A width of one is no stream of tokens: it is a map of scores.
        """
        positions = given.numel() // given.shape[axis]
        return 1 < units.features == result.shape[axis] and units.positions == positions

    def _convolve(
        self,
        given: torch.Tensor,
        weight: torch.Tensor,
        operands: Sequence[Any],
        kwargs: dict[str, Any],
        result: torch.Tensor,
        running: Callable[[], str],
    ) -> None:
        axis = 1 - weight.ndim  # channels, also where there is no axis of images
        groups = operands[6] if len(operands) > 6 else kwargs.get("groups", 1)
        width = given.shape[axis]
        units = self._units.get(given)
        if groups == 1 and math.prod(weight.shape[2:]) == 1:
            self._project(given, width, result, axis, running)
        elif groups > 1 and units is not None and _keeps_units(weight, groups, units):
            self._units[result] = replace(units, spatial=True)
        elif groups < width:
            self._begin(given, width, result, running(), spatial=True)

    def _follow(self, name: str, operands: Sequence[Any], result: Any) -> None:
        if name in {"cat", "concat"}:
            operands = list(operands[0]) if isinstance(operands[0], (tuple, list)) else operands
        tensors = [operand for operand in operands if isinstance(operand, torch.Tensor)]
        known = [self._units.get(tensor) for tensor in tensors]
        tagged = [units for units in known if units is not None]
        if not tagged:
            return
        units = max(tagged, key=lambda units: units.activated)
        foreign = any(
            units is None and not _constant(tensor)
            for tensor, units in zip(tensors, known, strict=True)
        )
        if name in _SUMS:
            # Added to anything but itself it is the residual stream, no longer these units.
            if foreign or any(other.first != units.first for other in tagged):
                self._units.pop(result, None)  # it may have been added in place
                self._return(tagged, result)
                active = [
                    part
                    for part, its in zip(tensors, known, strict=True)
                    if its is not None and its.activated
                ]
                if name in {"cat", "concat"} and len(active) == 1:
                    self._joined[result] = active[0]
                return
        elif name in _PRODUCTS:
            units = replace(units, gated=units.gated or foreign)
        elif name in _ACTIVATIONS:
            if units.ends is not None:
                self._seen[units.ends] = None  # a gate, or a layer of more than two projections
            units = replace(units, activated=True, ends=None)
        for part in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(part, torch.Tensor):
                self._units[part] = units

    def _return(self, added: Iterable[_Units], result: torch.Tensor) -> None:
        """Keep the stream that the output of a layer was added to, where no block returns it."""
        for units in added if self._unreturned else ():
            event = self._seen[units.ends] if units.ends is not None else None
            if event is not None and units.ends is not None:
                self._seen[units.ends] = replace(event, stream=result.detach())

    def _event(self, units: _Units, given: torch.Tensor, axis: int, module: str) -> NeuronEvent:
        values = given.detach().movedim(axis, -1)
        layout: Layout = "channels last" if axis == -1 else "channels first"
        lead = values.shape[0]
        # (8, 2, width) of 2 images are 8 tokens, or 4 windows of 2: torch's attention knows.
        second = values.ndim == 3 and axis == -1 and lead != self._images == values.shape[1]
        if second and (self._images_second or lead % self._images):
            layout, values = "images second", values.transpose(0, 1)
            lead = self._images
        groups = lead // self._images if values.ndim > 2 and lead % self._images == 0 else 1
        inner = tuple(values.shape[1:-1]) if values.ndim > 2 else (1,)
        return NeuronEvent(
            path=_common(units.module, module),
            first=units.module,
            module=module,
            values=values.reshape(self._images, -1, values.shape[-1]),
            shape=(groups, *inner) if groups > 1 else inner,
            groups=groups,
            layout=layout,
            features=units.features,
            spatial=units.spatial,
            gated=units.gated,
        )


def apart_from_attention(
    events: Iterable[NeuronEvent], attending: Iterable[str]
) -> list[NeuronEvent]:
    """Leave out what attention projects once more before, after or beside its product.

    Parameters
    ----------
    events
        From :attr:`NeuronWatch.events`.
    attending
        Paths of the modules that attend.
    """
    attending = set(attending)
    return [
        event
        for event in events
        if not (event.narrow or event.gated)
        or not any(_within(event.module, path) for path in attending)
    ]


def feed_forwards(events: Iterable[NeuronEvent], blocks: Iterable[str]) -> list[NeuronEvent]:
    """Choose the feed-forward layers of the blocks, in execution order.

    One for each block, and as many as it has where a block has several alike (the inner and the
    outer layer of TNT). Where they differ, the one most like a plain feed-forward layer counts.

    Parameters
    ----------
    events
        From :func:`apart_from_attention`.
    blocks
        Paths of the blocks, none of which holds another.

    Returns
    -------
    list of NeuronEvent
        With their `block`.
    """
    events = list(events)
    chosen: dict[int, NeuronEvent] = {}
    for block in dict.fromkeys(blocks):
        inside = [
            (place, event) for place, event in enumerate(events) if _within(event.path, block)
        ]
        best = min((_likeness(event) for _, event in inside), default=None)
        alike = [(place, event) for place, event in inside if _likeness(event) == best]
        for index, (place, event) in enumerate(alike):
            if not any(_mixes_tokens(event, later) for _, later in alike[index + 1 :]):
                chosen[place] = replace(event, block=block)
    return [chosen[place] for place in sorted(chosen)]


def _likeness(event: NeuronEvent) -> tuple[bool, bool, bool]:
    """How far an event is from a plain feed-forward layer, for choosing within a block."""
    return (event.narrow, event.spatial, event.gated)


def _mixes_tokens(event: NeuronEvent, later: NeuronEvent) -> bool:
    """Whether a layer has the tokens of a later one as features, as the first in an MLP-Mixer."""
    return event.features == later.values.shape[1] and event.values.shape[1] == later.features


def _common(first: str, second: str) -> str:
    """Give the path of the smallest part that holds two others."""
    steps = zip(first.split("."), second.split("."), strict=False)
    return ".".join(a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], steps))


def _within(path: str, around: str) -> bool:
    return path == around or path.startswith(f"{around}.")


def _keeps_units(weight: torch.Tensor, groups: int, units: _Units) -> bool:
    """Whether a convolution gives each unit back: depthwise, or in groups of an expanded layer."""
    width = weight.shape[0]
    if weight.shape[1] * groups != width:
        return False
    return groups == width or width > units.features


def _constant(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, nn.Parameter) or tensor.ndim == 0

"""Seeing attention without touching the model.

One ``TorchFunctionMode`` stands around a forward. It sees every fused attention call, every
multi-head attention call, and follows every softmax to the product that applies it. The model's
own functions still run, with their own arguments, so its output does not change by one bit; no
hook, flag or class is touched. The measured coverage (timm census: every family that has a softmax
attention) is why there is no second mechanism.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from vit_widgets.activations import adapters, applied, multi_head
from vit_widgets.activations.choice import CHOOSING, Choice
from vit_widgets.activations.key_axis import HEAD_MIXING, follow, follow_parts
from vit_widgets.activations.masks import SumOfAxes, slim
from vit_widgets.activations.neurons import STEPS, NeuronEvent, NeuronWatch
from vit_widgets.activations.products import PRODUCTS, Product, product_of
from vit_widgets.models.geometry import Grid

Source = Literal["sdpa", "mha", "softmax", "adapter", "given"]
Form = Literal["softmax", "difference", "linear", "additive", "outlook"]

FUSED = {"scaled_dot_product_attention", "multi_head_attention_forward"}
SOFTMAXES = {"softmax", "_softmax"}
COUNTED = {*FUSED, *SOFTMAXES, *PRODUCTS, "normalize"}
"""The calls that are numbered, so that a trial forward meets the same ones again."""

_STEMS = {"conv2d", "conv3d"}
_BEGINNINGS = {*COUNTED, *CHOOSING, *_STEMS}


@dataclass(frozen=True)
class Scores:
    """Where the scores of a softmax were multiplied, and who holds the keys.

    Attributes
    ----------
    call
        Number of the product among the counted calls of the forward.
    keys
        Which operand of that product holds the keys, 0 or 1.
    """

    call: int
    keys: int


@dataclass(frozen=True)
class AttentionEvent:
    """One attention product, as it happened.

    Attributes
    ----------
    module
        Path of the innermost module that was running.
    source
        Which of the three ways it was seen.
    call
        Number of the product among the counted calls of the forward.
    queries, keys
        Copies of q and k, (..., query, feature) and (..., key, feature); ``None`` from a softmax.
    scale, mask, causal
        As applied to the scores; `mask` is added, or selects where it is boolean.
    weights
        The matrix that was applied, (..., query, key); only from a softmax.
    mixed
        Whether the heads were mixed, or the weights scaled one by one, after the softmax (rows then
        need not sum to 1).
    scores
        The product behind the softmax, if it was one.
    softmax
        Number of the softmax among the counted calls.
    operand, token
        Which operand of the product is the weights, and the letter of the key axis in it.
    chosen
        Whether the model had chosen, ranked or shuffled tokens by their content before.
    of
        Class of the module, for its name.
    form
        What was applied: a softmax, or one of :mod:`adapters`.
    less
        Of a difference: the attention that was taken away.
    factor
        How much of `less` was taken away; of a linear form: what was added to the divisor.
    outlook
        Of an outlook: its geometry.
    signed
        Whether weights have both signs.
    applied
        What the weights were applied to; only where gradients were asked for.
    """

    module: str
    source: Source
    call: int = -1
    queries: torch.Tensor | None = None
    keys: torch.Tensor | None = None
    scale: float = 1.0
    mask: torch.Tensor | SumOfAxes | None = None
    causal: bool = False
    weights: torch.Tensor | None = None
    mixed: bool = False
    scores: Scores | None = None
    softmax: int | None = None
    operand: int = 0
    token: str = "j"
    chosen: bool = False
    of: str = ""
    form: Form = "softmax"
    less: AttentionEvent | None = None
    factor: float | torch.Tensor = 1.0
    outlook: adapters.Outlook | None = None
    signed: bool = False
    applied: applied.Applied | None = None


@dataclass(frozen=True)
class _Keys:
    """A tensor that still carries the key axis of a softmax."""

    axis: int
    softmax: int
    scores: Scores | None = None
    mixed: bool = False
    form: Form = "softmax"


@dataclass(frozen=True)
class _Scores:
    """A tensor that still carries one axis of each operand of a product."""

    call: int
    axes: tuple[int | None, int | None] = field(default=(None, None))
    keys: torch.Tensor | None = None


@dataclass(frozen=True)
class _Output:
    """What one half of a difference returned, times a number: which event it was."""

    event: int
    factor: float | torch.Tensor = 1.0


class Interception(TorchFunctionMode):
    """Watch one forward; what was seen lies in `attention`, `neurons` and `stems`.

    Parameters
    ----------
    parts
        Every part of the model that is about to run, with its path.
    image_shape
        Shape of the batch, to recognise the convolution that cuts it into patches.
    neurons
        Whether to collect the hidden units of feed-forward layers as well.
    gradients
        Whether to note what weights are applied to, and where the gradient of the product arrives.

    Examples
    --------
    >>> layer = nn.TransformerEncoderLayer(8, 2, batch_first=True).eval()
    >>> parts = layer.named_modules()
    >>> with Interception(parts, (1, 3, 8, 8)) as seen:
    ...     _ = layer(torch.zeros(1, 5, 8))
    >>> [(event.module, event.source) for event in seen.attention]
    [('self_attn', 'mha')]
    """

    def __init__(
        self,
        parts: Iterable[tuple[str, nn.Module]],
        image_shape: tuple[int, ...],
        *,
        neurons: bool = False,
        gradients: bool = False,
    ) -> None:
        super().__init__()
        self.attention: list[AttentionEvent] = []
        self.stems: list[Grid] = []
        parts = list(parts)
        self._names = {id(part): path for path, part in parts}
        self._image_shape = image_shape
        self._neurons = NeuronWatch(parts, image_shape[0]) if neurons else None
        self._gradients = gradients
        self._beginnings = _BEGINNINGS | (STEPS if neurons else set())
        self._calls = 0
        self._following = False
        self._choice = Choice()
        self._keys: MutableMapping[torch.Tensor, _Keys] = WeakIdKeyDictionary()
        self._scores: MutableMapping[torch.Tensor, _Scores] = WeakIdKeyDictionary()
        # Sums over the tokens: what a softmax over features multiplies next carries no tokens.
        self._applied: MutableMapping[torch.Tensor, bool] = WeakIdKeyDictionary()
        self._halves: MutableMapping[torch.Tensor, _Output] = WeakIdKeyDictionary()
        self._watchers: dict[object, Callable[..., Any]] = {
            functional.scaled_dot_product_attention: self._fused,
            functional.multi_head_attention_forward: self._multi_head,
        }

    @property
    def neurons(self) -> list[NeuronEvent]:
        """What may be hidden units of a feed-forward layer, in execution order."""
        return self._neurons.events if self._neurons is not None else []

    def drop_neurons(self) -> None:
        """Let go of the hidden units, which are the most of what a forward leaves."""
        self._neurons = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Let the function run as it is, and note what it says about attention."""
        kwargs = kwargs or {}
        name = name_of(func)
        if not self._following and name not in self._beginnings:
            return func(*args, **kwargs)  # nine calls in ten: nothing to see
        call = self._calls
        self._calls += name in COUNTED
        watcher = self._watchers.get(func)
        if watcher is not None:
            return watcher(func, args, kwargs, call)
        result = func(*args, **kwargs)
        if name in CHOOSING or self._choice.made:
            self._choice.follow(name, args, kwargs, result)
            self._following |= self._choice.made
        if name in SOFTMAXES or name == "normalize":
            self._note_softmax(name, args, kwargs, result, call)
        elif name in PRODUCTS:
            result = self._note_product(product_of(name, args, kwargs), result, call)
        elif name in _STEMS:
            self._note_stem(args, kwargs, result)
        if self._following and name not in SOFTMAXES and name not in PRODUCTS:
            self._follow(name, args, kwargs, result)
        if self._neurons is not None and name in STEPS:
            operands = _operands(args, kwargs)
            self._neurons.see(name, operands, kwargs, result, self._running)
        return result

    @property
    def chose(self) -> bool:
        """Whether the model chose, merged or shuffled tokens by their content."""
        return self._choice.applied

    # --- the three ways attention is seen -------------------------------------------------------

    def _fused(self, func: Callable[..., Any], args: Any, kwargs: Any, call: int) -> Any:
        if bound(args, kwargs, 0, "query", default=None).is_nested:
            return func(*args, **kwargs)  # every sequence has a length of its own
        queries, keys = fused_operands(args, kwargs)
        mask = bound(args, kwargs, 3, "attn_mask", default=None)
        scale = bound(args, kwargs, 6, "scale", default=None)
        result, met = func(*args, **kwargs), None
        if self._gradients:
            result, met = applied.fused(args, kwargs, queries, result)
        self._note(
            call,
            source="sdpa",
            queries=_copy(queries),
            keys=_copy(keys),
            scale=queries.shape[-1] ** -0.5 if scale is None else float(scale),
            mask=slim(mask),
            causal=bool(bound(args, kwargs, 5, "is_causal", default=False)),
            applied=met,
        )
        if adapters.is_differential(module_frame().get("self")):
            self._halves[result] = _Output(len(self.attention) - 1)
            self._following = True
        return result

    def _multi_head(self, func: Callable[..., Any], args: Any, kwargs: Any, call: int) -> Any:
        """Project q and k again, and let the module run as it would unwatched.

        ``nn.MultiheadAttention`` takes torch's fused inference path only while nobody watches, and
        that path rounds differently. We are inside its ``forward`` here, so the module is asked
        once more without the mode, and its own answer is handed back.
        """
        queries, keys, mask = multi_head.project(func, args, kwargs)
        result, met = None, None
        if self._gradients:  # the fused path is none under autograd
            output, weights = func(*args, **kwargs)
            output, met = applied.multi_headed(func, args, kwargs, output)
            result = output, weights
        self._note(
            call,
            source="mha",
            queries=_copy(queries),
            keys=_copy(keys),
            scale=queries.shape[-1] ** -0.5,
            mask=mask,
            applied=met,
        )
        if result is not None:
            return result
        frame = module_frame()
        module = frame.get("self")
        if type(module) is nn.MultiheadAttention:
            output, weights = module.forward(*frame["args"], **frame["kwargs"])
            # Our caller still stands before its own transposition to batch first.
            turned = module.batch_first and output.dim() == 3
            return (output.transpose(0, 1) if turned else output), weights
        return func(*args, **kwargs)

    def _note_softmax(self, name: str, args: Any, kwargs: Any, result: Any, call: int) -> None:
        """Begin to follow the axis of a softmax, and say which product it came from."""
        scored = adapters.additive(module_frame().get("self"), name)
        if scored is not None and (name != "normalize" or result.shape[-1] == 1):
            self._note(
                call,
                source="adapter",
                form="additive",
                weights=scored.weights(result).detach(),
                signed=scored.signed,
            )
            return
        if name == "normalize":
            return
        dim = bound(args, kwargs, 1, "dim", default=-1)
        if not isinstance(result, torch.Tensor) or not isinstance(dim, int) or result.ndim < 3:
            return
        axis = dim % result.ndim
        behind = self._scores.get(bound(args, kwargs, 0, "input", default=None))
        scores = None
        if behind is not None and axis in behind.axes:
            scores = Scores(behind.call, behind.axes.index(axis))
        self._keys[result] = _Keys(axis, call, scores)
        self._following = True

    def _note_product(self, product: Product | None, result: Any, call: int) -> Any:
        """Look whether a product applies weights, mixes heads, or makes scores.

        Returns what the model goes on with: the result, or where gradients are asked for its copy.
        """
        if product is None:
            return result
        for place, operand in enumerate(product.operands):
            tag = self._keys.get(operand)
            if tag is None:
                continue
            other = product.operands[1 - place]
            if product.sums(place, tag.axis):
                tokens = other not in self._keys and (tag.scores or other not in self._applied)
                if tokens and not _is_learned(other):
                    result = self._note_weights(product, place, tag, result, call)
                    self._applied[result] = True
            elif len(product.letters[1 - place]) == 2:  # heads x heads, in an einsum
                axis = product.kept(place, tag.axis)
                if axis is not None and product.output[axis] not in product.letters[1 - place]:
                    self._keys[result] = _Keys(axis, tag.softmax, tag.scores, mixed=True)
        if any(_is_learned(operand) for operand in product.operands):
            return result
        keys = None
        if adapters.is_linear(module_frame().get("self")):
            behind = self._scores.get(product.operands[1])
            if behind is not None and behind.keys is not None:
                self._note_linear(product, behind, call)
                return result
            keys = product.operands[0].mT  # kᵀ v: the features of k are rows here
        self._scores[result] = _Scores(call, (product.own(0), product.own(1)), keys)
        self._following = True
        return result

    def _note_linear(self, product: Product, behind: _Scores, call: int) -> None:
        """Record ``q (kᵀ v)``."""
        assert behind.keys is not None
        self._note(
            call,
            source="adapter",
            form="linear",
            queries=_copy(product.operands[0]),
            keys=_copy(behind.keys),
            scores=Scores(behind.call, 0),
            factor=float(getattr(module_frame().get("self"), "eps", 0.0)),
        )

    def _note_weights(
        self, product: Product, place: int, tag: _Keys, result: Any, call: int
    ) -> Any:
        """Record ``A @ V``, ``V @ A.T`` and the like: the sum runs over the keys."""
        letters = product.letters[place]
        query = product.own_axis(place)
        if query is None:
            return result
        met = None
        if self._gradients:
            result, met = applied.multiplied(product, place, tag.axis, result)
        self._note(
            call,
            source="softmax",
            weights=product.operands[place].movedim((query, tag.axis), (-2, -1)).detach(),
            mixed=tag.mixed,
            scores=tag.scores,
            softmax=tag.softmax,
            operand=place,
            token=letters[tag.axis],
            form=tag.form,
            signed=tag.form == "difference",
            applied=met,
        )
        return result

    def note_given(
        self, module: nn.Module, _inputs: tuple[Any, ...], _output: Any, told: Any
    ) -> None:
        """Record what the user says of a module that hides its attention (:mod:`given`)."""
        number = sum(event.source == "given" for event in self.attention)
        event = AttentionEvent(
            module=self._names.get(id(module), ""),
            source="given",
            call=-1 - number,
            chosen=self._choice.applied,
            of=type(module).__name__,
        )
        if isinstance(told, tuple):
            queries, keys = told
            scale = queries.shape[-1] ** -0.5
            event = replace(event, queries=_copy(queries), keys=_copy(keys), scale=scale)
        else:
            event = replace(event, weights=told.detach())
        self.attention.append(event)

    def _note(self, call: int, **seen: Any) -> None:
        module = module_frame().get("self")
        kind = type(module).__name__
        if seen["source"] == "softmax":
            frame = module_frame()
            kernels = adapters.outlook(module, *frame.get("args", ())[:1])
            if kernels is not None:
                seen |= {"source": "adapter", "form": "outlook", "outlook": kernels}
        self.attention.append(
            AttentionEvent(
                module=self._names.get(id(module), kind),
                call=call,
                chosen=self._choice.applied,
                of=kind,
                **seen,
            )
        )

    def _scales(self, name: str, args: Any) -> bool:
        """Whether weights are multiplied one by one with something else that is computed."""
        tensors = [operand for operand in args[:2] if isinstance(operand, torch.Tensor)]
        return (
            name in {"mul", "__mul__", "mul_", "multiply"}
            and len(tensors) == 2
            and tensors[0].shape == tensors[1].shape
            and not all(tensor in self._keys for tensor in tensors)
        )

    def _follow_halves(self, name: str, args: Any, result: Any) -> None:
        """Join two attentions when the second, times a number, is taken from the first."""
        halves = [
            self._halves.get(operand) if isinstance(operand, torch.Tensor) else None
            for operand in args[:2]
        ]
        if name in {"mul", "__mul__", "__rmul__"} and None in halves:
            half = halves[0] or halves[1]
            other = args[1] if halves[0] else args[0]
            if half is not None and (not isinstance(other, torch.Tensor) or other.numel() == 1):
                number = other.detach() if isinstance(other, torch.Tensor) else other
                self._halves[result] = _Output(half.event, half.factor * number)
        elif name in {"sub", "__sub__"} and len(halves) == 2 and all(halves):
            first, second = halves
            assert first is not None
            assert second is not None
            less = self.attention.pop(second.event)
            self.attention[first.event] = replace(
                self.attention[first.event],
                form="difference",
                less=less,
                factor=second.factor,
                signed=True,
            )

    def _follow(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """Carry what is known of the axes of an operand over to the result."""
        if self._halves:
            self._follow_halves(name, args, result)
        both = name in {"sub", "__sub__"} and all(
            isinstance(operand, torch.Tensor) and operand in self._keys for operand in args[:2]
        )
        for operand in _operands(args, kwargs):
            if not isinstance(operand, torch.Tensor) or operand is result:
                continue
            keys, scores = self._keys.get(operand), self._scores.get(operand)
            if keys is None and scores is None:
                continue
            if isinstance(result, (tuple, list)):
                if keys is not None:
                    dim = bound(args, kwargs, 1 if name == "unbind" else 2, "dim", default=0)
                    axis = follow_parts(name, operand, keys.axis, dim)
                    if axis is not None:
                        for part in result:
                            self._keys[part] = replace(keys, axis=axis)
                continue
            if not isinstance(result, torch.Tensor):
                continue
            where = _positional(name, args, kwargs)
            if keys is not None:
                axis = follow(name, operand, keys.axis, result, where)
                known = self._keys.get(result)  # of two softmaxes that are added up
                if axis is not None and not (known and known.scores):
                    mixed = keys.mixed or name in HEAD_MIXING or self._scales(name, args)
                    form: Form = "difference" if both else keys.form
                    self._keys[result] = _Keys(axis, keys.softmax, keys.scores, mixed, form)
            if scores is not None:
                first, second = (
                    None if axis is None else follow(name, operand, axis, result, where)
                    for axis in scores.axes
                )
                if first is not None or second is not None:
                    self._scores[result] = replace(scores, axes=(first, second))

    # --- the rest that a forward tells ----------------------------------------------------------

    def _note_stem(self, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        """Recognise a convolution that cuts the image, or a resized copy, and its grid.

        Of a video, (image, frame, channels, height, width), it takes the frames one by one, or as
        an axis of its own behind the channels.
        """
        image = bound(args, kwargs, 0, "input", default=None)
        *pictures, channels, height, width = self._image_shape
        cut = math.prod(pictures if image.ndim == 4 else pictures[:1])
        if tuple(image.shape[:2]) != (cut, channels):
            return
        rows, cols = int(result.shape[-2]), int(result.shape[-1])
        cell: tuple[float, float] = pair(bound(args, kwargs, 3, "stride", default=1))
        if tuple(image.shape[-2:]) != (height, width):
            cell = (height / rows, width / cols)
        frames = math.prod((len(result), *result.shape[2:-2])) // pictures[0]
        self.stems.append(Grid(rows, frames * cols, cell, frames=frames))

    def _running(self) -> str:
        """Path of the innermost module whose forward is on the stack, read off the frames.

        Cheaper than hooks by two orders (a dozen look-ups a forward, none per module), and nothing
        is registered on the model.
        """
        module = module_frame().get("self")
        return self._names.get(id(module), type(module).__name__)


_CALL_CODES = {nn.Module._call_impl.__code__}


def module_frame() -> dict[str, Any]:
    """Locals of the innermost ``Module._call_impl`` on the stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in _CALL_CODES:
            return frame.f_locals
        frame = frame.f_back
    return {}


@functools.cache
def name_of(func: Callable[..., Any]) -> str:
    """Name an operation; a property such as ``.mT`` has its name on the descriptor."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", ""))
    return str(name)


def _is_learned(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a parameter, a view of one, or too flat to differ between images."""
    base = tensor._base if tensor._is_view() else tensor
    return isinstance(base, nn.Parameter) or tensor.ndim < 3


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """Copy q or k: a view would keep the whole of qkv alive, and could be written over."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def fused_operands(args: Any, kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Give q and k of a fused attention call, with as many heads of k as of q."""
    queries = bound(args, kwargs, 0, "query", default=None)
    keys = bound(args, kwargs, 1, "key", default=None)
    if bound(args, kwargs, 7, "enable_gqa", default=False):
        keys = keys.repeat_interleave(queries.shape[-3] // keys.shape[-3], dim=-3)
    if keys.shape[:-2] != queries.shape[:-2]:  # one key head for all queries
        keys = keys.expand(*queries.shape[:-2], *keys.shape[-2:])
    return queries, keys


def _operands(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Give what an operation works on in order, also where it was passed by name."""
    return [*args, *(value for value in kwargs.values() if isinstance(value, torch.Tensor))]


def _positional(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Give the arguments of a layout operation by position, however they were passed."""
    if name in {"transpose", "swapaxes"} and len(args) == 1:
        return (*args, kwargs.get("dim0", kwargs.get("axis0")), kwargs.get("dim1"))
    if name == "permute" and len(args) == 1:
        return (*args, kwargs["dims"])
    return args


def bound(args: Any, kwargs: Any, place: int, name: str, *, default: Any) -> Any:
    """Give an argument, whether it came by position or by name."""
    if len(args) > place:
        return args[place]
    return kwargs.get(name, default)


def pair(value: Any) -> tuple[int, int]:
    """Read a size that is one number or two, or of three the last two."""
    down, across = (value, value) if isinstance(value, int) else (value[-2:][0], value[-1])
    return int(down), int(across)

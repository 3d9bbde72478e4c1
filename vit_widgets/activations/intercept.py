"""Seeing attention without touching the model.

One ``TorchFunctionMode`` stands around a forward. It sees every fused attention call, every
multi-head attention call, and follows every softmax to the product that applies it. The model's
own functions still run, with their own arguments, so its output does not change by one bit; no
hook, flag or class is touched. The measured coverage (timm census: every family that has a softmax
attention) is why there is no second mechanism.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from vit_widgets.activations import multi_head
from vit_widgets.activations.key_axis import (
    HEAD_MIXING,
    contracted,
    einsum_query_axis,
    follow,
    follow_parts,
)
from vit_widgets.activations.neurons import STEPS, NeuronEvent, NeuronWatch
from vit_widgets.models.geometry import Grid

Source = Literal["sdpa", "mha", "softmax"]

_SOFTMAXES = {"softmax", "_softmax"}
_BEGINNINGS = {
    *_SOFTMAXES,
    *("conv2d", "scaled_dot_product_attention", "multi_head_attention_forward"),
}


@dataclass(frozen=True)
class AttentionEvent:
    """One attention product, as it happened.

    Attributes
    ----------
    module
        Path of the innermost module that was running.
    source
        Which of the three ways it was seen.
    queries, keys
        Copies of q and k, (..., query, feature) and (..., key, feature); ``None`` from a softmax.
    scale, mask, causal
        As applied to the scores; `mask` is added, or selects where it is boolean.
    weights
        The matrix that was applied, (..., query, key); only from a softmax.
    mixed
        Whether the heads were mixed after the softmax (rows then need not sum to 1).
    """

    module: str
    source: Source
    queries: torch.Tensor | None = None
    keys: torch.Tensor | None = None
    scale: float = 1.0
    mask: torch.Tensor | None = None
    causal: bool = False
    weights: torch.Tensor | None = None
    mixed: bool = False


@dataclass(frozen=True)
class _Keys:
    """A tensor that still carries the key axis of a softmax."""

    axis: int
    mixed: bool = False


class Interception(TorchFunctionMode):
    """Watch one forward; what was seen lies in `attention`, `neurons` and `stem`.

    Parameters
    ----------
    parts
        Every part of the model that is about to run, with its path.
    image_shape
        Shape of the batch, to recognise the convolution that cuts it into patches.
    neurons
        Whether to collect the hidden units of feed-forward layers as well.

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
    ) -> None:
        super().__init__()
        self.attention: list[AttentionEvent] = []
        self.stem: Grid | None = None
        parts = list(parts)
        self._names = {id(part): path for path, part in parts}
        self._image_shape = image_shape
        self._neurons = NeuronWatch(parts, image_shape[0]) if neurons else None
        self._beginnings = _BEGINNINGS | (STEPS if neurons else set())
        self._following = False
        self._keys: MutableMapping[torch.Tensor, _Keys] = WeakIdKeyDictionary()
        self._watchers: dict[object, Callable[..., Any]] = {
            functional.scaled_dot_product_attention: self._fused,
            functional.multi_head_attention_forward: self._multi_head,
        }

    @property
    def neurons(self) -> list[NeuronEvent]:
        """What may be hidden units of a feed-forward layer, in execution order."""
        return self._neurons.events if self._neurons is not None else []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Let the function run as it is, and note what it says about attention."""
        kwargs = kwargs or {}
        name = _name(func)
        if not self._following and name not in self._beginnings:
            return func(*args, **kwargs)  # nine calls in ten: nothing to see
        watcher = self._watchers.get(func)
        if watcher is not None:
            return watcher(func, args, kwargs)
        result = func(*args, **kwargs)
        if name in _SOFTMAXES:
            dim = _bound(args, kwargs, 1, "dim", default=-1)
            if isinstance(result, torch.Tensor) and isinstance(dim, int) and result.ndim >= 3:
                self._keys[result] = _Keys(dim % result.ndim)
                self._following = True
        elif name == "conv2d" and self.stem is None:
            self._note_stem(args, kwargs, result)
        if self._following:
            self._follow_keys(name, args, kwargs, result)
        if self._neurons is not None and name in STEPS:
            operands = _operands(name, args, kwargs)
            self._neurons.see(name, operands, kwargs, result, self._running)
        return result

    # --- the three ways attention is seen -------------------------------------------------------

    def _fused(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        queries = _bound(args, kwargs, 0, "query", default=None)
        keys = _bound(args, kwargs, 1, "key", default=None)
        if _bound(args, kwargs, 7, "enable_gqa", default=False):
            keys = keys.repeat_interleave(queries.shape[-3] // keys.shape[-3], dim=-3)
        if keys.shape[:-2] != queries.shape[:-2]:  # one key head for all queries
            keys = keys.expand(*queries.shape[:-2], *keys.shape[-2:])
        mask = _bound(args, kwargs, 3, "attn_mask", default=None)
        scale = _bound(args, kwargs, 6, "scale", default=None)
        self.attention.append(
            AttentionEvent(
                module=self._running(),
                source="sdpa",
                queries=_copy(queries),
                keys=_copy(keys),
                scale=queries.shape[-1] ** -0.5 if scale is None else float(scale),
                mask=None if mask is None else mask.detach(),
                causal=bool(_bound(args, kwargs, 5, "is_causal", default=False)),
            )
        )
        return func(*args, **kwargs)

    def _multi_head(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Project q and k again, and let the module run as it would unwatched.

        ``nn.MultiheadAttention`` takes torch's fused inference path only while nobody watches, and
        that path rounds differently. We are inside its ``forward`` here, so the module is asked
        once more without the mode, and its own answer is handed back.
        """
        queries, keys, mask = multi_head.project(func, args, kwargs)
        self.attention.append(
            AttentionEvent(
                module=self._running(),
                source="mha",
                queries=_copy(queries),
                keys=_copy(keys),
                scale=queries.shape[-1] ** -0.5,
                mask=mask,
            )
        )
        frame = _module_frame()
        module = frame.get("self")
        if type(module) is nn.MultiheadAttention:
            output, weights = module.forward(*frame["args"], **frame["kwargs"])
            # Our caller still stands before its own transposition to batch first.
            turned = module.batch_first and output.dim() == 3
            return (output.transpose(0, 1) if turned else output), weights
        return func(*args, **kwargs)

    def _follow_keys(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        operands = _operands(name, args, kwargs)
        for place, operand in enumerate(operands):
            tag = self._keys.get(operand) if isinstance(operand, torch.Tensor) else None
            if tag is None or operand is result:
                continue
            if name in {"matmul", "__matmul__", "bmm", "__rmatmul__"}:
                other = operands[1 - place]
                self._note_product(operand, tag, place ^ (name == "__rmatmul__"), other)
            elif name == "einsum":
                ranks = [tensor.ndim for tensor in operands]
                applied, axis = contracted(args[0], ranks, place, tag.axis)
                other = operands[1 - place] if len(operands) == 2 else None
                if applied and not isinstance(other, nn.Parameter):
                    query = einsum_query_axis(args[0], ranks, place, tag.axis)
                    if query is not None:
                        self._note_weights(operand.movedim((query, tag.axis), (-2, -1)), tag)
                elif axis is not None:
                    self._keys[result] = _Keys(axis, mixed=True)
            elif isinstance(result, (tuple, list)):
                dim = _bound(args, kwargs, 1 if name == "unbind" else 2, "dim", default=0)
                axis = follow_parts(name, operand, tag.axis, dim)
                if axis is not None:
                    for part in result:
                        self._keys[part] = _Keys(axis, tag.mixed)
            else:
                axis = follow(name, operand, tag.axis, result, _positional(name, args, kwargs))
                if axis is not None:
                    self._keys[result] = _Keys(axis, tag.mixed or name in HEAD_MIXING)

    def _note_product(self, operand: torch.Tensor, tag: _Keys, place: int, other: object) -> None:
        """Record ``A @ V`` or ``V @ A.T`` when the sum runs over the keys."""
        summed = operand.ndim - 1 if place == 0 else operand.ndim - 2
        if tag.axis != summed or isinstance(other, nn.Parameter):
            return
        weights = operand if place == 0 else operand.transpose(-1, -2)
        self._note_weights(weights, tag)

    def _note_weights(self, weights: torch.Tensor, tag: _Keys) -> None:
        self.attention.append(
            AttentionEvent(
                module=self._running(),
                source="softmax",
                weights=weights.detach(),
                mixed=tag.mixed,
            )
        )

    # --- the rest that a forward tells ----------------------------------------------------------

    def _note_stem(self, args: Any, kwargs: Any, result: torch.Tensor) -> None:
        """Recognise the convolution that cuts the image into patches, and its grid."""
        image = _bound(args, kwargs, 0, "input", default=None)
        kernel = _bound(args, kwargs, 1, "weight", default=None)
        stride = _pair(_bound(args, kwargs, 3, "stride", default=1))
        padding = _bound(args, kwargs, 4, "padding", default=0)
        unpadded = padding == "valid" or (not isinstance(padding, str) and not any(_pair(padding)))
        if (
            tuple(image.shape) == self._image_shape
            and tuple(kernel.shape[-2:]) == stride
            and unpadded
        ):
            self.stem = Grid(int(result.shape[-2]), int(result.shape[-1]), stride)

    def _running(self) -> str:
        """Path of the innermost module whose forward is on the stack, read off the frames.

        Cheaper than hooks by two orders (a dozen look-ups a forward, none per module), and nothing
        is registered on the model.
        """
        module = _module_frame().get("self")
        return self._names.get(id(module), type(module).__name__)


_CALL_CODES = {nn.Module._call_impl.__code__}


def _module_frame() -> dict[str, Any]:
    """Locals of the innermost ``Module._call_impl`` on the stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in _CALL_CODES:
            return frame.f_locals
        frame = frame.f_back
    return {}


@functools.cache
def _name(func: Callable[..., Any]) -> str:
    """Name an operation; a property such as ``.mT`` has its name on the descriptor."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        return str(getattr(getattr(func, "__self__", None), "__name__", ""))
    return str(name)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    """Copy q or k: a view would keep the whole of qkv alive, and could be written over."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _operands(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Give what an operation works on in order, also where it was passed by name."""
    if name == "einsum":
        rest = args[1:]
        return list(rest[0]) if len(rest) == 1 and isinstance(rest[0], (tuple, list)) else [*rest]
    return [*args, *(value for value in kwargs.values() if isinstance(value, torch.Tensor))]


def _positional(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Give the arguments of a layout operation by position, however they were passed."""
    if name in {"transpose", "swapaxes"} and len(args) == 1:
        return (*args, kwargs.get("dim0", kwargs.get("axis0")), kwargs.get("dim1"))
    if name == "permute" and len(args) == 1:
        return (*args, kwargs["dims"])
    return args


def _bound(args: Any, kwargs: Any, place: int, name: str, *, default: Any) -> Any:
    if len(args) > place:
        return args[place]
    return kwargs.get(name, default)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[-1]))

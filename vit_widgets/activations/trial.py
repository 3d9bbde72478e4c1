"""A trial forward in which no token hears of another, so that each tells where it lies.

Some images are run together: two textures, and mixtures of them patch by patch. While they run,
whatever mixes tokens is cut: an attention gives every query something of its own, a convolution
keeps the taps of its own cell, a pool its own window, and what cannot be cut (a sum over all
tokens) becomes the same for all images. Every token is then a function of the pixels of one place
alone. It equals what it was in one texture or in the other, and says by which it equals whether its
place belongs to the mixture.

What mixes tokens is not known by name. In the first run (:class:`Trial` without a plan) the result
of every operation is looked at: if operands were clean, each element as in one texture or the
other, and the result is not, then the operation mixes, and how it was cut is noted for later runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary

from vit_widgets.activations import adapters, multi_head
from vit_widgets.activations.intercept import (
    COUNTED,
    SOFTMAXES,
    AttentionEvent,
    bound,
    fused_operands,
    module_frame,
    name_of,
)
from vit_widgets.activations.products import PRODUCTS, product_of

EQUAL_OR_NOT, HOW_MUCH = 8, 128
"""Numbers that a token is summed up in: random projections. A few tell equal from different."""

TOLERANCE = 3e-3
"""Part of the difference of the textures that counts as a difference."""

_LAYOUT = {
    *("reshape", "view", "permute", "transpose", "flatten", "unflatten", "unsqueeze", "squeeze"),
    *("expand", "contiguous", "clone", "detach", "to", "float", "chunk", "split", "unbind"),
    *("roll", "cat", "concat", "stack", "repeat", "t", "T", "mT", "movedim", "type_as", "type"),
    *("dropout", "pixel_shuffle", "pixel_unshuffle", "narrow", "select", "flip", "rot90"),
    *("__getitem__", "pad", "size", "dim", "numel", "shape", "dtype", "device", "swapaxes"),
}
_NORMS = {
    "layer_norm",
    "group_norm",
    "instance_norm",
    "rms_norm",
    "normalize",
    "local_response_norm",
}
_CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
_SUMS = {"add", "__add__", "add_", "__iadd__", "mul", "__mul__", "sub", "__sub__"}
_ENLARGING = {"interpolate", "upsample", "conv_transpose2d"}
_POOLS = {
    *("max_pool2d", "avg_pool2d", "lp_pool2d", "max_pool3d", "avg_pool3d"),
    *("boolean_dispatch", "_max_pool2d", "_max_pool3d"),
}

Site = tuple[int | str, str]
"""A place in the forward where tokens were looked at: (number of the call, which operand)."""


class Trial(TorchFunctionMode):
    """Run trial images with everything that mixes tokens cut.

    Parameters
    ----------
    events
        What a real forward of the same model left.
    batch
        The trial images; the first two are the textures.
    plan
        From an earlier run: how the operation at each step was cut. ``None``: look, and plan.
    attention_only
        Cut attention and nothing else (quick, enough for plain models).

    Attributes
    ----------
    sites
        For each site float32 (image, leading, token, feature): a token in a few numbers.
    tokens
        How many tokens each site has.
    plan
        How the operation at each step was cut.
    """

    def __init__(
        self,
        events: Sequence[AttentionEvent],
        batch: torch.Tensor,
        plan: Mapping[int, str] | None = None,
        *,
        attention_only: bool = False,
    ) -> None:
        super().__init__()
        self.sites: dict[Site, np.ndarray] = {}
        self.tokens: dict[Site, int] = {}
        self.plan: dict[int, str] = dict(plan or {})
        self._looking = plan is None and not attention_only
        self._attention_only = attention_only
        self._input = batch.shape
        self._images = len(batch)
        self._features = HOW_MUCH if attention_only else EQUAL_OR_NOT
        self._calls = self._step = self._given = 0
        self._scores = {
            e.scores.call: e.scores.keys for e in events if e.scores and e.form != "linear"
        }
        self._softmaxes = {e.softmax: e.scores is not None for e in events if e.softmax is not None}
        self._values = {e.call: e for e in events if e.softmax is not None}
        self._linear = {e.call: e for e in events if e.form == "linear"}
        self._linear_keys = {e.scores.call: e.call for e in self._linear.values() if e.scores}
        self._additive = {e.call for e in events if e.form == "additive"}
        self._mixed: MutableMapping[torch.Tensor, bool] = WeakIdKeyDictionary()
        # What depends on the images; positions and the like may have as many rows by chance.
        self._seeing: MutableMapping[torch.Tensor, bool] = WeakIdKeyDictionary()
        self._seeing[batch] = True
        self._padding: MutableMapping[torch.Tensor, tuple[int, ...]] = WeakIdKeyDictionary()
        self._watchers: dict[object, Callable[..., Any]] = {
            functional.scaled_dot_product_attention: self._fused,
            functional.multi_head_attention_forward: self._multi_head,
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function, or its cut form."""
        kwargs = kwargs or {}
        name = name_of(func)
        step, call = self._step, self._calls
        self._step += 1
        self._calls += name in COUNTED
        watcher = self._watchers.get(func)
        if watcher is not None:
            return watcher(args, kwargs, call)
        if name in COUNTED:
            self._note_adapted(name, args, call)
            if call in self._linear_keys:  # a sum over all tokens, by which others would divide
                return torch.zeros_like(func(*args, **kwargs))
        if name in PRODUCTS and (call in self._scores or call in self._values):
            args = self._product(name, args, kwargs, call)
        elif name in SOFTMAXES and call in self._softmaxes:
            return self._softmax(func, args, kwargs, call, step)
        if step in self.plan:
            return self._cut(self.plan[step], func, args, kwargs)
        result = func(*args, **kwargs)
        if name == "pad":
            self._note_padding(args, result)
        if not self._looking or not any(t in self._seeing for t in _tensors(args, kwargs)):
            return result
        for part in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(part, torch.Tensor):
                self._seeing[part] = True
        if isinstance(result, torch.Tensor):
            result = self._look(name, func, args, kwargs, result, step)
            self._seeing[result] = True
        return result

    # --- attention ------------------------------------------------------------------------------

    def _fused(self, args: Any, kwargs: Any, call: int) -> torch.Tensor:
        queries, keys = fused_operands(args, kwargs)
        values = bound(args, kwargs, 2, "value", default=None)
        self._note((call, "q"), queries)
        self._note((call, "k"), keys)
        width = values.shape[-1]
        times = -(-width // queries.shape[-1])
        output = queries.repeat(*(1,) * (queries.ndim - 1), times)[..., :width].contiguous()
        self._seeing[output] = True
        return output

    def _multi_head(self, args: Any, kwargs: Any, call: int) -> tuple[torch.Tensor, None]:
        queries, keys, _ = multi_head.project(functional.multi_head_attention_forward, args, kwargs)
        self._note((call, "q"), queries)
        self._note((call, "k"), keys)
        output = bound(args, kwargs, 0, "query", default=None).clone()
        self._seeing[output] = True
        return output, None

    def note_outputs(self, outputs: Sequence[torch.Tensor]) -> None:
        """Look at what the blocks returned: a sequence of tokens, or a map read in both ways."""
        for index, value in enumerate(outputs):
            if value.ndim == 3:
                self._note((f"output {index}", "last"), value[:, None])
            elif value.ndim == 4:
                self._note((f"output {index}", "last"), value.flatten(1, 2)[:, None])
                self._note((f"output {index}", "first"), value.flatten(2).mT[:, None])

    def note_given(
        self, _module: nn.Module, inputs: tuple[Any, ...], output: Any, told: Any
    ) -> Any:
        """Look at what the user says of a module, and give every token back as it came."""
        self._given += 1
        call = -self._given
        tensors = _tensors(inputs, {})
        if isinstance(told, tuple):
            self._note((call, "q"), told[0])
            self._note((call, "k"), told[1])
        else:
            self._note((call, "q"), told)
            for tensor in tensors:
                if tensor.ndim >= 3 and tensor.shape[-2] == told.shape[-1]:
                    self._note((call, "k"), tensor)
        if isinstance(output, torch.Tensor):
            for tensor in tensors:
                if tensor.shape == output.shape:
                    return tensor.clone()
        return output

    def _note_adapted(self, name: str, args: Any, call: int) -> None:
        """Look at the tokens of an attention that is no softmax of q and k."""
        if call in self._linear:
            self._note((call, "q"), args[0])
        elif call in self._linear_keys:
            self._note((self._linear_keys[call], "k"), args[0].mT)
        elif call in self._additive:
            frame = module_frame()
            scored = adapters.additive(frame.get("self"), name)
            if scored is not None:
                self._note((call, "k"), scored.tokens(frame["args"][0]))

    def _product(self, name: str, args: Any, kwargs: Any, call: int) -> Any:
        """Give the operands of an attention product such that each query answers for itself."""
        product = product_of(name, args, kwargs)
        if product is None:  # the model took another way than before
            return args
        if call in self._scores:
            keys = self._scores[call]
            queries = product.rows(1 - keys)
            self._note((call, "q"), queries)
            self._note((call, "k"), product.rows(keys))
            self._note((call, "features of q"), queries.mT)
            # the sum over the features of q, for every key
            constant = torch.full_like(product.operands[keys], queries.shape[-1] ** -0.5)
            return _with(args, product.operands[keys], constant)
        event = self._values[call]
        weights = product.operands[event.operand]
        values = product.operands[1 - event.operand]
        token = product.letters[event.operand][self._token_axis(product, event)]
        query = product.own_axis(event.operand)
        axes = (query, self._token_axis(product, event))
        self._note((call, "a"), weights.movedim(axes, (-2, -1)))  # type: ignore[arg-type]
        self._note((call, "v"), product.rows(1 - event.operand, token))
        if event.outlook is not None:
            x = module_frame()["args"][0]
            self._note((call, "tokens"), x.reshape(len(x), 1, -1, x.shape[-1]))
        if self._attention_only or self._differs(weights):
            return _with(args, values, torch.ones_like(values))
        return args

    def _token_axis(self, product: Any, event: AttentionEvent) -> int:
        letters = product.letters[event.operand]
        return int(letters.index(event.token)) if event.token in letters else len(letters) - 1

    def _softmax(self, func: Any, args: Any, kwargs: Any, call: int, step: int) -> Any:
        """Keep a softmax within one token; let one over tokens give each its own score."""
        scores = bound(args, kwargs, 0, "input", default=None)
        dim = bound(args, kwargs, 1, "dim", default=-1)
        if not self._softmaxes[call]:
            result = func(*args, **kwargs)
            if step not in self.plan and not (self._looking and self._mixes(result)):
                return result
            self.plan[step] = "softmax"
        bounded = scores.nan_to_num().clamp(-1e4, 1e4)
        result = bounded / (1 + bounded.abs()) / scores.shape[dim]
        self._seeing[result] = True
        return result

    # --- everything else that mixes tokens ------------------------------------------------------

    def _look(
        self, name: str, func: Any, args: Any, kwargs: Any, result: torch.Tensor, step: int
    ) -> torch.Tensor:
        if not (result.is_floating_point() or result.is_complex()):
            return result
        given = [t for t in _tensors(args, kwargs) if t in self._mixed]
        if given:
            self._mixed[result] = True
            return result
        if name in _LAYOUT:
            return result
        if name in _ENLARGING and self._enlarges(args, kwargs, result):
            # Several tokens would hear of one coarser place beside their own.
            self.plan[step] = "same for all"
            return self._cut("same for all", func, args, kwargs)
        # A kernel that overlaps may stay within one window, where no mixture has a border.
        overlaps = name in _CONVOLUTIONS and self._ways(name, args, kwargs) != []
        if not overlaps and not self._mixes(result):
            return result
        for way in self._ways(name, args, kwargs):
            cut = self._cut(way, func, args, kwargs)
            if way == "same for all" or not self._is_mixed(cut):
                self.plan[step] = way
                return cut
        self._mixed[result] = True
        return result

    def _ways(self, name: str, args: Any, kwargs: Any) -> list[str]:
        """List how an operation may be cut, the one that keeps most first."""
        if name in _CONVOLUTIONS:
            kernel = bound(args, kwargs, 1, "weight", default=None).shape[2:]
            stride = bound(args, kwargs, 3, "stride", default=1)
            dims = len(kernel)
            steps = (
                (stride,) * dims
                if isinstance(stride, int)
                else tuple(stride) * (dims // len(stride))
            )
            padded = bound(args, kwargs, 4, "padding", default=0)
            apart = all(size <= step for size, step in zip(kernel, steps, strict=True))
            single = all(size == 1 for size in kernel)
            within = not any(padded if isinstance(padded, (tuple, list)) else (padded,))
            if single or (apart and within):
                return []  # patches side by side: no mixing, only places that fit no mixture
            return ["taps", "same for all"]
        if name in _NORMS:
            return ["scaled"]
        if "adaptive" in name:
            return ["window", "same for all"] if _divides(args, kwargs) else ["same for all"]
        if name in _POOLS:
            return ["window", "same for all"]
        if name in {"interpolate", "upsample"}:
            return ["nearest", "same for all"]
        if name == "unfold":
            return ["taps of unfold"]
        if name in _SUMS:
            return ["first operand", "same for all"]
        return ["same for all"]

    def _cut(self, way: str, func: Any, args: Any, kwargs: Any) -> torch.Tensor:
        image = bound(args, kwargs, 0, "input", default=None)
        if way == "scaled":  # by a number that is the same for all
            first = image[: max(1, len(image) // self._images)]
            return image / first.std().clamp_min(torch.finfo(image.dtype).tiny)
        if way == "first operand":  # the residual stream; the other one is of another place
            return args[0] + torch.zeros_like(func(*args, **kwargs))
        if way == "taps":
            weight = bound(args, kwargs, 1, "weight", default=None)
            padding = bound(args, kwargs, 4, "padding", default=0)
            stride = bound(args, kwargs, 3, "stride", default=1)
            dilation = bound(args, kwargs, 5, "dilation", default=1)
            extra = self._padding.get(image, (0,) * (weight.ndim - 2))
            kept = _own_taps(weight, stride, padding, dilation, extra)
            if "weight" in kwargs:
                return func(*args, **{**kwargs, "weight": kept})
            return func(args[0], kept, *args[2:], **kwargs)
        if way == "nearest":
            given = {**kwargs, "mode": "nearest", "align_corners": None, "antialias": False}
            return func(*args[:3], **given)
        shape = func(*args, **kwargs)
        if way == "window":
            axes = range(-max(2, image.ndim - 2), 0)
            kernel = bound(args, kwargs, 1, "kernel_size", default=None)
            step = bound(args, kwargs, 2, "stride", default=None) or kernel
            if "adaptive" in name_of(func):
                sizes = [image.shape[axis] // shape.shape[axis] for axis in axes]
            else:
                sizes = [_along(step, axis + len(axes)) for axis in axes]
            return self._window(image, shape, sizes)
        first = shape[: max(1, shape.shape[0] // self._images)]
        if shape.shape[0] % self._images == 0:
            return first.repeat(self._images, *(1,) * (shape.ndim - 1))
        return torch.zeros_like(shape)

    def _window(
        self, image: torch.Tensor, shape: torch.Tensor, sizes: Sequence[int]
    ) -> torch.Tensor:
        """Average the cell of each result alone."""
        axes = max(2, image.ndim - 2)  # behind the channels; frames are one, of a video
        before = self._padding.get(image, (0,) * axes)
        if image.ndim > 3:
            image = _corner(image, [slice(start, None) for start in before])
        wanted = shape.shape[-axes:]
        cell = [max(1, size) for size in sizes]
        pool = functional.avg_pool3d if axes == 3 else functional.avg_pool2d
        own = _corner(pool(image, cell, ceil_mode=True), [slice(size) for size in wanted])
        missing = [w - h for h, w in zip(own.shape[-axes:], wanted, strict=True)]
        return functional.pad(own, [side for size in missing[::-1] for side in (0, size)])

    def _note_padding(self, args: Any, result: Any) -> None:
        if isinstance(result, torch.Tensor) and isinstance(args[0], torch.Tensor):
            sizes = list(args[1]) if len(args) > 1 else []
            axes = args[0].ndim - 2
            if len(sizes) >= 4 and axes >= 2:
                known = self._padding.get(args[0], (0,) * axes)
                added = [int(size) for size in sizes[: 2 * axes : 2][::-1]]
                added = [0] * (axes - len(added)) + added
                self._padding[result] = tuple(map(sum, zip(known, added, strict=True)))

    def _enlarges(self, args: Any, kwargs: Any, result: torch.Tensor) -> bool:
        image = bound(args, kwargs, 0, "input", default=None)
        return image.shape != self._input and result.shape[-1] > image.shape[-1]

    # --- looking --------------------------------------------------------------------------------

    def _mixes(self, result: torch.Tensor) -> bool:
        return result not in self._mixed and self._is_mixed(result)

    def _by_image(self, tensor: torch.Tensor) -> torch.Tensor | None:
        if tensor.ndim < 1 or tensor.shape[0] % self._images or tensor.shape[0] == 0:
            return None
        return tensor.detach().reshape(self._images, -1)

    def _is_mixed(self, tensor: torch.Tensor) -> bool:
        """Whether some element equals that of neither texture."""
        values = self._by_image(tensor)
        if values is None:
            return False
        apart = (values[1] - values[0]).abs()
        scale = float(apart.nan_to_num(posinf=0).mean())
        if not scale > 0:
            return False
        largest = float(values[0].abs().nan_to_num(posinf=0).max())
        allowed = TOLERANCE * scale + 32 * torch.finfo(apart.dtype).eps * largest
        for image in values[2:]:
            away = torch.minimum((image - values[0]).abs(), (image - values[1]).abs())
            if float(away.nan_to_num(posinf=0).max()) > allowed:
                return True
        return False

    def _differs(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor depends on the image at all."""
        values = self._by_image(tensor)
        if values is None:
            return False
        apart = (values[1] - values[0]).abs().max()
        return bool(apart > TOLERANCE * values[0].abs().mean())

    def _note(self, site: Site, rows: torch.Tensor) -> None:
        """Sum up the tokens of a site, (..., token, feature), in a few numbers each."""
        self.tokens[site] = int(rows.shape[-2])
        self.sites[site] = summary(rows, self._images, self._features)
        if rows.shape[0] != self._images and rows.shape[0] % self._images == 0:
            # Images and heads (or windows) share the first axis; the images may come last in it.
            turned = rows.unflatten(0, (-1, self._images)).transpose(0, 1)
            call, role = site
            self.sites[call, f"{role}, images last"] = summary(turned, self._images, self._features)


def summary(rows: torch.Tensor, images: int, features: int) -> np.ndarray:
    """Project (..., token, feature) to float32 (image, leading, token, `features`).

    Empty where the first axis is no multiple of the images.
    """
    if rows.ndim < 3 or rows.shape[0] % images:
        return np.zeros((images, 0, rows.shape[-2], features), dtype=np.float32)
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(rows.shape[-1], features, generator=generator)
    flat = rows.detach().reshape(-1, *rows.shape[-2:]).float().nan_to_num(posinf=0, neginf=0)
    with torch.autocast(flat.device.type, enabled=False):
        projected = flat @ basis.to(flat.device)
    return projected.reshape(images, -1, rows.shape[-2], features).cpu().numpy()


def _own_taps(
    weight: torch.Tensor, stride: Any, padding: Any, dilation: Any, extra: Sequence[int]
) -> torch.Tensor:
    """Zero the taps of a kernel that reach beyond the cell of their output."""
    mask = torch.ones_like(weight)
    for axis, size in enumerate(weight.shape[2:]):
        step, apart = _along(stride, axis), _along(dilation, axis)
        if isinstance(padding, str):
            before = apart * (size - 1) // 2 if padding == "same" else 0
        else:
            before = _along(padding, axis)
        before += extra[axis] if axis < len(extra) else 0
        for tap in range(size):
            if not 0 <= tap * apart - before < step:
                mask.select(axis + 2, tap).zero_()
    return weight * mask


def _divides(args: Any, kwargs: Any) -> bool:
    """Whether an adaptive pool has windows of one size, side by side."""
    image = bound(args, kwargs, 0, "input", default=None)
    wanted = bound(args, kwargs, 1, "output_size", default=None)
    return image.ndim > 3 and all(
        have % _along(wanted, axis) == 0 for axis, have in enumerate(image.shape[2:])
    )


def _corner(image: torch.Tensor, parts: Sequence[slice]) -> torch.Tensor:
    """Take a part of the last axes."""
    key: tuple[Any, ...] = (..., *parts)
    return image[key]


def _along(value: Any, axis: int) -> int:
    return int(value) if isinstance(value, int) else int(value[axis if axis < len(value) else 0])


def _with(args: tuple[Any, ...], old: torch.Tensor, new: torch.Tensor) -> tuple[Any, ...]:
    """Put one operand in the place of another."""

    def exchanged(value: Any) -> Any:
        if value is old:
            return new
        if isinstance(value, (tuple, list)):
            return type(value)(exchanged(one) for one in value)
        return value

    return tuple(exchanged(value) for value in args)


def _tensors(args: Any, kwargs: Any) -> list[torch.Tensor]:
    found = []
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (tuple, list)):
            found += [one for one in value if isinstance(one, torch.Tensor)]
    return found

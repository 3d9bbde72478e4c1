"""How an image becomes tokens: the linear map of its patches, and what the first block is given."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from vit_widgets.activations.seeing import Reached
from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import Grid, VisionModel, anatomy

# How far a map may be from what its weights say, as a share of what it adds up. Float32 on a GPU
# multiplies with ten bits.
_ROUNDING = {torch.float64: 1e-11, torch.float32: 2e-3}
_COARSE = 2e-2

_DIGIT = 256  # the largest count that half precision of every kind spells exactly


@dataclass(frozen=True)
class PatchEmbedding:
    """The linear map that each patch of an image goes through on its own.

    Attributes
    ----------
    path
        Of the module.
    filters
        Its weights, float (filter, channel, row, col); float64 of a float64 model, else float32.
    bias
        float (filter,); 0 where the module has none.
    """

    path: str
    filters: np.ndarray
    bias: np.ndarray

    def grid(self, height: int, width: int) -> Grid:
        """Lay patches over an image; what is left at the right and below is not seen."""
        down, across = self.filters.shape[-2:]
        return Grid(height // down, width // across, (down, across))

    def patches(self, image: torch.Tensor) -> np.ndarray:
        """Cut an image (channel, height, width) up: (patch, channel, row, col), raster order."""
        values = image.detach().cpu()
        pixels = (values if values.dtype == torch.float64 else values.float()).numpy()
        grid = self.grid(*pixels.shape[-2:])
        down, across = self.filters.shape[-2:]
        seen = pixels[:, : grid.rows * down, : grid.cols * across]
        cut = seen.reshape(len(seen), grid.rows, down, grid.cols, across)
        return cut.transpose(1, 3, 0, 2, 4).reshape(grid.size, len(seen), down, across)


@dataclass(frozen=True)
class Embedded:
    """What became of two images on the way to the first block: see :func:`embedded`.

    Attributes
    ----------
    mapped
        What the patch embedding returned for the image, float (patch, filter), bias included.
    tokens
        What the first block was given, float (token, feature).
    added
        ``tokens - mapped`` of the patches, float (patch, feature): what stands between the two.
    fixed
        Whether that is the same for another image: then it is the embedding of the position.
    """

    mapped: np.ndarray
    tokens: np.ndarray
    added: np.ndarray
    fixed: bool


@dataclass(frozen=True)
class _Found:
    """Where the map is, and in which order a row of its weights holds the pixels of a patch."""

    path: str
    patch: tuple[int, int, int]
    order: np.ndarray | None


_known: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, _Found]] = weakref.WeakKeyDictionary()


def patch_embedding(model: VisionModel, shape: Sequence[int] | None = None) -> PatchEmbedding:
    """Find the linear map that a model applies to disjoint patches of the image.

    Parameters
    ----------
    model
        The model.
    shape
        Channels, height and width of its input; default: the model's own.

    Returns
    -------
    PatchEmbedding

    Raises
    ------
    ValueError
        If the model has no such map, or it cannot be confirmed, with what was seen instead.

    Notes
    -----
    The model is asked: it is given images in which each pixel spells its own number, and the first
    convolution (kernel as wide as its stride) or ``nn.Linear`` that receives these very numbers is
    the map. In which order a linear layer has the pixels is read off them; what it returns must be
    what these weights make of them.

    Examples
    --------
    >>> patch_embedding(load("demo")).filters.shape                    # doctest: +SKIP
    (192, 3, 12, 12)
    """
    shape = tuple(shape or model.batch(Image.new("RGB", (64, 64), (128, 128, 128))).shape[1:])
    if len(shape) != 3:
        msg = f"{model.name} takes videos; filters are found of models of images alone"
        raise ValueError(msg)
    known = _known.setdefault(model.module, {})
    question = (shape, model.forward)
    if question not in known:
        known[question] = _search(model, shape)
    found = known[question]
    return _read(dict(model.module.named_modules())[found.path], found)


def embedded(
    model: VisionModel, embedding: PatchEmbedding, block: str, image: torch.Tensor
) -> Embedded | None:
    """Follow an image from its patches to the first block; the rest of the model does not run.

    Parameters
    ----------
    model
        The model.
    embedding
        Its patch embedding.
    block
        Path of the first block.
    image
        (channel, height, width), as the model takes it.

    Returns
    -------
    Embedded
        ``None`` where the first block is not given one token, as wide as there are filters, for
        every patch and each prefix token.
    """
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    batch = model.to_device(torch.stack([image, noise.to(image.dtype)]))
    seen: dict[str, torch.Tensor | None] = {}

    def mapped(_part: nn.Module, _args: Any, output: torch.Tensor) -> None:
        # a copy: what comes after may add to it in place
        seen.setdefault("mapped", output.detach().clone())

    def given(_part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen["tokens"] = anatomy.stream((*args, *kwargs.values()), len(batch))
        raise Reached

    with model.evaluating() as parts, contextlib.suppress(Reached):
        modules = dict(parts)
        hooks = (
            modules[embedding.path].register_forward_hook(of_this_thread(mapped)),
            modules[block].register_forward_pre_hook(of_this_thread(given), with_kwargs=True),
        )
        with _until_removed(hooks):
            model.run(batch)
    count = len(embedding.filters)
    rows, tokens = _of_patches(seen.get("mapped"), count), seen.get("tokens")
    if rows is None or tokens is None or tokens.ndim != 3:
        return None
    if tokens.shape[-1] != count or tokens.shape[1] < rows.shape[1]:
        return None
    laid, whole = _numbers(rows), _numbers(tokens)
    added = whole[:, whole.shape[1] - laid.shape[1] :] - laid
    size = max(np.abs(whole).max(), np.abs(laid).max())
    rounding = 16 * torch.finfo(tokens.dtype).eps * size
    fixed = bool(np.abs(added[0] - added[1]).max() <= rounding)
    return Embedded(laid[0], whole[0], added[0], fixed)


def _search(model: VisionModel, shape: tuple[int, ...]) -> _Found:
    """Run the beginning of the model on images of numbers until the map is met."""
    size = math.prod(shape)
    digits = max(1, math.ceil(math.log(size, _DIGIT)))
    spelled = torch.arange(size).reshape(shape)
    numbers = torch.stack([spelled // _DIGIT**i % _DIGIT for i in range(digits)])
    batch = model.to_device(numbers.float())
    reasons: list[str] = []
    found: list[_Found] = []

    def look(path: str) -> Callable[..., None]:
        def hook(part: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            given = args[0] if args else None
            if not isinstance(given, torch.Tensor) or not isinstance(output, torch.Tensor):
                return
            if isinstance(part, nn.Conv2d):
                seen = _of_convolution(path, part, given, batch, reasons)
            else:
                seen = _of_linear(path, given, batch, reasons)
            if seen is None:
                return
            if not _confirmed(_read(part, seen), batch, output):
                reasons.append(f"{path} returns something else than its weights make of the pixels")
                return
            found.append(seen)
            raise Reached

        return hook

    with model.evaluating() as parts, contextlib.suppress(Reached):
        hooks = [
            part.register_forward_hook(of_this_thread(look(path)))
            for path, part in parts
            if isinstance(part, (nn.Conv2d, nn.Linear))
        ]
        with _until_removed(hooks):
            model.run(batch)
    if not found:
        seen = (
            reasons[0] if reasons else "nothing linear was seen to be given the pixels themselves"
        )
        msg = f"{model.name} has no linear map of disjoint patches: {seen}"
        raise ValueError(msg)
    return found[0]


@contextlib.contextmanager
def _until_removed(hooks: Sequence[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _of_convolution(
    path: str, part: nn.Conv2d, given: torch.Tensor, batch: torch.Tensor, reasons: list[str]
) -> _Found | None:
    if given.shape != batch.shape or not torch.equal(given, batch):
        return None
    down, across = part.kernel_size
    plain = part.stride == part.kernel_size and part.groups == 1 and part.padding in (0, (0, 0))
    if not plain or part.dilation != (1, 1):
        groups = f", {part.groups} groups" if part.groups > 1 else ""
        reasons.append(
            f"{path} has kernels of {down} x {across} pixels, stride {part.stride[0]} x "
            f"{part.stride[1]}, padding {part.padding}{groups}"
        )
        return None
    return _Found(path, (part.in_channels, down, across), None)


def _of_linear(
    path: str, given: torch.Tensor, batch: torch.Tensor, reasons: list[str]
) -> _Found | None:
    """Read off the numbers that a linear layer is given which pixel stands where."""
    if given.ndim < 3 or len(given) != len(batch):
        return None
    digits = given.reshape(len(given), -1, given.shape[-1]).double().cpu().numpy()
    size = batch[0].numel()
    if digits[0].size > size or not (digits == np.clip(np.round(digits), 0, _DIGIT - 1)).all():
        return None
    pixels = sum(digit.astype(np.int64) * _DIGIT**i for i, digit in enumerate(digits))
    if pixels.max() >= size or len(np.unique(pixels)) != pixels.size or pixels.size < 2:
        return None
    channel, row, col = np.unravel_index(pixels, tuple(batch.shape[1:]))
    top, left = row.min(axis=1, keepdims=True), col.min(axis=1, keepdims=True)
    down, across = int(np.ptp(row[0])) + 1, int(np.ptp(col[0])) + 1
    patch = (int(batch.shape[1]), down, across)
    cols = int(batch.shape[-1]) // across
    raster = np.arange(len(pixels))[:, None]
    if pixels.shape[1] != math.prod(patch) or not (
        (top == raster // cols * down).all() and (left == raster % cols * across).all()
    ):
        reasons.append(f"the pixels that {path} is given form no patches in raster order")
        return None
    order = np.ravel_multi_index((channel, row - top, col - left), patch)
    if not (order == order[0]).all():
        reasons.append(f"{path} is given the pixels of its patches in different orders")
        return None
    return _Found(path, patch, order[0])


def _read(part: nn.Module, found: _Found) -> PatchEmbedding:
    """Lay the weights out as filters, as they are now."""
    weight, bias = _numbers(part.weight), getattr(part, "bias", None)  # type: ignore[arg-type]
    flat = weight.reshape(len(weight), -1)
    if found.order is not None:
        ordered = np.empty_like(flat)
        ordered[:, found.order] = flat
        flat = ordered
    offset = np.zeros(len(flat), flat.dtype) if bias is None else _numbers(bias)
    return PatchEmbedding(found.path, flat.reshape(len(flat), *found.patch), offset)


def _confirmed(embedding: PatchEmbedding, batch: torch.Tensor, output: torch.Tensor) -> bool:
    """Whether a module returned what these filters make of the images."""
    count = len(embedding.filters)
    rows = _of_patches(output, count)
    if rows is None:
        return False
    tolerance = _ROUNDING.get(batch.dtype, _COARSE)
    filters = embedding.filters.reshape(count, -1)
    for image, row in zip(batch, _numbers(rows), strict=True):
        patches = embedding.patches(image).reshape(-1, filters.shape[1])
        if row.shape != (len(patches), count):
            return False
        added = np.abs(patches) @ np.abs(filters.T) + np.abs(embedding.bias)
        wanted = patches @ filters.T + embedding.bias
        if not (np.abs(row - wanted) <= tolerance * added).all():
            return False
    return True


def _of_patches(output: torch.Tensor | None, filters: int) -> torch.Tensor | None:
    """Lay what a map returned out as (image, patch, filter); ``None`` if it is of another form."""
    if output is None:
        return None
    if output.ndim == 4 and output.shape[1] == filters:  # of a convolution
        return output.flatten(2).transpose(1, 2)
    if output.shape[-1] != filters:
        return None
    return output.reshape(len(output), -1, filters)


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    held = tensor.detach().cpu()
    return np.asarray((held if held.dtype == torch.float64 else held.float()).numpy())

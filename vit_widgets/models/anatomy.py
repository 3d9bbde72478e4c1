"""What a vision transformer is made of: its prefix tokens, its blocks, its head.

Everything here is read off the module; nothing is changed and no forward is run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

# Parameter names under which the libraries and most research code keep their prefix tokens.
_CLASS = {"cls_token", "class_token", "class_embedding", "cls_emb", "cls"}
_DISTILLATION = {"dist_token", "distillation_token"}
_NUMBER = re.compile(r"[._]?\d+$")
_REGISTERS = {"reg_token", "reg_tokens", "register_tokens", "registers", "storage_tokens"}


def walk(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """List every part of a module with its path, as ``named_modules`` does, in a tenth of its time.

    A capture walks the tree twice, and on a small model torch's nested generators would cost as
    much as a block.

    Examples
    --------
    >>> [path for path, _ in walk(nn.Sequential(nn.Linear(1, 1), nn.ReLU()))]
    ['', '0', '1']
    """
    found: list[tuple[str, nn.Module]] = []
    seen: set[int] = set()
    waiting = [("", module)]
    while waiting:
        path, part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        found.append((path, part))
        children = part._modules
        if children:
            prefix = f"{path}." if path else ""
            waiting += [(prefix + key, child) for key, child in children.items() if child][::-1]
    return found


def prefix_tokens(module: nn.Module) -> tuple[str, ...]:
    """Name the tokens that a model puts before its patches.

    Parameters
    ----------
    module
        Any vision transformer.

    Returns
    -------
    tuple of str
        In the order class, distillation, registers, which timm, Hugging Face and the DINO models
        share; whether a given sequence really begins with them is checked by running the model
        (``activations/placement.py``).

    Examples
    --------
    >>> import timm
    >>> prefix_tokens(timm.create_model("deit_tiny_distilled_patch16_224"))
    ('class', 'distillation')
    """
    found = {"class": 0, "distillation": 0, "register": 0}
    counted: set[str] = set()
    for path, parameter in module.named_parameters():
        numbered = _NUMBER.sub("", path)  # one for each branch or stage: each has its own
        name = numbered.rsplit(".", 1)[-1]
        if numbered in counted:
            continue
        count = parameter.shape[-2] if parameter.ndim > 1 else 1
        for kind, known in (
            ("class", _CLASS),
            ("distillation", _DISTILLATION),
            ("register", _REGISTERS),
        ):
            if name in known:
                found[kind] += count
                counted.add(numbered)
    names = [
        kind if count == 1 else f"{kind} {index}"
        for kind, count in found.items()
        if kind != "register"
        for index in range(count)
    ]
    return (*names, *(f"register {index}" for index in range(found["register"])))


def repeated_parts(parts: Iterable[tuple[str, nn.Module]]) -> list[tuple[str, nn.Module]]:
    """Choose what may be a transformer block: what has parts of its own and stands in a container.

    Members of an ``nn.Sequential`` or ``nn.ModuleList``, and what such a member holds (the two
    attention layers of a MaxViT block are blocks of their own).

    Parameters
    ----------
    parts
        From :func:`walk`.

    Examples
    --------
    >>> import timm
    >>> parts = repeated_parts(walk(timm.create_model("vit_tiny_patch16_224")))
    >>> [path for path, _ in parts][:2]
    ['blocks.0', 'blocks.0.attn']
    """
    parts = list(parts)
    members = _members(parts)
    return [
        (path, part)
        for path, part in parts
        if part._modules
        and not isinstance(part, nn.ModuleList)
        and any(around in members for around in _upwards(path))
    ]


def blocks_around(
    parts: Iterable[tuple[str, nn.Module]], attending: Iterable[str], feeding: Iterable[str] = ()
) -> list[str]:
    """Choose the blocks: the smallest parts that hold an attention and a feed-forward layer.

    Where the two are members of one container with several of either (iFormer, MobileNetV5), each
    member is a block. So is the smallest repeated part around an attention that has no
    feed-forward layer beside it, and around a feed-forward layer without attention (ConvNeXt). In
    a hierarchical model these are the blocks, not the stages.

    Parameters
    ----------
    parts
        From :func:`walk`.
    attending, feeding
        Paths of the modules that attend, and of the feed-forward layers, in execution order.

    Returns
    -------
    list of str
        Paths, those around attention first.

    Examples
    --------
    >>> inside = nn.ModuleDict({"attn": nn.Linear(1, 1), "mlp": nn.Linear(1, 1)})
    >>> model = nn.ModuleDict({"stages": nn.ModuleList([nn.ModuleList([inside])])})
    >>> blocks_around(walk(model), ["stages.0.0.attn"], ["stages.0.0.mlp"])
    ['stages.0.0']
    """
    parts = list(parts)
    members = _members(parts)
    containers = {path for path, part in parts if _holds(part)}
    attending = list(dict.fromkeys(attending))
    # A gate of attention is no feed-forward layer; one that a whole block attends beside is.
    attention = [path for path in attending if path not in members]
    feeding = [
        path
        for path in dict.fromkeys(feeding)
        if not any(_within(path, around) for around in attention)
    ]
    around = {
        path: _around_both(path, members, containers, attending, feeding) for path in attending
    }
    # What holds blocks is a stage, even if it attends between them as well.
    found = {block for block in around.values() if block}
    blocks = {block: None for block in around.values() if block and not _holds_any(block, found)}
    for path in (*attending, *feeding):
        if not any(_within(path, block) for block in blocks):
            blocks[_alone(path, members, blocks)] = None
    return [block for block in blocks if block]


def _alone(path: str, members: Collection[str], blocks: Collection[str]) -> str:
    """Find the block around what stands alone: the smallest repeated part, or what is in it.

    A stage that holds blocks is none; the largest part of it that holds no other block is.
    """
    found = ""
    for around in _upwards(path):
        if _holds_any(around, blocks):
            return found
        found = around
        if around in members:
            return around
    return ""


def _holds_any(around: str, blocks: Iterable[str]) -> bool:
    return any(_inside(block, around) for block in blocks)


def _around_both(
    path: str,
    members: Collection[str],
    containers: Collection[str],
    attending: list[str],
    feeding: list[str],
) -> str:
    """Go up from a place of attention to the first part that feeds forward as well; else ``""``."""
    in_member = [around for around in _upwards(path) if around in members]
    for around in _upwards(path):
        if not (in_member and _within(around, in_member[-1])):
            return ""
        fed = [other for other in feeding if _within(other, around)]
        if not fed:
            continue
        if around not in containers:
            # What holds its attention in a container is a block only if it is repeated itself.
            direct = not any(step in members for step in _upwards(path) if _inside(step, around))
            return around if direct or around in members else ""
        heads = {_child(other, around) for other in attending if _within(other, around)}
        single = len(heads) == len({_child(other, around) for other in fed}) == 1
        return around if single and around in members else ""
    return ""


def _members(parts: Iterable[tuple[str, nn.Module]]) -> set[str]:
    """Paths of what stands in a container and has parts of its own."""
    parts = list(parts)
    containers = {path for path, part in parts if _holds(part)}
    return {
        path
        for path, part in parts
        if path and path.rpartition(".")[0] in containers and part._modules
    }


def _holds(part: nn.Module) -> bool:
    return isinstance(part, (nn.ModuleList, nn.Sequential))


def _upwards(path: str) -> Iterator[str]:
    """List a path and those around it, without the model itself."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _within(path: str, around: str) -> bool:
    return path == around or _inside(path, around)


def _inside(path: str, around: str) -> bool:
    return path.startswith(f"{around}.")


def _child(path: str, around: str) -> str:
    """Which child of a part a path leads through."""
    return path[len(around) + 1 :].partition(".")[0]


def stream(output: Any, images: int) -> torch.Tensor | None:
    """Find the tokens, or the feature map, in whatever a block returned; ``None`` without any.

    The first tensor with the images on its first axis, else the first of all: a block may hand on
    more than one (TNT its inner and outer tokens, EfficientViM its states).

    Examples
    --------
    >>> inner, outer = torch.zeros(8, 16, 24), torch.zeros(2, 5, 96)
    >>> stream((inner, outer), images=2).shape
    torch.Size([2, 5, 96])
    """
    if isinstance(output, Mapping):
        output = tuple(output.values())
    several = output if isinstance(output, (tuple, list)) else (output,)
    tensors = [value for value in several if isinstance(value, torch.Tensor)]
    of_images = [tensor for tensor in tensors if tensor.ndim and len(tensor) == images]
    return next(iter((*of_images, *tensors)), None)


def logits(output: Any) -> torch.Tensor | None:
    """Find the (image, class) scores in whatever a forward returned; ``None`` if there are none.

    A tensor, an object with ``logits`` (Hugging Face), a mapping with the same key, or a sequence
    whose first member is such a tensor. Token sequences and feature maps are not scores.
    """
    if isinstance(output, torch.Tensor):
        return output if output.ndim == 2 else None
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    if isinstance(named, torch.Tensor):
        return logits(named)
    if isinstance(output, (tuple, list)) and output:
        return logits(output[0])
    return None


def embedding(output: Any) -> torch.Tensor | None:
    """Find the vector (image, feature) that an image tower returns; ``None`` if there is none.

    A tensor, or what Hugging Face names ``image_embeds`` or ``pooler_output``.
    """
    for name in ("image_embeds", "pooler_output"):
        named = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
        output = output if named is None else named
    return output if isinstance(output, torch.Tensor) and output.ndim == 2 else None


def is_of(module: nn.Module, package: str) -> bool:
    """Whether a module's class, or one that it is derived from, is of a package.

    Examples
    --------
    >>> is_of(nn.Linear(1, 1), "torch.nn"), is_of(nn.Linear(1, 1), "torch.n")
    (True, False)
    """
    return any(f"{kind.__module__}.".startswith(f"{package}.") for kind in type(module).__mro__)


def gives_features(module: nn.Module) -> bool:
    """Whether the vectors that a model returns are known to be features, not class scores.

    So it is for the vision tower of a model of images and text, and for a model without its head.

    Examples
    --------
    >>> import timm
    >>> gives_features(timm.create_model("test_vit", num_classes=0))
    True
    """
    if is_of(module, "open_clip") or is_of(module, "clip"):  # embeddings, whatever the tower is
        return True
    classes = getattr(module, "num_classes", None)
    if isinstance(classes, int):
        return classes == 0
    heads = [getattr(module, name, None) for name in ("head", "heads", "fc", "classifier")]
    heads = [head for head in heads if isinstance(head, nn.Module)]
    return bool(heads) and all(isinstance(head, nn.Identity) for head in heads)


def takes_channels(module: nn.Module, channels: int) -> bool:
    """Whether some convolution takes so many channels; ``True`` where there is none to ask.

    Any of them counts, not the first: parts may be registered in another order than they run. A
    model that transforms colours first may say itself what it takes (timm's ``in_chans``).
    """
    if getattr(module, "in_chans", None) == channels:
        return True
    convolutions = [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.Conv3d))]
    return not convolutions or any(part.in_channels == channels for part in convolutions)

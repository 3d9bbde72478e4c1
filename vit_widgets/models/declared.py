"""What a module says of itself: its name, input size, preprocessing and labels.

The libraries say it in different places: timm in ``pretrained_cfg``, Hugging Face in ``config``,
open_clip on the tower, torchvision hardly at all. What nobody says is assumed, and the note of the
preprocessing says what was.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from vit_widgets.models import anatomy, hugging_face, preprocessing
from vit_widgets.models.preprocessing import Preprocessing

# What the weights of torchvision's models were trained with; a bare module does not say it.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_KINETICS_MVIT = ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
# What open_clip trains with, unless a tower says otherwise.
_OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def module_name(module: nn.Module) -> str:
    """Name a module: its architecture in timm, else its class."""
    config = getattr(module, "pretrained_cfg", None) or {}
    architecture = config.get("architecture") if isinstance(config, dict) else None
    return architecture or type(module).__name__


def preprocessing_of(module: nn.Module) -> Preprocessing:
    """Find how pictures are prepared for a module, or for the first of its parts that tells.

    Examples
    --------
    >>> preprocessing_of(nn.Conv2d(3, 8, 8)).note.split(";")[0]
    'preprocessing is assumed (mean 0.5, std 0.5 and the size 224 × 224)'
    """
    found = _declared(module) or _of_torchvision(module)
    if found is None:
        parts = ((path, _declared(part)) for path, part in anatomy.walk(module)[1:])
        path, inner = next(((path, made) for path, made in parts if made), ("", None))
        if inner is not None:
            note = f"preprocessing is that of its part {path!r}; pass transform= for another"
            found = replace(inner, note=note)
    if found is None:
        found = preprocessing.assumed(input_size(module))
    if anatomy.takes_channels(module, 1) and not anatomy.takes_channels(module, 3):
        return found.in_grey()
    return found


def _declared(module: nn.Module) -> Preprocessing | None:
    """Preprocessing that a module names; ``None`` where it names none."""
    config = getattr(module, "pretrained_cfg", None)
    if isinstance(config, dict) and config.get("input_size"):
        return preprocessing.from_timm(module, input_size(module))
    if (anatomy.is_of(module, "open_clip") or anatomy.is_of(module, "clip")) and input_size(module):
        mean, std = (getattr(module, name, None) for name in ("image_mean", "image_std"))
        made = preprocessing.assumed(input_size(module), mean or _OPENAI[0], std or _OPENAI[1])
        return replace(made, note="") if mean and std else made
    processor = hugging_face.default_processor(module)
    if processor is not None:
        return preprocessing.from_processor(processor, input_size(module))
    return None


def _of_torchvision(module: nn.Module) -> Preprocessing | None:
    """Preprocessing of torchvision's weights, which their modules do not name."""
    if not anatomy.is_of(module, "torchvision.models"):
        return None
    colours = (
        _KINETICS_MVIT if anatomy.is_of(module, "torchvision.models.video.mvit") else _IMAGENET
    )
    return preprocessing.assumed(input_size(module), *colours)


def input_size(module: nn.Module) -> tuple[int, int] | None:
    """Height and width that a module, its config or its patch embedding names.

    Examples
    --------
    >>> import timm
    >>> input_size(timm.create_model("test_vit", img_size=(96, 160)))
    (96, 160)
    """
    inner = getattr(module, "model", None)  # what timm's feature wrappers and others hold
    config = getattr(module, "config", None)
    patches = (getattr(owner, "patch_embed", None) for owner in (module, inner))
    for owner in (module, config, getattr(config, "vision_config", None), *patches):
        for name in ("image_size", "img_size", "input_resolution", "crop_size"):
            size = getattr(owner, name, None)
            if isinstance(size, int):
                return (size, size)
            if isinstance(size, (tuple, list)) and len(size) == 2:
                return (int(size[0]), int(size[1]))
    return _derived_size(module)


def _derived_size(module: nn.Module) -> tuple[int, int] | None:
    """Input size of models that keep only the grids that follow from it."""
    this: Any = module
    if anatomy.is_of(module, "torchvision.models.maxvit"):  # the stem and the first block halve it
        rows, cols = this.blocks[0].grid_size
        return (4 * rows, 4 * cols)
    if anatomy.is_of(module, "torchvision.models.video.mvit"):
        rows, cols = this.pos_encoding.spatial_size
        return (rows * this.conv_proj.stride[1], cols * this.conv_proj.stride[2])
    if hugging_face.takes_patches(module):
        config = getattr(this.config, "vision_config", this.config)
        side = round(config.num_patches**0.5) * config.patch_size
        return (side, side)
    return None


@functools.cache
def _names_of(subset: str) -> tuple[str, ...]:
    """Read the class names of a part of ImageNet; timm parses its files anew each time."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo(subset)
    return tuple(info.index_to_description(index) for index in range(info.num_classes()))


def labels_of(module: nn.Module) -> Sequence[str] | None:
    """Class names that a module carries; ``None`` where it has none."""
    config = getattr(module, "pretrained_cfg", None)
    if anatomy.gives_features(module):
        return None
    if isinstance(config, dict):
        if config.get("label_names"):
            return tuple(config["label_names"])
        from timm.data import infer_imagenet_subset

        subset = infer_imagenet_subset(module)
        if subset:
            return _names_of(subset)
    by_index = getattr(getattr(module, "config", None), "id2label", None)
    if isinstance(by_index, dict) and by_index:
        names = tuple(str(by_index[index]) for index in sorted(by_index))
        # A config that was given no names fills in LABEL_0, LABEL_1, ...
        return None if all(re.fullmatch(r"LABEL_\d+", name) for name in names) else names
    return None

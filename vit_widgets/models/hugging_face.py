"""What Hugging Face models say of themselves: their image processor, and how they take patches.

Nothing is downloaded: a model in hand has a config, and transformers knows which processor class
belongs to it. Only the checkpoint has the processor's real settings, so the class's defaults are a
guess that is said; the real processor can be passed as ``transform=``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn


@dataclass(frozen=True)
class Processor:
    """An image or video processor as a transform: one PIL image to (channels, height, width).

    Examples
    --------
    >>> from transformers import ViTImageProcessor
    >>> to_pixels = Processor(ViTImageProcessor(size={"height": 32, "width": 48}))
    >>> to_pixels(Image.new("RGB", (100, 100))).shape
    torch.Size([3, 32, 48])
    """

    processor: Any

    def __call__(self, picture: Image.Image) -> torch.Tensor:
        """Run the processor on one picture; a video processor gets a video of one frame."""
        made = self.processor([picture], return_tensors="pt")
        pixels = next(value for key, value in made.items() if key.startswith("pixel_values"))
        while pixels.ndim > 3 and len(pixels) == 1:
            pixels = pixels[0]
        return pixels

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of what comes out, for a picture of their proportions."""
        crop = getattr(self.processor, "do_center_crop", None)
        size = self.processor.crop_size if crop else getattr(self.processor, "size", None)
        if size is None:
            return None
        height, width = size.get("height"), size.get("width")
        edge = size.get("shortest_edge")
        if height and width:
            return (int(height), int(width))
        return (int(edge), int(edge)) if edge else None

    @property
    def colours(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and std, per channel, that take a picture in [0, 1] to what comes out.

        ``None`` where each image is normalised by itself.
        """
        own = self.processor
        normalises = getattr(own, "do_normalize", None)
        mean, std = (own.image_mean, own.image_std) if normalises else (0.0, 1.0)
        if mean is None or std is None:
            return None
        factor = 255 * own.rescale_factor if own.do_rescale else 255.0
        shift = 1.0 if getattr(own, "offset", getattr(own, "rescale_offset", False)) else 0.0
        means, stds = np.broadcast_to(mean, 3), np.broadcast_to(std, 3)
        return (
            tuple(float(value + shift) / factor for value in means),
            tuple(float(value) / factor for value in stds),
        )

    @property
    def is_bgr(self) -> bool:
        """Whether the channels come out as blue, green, red."""
        return bool(getattr(self.processor, "do_flip_channel_order", None))


def as_processor(transform: object) -> Processor | None:
    """Recognise a Hugging Face processor, alone or in a processor of images and text."""
    processor = getattr(transform, "image_processor", transform)
    names = getattr(processor, "model_input_names", None)
    return Processor(processor) if isinstance(names, (list, tuple)) and names else None


def default_processor(module: nn.Module) -> Processor | None:
    """Make the processor that transformers registers for a model, with its class's defaults.

    A vision tower has its family's (``clip_vision_model``: that of ``clip``).

    Examples
    --------
    >>> from transformers import ViTConfig, ViTModel
    >>> config = ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
    >>> default_processor(ViTModel(config)).size
    (224, 224)
    """
    kind = getattr(getattr(module, "config", None), "model_type", None)
    if not isinstance(kind, str) or "transformers" not in sys.modules:
        return None  # whoever holds a model of theirs has imported it
    from transformers import CONFIG_MAPPING
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING

    # timm's wrapper asks for timm's config, which is read off the timm model inside.
    family = kind if kind != "timm_wrapper" else ""
    while family:
        known = family in CONFIG_MAPPING and CONFIG_MAPPING[family] in IMAGE_PROCESSOR_MAPPING
        if known:
            classes: Any = IMAGE_PROCESSOR_MAPPING[CONFIG_MAPPING[family]]
            found = list(classes.values() if isinstance(classes, Mapping) else classes)
            return Processor(next(one for one in found if one is not None)())
        family = family.rpartition("_")[0]
    return None


def takes_patches(module: nn.Module) -> bool:
    """Whether a model takes an image as a list of flat patches with their grid (SigLIP 2)."""
    kind = getattr(getattr(module, "config", None), "model_type", "")
    return isinstance(kind, str) and kind.startswith("siglip2")


def call_with_patches(module: nn.Module, batch: torch.Tensor) -> Any:
    """Call a SigLIP 2 model with images: their patches in raster order, none of them padding."""
    config: Any = getattr(module.config, "vision_config", module.config)
    images, channels, height, width = batch.shape
    side = config.patch_size
    rows, cols = height // side, width // side
    patches = batch[..., : rows * side, : cols * side]
    patches = patches.reshape(images, channels, rows, side, cols, side)
    patches = patches.permute(0, 2, 4, 3, 5, 1).reshape(images, rows * cols, -1)
    return module(
        pixel_values=patches,
        pixel_attention_mask=torch.ones(patches.shape[:2], dtype=torch.long, device=batch.device),
        spatial_shapes=torch.tensor([(rows, cols)] * images, device=batch.device),
    )

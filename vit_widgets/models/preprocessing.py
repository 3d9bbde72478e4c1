"""From a picture to what the model sees, and back to a picture that patches align with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torchvision import transforms

from vit_widgets.models import hugging_face

Transform = Callable[[Image.Image], torch.Tensor]


@dataclass(frozen=True)
class Preprocessing:
    """A transform with what is known of its normalisation.

    Attributes
    ----------
    transform
        From a PIL image in RGB to a float tensor (channels, height, width).
    mean, std
        Per channel, as applied last; ``None`` when the transform does not tell.
    note
        Empty, or one sentence on what had to be assumed; it is shown in the view.
    bgr
        Whether the channels are blue, green, red.
    """

    transform: Transform
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    note: str = ""
    bgr: bool = False

    def picture(self, pixels: torch.Tensor) -> np.ndarray:
        """Turn a model input (channels, height, width) back into uint8 (height, width, 3).

        Of a video (frame, channels, height, width) it makes (frame, height, width, 3). More
        channels than three are shown by the first three, others by the first as grey.
        """
        if pixels.ndim == 4:
            return np.stack([self.picture(frame) for frame in pixels])
        array = pixels.detach().float().cpu().numpy()
        if self.mean is not None and self.std is not None and len(self.mean) == len(array):
            array = array * np.reshape(self.std, (-1, 1, 1)) + np.reshape(self.mean, (-1, 1, 1))
        elif array.min() < 0 or array.max() > 1:
            # The normalisation is unknown: stretch, so that at least the shapes can be seen.
            array = (array - array.min()) / max(float(np.ptp(array)), 1e-12)
        array = np.moveaxis(np.clip(array, 0, 1), 0, -1)
        array = array[..., :3] if array.shape[2] >= 3 else np.repeat(array[..., :1], 3, axis=2)
        if self.bgr:
            array = array[..., ::-1]
        return np.round(array * 255).astype(np.uint8)

    def in_grey(self) -> Preprocessing:
        """Turn the picture grey first and give one channel, the mean of what the three would be."""
        mean, std, whole = self.mean, self.std, self.transform
        if mean is not None and std is not None:
            scale = 1 / float(np.mean([1 / s for s in std]))
            middle = scale * float(np.mean([m / s for m, s in zip(mean, std, strict=True)]))
            mean, std = (middle,), (scale,)
        note = "pictures are turned grey: the model takes one channel"
        return Preprocessing(
            transform=lambda picture: whole(picture.convert("L").convert("RGB")).mean(0, True),
            mean=mean,
            std=std,
            note=f"{self.note}; {note}" if self.note else note,
        )


def given(transform: Any) -> Preprocessing:
    """Wrap the user's own transform; mean and std are read off it.

    Off the ``Normalize`` step of a torchvision ``Compose`` (timm and open_clip give one too), a
    torchvision preset, or a Hugging Face image processor, which may be passed as it is.
    """
    processor = hugging_face.as_processor(transform)
    if processor is not None and processor.colours is not None:
        return Preprocessing(processor, *processor.colours, bgr=processor.is_bgr)
    transform = processor or transform
    steps: Sequence[Any] = getattr(transform, "transforms", [transform])
    for step in reversed(steps):
        mean, std = getattr(step, "mean", None), getattr(step, "std", None)
        if mean is not None and std is not None:
            return Preprocessing(transform, _floats(mean), _floats(std))
    note = "colours are approximate: the transform does not tell its normalisation"
    return Preprocessing(transform, None, None, note)


def from_timm(module: nn.Module, size: tuple[int, int] | None = None) -> Preprocessing:
    """Build the evaluation transform of a timm model from its data config.

    `size` is the module's own where it differs from that of its config (``img_size=``).
    """
    from timm import data

    config = data.resolve_model_data_config(module)
    if size is not None:
        config["input_size"] = (3, *size)
    transform = data.create_transform(**config, is_training=False)
    return Preprocessing(transform, _floats(config["mean"]), _floats(config["std"]))


def from_processor(
    processor: hugging_face.Processor, size: tuple[int, int] | None
) -> Preprocessing:
    """Preprocess as a Hugging Face processor class does by default, at the model's own size."""
    if processor.colours is None:
        return assumed(size or processor.size)
    kind = type(processor.processor).__name__.removesuffix("Pil")
    made = assumed(size or processor.size, *processor.colours)
    return replace(
        made,
        transform=_in_bgr(made.transform) if processor.is_bgr else made.transform,
        note=f"preprocessing is the class default of {kind}; pass transform= for the checkpoint's",
        bgr=processor.is_bgr,
    )


def assumed(
    size: tuple[int, int] | None,
    mean: Sequence[float] = (0.5, 0.5, 0.5),
    std: Sequence[float] = (0.5, 0.5, 0.5),
) -> Preprocessing:
    """Resize, cut out the middle and normalise (to [-1, 1] where nothing is known), and say so."""
    height, width = size or (224, 224)
    guess = "" if size else f" and the size {height} × {width}"
    transform = transforms.Compose(
        [
            _Cover(height, width),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
    colours = ", ".join(
        f"{name} {_shown(values)}" for name, values in (("mean", mean), ("std", std))
    )
    note = f"preprocessing is assumed ({colours}{guess}); pass transform= for the model's own"
    return Preprocessing(transform, _floats(mean), _floats(std), note)


def _in_bgr(transform: Transform) -> Transform:
    return lambda picture: transform(picture).flip(0)


def _shown(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in dict.fromkeys(values))


@dataclass(frozen=True)
class _Cover:
    """Resize a picture without distortion until it covers a size, and cut out the middle."""

    height: int
    width: int

    def __call__(self, picture: Image.Image) -> Image.Image:
        return ImageOps.fit(picture, (self.width, self.height), Image.Resampling.BICUBIC)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(values).reshape(-1))

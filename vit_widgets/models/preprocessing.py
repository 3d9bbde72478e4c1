"""From a picture to what the model sees, and back to a picture that patches align with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn
from torchvision import transforms

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
    """

    transform: Transform
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    note: str = ""

    def picture(self, pixels: torch.Tensor) -> np.ndarray:
        """Turn a model input (channels, height, width) back into uint8 (height, width, 3)."""
        array = pixels.detach().float().cpu().numpy()
        if self.mean is not None and self.std is not None and len(self.mean) == len(array):
            array = array * np.reshape(self.std, (-1, 1, 1)) + np.reshape(self.mean, (-1, 1, 1))
        elif array.min() < 0 or array.max() > 1:
            # The normalisation is unknown: stretch, so that at least the shapes can be seen.
            array = (array - array.min()) / max(float(np.ptp(array)), 1e-12)
        array = np.moveaxis(np.clip(array, 0, 1), 0, -1)
        if array.shape[2] != 3:
            array = np.repeat(array[..., :1], 3, axis=2)
        return np.round(array * 255).astype(np.uint8)


def given(transform: Transform) -> Preprocessing:
    """Wrap the user's own transform; mean and std are read off its ``Normalize`` step."""
    steps: Sequence[Any] = getattr(transform, "transforms", [transform])
    for step in reversed(steps):
        mean, std = getattr(step, "mean", None), getattr(step, "std", None)
        if mean is not None and std is not None:
            return Preprocessing(transform, _floats(mean), _floats(std))
    note = "colours are approximate: the transform does not tell its normalisation"
    return Preprocessing(transform, None, None, note)


def from_timm(module: nn.Module) -> Preprocessing:
    """Build the evaluation transform of a timm model from its data config."""
    from timm import data

    config = data.resolve_model_data_config(module)
    transform = data.create_transform(**config, is_training=False)
    return Preprocessing(transform, _floats(config["mean"]), _floats(config["std"]))


def assumed(size: tuple[int, int] | None) -> Preprocessing:
    """Resize, cut out the middle and normalise to [-1, 1] when nothing is known, and say so."""
    height, width = size or (224, 224)
    guess = "" if size else f" and the size {height} × {width}"
    half = (0.5, 0.5, 0.5)
    transform = transforms.Compose(
        [
            _Cover(height, width),
            transforms.ToTensor(),
            transforms.Normalize(half, half),
        ]
    )
    note = (
        f"preprocessing is assumed (mean 0.5, std 0.5{guess}); pass transform= for the model's own"
    )
    return Preprocessing(transform, half, half, note)


@dataclass(frozen=True)
class _Cover:
    """Resize a picture without distortion until it covers a size, and cut out the middle."""

    height: int
    width: int

    def __call__(self, picture: Image.Image) -> Image.Image:
        return ImageOps.fit(picture, (self.width, self.height), Image.Resampling.BICUBIC)


def _floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(values).reshape(-1))

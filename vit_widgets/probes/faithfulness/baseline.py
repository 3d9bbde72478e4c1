"""What a picture is replaced by."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from scipy.ndimage import gaussian_filter

from vit_widgets.models import VisionModel

Plain = Literal["mean", "black", "blur"]

Baseline: TypeAlias = "Plain | object"
"""What a picture is replaced by.

``"mean"``
    Its own mean colour.
``"black"``
    What black becomes in the model's preprocessing.
``"blur"``
    Itself, blurred by a Gaussian with a standard deviation of 1/16 of its shorter side.
a picture
    As of :func:`capture`; a float tensor (channels, row, col) is a model input, such as
    ``torch.zeros(3, 224, 224)``.
"""


def replacement(model: VisionModel, pixels: torch.Tensor, baseline: Baseline) -> torch.Tensor:
    """Make what replaces a picture: float (channels, row, col), on the CPU.

    Parameters
    ----------
    model
        The model.
    pixels
        The picture, as the model takes it.
    baseline
        See :data:`Baseline`.

    Raises
    ------
    ValueError
        For a word that names none, and a picture of another size.
    """
    if isinstance(baseline, str) and baseline in get_args(Plain):
        return _plain(model, pixels, baseline)
    if isinstance(baseline, str) and "." not in baseline and "/" not in baseline:
        words = ", ".join(map(repr, get_args(Plain)))
        msg = f"baseline={baseline!r} is not known; it is one of {words}, or a picture"
        raise ValueError(msg)
    other = model.batch(baseline)
    if other.shape != (1, *pixels.shape):
        msg = (
            f"at the model's input the baseline has the shape {tuple(other.shape)}, and the "
            f"picture {(1, *pixels.shape)}; give one of the same size"
        )
        raise ValueError(msg)
    return other[0].to(pixels)


def _plain(model: VisionModel, pixels: torch.Tensor, word: str) -> torch.Tensor:
    if word == "mean":
        return pixels.mean(dim=(1, 2), keepdim=True).expand_as(pixels).contiguous()
    if word == "black":
        black = model.normalize(torch.zeros(1, 3, 1, 1))[0].to(pixels)
        return black.expand_as(pixels).contiguous()
    spread = min(pixels.shape[1:]) / 16
    blurred = gaussian_filter(pixels.double().numpy(), (0, spread, spread))
    return torch.from_numpy(blurred).to(pixels)

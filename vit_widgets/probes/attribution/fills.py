"""What takes the place of what is covered: nothing is ever just absent from a picture."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
from torchvision.transforms import functional

from vit_widgets.models import VisionModel

Name = Literal["mean", "black", "blur", "zero"]
Fill: TypeAlias = "Name | torch.Tensor"
"""What is put in the place of pixels.

``"mean"``
    The mean colour of the image.
``"black"``
    Black.
``"blur"``
    The image itself, blurred by a Gaussian of a twentieth of its shorter side.
``"zero"``
    0 as the model takes it: the mean of the training pictures, where they are normalised so.
a tensor
    Of the size of the image as the model takes it, (1, channels, height, width).
"""


def filled(model: VisionModel, batch: torch.Tensor, fill: Fill) -> torch.Tensor:
    """Make the image of which the covered parts are taken.

    Parameters
    ----------
    model
        The model.
    batch
        The image, (1, channels, height, width), as the model takes it.
    fill
        See :data:`Fill`.

    Returns
    -------
    torch.Tensor
        As `batch`.

    Raises
    ------
    ValueError
        For a fill that is none of these, or a tensor of another size.

    Examples
    --------
    >>> from vit_widgets import load
    >>> filled(load("demo"), torch.ones(1, 3, 4, 4), "zero").sum()
    tensor(0.)
    """
    if isinstance(fill, torch.Tensor):
        if fill.shape != batch.shape:
            msg = (
                f"the fill has shape {tuple(fill.shape)}, and the image as the model takes it "
                f"{tuple(batch.shape)}; give one of that shape"
            )
            raise ValueError(msg)
        return fill.to(batch)
    if fill not in get_args(Name):
        listed = ", ".join(get_args(Name))
        msg = f"fill {fill!r} is not known; it is one of {listed}, or a tensor"
        raise ValueError(msg)
    if fill == "mean":
        return batch.mean(dim=(-2, -1), keepdim=True).expand_as(batch)
    if fill == "zero":
        return torch.zeros_like(batch)
    height, width = batch.shape[-2:]
    if fill == "black":
        black = model.normalize(torch.zeros(1, 3, height, width)).to(batch)
        return black[:, : batch.shape[1]] if black.ndim == 5 else black
    sigma = min(height, width) / 20
    side = min(2 * round(3 * sigma) + 1, 2 * ((min(height, width) - 1) // 2) + 1)
    return functional.gaussian_blur(batch, [side, side], [sigma, sigma])

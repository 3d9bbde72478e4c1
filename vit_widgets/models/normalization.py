"""How a transform changes colours, found by showing it plain pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image
from torch.nn import functional as F

_SIDE = 64
_MIXED = ((128, 128, 128), (51, 102, 204), (230, 25, 77))


@dataclass(frozen=True)
class Normalization:
    """An affine function of the colours of a pixel: ``matrix @ rgb + offset``.

    Attributes
    ----------
    matrix
        (channel, 3), float64.
    offset
        (channel,), float64: what black becomes.
    """

    matrix: torch.Tensor
    offset: torch.Tensor

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalise RGB pixels (image, 3, height, width) in [0, 1]; differentiable.

        Examples
        --------
        >>> halves = Normalization(torch.eye(3).double() * 2, -torch.ones(3).double())
        >>> halves(torch.full((1, 3, 1, 1), 0.75)).flatten()
        tensor([0.5000, 0.5000, 0.5000])
        """
        return F.conv2d(pixels, self.matrix.to(pixels)[..., None, None], self.offset.to(pixels))


def normalization_of(transform: Callable[[Image.Image], torch.Tensor]) -> Normalization:
    """Find how a transform changes colours.

    It is shown black, the three primaries, and then mixed colours in a white frame as a check. So
    it holds for any order of channels, for grey, and for values from 0 to 255.

    Parameters
    ----------
    transform
        From a PIL image in RGB to a float tensor (channels, height, width).

    Raises
    ------
    ValueError
        If what comes out is no affine function of the colour: where each image is normalised by
        itself, for example.

    Examples
    --------
    >>> from torchvision.transforms import ToTensor
    >>> normalization_of(ToTensor()).matrix
    tensor([[1., 0., 0.],
            [0., 1., 0.],
            [0., 0., 1.]], dtype=torch.float64)
    """

    def of(colour: tuple[int, ...], around: tuple[int, ...] | None = None) -> torch.Tensor:
        picture = Image.new("RGB", (_SIDE, _SIDE), around or colour)
        picture.paste(colour, (_SIDE // 4, _SIDE // 4, 3 * _SIDE // 4, 3 * _SIDE // 4))
        pixels = transform(picture)
        return pixels[:, pixels.shape[1] // 2, pixels.shape[2] // 2].double().cpu()

    offset = of((0, 0, 0))
    primaries = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    matrix = torch.stack([of(primary) - offset for primary in primaries], dim=1)
    made = Normalization(matrix, offset)
    # Grey pictures are rounded to whole levels on the way.
    allowed = 0.01 * matrix.abs().sum()
    for colour in _MIXED:
        expected = matrix @ (torch.tensor(colour).double() / 255) + offset
        found = of(colour, around=(255, 255, 255))
        if not (allowed > 0 and bool(((found - expected).abs() <= allowed).all())):
            msg = (
                "the transform is no affine function of a pixel's colours: RGB "
                f"{colour} in a white picture becomes "
                f"{_shown(found)}, and from black and the primaries {_shown(expected)} was "
                "expected; to optimise an image, load the model with a transform= that scales "
                "and shifts each channel, such as torchvision's Normalize"
            )
            raise ValueError(msg)
    return made


def _shown(values: torch.Tensor) -> str:
    return "(" + ", ".join(f"{value:.3g}" for value in values.tolist()) + ")"

"""What is optimised in place of an image, and how it becomes one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from vit_widgets.probes.feature_visualization.augmentations import random_of
from vit_widgets.probes.feature_visualization.settings import Settings


class Parametrized(Protocol):
    """Some images that are optimised.

    Attributes
    ----------
    values
        The leaf that an optimiser moves; its first axis is that of the images.
    """

    values: torch.Tensor

    def pixels(self) -> torch.Tensor:
        """Give the images, (image, 3, height, width), differentiable in `values`."""

    def settle(self) -> None:
        """Bring the values back to where they may be, after an update."""


class Pixels:
    """The image itself, at first uniform noise.

    Parameters
    ----------
    seeds
        One for each image.
    size
        Height and width.
    clip
        Whether values stay in [0, 1].
    like
        A tensor of the device and type.
    """

    def __init__(
        self, seeds: Sequence[int], size: tuple[int, int], *, clip: bool, like: torch.Tensor
    ) -> None:
        drawn = np.stack([random_of(seed).random((3, *size)) for seed in seeds])
        self.values = torch.from_numpy(drawn).to(like).requires_grad_()
        self._clip = clip

    def pixels(self) -> torch.Tensor:
        """Give the images, (image, 3, height, width)."""
        return self.values

    def settle(self) -> None:
        """Bring the pixels back to [0, 1]."""
        if self._clip:
            with torch.no_grad():
                self.values.clamp_(0, 1)


class Spectrum:
    """The Fourier coefficients of an image, at first close to grey.

    Each coefficient is scaled by 1 / frequency, so that one step of an optimiser moves all scales
    of an image as much as photographs have of them, and a sigmoid keeps the pixels in [0, 1] (Olah,
    Mordvintsev, Schubert 2017, "Feature Visualization").

    Parameters
    ----------
    seeds
        One for each image.
    size
        Height and width.
    decorrelate
        Whether the three channels of the spectrum are light, yellow to blue and green to purple
        instead of red, green and blue.
    like
        A tensor of the device and type.
    """

    def __init__(
        self, seeds: Sequence[int], size: tuple[int, int], *, decorrelate: bool, like: torch.Tensor
    ) -> None:
        height, width = size
        across = np.fft.rfftfreq(width)
        frequency = np.hypot(np.fft.fftfreq(height)[:, None], across)
        scale = 1 / np.maximum(frequency, 1 / max(height, width))
        # Coefficients of variance 1 make pixels of variance 1, whatever the size.
        scale /= math.sqrt(np.mean(scale**2))
        shape = (3, height, len(across), 2)
        drawn = np.stack([random_of(seed).standard_normal(shape) for seed in seeds])
        self.values = torch.from_numpy(_FIRST * drawn).to(like).requires_grad_()
        self._size = size
        self._scale = torch.from_numpy(scale).to(like)
        self._colors = torch.from_numpy(_COLORS).to(like) if decorrelate else None

    def pixels(self) -> torch.Tensor:
        """Give the images, (image, 3, height, width)."""
        coefficients = torch.view_as_complex(self.values) * self._scale
        waves = torch.fft.irfft2(coefficients, s=self._size, norm="ortho")
        if self._colors is not None:
            waves = torch.einsum("rc,nchw->nrhw", self._colors, waves)
        return waves.sigmoid()

    def settle(self) -> None:
        """Leave the coefficients: any are an image."""


_FIRST = 0.05
_AXES = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
"""Light, yellow to blue, green to purple: opponent colours, orthonormal, (axis, RGB)."""
_DEVIATIONS = np.array([0.46, 0.13, 0.06])
"""How much photographs vary along each (Olah et al. 2017, rounded)."""
_COLORS = (_AXES * _DEVIATIONS[:, None] / math.sqrt(np.mean(_DEVIATIONS**2))).T


def parametrized(
    settings: Settings, seeds: Sequence[int], size: tuple[int, int], like: torch.Tensor
) -> Parametrized:
    """Make the first images.

    Parameters
    ----------
    settings
        Of the run.
    seeds
        One for each image.
    size
        Height and width.
    like
        A tensor of the device and type.
    """
    if settings.parametrization == "pixel":
        return Pixels(seeds, size, clip=settings.clip, like=like)
    return Spectrum(seeds, size, decorrelate=settings.decorrelate, like=like)

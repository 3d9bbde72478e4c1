"""Copies of an image, each seen a little differently: no single pixel may carry a feature.

Everything that is drawn in a step is drawn from the seed and the number of that step alone, so one
step can be made again, and an image does not depend on what else is in its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vit_widgets.probes.feature_visualization.settings import Settings


@dataclass(frozen=True)
class Draw:
    """What is drawn for the copies of one image in one step.

    Attributes
    ----------
    mean, spread
        Of the colour shift, (copy, channel, 1, 1).
    noise
        (copy, channel, 1, 1), or (copy, channel, height, width).
    shift
        Rows down and columns right, for all copies.
    """

    mean: torch.Tensor
    spread: torch.Tensor
    noise: torch.Tensor
    shift: tuple[int, int]


def random_of(seed: int, step: int | None = None) -> np.random.Generator:
    """Give the source of chance of one step; of the first image where `step` is ``None``."""
    return np.random.default_rng([seed, 0 if step is None else step + 1])


def draw(settings: Settings, seed: int, step: int, size: tuple[int, int]) -> Draw:
    """Draw what the copies of one image get in one step.

    Parameters
    ----------
    settings
        With the ranges.
    seed, step
        Which draw: the same ones give the same.
    size
        Height and width of the image.

    Notes
    -----
    The laws of Ghiasi et al. 2022: μ uniform in ±range and σ = e^u with u uniform in ±range; a
    shift uniform in ±jitter; noise as their code has it, or as their paper says. In the code a
    counter goes down from ``steps - 2`` to 0, and is at ``steps - 1`` and ``steps - 2`` again in
    the last two of its ``steps + 1`` updates, which hardly move anything.
    """
    random = random_of(seed, step)
    channels = (settings.copies, 3, 1, 1)
    around, spread = settings.color_shift
    mean = random.uniform(-around, around, channels)
    sigma = np.exp(random.uniform(-spread, spread, channels))
    shift = random.integers(-settings.jitter, settings.jitter, 2, endpoint=True)
    scale = settings.noise_scale or 0.0
    if settings.noise == "code":
        left = (settings.steps - 2 - step) % settings.steps
        noise = random.standard_normal(channels) * scale * left / settings.steps
    elif settings.noise == "paper":
        noise = random.standard_normal((settings.copies, 3, *size)) * scale
    else:
        noise = np.zeros(channels)
    down, right = (int(one) for one in shift)
    return Draw(
        torch.from_numpy(mean), torch.from_numpy(sigma), torch.from_numpy(noise), (down, right)
    )


def color_shifted(images: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    """Move and scale the values of each channel: (x - mean) / spread."""
    return (images - mean.to(images)) / spread.to(images)


def jittered(images: torch.Tensor, shift: tuple[int, int]) -> torch.Tensor:
    """Roll images down and to the right; what leaves on one side enters on the other."""
    return torch.roll(images, shift, dims=(-2, -1))


def augmented(pixels: torch.Tensor, draws: Sequence[Draw]) -> torch.Tensor:
    """Make the copies: colour shift, then noise, then jitter, as the authors' code.

    Parameters
    ----------
    pixels
        (image, 3, height, width) in [0, 1].
    draws
        One for each image.

    Returns
    -------
    torch.Tensor
        (image, copy, 3, height, width); colour shift and noise leave [0, 1].
    """
    copies = [
        jittered(color_shifted(one[None], of.mean, of.spread) + of.noise.to(one), of.shift)
        for one, of in zip(pixels, draws, strict=True)
    ]
    return torch.stack(copies)

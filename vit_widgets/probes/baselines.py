"""Maps that know nothing of the model: what every attribution has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import sobel
from torch import nn

from vit_widgets.activations import capture
from vit_widgets.activations.cache import Part
from vit_widgets.models import Grid, VisionModel, load
from vit_widgets.probes.maps import PatchMap, PixelMap
from vit_widgets.probes.target import one_image

BASELINES = ("random map", "edge detector")
"""What they are called beside methods."""

_ATTENTION: tuple[Part, ...] = ("attention",)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709


def random_map(
    model: VisionModel | nn.Module | str, image: object, target: Any = None, seed: int = 0
) -> PatchMap | PixelMap:
    """Give every patch a random number.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        Not looked at: it is here so that this is called as attributions are.
    seed
        Of the numbers.

    Returns
    -------
    PatchMap or PixelMap
        Even random numbers in 0..1; of pixels where the model's patches are not known.

    Examples
    --------
    >>> random_map("demo", np.zeros((144, 144, 3), np.uint8)).values.shape
    (12, 12)
    """
    del target
    model = load(model)
    pixels = one_image(model, image)
    height, width = (int(side) for side in pixels.shape[-2:])
    grid = patch_grid(model, pixels)
    rng = np.random.default_rng(seed)
    params = {"model": model.name, "seed": seed}
    if grid is None:
        values = rng.random((height, width), np.float32)
        return PixelMap(values, (height, width), method="random_map", params=params)
    values = rng.random((grid.rows, grid.cols), np.float32)
    # the frames of a video lie beside each other
    return PatchMap(values, grid, (height, width * grid.frames), method="random_map", params=params)


def patch_grid(model: VisionModel, pixels: torch.Tensor) -> Grid | None:
    """Find where the patches of a model lie on a batch of inputs; ``None`` if it is not known."""
    axis = capture(model, pixels, keep=_ATTENTION).placement.axis
    return None if axis is None else axis.grid


def edge_map(model: VisionModel | nn.Module | str, image: object, target: Any = None) -> PixelMap:
    """Find edges: the length of the Sobel gradient of the luminance.

    It outlines objects without having seen a model, so a map that looks like it may say as little.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens: only its preprocessing counts.
    image
        One image, as of :func:`capture`.
    target
        Not looked at.

    Returns
    -------
    PixelMap
        At least 0; the luminance being in 0..1, at most √32.

    Raises
    ------
    ValueError
        For a video.

    Examples
    --------
    >>> edge_map("demo", np.zeros((144, 144, 3), np.uint8)).values.any()
    np.False_
    """
    del target
    model = load(model)
    [pixels] = one_image(model, image)
    picture = model.picture(pixels)
    if picture.ndim != 3:
        msg = "edges are found in one picture; give a frame of the video"
        raise ValueError(msg)
    luminance = picture @ _LUMINANCE / 255
    length = np.hypot(sobel(luminance, axis=0), sobel(luminance, axis=1)).astype(np.float32)
    height, width = length.shape
    return PixelMap(length, (height, width), method="edge_map", params={"model": model.name})

"""The gradient at the pixels: as it is, times the input, or averaged over noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.models import VisionModel, load
from vit_widgets.probes.attribution.input_gradients import (
    checked_count,
    laid_out,
    mean_gradient,
    settled,
    settled_gradient,
    stopped,
)
from vit_widgets.probes.maps import PixelMap, remarks
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import Score, Target, one_image, question


def saliency(
    model: VisionModel | nn.Module | str, image: object, target: Target = None
) -> PixelMap:
    """Measure how strongly the score answers to each pixel.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`).

    Returns
    -------
    PixelMap
        The largest absolute derivative among the channels, by the pixels as the model takes them
        (normalised).

    Raises
    ------
    ValueError
        For a model without scores or gradients, and for several images.

    Notes
    -----
    Simonyan, Vedaldi & Zisserman 2014, sec. 3.1.

    Examples
    --------
    >>> saliency("demo", image).values.shape                           # doctest: +SKIP
    (144, 144)
    """
    model = load(model)
    batch = one_image(model, image)
    score, value, slopes = settled_gradient(question(model, target), batch)
    slope = slopes[0].numpy()
    return _map(_largest(slope), "saliency", score, value, _params(model, target))


def input_x_gradient(
    model: VisionModel | nn.Module | str, image: object, target: Target = None
) -> PixelMap:
    """Multiply each pixel with the derivative of the score by it.

    Parameters
    ----------
    model, image, target
        As of :func:`saliency`.

    Returns
    -------
    PixelMap
        The sum over the channels, signed: to first order, what the score would lose if the pixel
        were 0 to the model.

    Raises
    ------
    ValueError
        As of :func:`saliency`.

    Notes
    -----
    Shrikumar et al. 2016. A pixel that is 0 as the model takes it (the mean of the training
    pictures, mostly) has none, however much it counts.

    Examples
    --------
    >>> input_x_gradient("demo", image).values.shape                   # doctest: +SKIP
    (144, 144)
    """
    model = load(model)
    batch = one_image(model, image)
    score, value, slopes = settled_gradient(question(model, target), batch)
    slope = slopes[0].numpy()
    products = (slope * model.to_device(batch)[0].cpu().to(torch.float64).numpy()).sum(axis=-3)
    return _map(products, "input_x_gradient", score, value, _params(model, target))


def smooth_grad(
    model: VisionModel | nn.Module | str,
    image: object,
    target: Target = None,
    samples: int = 25,
    sigma: float = 0.15,
    seed: int = 0,
    at_once: int = 8,
    progress: Progress | None = None,
) -> PixelMap:
    """Average the gradient over noisy copies of the image.

    Parameters
    ----------
    model, image, target
        As of :func:`saliency`.
    samples
        How many copies.
    sigma
        Standard deviation of the noise, as a share of the range of the image's values; 0 gives
        :func:`saliency`.
    seed
        Of the noise.
    at_once
        How many copies are run together.
    progress
        Called with how many are done, and of how many; ends by returning ``False``, and the map is
        the average of those.

    Returns
    -------
    PixelMap
        The largest absolute mean derivative among the channels.

    Raises
    ------
    ValueError
        As of :func:`saliency`; for no samples and negative noise.

    Notes
    -----
    Smilkov et al. 2017: 10 to 20 % of noise. The target is settled once, by the image itself.

    Examples
    --------
    >>> smooth_grad("demo", image, samples=10).values.shape            # doctest: +SKIP
    (144, 144)
    """
    checked_count("samples", samples)
    checked_count("at_once", at_once)
    if not sigma >= 0:
        msg = f"sigma={sigma} is no standard deviation; give 0 or more, as a share of the range"
        raise ValueError(msg)
    model = load(model)
    batch = one_image(model, image)
    score, value = settled(question(model, target), batch)
    deviation = sigma * float(batch.max() - batch.min())
    draws = torch.Generator().manual_seed(seed)

    def noisy(_number: int) -> torch.Tensor:
        return batch + deviation * torch.randn(batch.shape, generator=draws, dtype=batch.dtype)

    mean, done = mean_gradient(score, noisy, samples, at_once, progress)
    params = _params(model, target) | {"samples": samples, "sigma": sigma, "seed": seed}
    notes = stopped(done, samples, "samples")
    return _map(_largest(mean[0]), "smooth_grad", score, value, params, notes)


def _largest(slopes: np.ndarray) -> np.ndarray:
    largest: np.ndarray = np.abs(slopes).max(axis=-3)
    return largest


def _params(model: VisionModel, target: Target) -> dict[str, Any]:
    return {"model": model.name, "target": target}


def _map(
    pixels: np.ndarray,
    method: str,
    score: Score,
    value: float,
    params: dict[str, Any],
    notes: tuple[str, ...] = (),
) -> PixelMap:
    values = laid_out(pixels)
    size = (values.shape[0], values.shape[1])
    said = (*notes, *remarks(values))
    return PixelMap(values, size, score.read_out, value, method, params, said)

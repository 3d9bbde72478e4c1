"""Random masks, weighed by what the model still sees through them."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from vit_widgets.models import VisionModel, load
from vit_widgets.probes.attribution.fills import Fill, filled
from vit_widgets.probes.attribution.input_gradients import checked_count, laid_out, settled, stopped
from vit_widgets.probes.maps import PixelMap, remarks
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import Target, one_image, question


def rise(
    model: VisionModel | nn.Module | str,
    image: object,
    target: Target = None,
    samples: int = 2000,
    cells: int = 8,
    share: float = 0.5,
    fill: Fill = "zero",
    seed: int = 0,
    at_once: int = 8,
    progress: Progress | None = None,
) -> PixelMap:
    """Average random soft masks, each weighed by the score of the image seen through it.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`). The paper weighs by
        ``("probability", c)``; a logit may be negative, and then counts against what is seen.
    samples
        How many masks.
    cells
        Into how many a mask is cut, down and across.
    share
        Of the cells that are open, more than 0 and at most 1.
    fill
        What is seen where a mask is closed (:data:`~vit_widgets.probes.attribution.fills.Fill`).
    seed
        Of the masks.
    at_once
        How many are run together.
    progress
        Called with how many are done, and of how many; ends by returning ``False``, and the map is
        of those.

    Returns
    -------
    PixelMap
        ``Σ score · mask / (samples · share)``.

    Raises
    ------
    ValueError
        For a model without scores, several images, and numbers that make no masks.

    Notes
    -----
    Petsiuk, Das & Saenko 2018, eq. 6, and their masks: random cells, enlarged bilinearly by one
    cell more than the image, and cut out at a random place.

    Examples
    --------
    >>> rise("demo", image, ("probability", None), samples=500).values.shape  # doctest: +SKIP
    (144, 144)
    """
    for name, number in (("samples", samples), ("cells", cells), ("at_once", at_once)):
        checked_count(name, number)
    if not 0 < share <= 1:
        msg = f"share={share} opens no mask; give more than 0 and at most 1"
        raise ValueError(msg)
    model = load(model)
    batch = one_image(model, image)
    score, value = settled(question(model, target), batch)
    picture, cover = (model.to_device(one) for one in (batch, filled(model, batch, fill)))
    height, width = (int(side) for side in batch.shape[-2:])
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width))
    done = 0
    while done < samples:
        count = min(at_once, samples - done)
        masks = random_masks(rng, count, (height, width), cells, share)
        shown = (
            torch.from_numpy(masks)
            .to(picture)
            .reshape(count, *[1] * (picture.ndim - 3), height, width)
        )
        scores = score.of(shown * picture + (1 - shown) * cover, at_once)
        total += np.tensordot(scores, masks, axes=1)
        done += count
        if progress is not None and progress(done, samples) is False:
            break
    values = laid_out(_over_frames(total / (done * share), batch))
    return PixelMap(
        values,
        (values.shape[0], values.shape[1]),
        score.read_out,
        value,
        method="rise",
        params={
            "model": model.name,
            "target": target,
            "samples": samples,
            "cells": cells,
            "share": share,
            "fill": "given" if isinstance(fill, torch.Tensor) else fill,
            "seed": seed,
        },
        notes=(*stopped(done, samples, "masks"), *remarks(values)),
    )


def random_masks(
    rng: np.random.Generator, count: int, size: tuple[int, int], cells: int, share: float
) -> np.ndarray:
    """Draw soft masks: float64 (mask, row, col), 0 closed and 1 open.

    Parameters
    ----------
    rng
        Draws the cells, then the places.
    count
        How many.
    size
        Height and width in pixels.
    cells, share
        As of :func:`rise`.
    """
    height, width = size
    cell = (math.ceil(height / cells), math.ceil(width / cells))
    open_cells = (rng.random((count, 1, cells, cells)) < share).astype(np.float64)
    large = F.interpolate(
        torch.from_numpy(open_cells),
        size=((cells + 1) * cell[0], (cells + 1) * cell[1]),
        mode="bilinear",
        align_corners=False,
    )[:, 0].numpy()
    tops, lefts = (rng.integers(0, side, count) for side in cell)
    cut = [
        one[top : top + height, left : left + width]
        for one, top, left in zip(large, tops, lefts, strict=True)
    ]
    return np.stack(cut)


def _over_frames(values: np.ndarray, batch: torch.Tensor) -> np.ndarray:
    """Give every frame of a video the mask that all of them had."""
    return values if batch.ndim == 4 else np.stack([values] * batch.shape[1])

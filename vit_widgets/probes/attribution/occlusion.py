"""What the score loses when one patch is covered, or taken out of the sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations import Site, seeing, sites
from vit_widgets.models import Grid, VisionModel, load
from vit_widgets.models.video import patches_of_frames
from vit_widgets.probes.attribution.fills import Fill, filled
from vit_widgets.probes.attribution.input_gradients import checked_count, settled, stopped
from vit_widgets.probes.image_cells import image_cells
from vit_widgets.probes.maps import PatchMap, picture_size, remarks
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import Score, Target, one_image, question


def occlusion(
    model: VisionModel | nn.Module | str,
    image: object,
    target: Target = None,
    fill: Fill | str = "mean",
    cells: int | tuple[int, int] | None = None,
    at_once: int = 8,
    progress: Progress | None = None,
) -> PatchMap:
    """Cover each patch in turn, and measure by how much the score falls.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`).
    fill
        What a patch is covered with (:data:`~vit_widgets.probes.attribution.fills.Fill`); or
        ``"drop"``: its token is taken out before the first block, its position with it, so that no
        other picture is seen in its place. Only for models whose tokens stay as they are cut.
    cells
        How many are covered one after the other, down and across; default: the patches of the
        model's last block.
    at_once
        How many are run together.
    progress
        Called with how many are done, and of how many; ends by returning ``False``, and the map is
        NaN where it had not come to.

    Returns
    -------
    PatchMap
        The score less the one without the patch: exact, one forward for each.

    Raises
    ------
    ValueError
        For a model without scores, several images, a fill that is none, a model whose patches are
        not known where `cells` is not given, and one whose tokens cannot be dropped.

    Notes
    -----
    Zeiler & Fergus 2014, sec. 4.2. What is covered is exactly a patch, so no window slides over
    two. Pixels and patches interact: two patches that say the same can each be covered in vain.

    Examples
    --------
    >>> occlusion("demo", image, fill="blur").values.shape             # doctest: +SKIP
    (12, 12)
    """
    checked_count("at_once", at_once)
    model = load(model)
    batch = one_image(model, image)
    drops = isinstance(fill, str) and fill == "drop"
    grid = _grid(model, batch, None if drops else cells)
    score, value = settled(question(model, target), batch)
    if drops:
        without = _dropping(score, batch, grid)
    else:
        without = _covering(score, batch, grid, filled(model, batch, fill))  # type: ignore[arg-type]
    losses = np.full(grid.size, np.nan)
    done = 0
    for some in _runs(grid.size, 1 if score.one_by_one else at_once):
        losses[some] = value - without(some)
        done += len(some)
        if progress is not None and progress(done, grid.size) is False:
            break
    values = losses.reshape(grid.rows, grid.cols).astype(np.float32)
    params: dict[str, Any] = {
        "model": model.name,
        "target": target,
        "fill": "given" if isinstance(fill, torch.Tensor) else fill,
        "cells": (grid.rows, grid.cols),
        "forwards": done + 1,
    }
    return PatchMap(
        values,
        grid,
        picture_size(batch, grid),
        score.read_out,
        value,
        method="occlusion",
        params=params,
        notes=(*stopped(done, grid.size, "patches"), *remarks(values)),
    )


_Without = Callable[[list[int]], np.ndarray]
"""From numbers of patches to the score without each."""


def _covering(score: Score, batch: torch.Tensor, grid: Grid, cover: torch.Tensor) -> _Without:
    model = score.model
    picture, cover = model.to_device(batch), model.to_device(cover)

    def without(cells: list[int]) -> np.ndarray:
        covered = picture.repeat(len(cells), *[1] * (picture.ndim - 1))
        for one, cell in zip(covered, cells, strict=True):
            where = _pixels(batch, grid, cell)
            one[where] = cover[0][where]
        return score.of(covered, len(cells))

    return without


def _dropping(score: Score, batch: torch.Tensor, grid: Grid) -> _Without:
    model = score.model
    entrance = _entrance(model, batch, grid)
    assert entrance.axis is not None
    prefix = len(entrance.axis.prefix)
    picture = model.to_device(batch)

    def without(cells: list[int]) -> np.ndarray:
        kept = torch.tensor(
            [[t for t in range(entrance.tokens) if t != prefix + cell] for cell in cells]
        )

        def drop(_at: Site, tokens: torch.Tensor) -> torch.Tensor:
            chosen = kept.to(tokens.device)[..., None].expand(-1, -1, tokens.shape[-1])
            return tokens.gather(1, chosen)

        many = picture.expand(len(cells), *picture.shape[1:])
        try:
            with seeing(model, [entrance], drop):
                return score.of(many, len(cells))
        except RuntimeError as error:
            msg = (
                f"{model.name} cannot do without a token (its positions or its blocks count them: "
                f"{str(error).splitlines()[0]}); cover patches instead, fill='mean'"
            )
            raise ValueError(msg) from error

    return without


def _entrance(model: VisionModel, batch: torch.Tensor, grid: Grid) -> Site:
    """Find what the first block is given, one token for each patch."""
    first = sites(model, "resid", batch)[0]
    plain = first.axis is not None and first.axis.grid == grid and first.axis.cells is None
    if not plain or first.order != "features last" or first.lead > 1 or first.calls > 1:
        msg = (
            f"the tokens of {model.name} do not stay as they are cut (windows, a pyramid, or no "
            "known places), so none can be dropped; cover patches instead, fill='mean'"
        )
        raise ValueError(msg)
    return replace(first, end="input", part=None)


def _grid(model: VisionModel, batch: torch.Tensor, cells: int | tuple[int, int] | None) -> Grid:
    if cells is not None:
        return image_cells(np.empty(batch.shape[-2:]), cells)
    try:
        found = [one.axis.grid for one in sites(model, "resid", batch) if one.axis is not None]
    except ValueError:  # no block was seen
        found = []
    known = [grid for grid in found if grid is not None]
    if not known:
        msg = f"the patches of {model.name} are not known; say how many, for example cells=14"
        raise ValueError(msg)
    return known[-1]


def _pixels(batch: torch.Tensor, grid: Grid, cell: int) -> tuple[Any, ...]:
    """Where the pixels of a patch are in an image (channels, height, width), or in a video."""
    row, col = divmod(cell, grid.cols)
    frame, within = divmod(col, grid.across)
    x0, y0, x1, y1 = grid.box(row, within)
    box = (slice(None), slice(max(y0, 0), y1), slice(max(x0, 0), x1))
    if batch.ndim == 4:
        return box
    return (np.flatnonzero(patches_of_frames(batch.shape[1], grid.frames) == frame), *box)


def _runs(count: int, at_once: int) -> Iterator[list[int]]:
    for start in range(0, count, at_once):
        yield list(range(start, min(start + at_once, count)))

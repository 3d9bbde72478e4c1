"""One map of a comparison: made, measured, and described for the page; or why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from vit_widgets.activations import capture
from vit_widgets.activations.cache import Part
from vit_widgets.inspector.attribution_maps import on_cells
from vit_widgets.inspector.pictures import seen, thumbnail
from vit_widgets.inspector.places import box, described
from vit_widgets.models import Grid, TokenAxis, VisionModel
from vit_widgets.models.images import Picture
from vit_widgets.probes import Faithfulness, PatchMap, PixelMap, faithfulness
from vit_widgets.probes.faithfulness.scoring import Stopped
from vit_widgets.probes.faithfulness.units import even_cells
from vit_widgets.probes.maps import remarks
from vit_widgets.probes.target import Target
from vit_widgets.widgets.maps import token_axis

Method: TypeAlias = Callable[[VisionModel, Any, Any], "PatchMap | PixelMap"]
"""From (model, image, target) to a map."""

_ATTENTION: tuple[Part, ...] = ("attention",)

_PICTURE = 320  # pixels of a picture that travels, its longer side; of a video of each frame
_SQUARES = 96  # squares a side into which a map of pixels is averaged, at most


@dataclass(frozen=True)
class Subject:
    """A picture as one of the models takes it.

    Attributes
    ----------
    model
        The model.
    batch
        (1, channels, height, width), or of a video with frames; ``None`` where the model cannot
        take the picture.
    axis
        Where its patches lie, if that is known.
    pixels
        What the model sees, uint8 (height, width, 3); of a video the strip.
    reason
        Why it cannot take the picture; ``""`` if it can.
    """

    model: VisionModel
    batch: Any = None
    axis: TokenAxis | None = None
    pixels: np.ndarray | None = None
    reason: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the model's input, in pixels."""
        return int(self.batch.shape[-2]), int(self.batch.shape[-1])

    @property
    def cells(self) -> Grid:
        """On which maps are measured: the model's patches, where they are known."""
        if self.axis is not None and self.axis.grid is not None:
            return self.axis.grid
        return even_cells(self.size)


def subject(model: VisionModel, image: Picture) -> Subject:
    """Let a model look at a picture, or say why it cannot."""
    try:
        batch = model.batch(image)
        cache = capture(model, batch, keep=_ATTENTION)
    except (ValueError, TypeError, RuntimeError) as error:
        return Subject(model, reason=f"{model.name} cannot take this picture: {error}")
    return Subject(model, batch, cache.placement.axis, seen(cache))


def made(of: Subject, method: Method, name: str, target: Target) -> PatchMap | PixelMap | str:
    """Make a map, or say in words why there is none: the others go on.

    Parameters
    ----------
    of
        The picture.
    method
        What makes the map; of the user's own anything may come.
    name
        What the method is called.
    target
        What is explained.
    """
    if of.reason:
        return of.reason
    try:
        found = method(of.model, of.batch, target)
    except (ValueError, IndexError, NotImplementedError) as error:
        return str(error)  # a sentence of ours, or of the user
    except Exception as error:  # noqa: BLE001 - shown in the cell, whatever it is
        return f"{type(error).__name__}: {error}"
    return _wrong(found, name) or found


def _wrong(found: object, name: str) -> str:
    """Say what is wrong with what a method returned; ``""`` for a map."""
    if not isinstance(found, (PatchMap, PixelMap)):
        return (
            f"{name} returned {_described(found)}, which is no map; return a PatchMap or a "
            "PixelMap, such as vw.probes.PixelMap(values, values.shape)"
        )
    shape = np.shape(found.values)
    expected = (found.grid.rows, found.grid.cols) if isinstance(found, PatchMap) else found.size
    if tuple(shape) != tuple(expected):
        return (
            f"{name} returned a {type(found).__name__} whose values are {shape} where {expected} "
            "belong; give a number for each"
        )
    return ""


def _described(found: object) -> str:
    shape = getattr(found, "shape", None)
    kind = type(found).__name__
    return f"a {kind}" if shape is None else f"a {kind} of shape {tuple(shape)}"


def measured(
    of: Subject, found: PatchMap | PixelMap, target: Target, seed: int
) -> Faithfulness | str:
    """Measure the area between the two orders of a map, or say why it cannot be measured."""
    try:
        tested = faithfulness(
            of.model, of.batch, found, target, ("abpc",), seed=seed, grid=of.cells
        )
    except (ValueError, RuntimeError) as error:
        return f"not measured: {error}"
    if "abpc" not in tested.scores:
        raise Stopped  # the keyboard ended the measuring: it ends what would follow as well
    return tested


def row(of: Subject, image_index: int, model: int) -> dict[str, Any]:
    """Describe the picture of a row for the page."""
    about: dict[str, Any] = {"image_index": image_index, "model": model, "note": of.reason}
    if of.pixels is None:
        return about
    frames = 1 if of.axis is None or of.axis.grid is None else of.axis.grid.frames
    axis = described(of.axis, of.size) or {}
    return {**about, "picture": thumbnail(of.pixels, _PICTURE * frames), "axis": axis}


def cell(
    of: Subject, found: PatchMap | PixelMap | str, test: Faithfulness | str | None
) -> dict[str, Any]:
    """Describe a map for the page.

    Parameters
    ----------
    of
        The picture.
    found
        The map, or why there is none.
    test
        What was measured of it, why that could not be, or ``None``.
    """
    if isinstance(found, str):
        return {"note": found}
    grid = found.grid if isinstance(found, PatchMap) else _squares(of)
    values = on_cells(found, grid)
    area = test.scores["abpc"] if isinstance(test, Faithfulness) else None
    said = [*found.notes, *(note for note in remarks(found.values) if note not in found.notes)]
    if isinstance(test, str):
        said.append(test)
    return {
        "values": values if np.isfinite(values).any() else None,
        "axis": token_axis((grid.rows, grid.cols), (), box(grid, of.size)),
        "target": "no class" if found.target is None else found.target.words,
        "area": area,
        "note": "; ".join(said),
    }


def _squares(of: Subject) -> Grid:
    """Cut the picture into squares of whole pixels for a map of pixels: a whole number a patch."""
    grid = None if of.axis is None else of.axis.grid
    if grid is None:
        height, width = of.size
        side = math.ceil(max(height, width) / _SQUARES)
        return Grid(math.ceil(height / side), math.ceil(width / side), (side, side))
    high, wide = grid.cell
    whole = math.gcd(int(high), int(wide)) if high == int(high) and wide == int(wide) else 1
    most = max(1, _SQUARES // max(grid.rows, grid.across))
    split = max(parts for parts in range(1, most + 1) if whole % parts == 0)
    return Grid(
        grid.rows * split, grid.cols * split, (high / split, wide / split), grid.origin, grid.frames
    )

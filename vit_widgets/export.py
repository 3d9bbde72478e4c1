"""Pictures without a page: what a notebook shows where no widget can run.

Drawn with numpy and Pillow from the same packets as the page, with the same colours.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageFilter

Box: TypeAlias = tuple[float, float, float, float]

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
"""The whole picture: top, left, bottom, right as fractions of its height and width."""

_COLORMAPS = Path(__file__).parent / "widgets" / "colormaps.json"
_SEGMENT_COLORS = _COLORMAPS.with_name("segment_colors.json")
_AMBER = (245, 166, 35)  # reserved for the query; no colour map contains it


@functools.cache
def colormap(name: str) -> np.ndarray:
    """Give the 256 colours of a map, uint8 (256, 3); the page reads the same file.

    ``"signed"`` is the one for values of both signs, zero in its middle. It is our own: linear in
    OKLCh through five stops of lightness (0.16, 0.33, 0.50, 0.66, 0.82) and chroma (0, 0.07, 0.11,
    0.14, 0.098), the same to both sides, in hue 240 (blue) below zero and 15 (red) above. The
    others are those of matplotlib.

    Raises
    ------
    ValueError
        For an unknown name, naming the known ones.

    Examples
    --------
    >>> colormap("magma").shape
    (256, 3)
    """
    maps = json.loads(_COLORMAPS.read_text(encoding="utf-8"))
    if name not in maps:
        msg = f"there is no colour map {name!r}; the maps are {', '.join(maps)}"
        raise ValueError(msg)
    return np.array(
        [[int(entry.lstrip("#")[at : at + 2], 16) for at in (0, 2, 4)] for entry in maps[name]],
        dtype=np.uint8,
    )


def overlay(
    image: np.ndarray,
    values: np.ndarray,
    *,
    colors: str = "magma",
    opacity: float = 0.75,
    box: Box = WHOLE,
    query: Box | None = None,
    signed: bool = False,
    smooth: bool = True,
    most: float | None = None,
    fade: Callable[[np.ndarray], np.ndarray] = np.abs,
) -> Image.Image:
    """Lay a map over an image: the higher the value, the less of the image shows through.

    Parameters
    ----------
    image
        uint8 (height, width, 3).
    values
        float (row, col), shown by the square root of its magnitude against its own largest. NaN
        for cells that cannot be seen: they are hatched and the others outlined. Nothing but NaN
        leaves the image as it is.
    colors
        Name of a colour map.
    opacity
        Of the highest value, 0 to 1.
    box
        What of the image the map covers: top, left, bottom and right in fractions of its height
        and width. What lies beside it is darkened.
    query
        The patch to outline, in fractions as well.
    signed
        Whether values have both signs; they are then drawn in the one map for these, and zero is
        transparent.
    smooth
        Interpolate between patches, or show them as they are.
    most
        The magnitude of the highest colour, where it is not the largest of this map.
    fade
        How much of the opacity a value has, 0 to 1, from the share that its colour stands for.

    Examples
    --------
    >>> overlay(np.zeros((32, 32, 3), np.uint8), np.eye(4)).size
    (32, 32)
    """
    values = np.asarray(values, dtype=np.float32)
    if np.isnan(values).all():
        return Image.fromarray(image)
    height, width = image.shape[:2]
    grey = image.mean(axis=2, keepdims=True)
    photo = (0.55 * image + 0.45 * grey) * 0.8  # dimmed, so that the map reads on any photograph
    line = max(1, width // 200)
    frame = _Frame(box, height, width)
    share = frame.of(_enlarged(_share(values, most), frame.size, smooth=smooth), np.nan)
    seen = np.isfinite(share)
    alpha = (opacity * fade(np.nan_to_num(share)))[..., None]
    heat = colormap("signed" if signed else colors)[_entry(np.nan_to_num(share), signed=signed)]
    drawn = (1 - alpha) * photo + alpha * heat
    beside = frame.of(np.zeros(frame.size, dtype=np.float32), 1.0)
    drawn[(beside > 0) | ~seen] *= _VEIL
    hidden = ~seen & (beside == 0)
    if hidden.any():
        row, col = np.indices((height, width))
        drawn[hidden & ((row + col) % (8 * line) < line)] += 40
        _rim(drawn, seen)
    drawn = np.round(drawn.clip(0, 255)).astype(np.uint8)
    if query is not None:
        top, left, bottom, right = _Frame(query, height, width).edges
        patch = drawn[max(top, 0) : bottom, max(left, 0) : right]
        inside = patch[line:-line, line:-line].copy()
        patch[:] = _AMBER
        patch[line:-line, line:-line] = inside
    return Image.fromarray(drawn)


def tinted(
    image: np.ndarray,
    colors: np.ndarray,
    *,
    opacity: float = 0.75,
    box: Box = WHOLE,
    shown: np.ndarray | None = None,
) -> Image.Image:
    """Lay colours of patches over an image.

    Parameters
    ----------
    image
        uint8 (height, width, 3).
    colors
        uint8 (row, col, 3).
    opacity
        Of the colours, 0 to 1.
    box
        What of the image they cover, as in :func:`overlay`. What lies beside it is darkened.
    shown
        Patches that have a colour, bool (row, col); default all.

    Examples
    --------
    >>> tinted(np.zeros((32, 32, 3), np.uint8), np.full((4, 4, 3), 200, np.uint8)).size
    (32, 32)
    """
    frame = _Frame(box, *image.shape[:2])
    alpha = np.full(colors.shape[:2], opacity) if shown is None else opacity * shown
    size = frame.size[::-1]
    laid = np.stack(
        [
            frame.of(np.asarray(Image.fromarray(one).resize(size, Image.Resampling.NEAREST)), 0)
            for one in np.moveaxis(colors, -1, 0)
        ],
        axis=-1,
    )
    cover = Image.fromarray(alpha.astype(np.float32)).resize(size, Image.Resampling.NEAREST)
    share = frame.of(np.asarray(cover), np.nan)[..., None]
    beside = np.isnan(share)
    drawn = np.where(beside, image * _VEIL, (1 - share) * image + share * laid)
    return Image.fromarray(np.round(drawn).astype(np.uint8))


def outlined(picture: Image.Image, mask: np.ndarray, box: Box = WHOLE) -> Image.Image:
    """Draw a line around a set of cells: white with a dark rim, to be seen on any photograph.

    Parameters
    ----------
    picture
        What to draw on; it stays as it is.
    mask
        Which cells, bool (row, col): of patches, or of pixels.
    box
        What of the picture they cover, as in :func:`overlay`.

    Examples
    --------
    >>> outlined(Image.new("RGB", (32, 32)), np.eye(4, dtype=bool)).size
    (32, 32)
    """
    frame = _Frame(box, picture.height, picture.width)
    cells = Image.fromarray(mask.astype(np.uint8)).resize(
        frame.size[::-1], Image.Resampling.NEAREST
    )
    drawn = np.array(picture)
    _rim(drawn, frame.of(np.asarray(cells), 0) > 0)
    return Image.fromarray(drawn)


def segment_colors(labels: np.ndarray) -> np.ndarray:
    """Give each segment its colour, uint8 (..., 3), as the page does.

    Okabe and Ito's, told apart by colour-blind readers; from the ninth on darker ones of them.

    Examples
    --------
    >>> segment_colors(np.array([[0, 8]])).tolist()
    [[[0, 114, 178], [0, 82, 128]]]
    """
    entries = json.loads(_SEGMENT_COLORS.read_text(encoding="utf-8"))
    palette = np.array([[int(entry[at : at + 2], 16) for at in (1, 3, 5)] for entry in entries])
    shade = 0.72 ** (labels // len(palette))
    return np.round(palette[labels % len(palette)] * shade[..., None]).astype(np.uint8)


def _rim(drawn: np.ndarray, inside: np.ndarray) -> None:
    """Draw a white line with a dark rim around a set of pixels, outside of it."""
    line = max(1, drawn.shape[1] // 200)
    window = Image.fromarray(inside).convert("L")
    for grown, colour in ((2 * line, (20, 23, 28)), (line, (255, 255, 255))):
        rim = np.asarray(window.filter(ImageFilter.MaxFilter(2 * grown + 1))) > 0
        drawn[rim & ~inside] = colour


_VEIL = 0.6
_GROUND = (222, 222, 222)  # behind cells without a value in small maps


class _Frame:
    """A part of an image, in pixels; it may hang over the border."""

    def __init__(self, box: Box, height: int, width: int) -> None:
        self.shape = (height, width)
        top, left, bottom, right = box
        self.edges = (
            *(round(side * size) for side, size in ((top, height), (left, width))),
            *(round(side * size) for side, size in ((bottom, height), (right, width))),
        )
        self.size = (self.edges[2] - self.edges[0], self.edges[3] - self.edges[1])

    def of(self, part: np.ndarray, beside: float) -> np.ndarray:
        """Lay what belongs into the frame on the whole image."""
        whole = np.full(self.shape, beside, dtype=np.float32)
        top, left, bottom, right = self.edges
        whole[max(top, 0) : bottom, max(left, 0) : right] = part[
            max(-top, 0) : self.shape[0] - top, max(-left, 0) : self.shape[1] - left
        ]
        return whole


def _share(values: np.ndarray, most: float | None = None) -> np.ndarray:
    """Square roots of magnitudes against the largest, with their signs: -1 to 1, NaN kept."""
    if most is None:
        most = float(np.abs(np.nan_to_num(values)).max(initial=0))
    part = values / max(most, 1e-12)
    return np.asarray(np.sign(part) * np.sqrt(np.abs(part)), dtype=np.float32)


def _entry(share: np.ndarray, *, signed: bool) -> np.ndarray:
    """Which of the 256 colours a share has."""
    return np.round(((share + 1) / 2 if signed else share) * 255).astype(int)


def _enlarged(share: np.ndarray, size: tuple[int, int], *, smooth: bool) -> np.ndarray:
    """Enlarge to (height, width) pixels; cells without a value stay so, and bleed nowhere."""

    def resized(cells: np.ndarray, method: Image.Resampling) -> np.ndarray:
        return np.asarray(Image.fromarray(cells).resize(size[::-1], method))

    crisp = resized(share, Image.Resampling.NEAREST)
    if not smooth:
        return crisp
    seen = np.isfinite(share).astype(np.float32)
    large = resized(np.nan_to_num(share), Image.Resampling.BICUBIC)
    if not seen.all():
        # by the weight of what is seen: a quarter in the corner of a window
        large = large / resized(seen, Image.Resampling.BICUBIC).clip(0.1)
    least = min(0.0, float(np.nanmin(share)))  # overshoot makes no sign that is not there
    return np.where(np.isnan(crisp), np.nan, large.clip(least, 1))


def thumbnails(
    maps: np.ndarray,
    *,
    colors: str = "magma",
    signed: bool = False,
    across: int = 6,
    side: int = 96,
) -> Image.Image:
    """Draw maps (map, row, col) beside each other, each on its own scale, patches crisp.

    Cells without a value (NaN) are grey; `signed` as in :func:`overlay`.
    """
    rows, cols = maps.shape[1:]
    size = (max(1, side * cols // rows), side) if rows else (side, side)
    table = colormap("signed" if signed else colors)
    tiles = []
    for one in maps:
        share = _share(one)
        cells = table[_entry(np.nan_to_num(share), signed=signed)]
        cells[np.isnan(share)] = _GROUND
        tiles.append(Image.fromarray(cells).resize(size, Image.Resampling.NEAREST))
    return sheet(tiles, across=across)


def sheet(tiles: Sequence[Image.Image], *, across: int, gap: int = 6) -> Image.Image:
    """Lay pictures beside and below each other on white, `across` in a row.

    Examples
    --------
    >>> sheet([Image.new("RGB", (40, 20))] * 3, across=2).size
    (86, 46)
    """
    across = min(across, len(tiles))
    width, height = (max(getattr(one, side) for one in tiles) for side in ("width", "height"))
    down = -(-len(tiles) // across)
    whole = Image.new(
        "RGB", (across * (width + gap) - gap, down * (height + gap) - gap), (255, 255, 255)
    )
    for index, tile in enumerate(tiles):
        whole.paste(tile, (index % across * (width + gap), index // across * (height + gap)))
    return whole


def png_base64(picture: Image.Image) -> str:
    """Encode a picture as Jupyter's ``image/png`` wants it."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")

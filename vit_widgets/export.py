"""Pictures without a page: what a notebook shows where no widget can run.

Drawn with numpy and Pillow from the same packets as the page, with the same colours.
"""

from __future__ import annotations

import base64
import functools
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

_COLORMAPS = Path(__file__).parent / "widgets" / "colormaps.json"
_AMBER = (245, 166, 35)  # reserved for the query; no colour map contains it


@functools.cache
def colormap(name: str) -> np.ndarray:
    """Give the 256 colours of a map, uint8 (256, 3); the page reads the same file.

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
    query: tuple[int, int] | None = None,
    smooth: bool = True,
) -> Image.Image:
    """Lay a map over an image: the higher the value, the less of the image shows through.

    Parameters
    ----------
    image
        uint8 (height, width, 3).
    values
        float (row, col), not negative; shown by its square root against its own maximum.
    colors
        Name of a colour map.
    opacity
        Of the highest value, 0 to 1.
    query
        (row, col) of a patch to outline.
    smooth
        Interpolate between patches, or show them as they are.

    Examples
    --------
    >>> overlay(np.zeros((32, 32, 3), np.uint8), np.eye(4)).size
    (32, 32)
    """
    height, width = image.shape[:2]
    values = np.nan_to_num(np.asarray(values, dtype=np.float32))
    share = np.sqrt(values / max(float(values.max(initial=0)), 1e-12))
    method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
    large = np.asarray(Image.fromarray(share).resize((width, height), method)).clip(0, 1)
    grey = image.mean(axis=2, keepdims=True)
    photo = (0.55 * image + 0.45 * grey) * 0.8  # dimmed, so that the map reads on any photograph
    alpha = (opacity * large)[..., None]
    heat = colormap(colors)[np.round(large * 255).astype(int)]
    drawn = np.round((1 - alpha) * photo + alpha * heat).astype(np.uint8)
    if query is not None:
        rows, cols = values.shape
        top, bottom = (round(height * r / rows) for r in (query[0], query[0] + 1))
        left, right = (round(width * c / cols) for c in (query[1], query[1] + 1))
        line = max(1, width // 200)
        patch = drawn[top:bottom, left:right]
        inside = patch[line:-line, line:-line].copy()
        patch[:] = _AMBER
        patch[line:-line, line:-line] = inside
    return Image.fromarray(drawn)


def thumbnails(
    maps: np.ndarray, *, colors: str = "magma", across: int = 6, side: int = 96
) -> Image.Image:
    """Draw maps (map, row, col) beside each other, each on its own scale, patches crisp."""
    rows, cols = maps.shape[1:]
    height, width = (side, max(1, side * cols // rows)) if rows else (side, side)
    gap = 6
    across = min(across, len(maps))
    down = -(-len(maps) // across)
    sheet = Image.new(
        "RGB", (across * (width + gap) - gap, down * (height + gap) - gap), (255, 255, 255)
    )
    for index, one in enumerate(np.nan_to_num(maps)):
        share = np.sqrt(one / max(float(one.max(initial=0)), 1e-12))
        tile = Image.fromarray(colormap(colors)[np.round(share * 255).astype(int)])
        place = (index % across * (width + gap), index // across * (height + gap))
        sheet.paste(tile.resize((width, height), Image.Resampling.NEAREST), place)
    return sheet


def png_base64(picture: Image.Image) -> str:
    """Encode a picture as Jupyter's ``image/png`` wants it."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")

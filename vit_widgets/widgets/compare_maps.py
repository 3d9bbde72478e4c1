"""Maps beside each other: a row for each picture, a column for each method."""

from __future__ import annotations

import numpy as np
import traitlets
from PIL import Image, ImageDraw

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.image import ColorMapped
from vit_widgets.widgets.traits import Answer, Pixels, floats
from vit_widgets.widgets.wire import unpack

_SIDE, _GAP, _TITLE = 132, 6, 18


class CompareMaps(ColorMapped):
    """Maps of several methods over several pictures, each drawn by the same rule; asks no model.

    Attributes
    ----------
    compare_pictures : array
        uint8 (picture, height, width, 3), a row each.
    compare_rows, compare_columns : list of str
        What the pictures and the methods are called.
    compare_maps : dict
        ``{values, titles, notes}``: `values` float (picture, method, row, col) over the whole
        picture, NaN where there is none; `titles` and `notes` lists (picture, method) of what is
        said of each map.
    compare_chosen : list of int
        The map that is shown large, (picture, method); empty for none.
    opacity : float
        Of the highest value.

    Notes
    -----
    Each map is shown by the square root of its magnitude against its own largest: methods have
    no unit in common. Values of both signs have the map that is made for these.

    Examples
    --------
    >>> page = CompareMaps(
    ...     compare_pictures=np.zeros((1, 8, 8, 3), np.uint8),
    ...     compare_rows=["cat"],
    ...     compare_columns=["mine"],
    ...     compare_maps={"values": np.eye(4)[None, None]},
    ... )
    >>> page.picture().size
    (132, 150)
    """

    _esm = STATIC / "compare_maps.js"
    _said = ("compare_chosen",)

    compare_pictures = Pixels().tag(sync=True)
    compare_rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    compare_columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    compare_maps = Answer(
        "Maps of every method over every picture.", (),
        values=floats("picture", "method", "row", "col"), titles=[], notes=[],
    )  # fmt: skip
    compare_chosen = traitlets.List(traitlets.Int(min=0), maxlen=2).tag(sync=True)
    opacity = traitlets.Float(0.75, min=0, max=1).tag(sync=True)

    def picture(self) -> Image.Image | None:
        """Draw all maps as a sheet, the methods' names above."""
        if not self.compare_pictures or not self.compare_maps.get("values"):
            return None
        pictures, maps = unpack(self.compare_pictures), unpack(self.compare_maps["values"])
        rows, columns = maps.shape[:2]
        step = _SIDE + _GAP
        size = (columns * step - _GAP, _TITLE + rows * step - _GAP)
        page = Image.new("RGB", size, (255, 255, 255))
        pen = ImageDraw.Draw(page)
        for column in range(columns):
            name = self.compare_columns[column] if column < len(self.compare_columns) else ""
            pen.text((column * step, 3), name, fill=(26, 32, 44))
            for row in range(rows):
                tile = self._tile(pictures[row], maps[row, column])
                page.paste(tile, (column * step, _TITLE + row * step))
        return page

    def _tile(self, picture: np.ndarray, values: np.ndarray) -> Image.Image:
        photo = np.asarray(Image.fromarray(picture).resize((_SIDE, _SIDE)))
        if not np.isfinite(values).any():
            return Image.fromarray(photo)
        return export.overlay(
            photo, values, colors=self.colormap, opacity=self.opacity,
            signed=bool((values < 0).any()),
        )  # fmt: skip

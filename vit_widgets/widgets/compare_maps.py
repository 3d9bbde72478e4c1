"""Maps beside each other: a row for each picture and model, a column for each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import traitlets
from PIL import Image, ImageDraw

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.image import MapsOverImages
from vit_widgets.widgets.page import PageWidget
from vit_widgets.widgets.traits import Pixels, floats, plain
from vit_widgets.widgets.wire import unpack

_SIDE, _GAP, _LINE = 132, 6, 18  # of the sheet, in pixels


class CompareMaps(PageWidget, MapsOverImages):
    """Maps of several methods, pictures and models, drawn by one rule; asks no model.

    Attributes
    ----------
    compare_models : list of str
        What the models are called; empty for a single one.
    compare_methods : list of str
        Names of the methods, a column each.
    compare_words : dict
        ``{method: words}`` for display, where these are not the names.
    compare_rows : list of dict
        ``{image_index, model, picture, axis, note, maps}``, a row each. `picture` uint8 (height,
        width, 3), as the model sees it; `model` counts `compare_models`; `axis` says where the
        model's patches lie (``token_axis``), ``{}`` where that is not known. `maps` has one for
        each method: numbers (row, col), or ``{values, axis, target, area, note}``, of which
        `values` are numbers (row, col), NaN where there is none and ``{}`` where there is no map;
        `axis` says where these lie, ``{}`` for the whole picture; `target` what is explained;
        `area` how faithful it was measured to be; `note` what to know, or why there is no map.
    compare_means : list of dict
        ``{model, means, random}``: the mean area of each method over the pictures, and that of
        random maps, each ``[mean, low, high, pictures]`` with the ends of its 95 % interval.
    image_index, compare_model, attribution_method
        The map that is shown large: of which picture, model (counted from 0) and method (its name;
        ``""`` is the first).
    query : int
        The patch that is compared by number; it counts as on every page, on the patches of the
        first model.
    compare_scale : str
        ``"per map"``: each map has the highest colour at its own largest magnitude. ``"per
        method"``: all maps of a method have it at the largest among them, so that pictures and
        models can be compared by size.

    Notes
    -----
    Colours follow the square root of the magnitude. A method of which any map has both signs has
    the colour map for these, zero in the middle. Methods have no unit in common: across columns
    only the places of high values can be compared.

    Examples
    --------
    >>> page = CompareMaps(
    ...     image_names=["cat"],
    ...     compare_methods=["mine", "theirs"],
    ...     compare_rows=[{"picture": np.zeros((8, 12, 3), np.uint8), "maps": [np.eye(4)] * 2}],
    ... )
    >>> page.picture().size
    (270, 106)
    """

    _esm = STATIC / "compare_maps.js"
    _said = ("image_index", "attribution_method")

    selection = (
        "image_index={image_index}, compare_model={compare_model}, "
        'attribution_method="{attribution_method}", query={query}, '
        'compare_scale="{compare_scale}", drawing="{drawing}"'
    )

    compare_models = traitlets.List(traitlets.Unicode()).tag(sync=True)
    compare_methods = traitlets.List(traitlets.Unicode()).tag(sync=True)
    compare_words = traitlets.Dict().tag(sync=True)
    compare_rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    compare_means = traitlets.List(traitlets.Dict()).tag(sync=True)
    compare_model = traitlets.Int(0, min=0).tag(sync=True)
    attribution_method = traitlets.Unicode("").tag(sync=True)
    compare_scale = traitlets.Enum(("per map", "per method"), "per map").tag(sync=True)

    def size_of(self, name: str) -> int | None:
        """Count the tokens by the first model's patches."""
        if name == "query":
            mine = [row for row in self.compare_rows if row["image_index"] == self.image_index]
            axis = next((row["axis"] for row in mine if row["axis"]), None)
            if axis:
                rows, cols = axis["grid"]
                return len(axis["prefix"]) + int(rows * cols)
        return super().size_of(name)

    @traitlets.validate("compare_rows")
    def _packed_rows(self, proposal: Any) -> list[dict[str, Any]]:
        return [
            _record(f"compare_rows[{at}]", row, _ROW) for at, row in enumerate(proposal["value"])
        ]

    @traitlets.validate("compare_means")
    def _packed_means(self, proposal: Any) -> list[dict[str, Any]]:
        return [
            _record(f"compare_means[{at}]", one, _MEANS) for at, one in enumerate(proposal["value"])
        ]

    def picture(self) -> Image.Image | None:
        """Draw all maps as a sheet, the methods' names above."""
        rows = [row for row in self.compare_rows if row["picture"]]
        if not rows:
            return None
        columns = max(len(row["maps"]) for row in rows)
        photos = [self._photo(row) for row in rows]
        height = sum(len(photo) + _GAP for photo in photos)
        size = (columns * (_SIDE + _GAP) - _GAP, _LINE + height - _GAP)
        page = Image.new("RGB", size, (255, 255, 255))
        pen = ImageDraw.Draw(page)
        for column, name in enumerate(self.compare_methods[:columns]):
            words = self.compare_words.get(name, name)
            pen.text((column * (_SIDE + _GAP), 3), words, fill=(26, 32, 44))
        top = _LINE
        for row, photo in zip(rows, photos, strict=True):
            for column, one in enumerate(row["maps"]):
                left = column * (_SIDE + _GAP)
                page.paste(self._tile(photo, one, column), (left, top))
                if not one["values"]:
                    pen.text((left + 4, top + 3), "no map", fill=(26, 32, 44))
            top += len(photo) + _GAP
        return page

    @staticmethod
    def _photo(row: Mapping[str, Any]) -> np.ndarray:
        pixels = unpack(row["picture"])
        height = max(1, round(_SIDE * pixels.shape[0] / pixels.shape[1]))
        return np.asarray(Image.fromarray(pixels).resize((_SIDE, height)))

    def _tile(self, photo: np.ndarray, one: Mapping[str, Any], column: int) -> Image.Image:
        if not one["values"]:
            return Image.fromarray(photo)
        of_method = [
            unpack(row["maps"][column]["values"])
            for row in self.compare_rows
            if column < len(row["maps"]) and row["maps"][column]["values"]
        ]
        most = max(
            (float(np.nanmax(np.abs(values))) for values in of_method if np.isfinite(values).any()),
            default=0.0,
        )
        return export.overlay(
            photo,
            unpack(one["values"]),
            colors=self.colormap,
            opacity=self.opacity,
            box=tuple(one["axis"]["box"]) if one["axis"] else export.WHOLE,
            signed=any(bool((values < 0).any()) for values in of_method),
            smooth=self.drawing == "smooth",
            most=most if self.compare_scale == "per method" else None,
        )


def _record(name: str, given: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Pack the arrays of a record, fill in what is not given, refuse what is not known."""
    unknown = given.keys() - fields.keys()
    if unknown:
        msg = f"{name} does not know {sorted(unknown)}; it takes {', '.join(sorted(fields))}"
        raise traitlets.TraitError(msg)
    return {key: _taken(name, key, given.get(key), field) for key, field in fields.items()}


def _taken(name: str, key: str, value: Any, field: Any) -> Any:
    if not callable(field):
        return plain(field if value is None else value)
    try:
        return field(value)
    except (TypeError, ValueError) as error:
        msg = f"{name}, {key}: {error}"
        raise traitlets.TraitError(msg) from error


def _one_picture(value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, dict):
        return value or {}
    packed = Pixels().coerce(value)
    if len(packed["shape"]) != 3:
        msg = f"takes one picture (height, width, 3), not {tuple(packed['shape'])}"
        raise ValueError(msg)
    return packed


def _maps(value: Any) -> list[dict[str, Any]]:
    given = [one if isinstance(one, Mapping) else {"values": one} for one in value or ()]
    return [_record(f"map {at}", one, _MAP) for at, one in enumerate(given)]


_MAP: dict[str, Callable[[Any], Any] | Any] = {
    "values": floats("row", "col"), "axis": {}, "target": "", "area": None, "note": "",
}  # fmt: skip

_ROW: dict[str, Callable[[Any], Any] | Any] = {
    "image_index": 0, "model": 0, "picture": _one_picture, "axis": {}, "note": "", "maps": _maps,
}  # fmt: skip

_MEANS: dict[str, Any] = {"model": 0, "means": [], "random": []}

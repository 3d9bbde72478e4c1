"""Which places made the model say this: several maps, each beside its own test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export, tables
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.explained import OVER, Explains
from vit_widgets.widgets.traits import Answer, floats, pixels
from vit_widgets.widgets.wire import unpack

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("sensitivity_n", "road", "max_sensitivity", "randomization")
"""What can be measured beside what always is."""


class Attributions(Explains):
    """Maps of several methods for one target, and how far each can be trusted; it asks no model.

    Attributes
    ----------
    attribution_method : str
        Whose map is shown large.
    attribution_methods : list of str
        Whose maps are made.
    attribution_settings : dict
        ``{method: {setting: value}}``: what is not as by default; of a layer ``"in view"``.
    attribution_measures : list of str
        Measured beside what is measured of every map: ``"sensitivity_n"``, ``"road"``,
        ``"max_sensitivity"``, ``"randomization"``.
    attribution_over : str
        What the tests are of: ``"this image"`` or ``"all images"``.
    attribution_running : bool
        Whether maps are made and measured; ``False`` keeps what there is.
    attribution_curve : str
        ``"deletion"`` or ``"insertion"``.
    attribution_step : int
        Of that curve: the step whose picture is shown; -1 the image as it is.
    attribution_list : dict
        ``{image_index, explained, target, score, methods, grid, values, running, done, total,
        note}``: what there is. `target` says in words what is explained and `score` is what the
        model gives. `methods` are
        dicts of ``name, words, about, target, cost, settings, state, note``, the state being
        ``"off"``, ``"waiting"``, ``"made"``, ``"stopped"`` or ``"failed"``. `values` float
        (method, row, col): the maps on the model's patches, NaN where there is none; `grid` where
        these lie (``token_axis``).
    attribution : dict
        ``{image_index, explained, method, settings, values, axis, target, score, signed,
        notes}``: the large map. `values` float (row, col), over the patches of `axis`, or over all
        pixels where that is ``{}``.
    attribution_curves : dict
        ``{image_index, explained, over, names, fractions, deletion, insertion, deletion_ends,
        insertion_ends, scores, ends, words, notes, pictures, images}``: how the score changes as
        more of the picture is replaced. `names` of the methods, then ``"random map"`` (the mean of
        several) and ``"edge detector"``; `deletion` and `insertion` float (method, step), NaN where
        nothing is measured; `scores` a dict for each, `words` what they say of it. Over all images
        these are means, `images` of them, with the ends of their 95 % intervals: float (method,
        end, step), and `ends` a dict of pairs for each.
    attribution_picture : dict
        ``{image_index, explained, method, curve, step, pixels}``: the picture at a step, uint8 (1,
        row, col, 3).

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.explained.Explains`; the object that
    `token_mask` marks is where maps should fall.

    Examples
    --------
    >>> page = Attributions(layer_labels=["block 0"], image=np.zeros((64, 64, 3), np.uint8))
    >>> page.attribution = {"image_index": 0, "method": "mine", "values": np.eye(4)}
    >>> page.picture().size
    (384, 384)
    """

    _esm = STATIC / "attributions.js"
    _said: tuple[str, ...] = ("image_index", "attribution_method")

    selection = (
        'explained={explained}, attribution_method="{attribution_method}", '
        "attribution_methods={attribution_methods}, attribution_settings={attribution_settings}, "
        'attribution_measures={attribution_measures}, attribution_over="{attribution_over}", '
        'attribution_curve="{attribution_curve}", attribution_step={attribution_step}'
    )

    attribution_method = traitlets.Unicode("relevance").tag(sync=True)
    attribution_methods = traitlets.List(
        traitlets.Unicode(),
        [
            *("rollout", "grad_cam", "attention_cam", "gradient_attention", "relevance", "legrad"),
            *("saliency", "input_x_gradient", "integrated_gradients", "occlusion"),
        ],
    ).tag(sync=True)
    attribution_settings = traitlets.Dict().tag(sync=True)
    attribution_measures = traitlets.List(traitlets.Enum(MEASURES)).tag(sync=True)
    attribution_over = traitlets.Enum(OVER, "this image").tag(sync=True)
    attribution_running = traitlets.Bool(True).tag(sync=True)
    attribution_curve = traitlets.Enum(("deletion", "insertion"), "deletion").tag(sync=True)
    attribution_step = traitlets.Int(-1, min=-1).tag(sync=True)
    attribution_list = Answer(
        "What maps there are.", ("image_index",), explained=None,
        target="", score=None, methods=[], grid={}, values=floats("method", "row", "col"),
        running="", done=0, total=0, note="",
    )  # fmt: skip
    attribution = Answer(
        "The map that is shown large.", ("image_index",), explained=None,
        method="", settings={}, values=floats("row", "col"), axis={}, target="", score=None,
        signed=False, notes=[],
    )  # fmt: skip
    attribution_curves = Answer(
        "How far the maps can be trusted.", ("image_index",), explained=None,
        over="this image", names=[], fractions=[], deletion=floats("method", "step"),
        insertion=floats("method", "step"), deletion_ends=floats("method", "end", "step"),
        insertion_ends=floats("method", "end", "step"), scores=[], ends=[], words=[], notes=[],
        pictures=0, images=0,
    )  # fmt: skip
    attribution_picture = Answer(
        "The picture at a step.", ("image_index",), explained=None,
        method="", curve="", step=0, pixels=pixels,
    )  # fmt: skip

    def faithfulness_table(self) -> pd.DataFrame:
        """Make a table of what is measured: a row for each map, a column for each score.

        Returns
        -------
        pandas.DataFrame
            Of what is explained, and of the image in view (the random map has the mean of several)
            or all images: then ``_low`` and ``_high`` are the ends of the 95 % interval of the
            mean. NaN where nothing is measured (yet).

        Raises
        ------
        ImportError
            Without pandas.
        """
        pd = tables.pandas("`attribution_curves`")
        names = self.attribution_curves.get("names", [])
        rows: list[dict[str, Any]] = self.attribution_curves.get("scores", [])
        every: list[dict[str, Any]] = self.attribution_curves.get("ends") or [{} for _ in rows]
        rows = [_with_ends(row, ends) for row, ends in zip(rows, every, strict=True)]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return pd.DataFrame(rows, index=pd.Index(names, name="map"), columns=columns, dtype=float)

    def picture(self) -> Image.Image | None:
        """Draw the large map over the image."""
        if not self.image or not self.attribution.get("values"):
            return None
        image = unpack(self.image)
        factor = max(1, round(384 / image.shape[0]))
        image = image.repeat(factor, axis=0).repeat(factor, axis=1)
        values, axis = unpack(self.attribution["values"]), self.attribution["axis"]
        if not np.isfinite(values).any():
            return Image.fromarray(image)
        return export.overlay(
            image,
            values,
            colors=self.colormap,
            opacity=self.opacity,
            box=tuple(axis["box"]) if axis else export.WHOLE,
            signed=self.attribution["signed"],
            smooth=self.drawing == "smooth",
        )


def _with_ends(scores: dict[str, Any], ends: dict[str, Any]) -> dict[str, Any]:
    """Put the ends of intervals behind their means."""
    found = {}
    for name, mean in scores.items():
        found[name] = mean
        if name in ends:
            found[f"{name}_low"], found[f"{name}_high"] = ends[name]
    return found

"""Which places made the model say this: several maps, each beside its own test."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.token_mask import TokenMask
from vit_widgets.widgets.traits import Answer, floats, pixels
from vit_widgets.widgets.wire import unpack

if TYPE_CHECKING:
    import pandas as pd

_ASKED: dict[str, Any] = {"asked": []}


class Attributions(TokenMask):
    """Maps of several methods for one target, and how far each can be trusted; it asks no model.

    Attributes
    ----------
    attribution_kind : str
        What is explained: the ``"predicted"`` class, a ``"class"``, or the ``"margin"`` of one
        class over another.
    attribution_class, attribution_against : int
        The class, and the other one of a margin.
    attribution_classes : list of str
        Names of the model's classes.
    attribution_method : str
        Whose map is shown large.
    attribution_methods : list of str
        Whose maps are made.
    attribution_settings : dict
        ``{method: {setting: value}}``: what is not as by default; of a layer ``"in view"``.
    attribution_measures : list of str
        Measured beside what is measured of every map: ``"sensitivity_n"``, ``"road"``.
    attribution_running : bool
        Whether maps are made and measured; ``False`` keeps what there is.
    attribution_curve : str
        ``"deletion"`` or ``"insertion"``.
    attribution_step : int
        Of that curve: the step whose picture is shown; -1 the image as it is.
    attribution_list : dict
        ``{image_index, asked, target, score, methods, grid, values, running, done, total, note}``:
        what there is. `asked` names the target, ``[kind, class, against]`` with -1 for what has no
        part in it; `target` says it in words and `score` is what the model gives. `methods` are
        dicts of ``name, words, about, target, cost, settings, state, note``, the state being
        ``"off"``, ``"waiting"``, ``"made"``, ``"stopped"`` or ``"failed"``. `values` float
        (method, row, col): the maps on the model's patches, NaN where there is none; `grid` where
        these lie (``token_axis``).
    attribution : dict
        ``{image_index, asked, method, settings, values, axis, target, score, signed, notes}``: the
        large map. `values` float (row, col), over the patches of `axis`, or over all pixels where
        that is ``{}``.
    attribution_curves : dict
        ``{image_index, asked, names, fractions, deletion, insertion, scores, words, notes,
        pictures}``: how the score changes as more of the picture is replaced. `names` of the
        methods, then ``"random map"`` (the mean of several) and ``"edge detector"``; `deletion` and
        `insertion` float (method, step), NaN where nothing is measured; `scores` a dict for each,
        `words` what they say of it.
    attribution_picture : dict
        ``{image_index, asked, method, curve, step, pixels}``: the picture at a step, uint8 (1,
        row, col, 3).

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.token_mask.TokenMask`: what it marks
    is the object that maps should fall on.

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
        'attribution_kind="{attribution_kind}", attribution_class={attribution_class}, '
        'attribution_against={attribution_against}, attribution_method="{attribution_method}", '
        "attribution_methods={attribution_methods}, attribution_settings={attribution_settings}, "
        "attribution_measures={attribution_measures}, "
        'attribution_curve="{attribution_curve}", attribution_step={attribution_step}'
    )

    attribution_kind = traitlets.Enum(("predicted", "class", "margin"), "predicted").tag(sync=True)
    attribution_class = traitlets.Int(0, min=0).tag(sync=True)
    attribution_against = traitlets.Int(0, min=0).tag(sync=True)
    attribution_classes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    attribution_method = traitlets.Unicode("grad_cam").tag(sync=True)
    attribution_methods = traitlets.List(
        traitlets.Unicode(),
        [
            *("rollout", "grad_cam", "attention_cam", "gradient_attention", "relevance", "legrad"),
            *("saliency", "input_x_gradient", "integrated_gradients", "occlusion"),
        ],
    ).tag(sync=True)
    attribution_settings = traitlets.Dict().tag(sync=True)
    attribution_measures = traitlets.List(traitlets.Enum(("sensitivity_n", "road"))).tag(sync=True)
    attribution_running = traitlets.Bool(True).tag(sync=True)
    attribution_curve = traitlets.Enum(("deletion", "insertion"), "deletion").tag(sync=True)
    attribution_step = traitlets.Int(-1, min=-1).tag(sync=True)
    attribution_list = Answer(
        "What maps there are.", ("image_index",), **_ASKED,
        target="", score=None, methods=[], grid={}, values=floats("method", "row", "col"),
        running="", done=0, total=0, note="",
    )  # fmt: skip
    attribution = Answer(
        "The map that is shown large.", ("image_index",), **_ASKED,
        method="", settings={}, values=floats("row", "col"), axis={}, target="", score=None,
        signed=False, notes=[],
    )  # fmt: skip
    attribution_curves = Answer(
        "How far the maps can be trusted.", ("image_index",), **_ASKED,
        names=[], fractions=[], deletion=floats("method", "step"),
        insertion=floats("method", "step"), scores=[], words=[], notes=[], pictures=0,
    )  # fmt: skip
    attribution_picture = Answer(
        "The picture at a step.", ("image_index",), **_ASKED,
        method="", curve="", step=0, pixels=pixels,
    )  # fmt: skip

    def faithfulness_table(self) -> pd.DataFrame:
        """Make a table of what is measured: a row for each map, a column for each score.

        Returns
        -------
        pandas.DataFrame
            Of the image and the target in view; NaN where nothing is measured (yet). The random
            map has the mean of several.

        Raises
        ------
        ImportError
            Without pandas.
        """
        try:
            pd = importlib.import_module("pandas")
        except ImportError as error:
            msg = "the table needs pandas: pip install pandas; attribution_curves has the numbers"
            raise ImportError(msg) from error
        names = self.attribution_curves.get("names", [])
        rows: list[dict[str, Any]] = self.attribution_curves.get("scores", [])
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

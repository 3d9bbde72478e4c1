"""Tokens of a layer as points of a plane, beside the image that their patches are of."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from PIL import Image, ImageDraw

from vit_widgets.export import colormap
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.token_mask import TokenMask
from vit_widgets.widgets.traits import Answer, floats
from vit_widgets.widgets.wire import unpack

METHODS = ("pca", "tsne", "umap")
SPANS = ("this image", "all images")
COLOURS = ("position", "norm", "cluster", "attention", "object", "image")

_SIDE, _RADIUS = 384, 3  # pixels, of the picture where no page can run


class TokenScatter(TokenMask):
    """Points of a plane and the patches that they stand for, each shown in the other.

    A lasso around points outlines their patches, a drag over patches lights up their points. It
    asks nothing of a model: points and what colours them are given.

    Attributes
    ----------
    scatter_method : str
        ``"pca"``, ``"tsne"`` or ``"umap"``.
    scatter_methods : list of str
        Those that can be chosen.
    scatter_span : str
        ``"this image"`` or ``"all images"``: whose tokens are laid out together.
    scatter_colour : str
        ``"position"``, ``"norm"``, ``"cluster"``, ``"attention"``, ``"object"`` or ``"image"``.
    scatter_k : int
        How many clusters.
    scatter_selected : list of int
        Points that are selected, as `scatter_points` counts them; kept from layer to layer, empty
        again when the points are of other tokens.
    scatter_going : bool
        Whether t-SNE may go on; ``False`` stops it, and it stays as it is. A new selection sets it
        again.
    scatter_points : dict
        ``{layer, image_index, method, span, points, image, token, prefix, grid, explained, done,
        total, note}``: `points` float (point, 2); `image` and `token` of each point, whole numbers,
        the prefix tokens first; `prefix` their names; `grid` rows and columns of the patches, empty
        where places are not known; `explained` the share of the variance along both axes, for
        PCA; `done` of `total` iterations.
    scatter_values : dict
        ``{layer, query, image_index, by, values, note}``: a number for each point, NaN where it has
        none: its norm, its cluster, the attention that the query pays it, its object. Position and
        image need none.

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.token_page.TokenPage` and
    :class:`~vit_widgets.widgets.token_mask.TokenMask`.

    Examples
    --------
    >>> page = TokenScatter(layer_labels=["block 0"], image=np.zeros((64, 64, 3), np.uint8))
    >>> page.scatter_points = {
    ...     "layer": 0, "image_index": 0, "points": np.random.rand(4, 2), "token": range(4),
    ...     "image": [0] * 4, "grid": [2, 2],
    ... }
    """

    _esm = STATIC / "token_scatter.js"
    _said = ("layer", "query", "image_index")
    selection = (
        'scatter_method="{scatter_method}", scatter_span="{scatter_span}", '
        'scatter_colour="{scatter_colour}", scatter_k={scatter_k}'
    )

    scatter_method = traitlets.Enum(METHODS, "pca").tag(sync=True)
    scatter_methods = traitlets.List(traitlets.Enum(METHODS), ["pca", "tsne"]).tag(sync=True)
    scatter_span = traitlets.Enum(SPANS, "this image").tag(sync=True)
    scatter_colour = traitlets.Enum(COLOURS, "position").tag(sync=True)
    scatter_k = traitlets.Int(6, min=2, max=16).tag(sync=True)
    scatter_selected = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    scatter_going = traitlets.Bool(True).tag(sync=True)
    scatter_points = Answer(
        "Tokens of the layer in view on a plane.", ("layer", "image_index"),
        method="pca", span="this image", points=floats("point", "axis"), image=floats("point"),
        token=floats("point"), prefix=[], grid=[], explained=[], done=0, total=0, note="",
    )  # fmt: skip
    scatter_values = Answer(
        "A number for each point, which colours it.", ("layer", "query", "image_index"),
        by="", values=floats("point"), note="",
    )  # fmt: skip

    def __init__(self, **kwargs: Any) -> None:
        self._selected_of: tuple[bytes, ...] = ()
        super().__init__(**kwargs)

    @traitlets.observe("scatter_points")
    def _forget_selected(self, _change: object) -> None:
        """Keep what is selected from layer to layer, and end it with other tokens."""
        points = self.scatter_points
        if not points.get("points"):
            return
        tokens = tuple(bytes(points[name]["view"]) for name in ("image", "token") if points[name])
        if self._selected_of and tokens != self._selected_of:
            self.scatter_selected = []
        self._selected_of = tokens

    def picture(self) -> Image.Image | None:
        """Draw the image, and the points beside it."""
        if not self.image or not self.scatter_points.get("points"):
            return None
        points = unpack(self.scatter_points["points"])
        sheet = Image.new("RGB", (2 * _SIDE + 16, _SIDE), (255, 255, 255))
        photo = Image.fromarray(unpack(self.image))
        factor = _SIDE / max(photo.size)
        sheet.paste(photo.resize((round(photo.width * factor), round(photo.height * factor))))
        away = float(np.abs(points).max()) or 1.0
        token = np.arange(len(points))
        table = colormap("viridis")
        draw = ImageDraw.Draw(sheet)
        for (x, y), number in zip(points / away, token / max(1.0, float(token.max())), strict=True):
            centre = (_SIDE + 16 + _SIDE / 2 * (1 + 0.94 * x), _SIDE / 2 * (1 - 0.94 * y))
            colour = tuple(int(one) for one in table[round(255 * float(number))][:3])
            draw.circle(centre, _RADIUS, fill=colour)
        return sheet

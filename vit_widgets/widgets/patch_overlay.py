"""An image with the chosen map over it."""

from __future__ import annotations

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.head_grid import MapsWidget
from vit_widgets.widgets.image import ImageWidget, Pinned
from vit_widgets.widgets.maps import box_of, place_of
from vit_widgets.widgets.traits import Maps
from vit_widgets.widgets.wire import unpack


class PatchOverlay(MapsWidget, ImageWidget, Pinned):
    """The image, the chosen map over it, and a patch to ask about.

    Attributes
    ----------
    image : array
        uint8 pixels (height, width, 3), floats in [0, 1] or a PIL image, as the model sees it.
    image_name : str
        For the reader.
    query : int
        Token that is asked about, prefix tokens first.
    pins : list of int
        Queries held for comparison, at most 8.
    opacity : float
        Of the highest value, 0 to 1.
    drawing : str
        ``"smooth"`` or ``"patches"``.
    contour : float
        Outlines the smallest set of patches that holds this share of the weight; 0 for none.
    exact : dict
        float32 values of the layer in view, for reading numbers off.

    Notes
    -----
    Other attributes and parameters are those of ``MapsWidget``: `maps`, `attention`, `grid`,
    `prefix`, `heads`, `direction`, `colormap`.

    Examples
    --------
    >>> image = np.zeros((144, 144, 3), np.uint8)
    >>> overlay = PatchOverlay(image=image, maps=np.random.default_rng(0).random((12, 12)))
    """

    _esm = STATIC / "patch_overlay.js"

    exact = Maps().tag(sync=True)
    contour = traitlets.Float(0.0, min=0, max=1).tag(sync=True)

    def picture(self) -> Image.Image | None:
        """Draw the image with the map of the chosen head over it."""
        layer, maps = self.shown_layer(), self.shown_maps()
        if not self.image or layer is None or maps is None or layer["kind"] != "image":
            return None
        pixels = unpack(self.image)
        chosen = np.mean([maps[head] for head in (self.heads or [self.head])], axis=0)
        asked, reference = layer["asked"] or layer, self.query_axis()
        place = reference and not layer["only"] and place_of(self.query, reference, asked)
        factor = max(1, round(384 / pixels.shape[0]))
        large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
        return export.overlay(
            large,
            chosen,
            colors=self.colormap,
            opacity=self.opacity,
            box=tuple(layer["box"]),
            query=box_of(place, asked) if place else None,
            signed=layer["signed"],
            smooth=self.drawing == "smooth",
        )

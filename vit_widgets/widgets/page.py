"""The Inspector's page: the components on one store, with a header, a strip and predictions."""

from __future__ import annotations

from typing import Any

import traitlets
from PIL import Image

from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.head_grid import HeadGrid
from vit_widgets.widgets.layer_slider import LayerSlider
from vit_widgets.widgets.patch_overlay import PatchOverlay
from vit_widgets.widgets.traits import Pixels


class InspectorPage(LayerSlider, HeadGrid, PatchOverlay):
    """All components linked, as one output; it draws what it is given and asks nothing.

    Attributes
    ----------
    title, subtitle : str
        Name of the model, and one line of what it is.
    thumbnails : array
        uint8 (image, height, width, 3) for the image strip.
    image_names : list of str
        One for each image.
    predictions : list of dict
        ``{label, probability}`` of the image in view, the likeliest first.
    predictions_note : str
        Said instead of, or under, the predictions.
    tab : str
        The question that is open.
    code : str
        The lines of Python that make this view again; the page replaces ``{layer}`` and the like
        by what is selected.

    Notes
    -----
    Other attributes are those of :class:`LayerSlider`, :class:`HeadGrid` and :class:`PatchOverlay`.
    """

    _esm = STATIC / "inspector.js"

    title = traitlets.Unicode("").tag(sync=True)
    subtitle = traitlets.Unicode("").tag(sync=True)
    thumbnails = Pixels().tag(sync=True)
    image_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    predictions = traitlets.List(traitlets.Dict()).tag(sync=True)
    predictions_note = traitlets.Unicode("").tag(sync=True)
    tab = traitlets.Unicode("attention").tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)

    def size_of(self, name: str) -> int | None:
        """Count the images by their names."""
        if name == "image_index" and self.image_names:
            return len(self.image_names)
        return super().size_of(name)

    def picture(self) -> Image.Image | None:
        """Draw the overlay with the heads of the layer beside it."""
        left, right = PatchOverlay.picture(self), HeadGrid.picture(self)
        if left is None or right is None:
            return right or left
        sheet = Image.new(
            "RGB",
            (left.width + 16 + right.width, max(left.height, right.height)),
            (255, 255, 255),
        )
        sheet.paste(left, (0, 0))
        sheet.paste(right, (left.width + 16, 0))
        return sheet

    @traitlets.observe("image_names")
    def _images_changed(self, _change: Any) -> None:
        self.bring_into_range()

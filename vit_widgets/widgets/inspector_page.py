"""The Inspector's page: all components on one store, predictions, and a tab a question."""

from __future__ import annotations

import traitlets
from PIL import Image

from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.head_grid import HeadGrid
from vit_widgets.widgets.layer_slider import LayerSlider
from vit_widgets.widgets.neuron_page import NeuronPage
from vit_widgets.widgets.patch_overlay import PatchOverlay

TABS = ("attention", "neurons")


class InspectorPage(LayerSlider, HeadGrid, PatchOverlay, NeuronPage):
    """All components linked, as one output; it draws what it is given and asks nothing.

    Attributes
    ----------
    predictions : list of dict
        ``{label, probability}`` of the image in view, the likeliest first.
    predictions_note : str
        Said instead of, or under, the predictions.
    tab : str
        The question that is open: ``"attention"`` or ``"neurons"``.
    tabs : list of str
        The questions that can be opened; empty: attention, and neurons where `neuron_counts` says
        that there are any.

    Notes
    -----
    Other attributes are those of :class:`LayerSlider`, :class:`HeadGrid`, :class:`PatchOverlay` and
    :class:`NeuronPage`.
    """

    _esm = STATIC / "inspector.js"
    _said = ("layer", "head", "query")

    predictions = traitlets.List(traitlets.Dict()).tag(sync=True)
    predictions_note = traitlets.Unicode("").tag(sync=True)
    tab = traitlets.Enum(TABS, "attention").tag(sync=True)
    tabs = traitlets.List(traitlets.Enum(TABS)).tag(sync=True)

    def picture(self) -> Image.Image | None:
        """Draw what the open tab shows: the overlay with the heads beside it, or the top images."""
        if self.tab == "neurons":
            return NeuronPage.picture(self)
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

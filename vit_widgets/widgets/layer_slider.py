"""A slider over the layers of a model, with one number for each."""

from __future__ import annotations

import traitlets

from vit_widgets.widgets.base import STATIC, VitWidget
from vit_widgets.widgets.traits import Values


class LayerSlider(VitWidget):
    """Move through the layers.

    Attributes
    ----------
    layer : int
        The layer chosen, counted from 0.
    layer_labels : list of str
        One name for each layer, e.g. ``"blocks.5.attn"``.
    layer_values : array
        One number for each layer, drawn as a curve over the slider; optional.
    layer_caption : str
        What the numbers are, with their unit.
    playing : bool
        Whether the slider runs on its own.

    Examples
    --------
    >>> slider = LayerSlider(layer_labels=["block 0", "block 1"], layer_values=[1.2, 0.7])
    >>> slider.layer = 1
    """

    _esm = STATIC / "layer_slider.js"

    layer_labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    layer_values = Values().tag(sync=True)
    layer_caption = traitlets.Unicode("").tag(sync=True)
    playing = traitlets.Bool(default_value=False).tag(sync=True)

    def size_of(self, name: str) -> int | None:
        """Count the layers by their labels."""
        if name == "layer" and self.layer_labels:
            return len(self.layer_labels)
        return super().size_of(name)

    @traitlets.observe("layer_labels")
    def _labels_changed(self, _change: object) -> None:
        self.bring_into_range()

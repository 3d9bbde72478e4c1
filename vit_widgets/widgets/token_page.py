"""What every page about tokens has: a layer, a picture, and where the tokens lie on it."""

from __future__ import annotations

from vit_widgets.widgets.image import ImageWidget, Pinned
from vit_widgets.widgets.layer_slider import LayerSlider
from vit_widgets.widgets.page import PageWidget
from vit_widgets.widgets.traits import Answer


class TokenPage(PageWidget, ImageWidget, LayerSlider, Pinned):
    """Base of the pages about the tokens of one layer.

    Attributes
    ----------
    token_layer : dict
        What the tokens of the layer in view are: ``{layer, image_index, block, axis, reference,
        note}``. `block` is the path of the block that returned them; `axis` says where they lie
        (``token_axis``), ``{}`` where that is not known, and then `note` says why; `reference` is
        the axis that `query` counts on, ``{}`` where that is `axis`.
    """

    selection = ""  # arguments that make the view of this page again; names in braces are filled in

    token_layer = Answer(
        "What the tokens of the layer in view are.", ("layer", "image_index"),
        block="", axis={}, reference={}, note="",
    )  # fmt: skip

    def shows(self, page: type[TokenPage]) -> bool:  # noqa: ARG002 - it is its only one
        """Whether a page is in view; a widget that stands alone is until it is closed."""
        return self.comm is not None

    def size_of(self, name: str) -> int | None:
        """Count the tokens by their axis."""
        axis = self.token_layer and (self.token_layer["reference"] or self.token_layer["axis"])
        if name == "query" and axis:
            rows, cols = axis["grid"]
            return len(axis["prefix"]) + rows * cols
        return super().size_of(name)

"""What every whole page has: a header, and images to choose from."""

from __future__ import annotations

import traitlets

from vit_widgets.widgets.base import VitWidget
from vit_widgets.widgets.traits import Pixels


class PageWidget(VitWidget):
    """Base of the pages, which show several components on one store.

    Attributes
    ----------
    title, subtitle : str
        Name of the model, and one line of what it is.
    thumbnails : array
        uint8 (image, height, width, 3) for the image strip.
    image_names : list of str
        One for each image.
    code : str
        The lines of Python that make this view again; the page replaces ``{layer}`` and the like
        by what is selected.
    """

    title = traitlets.Unicode("").tag(sync=True)
    subtitle = traitlets.Unicode("").tag(sync=True)
    thumbnails = Pixels().tag(sync=True)
    image_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)

    def size_of(self, name: str) -> int | None:
        """Count the images by their names."""
        if name == "image_index" and self.image_names:
            return len(self.image_names)
        return super().size_of(name)

    @traitlets.observe("image_names")
    def _images_changed(self, _change: object) -> None:
        self.bring_into_range()

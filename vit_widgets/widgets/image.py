"""What every component with a picture has: the image, and how a map is laid over it."""

from __future__ import annotations

import traitlets

from vit_widgets.widgets.base import Indices, VitWidget
from vit_widgets.widgets.traits import Pixels

COLORMAPS = ("magma", "viridis", "cividis", "inferno", "gray")


class ColorMapped(VitWidget):
    """Base of the components that draw maps.

    Attributes
    ----------
    colormap : str
        One of ``COLORMAPS``.
    """

    colormap = traitlets.Enum(COLORMAPS, "magma").tag(sync=True)


class MapsOverImages(ColorMapped):
    """Base of the components that lay maps over images.

    Attributes
    ----------
    opacity : float
        Of the highest value, 0 to 1.
    drawing : str
        ``"smooth"`` or ``"patches"``.
    """

    opacity = traitlets.Float(0.75, min=0, max=1).tag(sync=True)
    drawing = traitlets.Enum(("smooth", "patches"), "smooth").tag(sync=True)


class ImageWidget(MapsOverImages):
    """Base of the components that lay a map over an image.

    Attributes
    ----------
    image : array
        uint8 pixels (height, width, 3), floats in [0, 1] or a PIL image, as the model sees it.
    image_name : str
        For the reader.
    """

    image = Pixels().tag(sync=True)
    image_name = traitlets.Unicode("").tag(sync=True)


class Pinned(VitWidget):
    """Base of the components that hold queries for comparison.

    Attributes
    ----------
    pins : list of int
        Queries held for comparison, at most eight.
    """

    pins = Indices("query", most=8, doc="Queries held for comparison.")


class HeadsTogether(VitWidget):
    """Base of the components that choose several heads of a layer.

    Attributes
    ----------
    heads : list of int
        Heads chosen together; the picture is their mean. Empty: just `head`.
    """

    heads = Indices("head", most=64, doc="Heads chosen together.")

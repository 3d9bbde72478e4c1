"""Objects that are drawn on the patches of an image, or known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets

from vit_widgets.widgets.token_page import TokenPage
from vit_widgets.widgets.traits import Answer
from vit_widgets.widgets.wire import pack, unpack


def whole_numbers(value: Any) -> dict[str, Any]:
    """Pack whole numbers (row, col) from 0 to 255; nothing at all is ``{}``."""
    if value is None or isinstance(value, dict):
        return value or {}
    array = np.asarray(value)
    if array.ndim != 2 or array.dtype.kind not in "biu":
        msg = (
            "takes whole numbers (row, col), 0 for no object; an array of shape "
            f"{array.shape} and type {array.dtype} was given"
        )
        raise ValueError(msg)
    if array.size and (array.min() < 0 or array.max() > 255):
        msg = f"takes objects 1 to 255 and 0 for none; {array.min()} to {array.max()} were given"
        raise ValueError(msg)
    return pack(array.astype(np.uint8), curve="raw")


class TokenMask(TokenPage):
    """Base of the pages on which objects can be drawn; each image keeps its own.

    Attributes
    ----------
    token_mask : dict
        ``{image_index, values}``: the objects in the image in view; `values` whole numbers (row,
        col) over the patches that `query` counts, 0 background, 1 and up the objects (``bool`` for
        one object). The page sets it while a person draws. One that is set for another image is
        kept until that image is in view; ``{}`` forgets that of the image in view.

    Notes
    -----
    A known mask of pixels comes to patches as the share of each patch that it covers, as in
    ``mask.reshape(rows, height, cols, width).mean(axis=(1, 3)) >= 0.5``.

    Examples
    --------
    >>> page = TokenMask(image_names=["cat.jpg", "dog.jpg"])
    >>> page.token_mask = {"image_index": 0, "values": np.eye(4, dtype=bool)}
    >>> int(page.objects(0).sum()), page.objects(1)
    (4, None)
    """

    token_mask = Answer("Objects in the image in view.", ("image_index",), values=whole_numbers)

    def __init__(self, **kwargs: Any) -> None:
        self._masks: dict[int, dict[str, Any]] = {}
        super().__init__(**kwargs)

    def objects(self, image_index: int) -> np.ndarray | None:
        """Give the objects of an image, uint8 (row, col); ``None`` where none were drawn."""
        mask = self._masks.get(image_index)
        return unpack(mask["values"]) if mask else None

    @traitlets.validate("token_mask")
    def _fitting(self, proposal: Any) -> dict[str, Any]:
        """Refuse a mask that is not of the patches of this image."""
        mask: dict[str, Any] = proposal["value"]
        about = self.token_layer
        axis = about and (about["reference"] or about["axis"])
        if axis and mask.get("values") and mask["image_index"] == about["image_index"]:
            shape, grid = tuple(mask["values"]["shape"]), tuple(axis["grid"])
            if shape != grid:
                msg = (
                    f"token_mask of shape {shape} does not fit the image, which has patches "
                    f"{grid} (row, col): give one number for each"
                )
                raise traitlets.TraitError(msg)
        return mask

    @traitlets.observe("token_mask")
    def _keep_mask(self, _change: object) -> None:
        mask = self.token_mask
        if mask.get("values"):
            self._masks[mask["image_index"]] = mask
        else:
            self._masks.pop(mask.get("image_index", self.image_index), None)
        self._show_mask(None)

    @traitlets.observe("image_index")
    def _show_mask(self, _change: object) -> None:
        self.token_mask = self._masks.get(self.image_index, {})

"""What the features of patches say of an image: which are alike, and which form an object."""

from __future__ import annotations

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.token_page import TokenPage
from vit_widgets.widgets.traits import Answer, floats, pixels
from vit_widgets.widgets.wire import unpack

_VIEWS = ("similarity", "colours", "segments", "object")


class PatchFeatures(TokenPage):
    """Features of the patches of one layer, seen in four ways; it asks nothing of a model.

    Each answer is a dict that says which selection it answers, so that the page recognises one that
    was overtaken; ``{}`` is an answer that is not there. Arrays in it are packed.

    Attributes
    ----------
    features_view : str
        ``"similarity"``, ``"colours"``, ``"segments"`` or ``"object"``.
    features_k : int
        How many segments.
    features_tau : float
        Cosine from which on two patches hang together, for the object.
    similarity : dict
        ``{layer, query, image_index, values, prefix, note}``: `values` float (row, col), the cosine
        of the token `query` to each patch; `prefix` that to each prefix token by its name.
    colours : dict
        ``{layer, image_index, values, explained, note}``: `values` uint8 (1, row, col, 3), three
        principal components as red, green and blue; `explained` the share of each.
    segments : dict
        ``{layer, image_index, k, labels, sizes, note}``: `labels` (row, col), whole numbers from 0;
        `sizes` how many patches each has.
    object_cut : dict
        ``{layer, image_index, eigenvector, mask, box, tau, note}``: `eigenvector` and `mask` (0 or
        1) float (row, col); `box` top, left, bottom, right in fractions of the picture.

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.token_page.TokenPage`.

    Examples
    --------
    >>> page = PatchFeatures(layer_labels=["block 0"], image=np.zeros((64, 64, 3), np.uint8))
    >>> page.similarity = {
    ...     "layer": 0, "query": 0, "image_index": 0, "values": np.eye(4), "prefix": {}
    ... }
    """

    _esm = STATIC / "patch_features.js"
    _said = ("layer", "query", "image_index")

    features_view = traitlets.Enum(_VIEWS, "similarity").tag(sync=True)
    features_k = traitlets.Int(6, min=1, max=64).tag(sync=True)
    features_tau = traitlets.Float(0.2, min=-1, max=1).tag(sync=True)
    similarity = Answer(
        "How alike the patches are to the one asked about.", ("layer", "query", "image_index"),
        values=floats("row", "col"), prefix={}, note="",
    )  # fmt: skip
    colours = Answer(
        "Three principal components as colours.", ("layer", "image_index"),
        values=pixels, explained=[], note="",
    )  # fmt: skip
    segments = Answer(
        "Patches that k-means puts together.", ("layer", "image_index", "k"),
        labels=floats("row", "col"), sizes=[], note="",
    )  # fmt: skip
    object_cut = Answer(
        "The object that TokenCut finds.", ("layer", "image_index"),
        eigenvector=floats("row", "col"), mask=floats("row", "col"), box=[], tau=0.2, note="",
    )  # fmt: skip

    def picture(self) -> Image.Image | None:
        """Draw the image with the similarity over it."""
        if not self.image or not self.similarity.get("values"):
            return None
        values = unpack(self.similarity["values"])
        axis = self.token_layer and self.token_layer["axis"]
        image = unpack(self.image)
        factor = max(1, round(384 / image.shape[0]))
        return export.overlay(
            image.repeat(factor, axis=0).repeat(factor, axis=1),
            np.clip(values, 0, None),
            colors=self.colormap,
            opacity=self.opacity,
            box=tuple(axis["box"]) if axis else export.WHOLE,
            smooth=self.drawing == "smooth",
        )

"""How tokens change with depth: how large they are, how they vary, how alike layers are."""

from __future__ import annotations

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.token_page import TokenPage
from vit_widgets.widgets.traits import Answer, floats, marks
from vit_widgets.widgets.wire import unpack

_VIEWS = ("norms", "attention", "object")


class TokenDepth(TokenPage):
    """Norms and statistics of the tokens of all layers; it asks nothing of a model.

    Each answer is a dict that says which selection it answers, so that the page recognises one that
    was overtaken; ``{}`` is an answer that is not there. Arrays in it are packed. Blocks are
    counted in the order of the model; `layer` may count something else (attention), and ``layers``
    says which block each of those layers shows.

    Attributes
    ----------
    depth_view : str
        What lies over the image: ``"norms"`` of its patches, the ``"attention"`` of the query, or
        the ``"object"`` that the patches are cut into.
    depth_threshold : float or None
        From which norm on a patch stands out, in every layer; ``None``: what `depth_norms` says.
    depth_without : bool
        Whether the patches that stand out are left out of maps, attention and the object.
    depth_beside : int or None
        A second block that is marked, to compare with.
    depth_norms : dict
        ``{image_index, values, shapes, prefix, thresholds, blocks, layers, embedded, norms,
        note}``: `values` float (token), the norms of all blocks one after the other, of each the
        prefix tokens and then the patches in raster order; `shapes` (prefix, rows, cols) of each,
        rows 0 where the places are not known; `prefix` the names; `thresholds` ``None`` where
        nothing stands out; `embedded` the median before the first block; `norms` dicts ``{path,
        block, before, after}`` of medians for each normalisation layer.
    depth_curves : dict
        ``{image_index, curves, class_is, note}``: numbers by block, ``None`` where there is none:
        ``"within"`` and ``"among"`` (variance of tokens, intra and inter), ``"before within"``,
        ``"after within"``, ``"before among"``, ``"after among"`` of the first normalisation of each
        block, ``"neighbours"`` (cosine), ``"class"``, ``"class low"``, ``"class high"`` (cosine of
        `class_is` to the patches: mean and quartiles).
    depth_cka : dict
        ``{image_index, values, samples, note}``: `values` float (block, other block).
    depth_attention : dict
        ``{layer, query, image_index, values, prefix, note}``: `values` float (row, col), what the
        query attends to, the mean over heads; `prefix` its weight on prefix tokens, ``None`` where
        weights are not shared out of 1.
    depth_prefix : dict
        ``{layer, image_index, names, values, prefix, note}``: the same for each prefix token,
        `values` float (prefix, row, col), `prefix` a list.
    depth_object : dict
        ``{layer, image_index, without, threshold, values, mask, left_out, note}``: the object of
        the layer's tokens; `without` and `threshold` are the settings that it answers, `threshold`
        ``None`` for what `depth_norms` says, and where nothing is left out. `values` float (row,
        col), the eigenvector of the cut, NaN at the `left_out` patches; `mask` bool (row, col).

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.token_page.TokenPage`.

    Examples
    --------
    >>> page = TokenDepth(layer_labels=["block 0"], image=np.zeros((64, 64, 3), np.uint8))
    >>> page.depth_norms = {
    ...     "image_index": 0, "values": np.arange(5.0), "shapes": [(1, 2, 2)],
    ...     "prefix": [["class"]], "thresholds": [3.5], "blocks": ["block 0"], "layers": [0],
    ... }
    """

    _esm = STATIC / "token_depth.js"
    _said = ("layer", "query", "image_index")
    selection = (
        'depth_view="{depth_view}", depth_threshold={depth_threshold}, '
        "depth_without={depth_without}, depth_beside={depth_beside}"
    )

    depth_view = traitlets.Enum(_VIEWS, "norms").tag(sync=True)
    depth_threshold = traitlets.Float(None, allow_none=True, min=0).tag(sync=True)
    depth_without = traitlets.Bool(default_value=False).tag(sync=True)
    depth_beside = traitlets.Int(None, allow_none=True, min=0).tag(sync=True)
    depth_norms = Answer(
        "How large the tokens of all blocks are.", ("image_index",),
        values=floats("token"), shapes=[], prefix=[], thresholds=[], blocks=[], layers=[],
        embedded=None, norms=[], note="",
    )  # fmt: skip
    depth_curves = Answer(
        "What changes from block to block.", ("image_index",), curves={}, class_is="class", note="",
    )  # fmt: skip
    depth_cka = Answer(
        "How alike blocks are.", ("image_index",),
        values=floats("block", "other block"), samples=0, note="",
    )  # fmt: skip
    depth_attention = Answer(
        "What the token asked about attends to.", ("layer", "query", "image_index"),
        values=floats("row", "col"), prefix=None, note="",
    )  # fmt: skip
    depth_prefix = Answer(
        "What the prefix tokens attend to.", ("layer", "image_index"),
        names=[], values=floats("prefix", "row", "col"), prefix=[], note="",
    )  # fmt: skip
    depth_object = Answer(
        "The object that the patches of the layer are cut into.", ("layer", "image_index"),
        without=False, threshold=None, values=floats("row", "col"), mask=marks("row", "col"),
        left_out=0, note="",
    )  # fmt: skip

    def picture(self) -> Image.Image | None:
        """Draw the image with the norms of the layer in view over it."""
        axis = self.token_layer and self.token_layer["axis"]
        layers = self.depth_norms.get("layers", [])
        at = layers[self.layer] if self.layer < len(layers) else None
        if not self.image or not axis or at is None:
            return None
        sizes = [prefix + max(1, rows) * cols for prefix, rows, cols in self.depth_norms["shapes"]]
        prefix, rows, cols = self.depth_norms["shapes"][at]
        if not rows:
            return None
        start = sum(sizes[:at]) + prefix
        values = unpack(self.depth_norms["values"])[start : start + rows * cols]
        image = unpack(self.image)
        factor = max(1, round(384 / image.shape[0]))
        return export.overlay(
            image.repeat(factor, axis=0).repeat(factor, axis=1),
            np.nan_to_num(values.reshape(rows, cols) - np.nanmin(values)),
            colors=self.colormap,
            opacity=self.opacity,
            box=tuple(axis["box"]),
            smooth=self.drawing == "smooth",
        )

"""What the features of patches say of an image: which are alike, and which form an object."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.token_page import TokenPage
from vit_widgets.widgets.traits import Answer, floats, marks, pixels
from vit_widgets.widgets.wire import unpack

_VIEWS = ("similarity", "colours", "segments", "object", "class", "heads")
_HERE = ("layer", "image_index")


class PatchFeatures(TokenPage):
    """Features of the patches of one layer, seen in six ways; it asks nothing of a model.

    Each answer is a dict that says which selection it answers, so that the page recognises one that
    was overtaken; ``{}`` is an answer that is not there. Arrays in it are packed. `of` says what
    patches were compared by. `axis` says where they lie if that is not where `token_layer` says
    (keys may lie on a coarser grid). `note` says what to bear in mind, or why there is no answer.

    Attributes
    ----------
    features_view : str
        ``"similarity"``, ``"colours"``, ``"segments"``, ``"object"``, ``"class"`` (patches like the
        class token) or ``"heads"`` (where heads look, as masks).
    features_of : str
        What patches are compared by in the first four: ``"tokens"`` or ``"keys"``.
    features_onto : int
        Image on which the token is looked for as well; -1 for none.
    features_images : str
        What colours and segments are fitted on: ``"this image"`` or ``"all images"``.
    features_foreground : bool
        Whether the colours are those of the foreground alone.
    features_k : int
        How many segments.
    features_tau : float
        Cosine from which on two patches hang together, for the object.
    features_refined : bool
        Whether the object follows the edges of the picture.
    features_top : int
        How many patches the box around those like the class token holds.
    features_mass : float
        Share of a head's attention that its mask holds.
    features_heads : str
        Whose mask is outlined on the picture: ``"one head"``, that is `head`, or ``"all heads"``.
    similarity : dict
        ``{layer, query, image_index, of, axis, values, prefix, note}``: `values` float (row, col),
        the cosine of the token `query` to each patch; `prefix` that to each prefix token by its
        name.
    onto_picture : dict
        ``{onto, picture}``: `picture` uint8 (1, height, width, 3), the other image.
    matches : dict
        ``{layer, query, image_index, onto, of, axis, values, best, cosine, mutual, note}``:
        `values` float (row, col) as for `similarity`, of the patches of the other image; `best`
        row and column of the one that is most like the token, `cosine` how much; `mutual` whether
        the two choose each other, ``None`` for a token that is no patch.
    colours : dict
        ``{layer, image_index, of, images, foreground, axis, values, mask, explained, note}``:
        `values` uint8 (1, row, col, 3), three principal components as red, green and blue;
        `mask` yes or no (row, col), the patches that have a colour; `explained` the share of each.
    segments : dict
        ``{layer, image_index, k, of, images, axis, labels, sizes, note}``: `labels` (row, col),
        whole numbers from 0; `sizes` how many patches each has in all images.
    object_cut : dict
        ``{layer, image_index, of, tau, refined, axis, eigenvector, mask, box, pixels, note}``:
        `eigenvector` and `mask` (0 or 1) float (row, col); `box` top, left, bottom, right in
        fractions of the picture; `pixels` yes or no (height, width), the refined mask.
    class_patches : dict
        ``{layer, image_index, top, axis, values, patches, box, norm, note}``: `values` float (row,
        col), the cosine of each patch to the class token; `patches` row and column of the `top`
        that are most like it, `box` around them; `norm` path of the norm that they went through.
    head_weights : dict
        ``{layer, image_index, query, axis, weights, on_patches, asked, note}``: `weights` float
        (head, row, col), attention of the query to patches; `on_patches` how much of it falls on
        patches at all; `asked` the name of the token that asks.

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
    selection = (
        'features_view="{features_view}", features_of="{features_of}", '
        'features_onto={features_onto}, features_images="{features_images}", '
        "features_foreground={features_foreground}, features_k={features_k}, "
        "features_tau={features_tau}, features_refined={features_refined}, "
        "features_top={features_top}, features_mass={features_mass}, "
        'features_heads="{features_heads}"'
    )

    features_view = traitlets.Enum(_VIEWS, "similarity").tag(sync=True)
    features_of = traitlets.Enum(("tokens", "keys"), "tokens").tag(sync=True)
    features_onto = traitlets.Int(-1, min=-1).tag(sync=True)
    features_images = traitlets.Enum(("this image", "all images"), "this image").tag(sync=True)
    features_foreground = traitlets.Bool(False).tag(sync=True)
    features_k = traitlets.Int(6, min=1, max=64).tag(sync=True)
    features_tau = traitlets.Float(0.2, min=-1, max=1).tag(sync=True)
    features_refined = traitlets.Bool(False).tag(sync=True)
    features_top = traitlets.Int(8, min=1, max=64).tag(sync=True)
    features_mass = traitlets.Float(0.6, min=0.05, max=1).tag(sync=True)
    features_heads = traitlets.Enum(("one head", "all heads"), "one head").tag(sync=True)
    similarity = Answer(
        "How alike the patches are to the one asked about.", (*_HERE, "query"),
        of="tokens", axis={}, values=floats("row", "col"), prefix={}, note="",
    )  # fmt: skip
    onto_picture = Answer(
        "The other image that is looked at.", ("onto",), picture=pixels,
    )  # fmt: skip
    matches = Answer(
        "How alike the patches of the other image are.", (*_HERE, "query", "onto"),
        of="tokens", axis={}, values=floats("row", "col"), best=[], cosine=None, mutual=None,
        note="",
    )  # fmt: skip
    colours = Answer(
        "Three principal components as colours.", _HERE,
        of="tokens", images="this image", foreground=False, axis={}, values=pixels,
        mask=marks("row", "col"), explained=[], note="",
    )  # fmt: skip
    segments = Answer(
        "Patches that k-means puts together.", (*_HERE, "k"),
        of="tokens", images="this image", axis={}, labels=floats("row", "col"), sizes=[], note="",
    )  # fmt: skip
    object_cut = Answer(
        "The object that TokenCut finds.", _HERE,
        of="tokens", tau=0.2, refined=False, axis={}, eigenvector=floats("row", "col"),
        mask=floats("row", "col"), box=[], pixels=marks("row", "col"), note="",
    )  # fmt: skip
    class_patches = Answer(
        "Patches that are like the class token.", (*_HERE, "top"),
        axis={}, values=floats("row", "col"), patches=[], box=[], norm="", note="",
    )  # fmt: skip
    head_weights = Answer(
        "Where the heads look.", (*_HERE, "query"),
        axis={}, weights=floats("head", "row", "col"), on_patches=[], asked="", note="",
    )  # fmt: skip

    @traitlets.validate("features_onto")
    def _known_image(self, proposal: dict[str, Any]) -> int:
        size = self.size_of("image_index")
        image = int(proposal["value"])
        if size is not None and self.ranges_known and image >= size:
            msg = f"features_onto {image} is out of range: valid are 0 to {size - 1}, -1 for none"
            raise traitlets.TraitError(msg)
        return image

    def picture(self) -> Image.Image | None:
        """Draw the view that is open; ``None`` while it has no answer."""
        if not self.image:
            return None
        answer = getattr(self, _ANSWERS[self.features_view])
        drawn = _DRAWN[self.features_view](self, _enlarged(unpack(self.image)), answer)
        if self.features_view != "similarity" or self.features_onto < 0 or drawn is None:
            return drawn
        other = self._matched()
        return drawn if other is None else export.sheet([drawn, other], across=2)

    def _overlay(
        self, image: np.ndarray, values: np.ndarray, answer: dict[str, Any], *, signed: bool = True
    ) -> Image.Image:
        return export.overlay(
            image,
            values,
            colors=self.colormap,
            opacity=self.opacity,
            box=self._box(answer),
            signed=signed,
            smooth=self.drawing == "smooth",
        )

    def _box(self, answer: dict[str, Any]) -> export.Box:
        """Say what of the picture the patches of an answer cover."""
        axis = answer["axis"] or (self.token_layer and self.token_layer["axis"])
        return tuple(axis["box"]) if axis else export.WHOLE

    def _matched(self) -> Image.Image | None:
        """Draw the other image, with the patch that is most like the token outlined."""
        if not self.matches.get("values") or not self.onto_picture:
            return None
        image = _enlarged(unpack(self.onto_picture["picture"])[0])
        values = unpack(self.matches["values"])
        best = np.zeros(values.shape, bool)
        if self.matches["best"]:
            best[tuple(self.matches["best"])] = True
        drawn = self._overlay(image, values, self.matches)
        return export.outlined(drawn, best, self._box(self.matches))

    def _draw_similarity(self, image: np.ndarray, answer: dict[str, Any]) -> Image.Image | None:
        if not answer.get("values"):
            return None
        return self._overlay(image, unpack(answer["values"]), answer)

    def _draw_colours(self, image: np.ndarray, answer: dict[str, Any]) -> Image.Image | None:
        if not answer.get("values"):
            return None
        shown = unpack(answer["mask"]).astype(bool) if answer["mask"] else None
        return export.tinted(
            image, unpack(answer["values"])[0], opacity=self.opacity, box=self._box(answer),
            shown=shown,
        )  # fmt: skip

    def _draw_segments(self, image: np.ndarray, answer: dict[str, Any]) -> Image.Image | None:
        if not answer.get("labels"):
            return None
        colours = export.segment_colors(unpack(answer["labels"]).round().astype(int))
        return export.tinted(image, colours, opacity=self.opacity, box=self._box(answer))

    def _draw_object(self, image: np.ndarray, answer: dict[str, Any]) -> Image.Image | None:
        if not answer.get("eigenvector"):
            return None
        drawn = self._overlay(image, unpack(answer["eigenvector"]), answer)
        if answer["pixels"]:
            return export.outlined(drawn, unpack(answer["pixels"]).astype(bool))
        drawn = export.outlined(drawn, unpack(answer["mask"]) > 0, self._box(answer))
        return export.outlined(drawn, np.ones((1, 1), bool), tuple(answer["box"]))

    def _draw_class(self, image: np.ndarray, answer: dict[str, Any]) -> Image.Image | None:
        if not answer.get("values"):
            return None
        drawn = self._overlay(image, unpack(answer["values"]), answer)
        return export.outlined(drawn, np.ones((1, 1), bool), tuple(answer["box"]))

    def _draw_heads(self, image: np.ndarray, answer: dict[str, Any]) -> Image.Image | None:
        if not answer.get("weights"):
            return None
        weights = unpack(answer["weights"])
        if self.features_heads == "one head":
            weights = weights[[min(self.head, len(weights) - 1)]]
        inside = np.any([_fewest(one, self.features_mass) for one in weights], axis=0)
        drawn = self._overlay(image, weights.mean(axis=0), answer, signed=False)
        return export.outlined(drawn, inside, self._box(answer))


_ANSWERS = {
    "similarity": "similarity",
    "colours": "colours",
    "segments": "segments",
    "object": "object_cut",
    "class": "class_patches",
    "heads": "head_weights",
}
_DRAWN = {
    "similarity": PatchFeatures._draw_similarity,
    "colours": PatchFeatures._draw_colours,
    "segments": PatchFeatures._draw_segments,
    "object": PatchFeatures._draw_object,
    "class": PatchFeatures._draw_class,
    "heads": PatchFeatures._draw_heads,
}


def _enlarged(image: np.ndarray) -> np.ndarray:
    factor = max(1, round(384 / image.shape[0]))
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _fewest(weights: np.ndarray, mass: float) -> np.ndarray:
    """Mark the fewest cells that hold a share of the weights: what the page marks."""
    flat = np.nan_to_num(weights.ravel()).astype(np.float64)
    order = np.argsort(-flat, kind="stable")
    held = np.cumsum(flat[order])
    inside = np.zeros(len(flat), bool)
    inside[order] = (np.r_[0, held[:-1]] < mass * held[-1] * (1 - 1e-9)) & (flat[order] > 0)
    return inside.reshape(weights.shape)

"""What tokens see of an image through the filters of the patch embedding, level by level."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC, Indices
from vit_widgets.widgets.token_mask import TokenMask, whole_numbers
from vit_widgets.widgets.traits import Answer, floats
from vit_widgets.widgets.wire import pack_maps, pack_signed_maps, unpack

_SORTS = ("index", "contrast", "strength", "separation")


def _signed(*axes: str) -> Callable[[Any], dict[str, Any]]:
    """Quantise values of both signs, each slice of the first axis on a scale of its own."""

    def coerce(value: Any) -> dict[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        array = _of_rank(value, axes)
        return {**pack_signed_maps(array.reshape(len(array), -1)), "whole": list(array.shape)}

    return coerce


def _weights(*axes: str) -> Callable[[Any], dict[str, Any]]:
    """Quantise weights, each map over the last axis on a scale of its own."""

    def coerce(value: Any) -> dict[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        return pack_maps(_of_rank(value, axes))

    return coerce


def _of_rank(value: Any, axes: tuple[str, ...]) -> np.ndarray:
    array = np.asarray(value, dtype=np.float32)
    if array.ndim != len(axes):
        msg = f"takes numbers ({', '.join(axes)}), an array of shape {array.shape} was given"
        raise ValueError(msg)
    return array


class TokenViews(TokenMask):
    """Views of tokens: a filter of the patch embedding, the image, and where attention leads.

    The page multiplies them itself: another filter or layer asks for nothing. It asks nothing of a
    model.

    Attributes
    ----------
    views_filter : int
        Filter of the patch embedding, counted from 0.
    views_pins : list of int
        Filters held for comparison, at most eight.
    views_display : str
        ``"signed"``: the sum over the channels, zero in the middle; ``"clipped"``: the channels as
        colours, what is negative black, as Nguyen et al. 2022 draw them.
    views_scale : str
        ``"per view"``, or ``"shared"``: that of the image at level 0 for all.
    views_residual : bool
        Whether a layer hands each token on beside what it attends to.
    views_heads : str
        ``"mean"`` of all heads, ``"one"`` (`head`, in every layer), or the feature's ``"own"``.
    views_sort : str
        ``"index"``, ``"contrast"``, ``"strength"``, or ``"separation"`` of the objects that are
        drawn from the rest.
    views_thumbnails : str
        ``"views"`` of the image in view, or the ``"filters"`` themselves.
    views_filters : dict
        ``{weights, bias, path, note}``: `weights` float (filter, channel, row, col), `bias`
        (filter,), `path` of their module.
    views_image : dict
        ``{image_index, pixels, scores, note}``: `pixels` float (channel, row, col) as the model
        takes them; `scores` from ``"contrast"`` and ``"strength"`` to one number a filter.
    views_separation : dict
        ``{image_index, objects, scores, note}``: one number a filter, how far its sums over all
        `objects` (whole numbers (row, col), the `token_mask` that is answered) lie from the rest.
    views_rows : dict
        ``{image_index, head, residual, heads, tokens, rows, head_count, note}``: `rows` float
        (token, head, level, patch), how much each patch has in the view of each of `tokens`; one
        head, unless each feature has its own. `head_count` is how many can be chosen.
    views_entry : dict
        Exact numbers of one token, ``{image_index, query, head, residual, heads, weights, sums,
        position, embedding, fixed, note}``: `weights` float (head, level, patch); `sums` of the
        local view, the `position` that is added and the entry of the `embedding`, float (filter,);
        `fixed` whether what is added is the same for every image.

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.token_page.TokenPage` and
    :class:`~vit_widgets.widgets.token_mask.TokenMask`.

    Examples
    --------
    >>> page = TokenViews(layer_labels=["block 0"], image=np.zeros((64, 64, 3), np.uint8))
    >>> page.views_filters = {"weights": np.ones((8, 3, 16, 16)), "bias": np.zeros(8)}
    >>> page.views_image = {"image_index": 0, "pixels": np.ones((3, 64, 64))}
    >>> page.views_filter = 3
    """

    _esm = STATIC / "token_views.js"
    _said = ("layer", "query", "views_filter")
    selection = (
        "views_filter={views_filter}, views_pins={views_pins}, "
        'views_display="{views_display}", views_scale="{views_scale}", '
        'views_residual={views_residual}, views_heads="{views_heads}", '
        'views_sort="{views_sort}", views_thumbnails="{views_thumbnails}"'
    )

    views_filter = traitlets.Int(0, min=0).tag(sync=True)
    views_pins = Indices("views_filter", most=8, doc="Filters held for comparison.")
    views_display = traitlets.Enum(("signed", "clipped"), "signed").tag(sync=True)
    views_scale = traitlets.Enum(("per view", "shared"), "per view").tag(sync=True)
    views_residual = traitlets.Bool(default_value=True).tag(sync=True)
    views_heads = traitlets.Enum(("mean", "one", "own"), "mean").tag(sync=True)
    views_sort = traitlets.Enum(_SORTS, "index").tag(sync=True)
    views_thumbnails = traitlets.Enum(("views", "filters"), "views").tag(sync=True)
    views_filters = Answer(
        "The filters of the patch embedding.", (),
        weights=_signed("filter", "channel", "row", "col"), bias=floats("filter"), path="", note="",
    )  # fmt: skip
    views_image = Answer(
        "The image as the model takes it.", ("image_index",),
        pixels=_signed("channel", "row", "col"), scores={}, note="",
    )  # fmt: skip
    views_separation = Answer(
        "How far the objects are from the rest, by filter.", ("image_index",),
        objects=whole_numbers, scores=[], note="",
    )  # fmt: skip
    views_rows = Answer(
        "How much patches have in the views of tokens.", ("image_index", "head"),
        residual=True, heads="mean", tokens=[], head_count=1,
        rows=_weights("token", "head", "level", "patch"), note="",
    )  # fmt: skip
    views_entry = Answer(
        "Exact numbers of the token that is asked about.", ("image_index", "query", "head"),
        residual=True, heads="mean", weights=floats("head", "level", "patch"),
        sums=floats("filter"), position=floats("filter"), embedding=floats("filter"),
        fixed=False, note="",
    )  # fmt: skip

    def size_of(self, name: str) -> int | None:
        """Count the filters by their weights."""
        if name == "views_filter":
            weights = self.views_filters.get("weights")
            return weights["whole"][0] if weights else None
        return super().size_of(name)

    @traitlets.validate("views_filter")
    def _filter_that_is_there(self, proposal: Any) -> int:
        index, count = int(proposal["value"]), self.size_of("views_filter")
        if count is not None and index >= count:
            msg = f"views_filter {index} is out of range: valid are 0 to {count - 1}"
            raise traitlets.TraitError(msg)
        return index

    def picture(self) -> Image.Image | None:
        """Draw the view of the token at the layer in view, its channels summed up."""
        weights, rows = self.views_filters.get("weights"), self.views_rows.get("rows")
        pixels = self.views_image.get("pixels")
        tokens = self.views_rows.get("tokens", [])
        if not (self.image and weights and pixels and rows) or self.query not in tokens:
            return None
        kernel = unpack(weights)[self.views_filter].reshape(weights["whole"][1:])
        plane = unpack(pixels).reshape(pixels["whole"])
        of_heads = unpack(rows)[tokens.index(self.query)]
        head = self.views_filter * len(of_heads) // weights["whole"][0]
        level = min(self.layer + 1, of_heads.shape[1] - 1)
        _, down, across = kernel.shape
        grid = (plane.shape[1] // down, plane.shape[2] // across)
        seen = plane[:, : grid[0] * down, : grid[1] * across]
        view = (seen * np.tile(kernel, (1, *grid))).sum(axis=0)
        view *= of_heads[head, level].reshape(grid).repeat(down, axis=0).repeat(across, axis=1)
        return export.thumbnails(view[None], signed=True, side=384)

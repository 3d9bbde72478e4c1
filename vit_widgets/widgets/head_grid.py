"""The heads of a layer, or of the whole model, as small maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.image import ColorMapped, HeadsTogether
from vit_widgets.widgets.maps import Axis, Layer, attention_packet
from vit_widgets.widgets.traits import Maps
from vit_widgets.widgets.wire import unpack


class MapsWidget(HeadsTogether, ColorMapped):
    """Base of the components that draw maps of heads.

    Attributes
    ----------
    maps : array or dict
        Plain maps (row, col), (head, row, col) or (layer, head, row, col), which belong to no
        query; or a packet of :mod:`vit_widgets.widgets.maps`.
    direction : str
        ``"attends to"`` (rows) or ``"attended by"`` (columns).

    Parameters
    ----------
    attention
        Instead of `maps`: whole matrices (layer, head, query, key), or (head, query, key); every
        query and both directions can then be looked at.
    grid
        Rows and columns of patches, with `attention`; a square one is found by itself.
    prefix
        Names of the prefix tokens, with `attention`, e.g. ``["class"]``.
    """

    maps = Maps().tag(sync=True)
    direction = traitlets.Enum(("attends to", "attended by"), "attends to").tag(sync=True)

    def __init__(
        self,
        *,
        attention: np.ndarray | Sequence[np.ndarray] | None = None,
        grid: tuple[int, int] | None = None,
        prefix: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        self._attention = None if attention is None else _layers_of(attention)
        self._tokens = (grid, tuple(prefix))
        if self._attention is not None:
            direction = kwargs.get("direction", "attends to")
            kwargs["maps"] = self._packed(direction)
        super().__init__(**kwargs)

    def _packed(self, direction: Any) -> dict[str, Any]:
        grid, prefix = self._tokens
        assert self._attention is not None
        grid = grid or _square(self._attention[0].shape[-1] - len(prefix))
        return attention_packet(self._attention, grid, prefix, direction)

    @traitlets.observe("direction")
    def _direction_changed(self, change: Any) -> None:
        if getattr(self, "_attention", None) is not None:
            self.maps = self._packed(change.new)

    @traitlets.observe("maps", "layer")
    def _maps_changed(self, _change: object) -> None:
        self.bring_into_range()

    def shown_layer(self) -> Layer | None:
        """Give the layer of the packet that is looked at; ``None`` if it is not there."""
        layers = self.maps.get("layers", [])
        return layers[self.layer] if self.layer < len(layers) else None

    def size_of(self, name: str) -> int | None:
        """Count layers, heads and tokens by what the maps hold."""
        if name == "layer" and self.maps.get("layers"):
            return len(self.maps["layers"])
        layer = self.shown_layer()
        if name == "head" and layer is not None:
            return int(layer["cells"]["shape"][-2])
        axis = self.query_axis()
        if name == "query" and axis is not None:
            rows, cols = axis["grid"]
            return len(axis["prefix"]) + int(rows * cols)
        return super().size_of(name)

    def query_axis(self) -> Axis | None:
        """Give the axis that `query` counts on; ``None`` where the maps belong to no query."""
        if self.maps.get("queries") is None:
            return None
        layer = self.shown_layer()
        own = layer if layer is not None and layer["kind"] == "image" else None
        return self.maps.get("reference") or (own and (own["asked"] or own))

    def shown_maps(self) -> np.ndarray | None:
        """Give the maps of all heads at the selection, float (head, row, col), as drawn."""
        layer = self.shown_layer()
        if layer is None:
            return None
        values = unpack(layer["cells"])
        if layer["kind"] == "matrix":
            return values.reshape(len(values), *layer["shape"])
        queries = self.maps["queries"]
        at = queries.index(self.query) if queries and self.query in queries else 0
        return values[at].reshape(values.shape[1], *layer["grid"])


class HeadGrid(MapsWidget):
    """All heads of a layer for one query, or of the whole model.

    Attributes
    ----------
    layer, head, query : int
        What is chosen.
    sort : str
        ``"head"``, ``"entropy"``, ``"distance"`` or ``"maximum"``.
    scale : str
        ``"per map"``, or ``"shared"`` by all maps in view.
    span : str
        ``"this layer"`` or ``"all layers"``.

    Notes
    -----
    Other attributes and parameters are those of ``MapsWidget``: `maps`, `attention`, `grid`,
    `prefix`, `heads`, `direction`, `colormap`.

    Examples
    --------
    >>> grid = HeadGrid(maps=np.random.default_rng(0).random((6, 12, 12)))
    >>> grid.head = 4
    """

    _esm = STATIC / "head_grid.js"

    sort = traitlets.Enum(("head", "entropy", "distance", "maximum"), "head").tag(sync=True)
    scale = traitlets.Enum(("per map", "shared"), "per map").tag(sync=True)
    span = traitlets.Enum(("this layer", "all layers"), "this layer").tag(sync=True)

    def picture(self) -> Image.Image | None:
        """Draw the heads of the layer beside each other."""
        layer, maps = self.shown_layer(), self.shown_maps()
        if layer is None or maps is None:
            return None
        return export.thumbnails(maps, colors=self.colormap, signed=layer["signed"])


def _layers_of(attention: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
    layers = [np.asarray(one, dtype=np.float32) for one in attention]
    if layers and layers[0].ndim == 2:  # (head, query, key): one layer
        layers = [np.stack(layers)]
    for layer in layers:
        if layer.ndim != 3 or layer.shape[1] != layer.shape[2]:
            msg = (
                f"attention of shape {layer.shape} cannot be shown; accepted are (head, query, key)"
                " and (layer, head, query, key) with as many queries as keys"
            )
            raise ValueError(msg)
    return layers


def _square(patches: int) -> tuple[int, int]:
    side = round(patches**0.5)
    if side * side != patches:
        msg = f"{patches} patches form no square; pass grid=(rows, cols) and the prefix= tokens"
        raise ValueError(msg)
    return (side, side)

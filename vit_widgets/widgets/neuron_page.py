"""What one neuron responds to: the images that excite it, where they do, and what it is for."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export
from vit_widgets.widgets.base import STATIC, VitWidget
from vit_widgets.widgets.feature_canvas import FeatureCanvas
from vit_widgets.widgets.image import ImageWidget
from vit_widgets.widgets.page import PageWidget
from vit_widgets.widgets.traits import Answer, floats, pixels
from vit_widgets.widgets.wire import unpack

_THUMBNAIL = 144  # pixels, of the picture that stands in for the page
_ACROSS = 4

_WHOLE = [0.0, 0.0, 1.0, 1.0]
_NEURON = ("layer", "neuron")


class Bookmarks(traitlets.List):  # type: ignore[type-arg]
    """Pairs (layer, neuron), without repeats."""

    def __init__(self, doc: str) -> None:
        super().__init__(traitlets.List(traitlets.Int(), minlen=2, maxlen=2), help=doc)
        self.tag(sync=True, from_json=self._from_page)

    def _from_page(self, value: Any, widget: NeuronPage) -> list[list[int]]:
        """Drop what a page sends that does not exist (any more)."""
        return [pair for pair in value if not self._wrong(pair, widget)]

    def _wrong(self, pair: list[int], widget: NeuronPage) -> bool:
        counts = widget.neuron_counts
        layer, neuron = pair
        return bool(counts) and not (0 <= layer < len(counts) and 0 <= neuron < counts[layer])

    def validate(self, obj: NeuronPage, value: Any) -> list[list[int]]:
        """Refuse neurons that the model does not have."""
        pairs = super().validate(obj, [list(pair) for pair in value]) or []
        wrong = [pair for pair in pairs if obj.ranges_known and self._wrong(pair, obj)]
        if wrong:
            msg = (
                f"bookmarks {wrong} do not exist; accepted are pairs (layer, neuron), layers 0 to "
                f"{len(obj.neuron_counts) - 1}, with as many neurons as neuron_counts says"
            )
            raise traitlets.TraitError(msg)
        return [list(pair) for pair in dict.fromkeys(map(tuple, pairs))]


class NeuronPage(PageWidget, ImageWidget, FeatureCanvas):
    """One neuron of one layer, seen from all sides; it draws what it is given and asks nothing.

    Each answer is a dict that says which selection it answers, so that the page recognises one that
    was overtaken: it stays, dimmed, under its own name. ``{}`` is an answer that is not there.
    Arrays in it are packed. Wherever a `layer` stands beside a `neuron` in these dicts, it counts
    layers of neurons, from 0. A neuron's activation on an image is its mean over the patches.

    Attributes
    ----------
    layer, neuron, query, image_index, target : int
        The selection.
    neuron_counts : list of int
        How many neurons each layer has.
    neuron_labels : list of str
        One name for each layer of neurons, e.g. ``"blocks.5.mlp"``.
    neuron_of_layer : list of int
        Which layer of neurons belongs to each value of `layer`, -1 where none does; empty where
        `layer` itself counts layers of neurons.
    index_caption : str
        What was scanned, e.g. ``"50 000 images scanned, 21 Nov 2026, mean over patches"``.
    index_note : str
        Why there are no top images, or what is wrong with them.
    neuron_map : dict
        Where the neuron fires in the image in view: ``{layer, neuron, image_index, values, box,
        prefix, reference, note}``. `values` is float (row, col); `box` what of the image they
        cover: top, left, bottom, right in fractions of it, or ``None`` where their places are not
        known, so that they are not drawn on the image; `prefix` the activation at each prefix
        token by its name; `reference` the axis that `query` counts on (``token_axis``), if it is
        not that of the map.
    top_images : dict
        Most activating images, the strongest first: ``{layer, neuron, images, maps, scores, names,
        labels, box, note}``; `images` uint8 (image, height, width, 3), `maps` (image, row, col).
    top_view : str
        ``"image + map"``, ``"image"`` or ``"map"``.
    map_scale : str
        ``"shared scale"`` from the smallest to the largest value of all maps in view, or
        ``"per map"``.
    distribution : dict
        ``{layer, neuron, edges, counts, sampled, total, shown, caption}``: a histogram of the
        activations of `sampled` of `total` images; `shown` are the scores of the top images.
    class_counts : dict
        ``{layer, neuron, k, classes, entropy}``: `classes` is a list of ``{label, count}`` of the
        top `k` images; `entropy` in nats.
    effects : dict
        ``{layer, neuron, image_index, rows, note}``; each row is ``{what, classes, top_before,
        top_after}`` with `what` ``"silenced"`` or ``"doubled"`` and `classes` a list of ``{label,
        before, after}``, probabilities.
    alike : dict
        ``{layer, neuron, neurons, note}``; `neurons` is a list of ``{neuron, r}``.
    patch_neurons : dict
        ``{layer, query, image_index, neurons, note}``: most active at the token `query`; `neurons`
        is a list of ``{neuron, value}``.
    class_neurons : dict
        ``{layer, target, label, neurons, measure}``: most selective for a class; `neurons` is a
        list of ``{neuron, value}``, `measure` says what the value is.
    specific : dict
        ``{layer, neurons, measure}``: those that the model `other_name` does not have; `neurons` is
        a list of ``{neuron, overlap, entropy}``.
    other_name : str
        The model that this one is compared with.
    class_names : list of str
        What `target` is chosen from.
    bookmarks : list
        Pairs (layer, neuron).
    atlas_open : bool
        Whether all neurons of the layer are shown.
    atlas_wanted : dict
        Which of them the page would like to see: ``{layer, first, count}``.
    atlas : dict
        ``{layer, first, images, captions, note}``: pictures uint8 (neuron, height, width, 3) of the
        neurons from `first`; the page keeps those that it has got. `note` says what they are.

    Notes
    -----
    Other attributes are those of ``PageWidget`` (title, images, code), ``ImageWidget`` (the image
    in view, and how a map is laid over it) and :class:`FeatureCanvas` (the optimised image).

    Examples
    --------
    >>> page = NeuronPage(neuron_counts=[4, 4], layer=1, neuron=2)
    >>> page.neuron_map = {
    ...     "layer": 1, "neuron": 2, "image_index": 0, "values": np.eye(3), "prefix": {"class": 0.1}
    ... }
    """

    _esm = STATIC / "neuron_page.js"
    _said = ("layer", "neuron", "query")

    neuron_counts = traitlets.List(traitlets.Int()).tag(sync=True)
    neuron_labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    neuron_of_layer = traitlets.List(traitlets.Int()).tag(sync=True)
    index_caption = traitlets.Unicode("").tag(sync=True)
    index_note = traitlets.Unicode("").tag(sync=True)
    neuron_map = Answer(
        "Where the neuron fires in the image in view.", (*_NEURON, "image_index"),
        values=floats("row", "col"), box=_WHOLE, prefix={}, reference={}, note="",
    )  # fmt: skip
    top_images = Answer(
        "The images that excite the neuron most.", _NEURON,
        images=pixels, maps=floats("image", "row", "col"), scores=[], names=[], labels=[],
        box=_WHOLE, note="",
    )  # fmt: skip
    top_view = traitlets.Enum(("image + map", "image", "map"), "image + map").tag(sync=True)
    map_scale = traitlets.Enum(("shared scale", "per map"), "shared scale").tag(sync=True)
    distribution = Answer(
        "How often the neuron is how active.", _NEURON,
        edges=[], counts=[], sampled=0, total=0, shown=[], caption="",
    )  # fmt: skip
    class_counts = Answer("Classes of the top images.", _NEURON, k=0, classes=[], entropy=None)
    effects = Answer(
        "What the model says without it, and with twice as much of it.",
        (*_NEURON, "image_index"), rows=[], note="",
    )  # fmt: skip
    alike = Answer("Neurons that respond to the same images.", _NEURON, neurons=[], note="")
    patch_neurons = Answer(
        "Neurons most active at a token.", ("layer", "query", "image_index"), neurons=[], note=""
    )
    class_neurons = Answer(
        "Neurons most selective for a class.", ("layer", "target"), label="", neurons=[], measure=""
    )
    specific = Answer(
        "Neurons that another model does not have.", ("layer",), neurons=[], measure=""
    )
    other_name = traitlets.Unicode("").tag(sync=True)
    class_names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    bookmarks = Bookmarks("Neurons to come back to.")
    atlas_open = traitlets.Bool(default_value=False).tag(sync=True)
    atlas_wanted = Answer("Cells of the atlas on screen.", ("layer", "first", "count"))
    atlas = Answer("Pictures of neurons.", ("layer", "first"), images=pixels, captions=[], note="")

    @property
    def neuron_layer(self) -> int:
        """The layer of neurons in view; -1 where `layer` has none."""
        if not self.neuron_of_layer:
            return self.layer
        return self.neuron_of_layer[self.layer] if self.layer < len(self.neuron_of_layer) else -1

    def size_of(self, name: str) -> int | None:
        """Count neurons, and where it is the only page, layers, classes and tokens."""
        counts, layer = self.neuron_counts, self.neuron_layer
        if name == "neuron" and counts:
            return counts[layer] if 0 <= layer < len(counts) else 0
        if name == "target" and self.class_names:
            return len(self.class_names)
        own = super().size_of(name)
        if own is None and name == "layer" and counts:
            return len(self.neuron_of_layer) or len(counts)
        if own is None and name == "query" and self.neuron_map.get("values"):
            axis = self.neuron_map["reference"]
            rows, cols = axis["grid"] if axis else self.neuron_map["values"]["shape"]
            prefix = axis["prefix"] if axis else self.neuron_map["prefix"]
            return len(prefix) + int(rows * cols)
        return own

    __repr__ = VitWidget.__repr__

    @traitlets.observe("layer", "neuron_counts", "neuron_of_layer", "class_names", "neuron_map")
    def _sizes_changed(self, _change: object) -> None:
        self.bring_into_range()

    def picture(self) -> Image.Image | None:
        """Draw the most activating images with their maps, or at least the optimised image."""
        top = self.top_images
        if not top.get("images"):
            return super().picture()
        images = unpack(top["images"])
        maps = unpack(top["maps"]) if top["maps"] and self.top_view != "image" else None
        tiles = []
        for at, image in enumerate(images):
            factor = max(1, _THUMBNAIL // image.shape[0])
            large = image.repeat(factor, axis=0).repeat(factor, axis=1)
            if maps is None:
                tiles.append(Image.fromarray(large))
                continue
            low, high = _range(maps if self.map_scale == "shared scale" else maps[at])
            share = (maps[at] - low) / (high - low) if high > low else np.zeros_like(maps[at])
            alone = self.top_view == "map"
            tiles.append(
                export.overlay(
                    np.zeros_like(large) if alone else large,
                    np.square(share),  # an overlay follows the root of what it is given
                    colors=self.colormap,
                    opacity=1.0 if alone else self.opacity,
                    box=tuple(top["box"]),
                    most=1.0,
                    fade=np.ones_like if alone else np.square,
                    smooth=self.drawing == "smooth",
                )
            )
        return export.sheet(tiles, across=_ACROSS)


def _range(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)

"""The Inspector: a selection becomes a probe call on a worker, and the result becomes traits."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import traitlets
from torch import nn

from vit_widgets.activations import ActivationCache
from vit_widgets.dataset import NeuronIndex
from vit_widgets.inspector import description, opening
from vit_widgets.inspector.atlas import Atlas
from vit_widgets.inspector.attention import all_layers, layer_maps, neighbours, reference_axis
from vit_widgets.inspector.attribution import AttributionDesk
from vit_widgets.inspector.clusters import ClusterDesk
from vit_widgets.inspector.depth import DepthDesk
from vit_widgets.inspector.heads import HeadDesk
from vit_widgets.inspector.live_feature import LiveFeature
from vit_widgets.inspector.neurons import NeuronDesk
from vit_widgets.inspector.patch_features import PatchFeatureDesk
from vit_widgets.inspector.pictures import Pictures, seen
from vit_widgets.inspector.scatter import ScatterDesk
from vit_widgets.inspector.tokens import TokenDesk, TokenSource
from vit_widgets.inspector.views import ViewDesk
from vit_widgets.jobs import Job, Worker
from vit_widgets.models import VisionModel
from vit_widgets.models.images import Picture
from vit_widgets.models.preprocessing import Transform
from vit_widgets.probes import layer_statistics
from vit_widgets.widgets import InspectorPage
from vit_widgets.widgets.base import READY
from vit_widgets.widgets.inspector_page import TABS, TOKEN_TABS
from vit_widgets.widgets.maps import Layer, Packet, packet

# Layers are shown as they come when all of them take longer than this to pack, in seconds.
_PATIENCE = 0.15

# A head of the bundled model through which the class token sees the whole object.
_DEMO_OPENING = {"layer": 4, "head": 3}

_ENTROPY = "mean entropy, nats"

# Who answers in the tabs about tokens.
_TOKEN_DESKS: Mapping[str, type[TokenDesk[Any]]] = {
    "features": PatchFeatureDesk,
    "views": ViewDesk,
    "scatter": ScatterDesk,
    "clusters": ClusterDesk,
    "depth": DepthDesk,
    "heads": HeadDesk,
    "attribution": AttributionDesk,
}


class _Superseded(Exception):  # noqa: N818 - a signal, not an error
    """The selection moved on while its answer was being made."""


@dataclass(frozen=True)
class _Anatomy:
    """Sizes of what can be selected in the image in view."""

    heads: tuple[int, ...]
    tokens: int | None

    @classmethod
    def of(cls, cache: ActivationCache) -> _Anatomy:
        axis = cache.placement.axis
        heads = tuple(record.heads for record in cache.attention)
        return cls(heads, None if axis is None else axis.size)


class Inspector(InspectorPage):
    """Everything about one model and some images, linked. Made by :func:`inspect`.

    Setting a selection trait moves the page, and the page moves the trait. Layer and head changes
    are drawn from what the page holds; a query asks for one row of every layer; an image costs one
    forward.

    Attributes
    ----------
    model
        The model that is looked into.
    cache
        What the forward of the image in view left.
    index
        What was scanned, or ``None``.
    feature
        The image that is optimised in the tab of neurons; ``None`` until that was opened.

    Examples
    --------
    >>> inspector = inspect("demo")                                    # doctest: +SKIP
    >>> inspector.layer = 3                                            # doctest: +SKIP
    >>> inspector.cache.attention[3].weights(head=inspector.head).shape  # doctest: +SKIP
    (145, 145)
    """

    def __init__(
        self,
        model: VisionModel,
        pictures: Sequence[Picture],
        names: Sequence[str],
        index: NeuronIndex | None = None,
        opened_by: str = "model",
        code_of: Callable[[str], str] = lambda _selection: "",
        **view: Any,
    ) -> None:
        self.model, self.index = model, index
        self._code_of = code_of
        self._opened_by = opened_by
        self.feature: LiveFeature | None = None
        self._pictures = Pictures(model, pictures)
        self._matrices: dict[int, dict[int, Layer]] = {}
        self._entropies: dict[int, list[float]] = {}
        self._worker: Worker | None = None
        self._desk: NeuronDesk | None = None
        self._token_desks: dict[str, TokenDesk[Any]] = {}
        begin = self._pictures.checked(view.get("image_index", 0))
        cache = self._pictures.captured(begin)  # the first picture is there when the cell ends
        self._anatomy = _Anatomy.of(cache)
        told = {"image_names": list(names), "title": model.name, "tabs": list(TABS)}
        super().__init__(
            thumbnails=opening.strip(model, pictures),
            **{**told, **_opening(cache), **view, **self._about(cache)},
        )
        self._publish_rows()
        self._worker = Worker(self.show_failure)
        self._worker.submit("statistics", self._publish_statistics)
        self._tab_changed(None)

    @property
    def cache(self) -> ActivationCache:
        """What the forward of the image in view left (attention only)."""
        return self._pictures.captured(self.image_index)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the page has all that it asked for; ``False`` if `timeout` seconds went by."""
        return self._worker is None or self._worker.wait(timeout)

    def close(self) -> None:
        """Stop working, forget what was captured, and close the page."""
        if self.feature is not None:
            self.feature.close()
        if self._worker is not None:
            self._worker.cancel()
        self._pictures.forget()
        super().close()

    def size_of(self, name: str) -> int | None:
        """Count heads and tokens by what the model has, whether or not the page has it yet."""
        if name == "head" and self.layer < len(self._anatomy.heads):
            return self._anatomy.heads[self.layer]
        if name == "query":
            return self._anatomy.tokens
        return super().size_of(name)

    # --- a selection becomes a request ----------------------------------------------------------

    @traitlets.observe("image_index")
    def _image_changed(self, _change: object) -> None:
        self._request("image", self._publish_image)

    @traitlets.observe("query", "direction", "pins")
    def _query_changed(self, _change: object) -> None:
        self._request("rows", self._publish_rows)

    @traitlets.observe("layer")
    def _layer_changed(self, _change: object) -> None:
        self._request("exact", self._publish_exact)

    @traitlets.observe("tab")
    def _tab_changed(self, _change: object) -> None:
        own = TOKEN_TABS[self.tab].selection if self.tab in TOKEN_TABS else ""
        self.code = self._code_of(f"{_SELECTION}, {own}" if own else _SELECTION)
        if self.tab == "neurons":
            self._request("neurons", self._answer_neurons)
        elif self.tab in _TOKEN_DESKS:
            self._request(self.tab, self._answer_tokens)

    def _request(self, kind: str, job: Any) -> None:
        if getattr(self, "_worker", None) is not None:
            self._worker.submit(kind, job)  # type: ignore[union-attr]

    # --- and a result becomes traits ------------------------------------------------------------

    def _publish_image(self) -> None:
        index = self.image_index
        name = self.image_names[index]
        self.publish(status={**READY, "state": "working", "text": f"running {name}"})
        cache = self._pictures.captured(index)
        if self.image_index != index:
            return  # the request for the next image is waiting already
        self._anatomy = _Anatomy.of(cache)
        with self.hold_sync():  # picture, classes and maps reach the page as one
            self.publish(**{"status": dict(READY), **self._about(cache)})
            self.publish(layer_caption=f"{_ENTROPY} · measuring")
            self.bring_into_range()
            self._publish_rows()
        self._publish_statistics()

    def _publish_rows(self) -> None:
        asked = self._selection()
        index, query, direction, pins = asked
        cache = self._pictures.captured(index)
        queries = list(
            dict.fromkeys((query, *pins, *neighbours(cache, query, len(pins), self.layer)))
        )
        started = time.monotonic()
        held = self._matrices.setdefault(index, {})

        def show(layers: list[Layer | None]) -> None:
            nonlocal started
            if self._worker is not None and self._selection() != asked:
                raise _Superseded  # the request for the new selection is waiting already
            last = None not in layers
            if last or time.monotonic() - started > _PATIENCE:
                started = time.monotonic()
                maps = packet(
                    layers,
                    queries=queries,
                    image_index=index,
                    direction=direction,
                    reference=reference_axis(cache),
                )
                done = {"exact": self._exact(cache), "status": dict(READY)} if last else {}
                self.publish(maps=maps, **done)

        with contextlib.suppress(_Superseded):
            all_layers(cache, queries, direction, first=self.layer, held=held, on_layer=show)

    def _publish_exact(self) -> None:
        self.publish(exact=self._exact(self.cache))

    def _exact(self, cache: ActivationCache) -> Packet:
        """Pack the layer in view in float32, for reading numbers off."""
        index, query, direction, pins = self._selection()
        layers: list[Layer | None] = [None] * len(cache.attention)
        if not layers:
            return {}
        at = min(self.layer, len(layers) - 1)
        queries = list(dict.fromkeys((query, *pins)))
        layers[at] = layer_maps(cache, at, queries, direction, exact=True)
        return packet(
            layers,
            queries=queries,
            image_index=index,
            direction=direction,
            reference=reference_axis(cache),
        )

    def _publish_statistics(self) -> None:
        """Measure one layer and come again, so that whatever is asked meanwhile goes first."""
        index = self.image_index
        records = self._pictures.captured(index).attention
        known = self._entropies.setdefault(index, [])
        if len(known) < len(records):
            entropy, *_ = layer_statistics(records[len(known)])
            known.append(float(entropy.mean()))
            self._request("statistics", self._publish_statistics)
        elif records:
            self.publish(layer_values=known, layer_caption=_ENTROPY)

    def _answer_neurons(self) -> None:
        """Answer for the neuron in view; the first time, find out which there are."""
        if self._desk is None:
            self.publish(status={**READY, "state": "working", "text": "finding the neurons"})
            try:
                self._desk = self._open_neurons()
            except ValueError as error:  # a model without neurons, or an index of another
                self.publish(index_note=str(error), status=dict(READY))
                return
            self.publish(status=dict(READY))
        self._desk.answer()

    def _open_neurons(self) -> NeuronDesk:
        assert self._worker is not None
        desk = NeuronDesk(
            self,
            self.model,
            self._pictures.batch,
            lambda: self.cache.placement.axis,
            functools.partial(self._while_open, "neurons"),
            index=self.index,
            layers=[record.name for record in self.cache.attention],
            first_image=self.image_index,
        )
        self.publish(**desk.about())
        self.feature = LiveFeature(
            self,
            self.model,
            self._worker,
            layer=lambda: self.neuron_layer,
            opened_by=self._opened_by,
        )
        atlas = Atlas(self, self.model, desk.site, functools.partial(self._while_open, "neurons"))
        desk.observe()
        atlas.observe()
        return desk

    def _answer_tokens(self) -> None:
        """Answer for the tokens of the layer in view, in the tab that is open."""
        tab = self.tab
        if tab not in _TOKEN_DESKS:
            return  # another one was opened meanwhile
        if tab not in self._token_desks:
            source = TokenSource(self, self._pictures.tokens)
            desk = _TOKEN_DESKS[tab](self, source, functools.partial(self._while_open, tab))
            desk.observe()
            self._token_desks[tab] = desk
        self._token_desks[tab].answer()

    def _while_open(self, tab: str, kind: str, job: Job) -> None:
        """Do what a tab asks for as long as it is open."""
        if self.tab == tab:
            self._request(kind, job)

    def _selection(self) -> tuple[int, int, Any, tuple[int, ...]]:
        return (self.image_index, self.query, self.direction, tuple(self.pins))

    def _about(self, cache: ActivationCache) -> dict[str, Any]:
        """Collect the traits that say what the image in view is."""
        about: dict[str, Any] = {
            "image": seen(cache),
            "subtitle": description.subtitle(cache),
            "layer_labels": [record.name for record in cache.attention],
            "predictions": description.predictions(cache),
            "predictions_note": description.no_predictions(cache),
        }
        if not cache.attention:
            about["status"] = {**READY, "state": "cannot", "text": description.NO_ATTENTION}
        return about


def inspect(
    model: str | nn.Module | VisionModel = "demo",
    images: object = None,
    *,
    index: NeuronIndex | None = None,
    transform: Transform | None = None,
    labels: Sequence[str] | None = None,
    **view: Any,
) -> Inspector:
    """Look inside a vision transformer: attention of every layer and head, live on the image.

    Other tabs ask what single neurons respond to, and what tokens say from layer to layer: which
    are alike, what they have seen, which gather, which stand out.

    Parameters
    ----------
    model
        ``"demo"``, a timm name, any ``nn.Module``, or a :class:`VisionModel`.
    images
        One image or a list: paths, PIL images, arrays (see :func:`capture`); for a model of videos
        one video or a list (see :meth:`VisionModel.batch`), whose frames are drawn beside each
        other. Default: a dozen of the demo's scenes, or three that stand still.
    index
        From :func:`vit_widgets.dataset.scan` of the same model: the images that excite each neuron
        most.
    transform
        The model's own preprocessing, if it cannot be found from the model.
    labels
        Class names, if they cannot be found from the model.
    **view
        Where to begin: ``layer``, ``head``, ``query``, ``image_index``, ``direction``,
        ``opacity``, and every other trait of :class:`Inspector`.

    Returns
    -------
    Inspector

    Raises
    ------
    ValueError, TypeError, FileNotFoundError, ConnectionError
        For a model or an image that cannot be opened, in a sentence.

    Notes
    -----
    A new image is run on a thread of its own, in evaluation mode; a model that is just being
    trained in another cell should not be looked into meanwhile.

    Examples
    --------
    >>> inspect()                                                      # doctest: +SKIP
    >>> inspect(net, "leaf.jpg", transform=tf, labels=names)           # doctest: +SKIP
    """
    held = opening.opened(model, transform, labels)
    read, names = opening.pictures(held, images)
    begin = _DEMO_OPENING if model == "demo" else {}
    code = functools.partial(
        opening.code,
        "inspect",
        model,
        images=images,
        index=index,
        transform=transform,
        labels=labels,
    )
    index = opening.index_of(model, held, index)
    return Inspector(held, read, names, index, opening.opened_by(model), code, **{**begin, **view})


_SELECTION = (
    "layer={layer}, head={head}, query={query}, image_index={image_index}, "
    'direction="{direction}", neuron={neuron}, tab="{tab}"'
)


def _opening(cache: ActivationCache) -> dict[str, Any]:
    """Choose where to begin: the middle layer, and the class token or the middle patch."""
    axis = cache.placement.axis
    query = 0
    if axis is not None and axis.grid is not None and not axis.prefix:
        grid = axis.grid
        query = axis.token(grid.rows // 2, grid.frames // 2 * grid.across + grid.across // 2)
    return {"layer": len(cache.attention) // 2, "query": query}

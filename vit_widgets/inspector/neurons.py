"""From a chosen neuron to what its page shows: maps, top images, companions, effects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from vit_widgets.activations import Site, read, read_all, sites
from vit_widgets.dataset import NeuronIndex
from vit_widgets.dataset.comparison import most_specific
from vit_widgets.inspector import description
from vit_widgets.inspector.pictures import thumbnail
from vit_widgets.inspector.places import box, described, layer_around, token_there
from vit_widgets.jobs import Job
from vit_widgets.models import TokenAxis, VisionModel
from vit_widgets.probes import neuron_effect
from vit_widgets.widgets import NeuronPage

THUMBNAIL = 168
"""Longer side of a top image on the page, in pixels."""

LISTED = 8
"""Neurons in a list."""

_HELD = 64  # neurons whose top images stay at hand

_EFFECTS = {0.0: "silenced", 2.0: "doubled"}

SCAN_FIRST = (
    "No images have been scanned for this model, so it is not known yet which excite a neuron "
    "most. Scan some, and pass index=index."
)


class NeuronDesk:
    """Answers what a page asks about the neurons of one model.

    Parameters
    ----------
    page
        Whose selection is answered; the answers become its traits.
    model
        The model.
    batch_of
        Gives an image of the page as the model takes it: (1, channels, height, width).
    reference_of
        Gives the axis that `query` counts on for the image in view; ``None`` without places.
    submit
        Hands a job of some kind to the page's worker; a waiting one of its kind is replaced.
    index
        From a scan of the same model.
    other
        From a scan of another model over the same images, to tell what only this one has.
    layers
        Path of the attention behind each value of the page's `layer`, where those are not the
        layers of neurons themselves.
    first_image
        Image whose size says where the neurons are.

    Raises
    ------
    ValueError
        If the model has no neurons, with the reason, or the index others.

    Examples
    --------
    >>> desk = NeuronDesk(page, model, batch_of, reference_of, worker.submit)  # doctest: +SKIP
    >>> page.publish(**desk.about())                                           # doctest: +SKIP
    >>> desk.answer()                                                          # doctest: +SKIP
    """

    def __init__(
        self,
        page: NeuronPage,
        model: VisionModel,
        batch_of: Callable[[int], torch.Tensor],
        reference_of: Callable[[], TokenAxis | None],
        submit: Callable[[str, Job], None],
        index: NeuronIndex | None = None,
        other: NeuronIndex | None = None,
        layers: Sequence[str] | None = None,
        first_image: int = 0,
    ) -> None:
        self._page, self._model = page, model
        self._batch_of, self._reference_of = batch_of, reference_of
        self._submit = submit
        self._index, self._other = index, other
        self._layers = layers
        self._hidden: tuple[int, list[torch.Tensor]] | None = None
        self._top: OrderedDict[tuple[int, int], dict[str, Any]] = OrderedDict()
        self._sites = sites(model, images=batch_of(first_image))
        if index is not None and index.neurons != tuple(one.features for one in self._sites):
            msg = (
                f"this index is of {index.about.model}, whose layers have {index.neurons} neurons; "
                f"those of {model.name} have {tuple(one.features for one in self._sites)}: scan "
                "this model"
            )
            raise ValueError(msg)

    def site(self, layer: int) -> Site | None:
        """Give the place of a layer of neurons; ``None`` where there is none."""
        return self._sites[layer] if 0 <= layer < len(self._sites) else None

    def about(self) -> dict[str, Any]:
        """Collect the traits that say which neurons there are and what was scanned."""
        found = self._sites
        names = [one.block or one.path for one in found]
        about: dict[str, Any] = {
            "neuron_counts": [one.features for one in found],
            "neuron_labels": names,
            "neuron_of_layer": [],
        }
        if self._layers is not None:
            about["neuron_of_layer"] = [layer_around(path, names) for path in self._layers]
        if self._index is None:
            return {**about, "index_note": SCAN_FIRST}
        return {
            **about,
            "index_caption": description.scanned(self._index),
            "index_note": " · ".join((*self._index.check(self._model), *self._index.about.notes)),
            "class_names": list(self._index.label_names or ()),
        }

    # --- a selection becomes jobs ---------------------------------------------------------------

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        self._page.observe(lambda _change: self.answer(), ["layer", "neuron", "image_index"])
        self._page.observe(lambda _change: self._submit("patch", self._publish_patch), ["query"])
        self._page.observe(lambda _change: self._submit("class", self._publish_class), ["target"])

    def answer(self) -> None:
        """Answer for the selection as it is: what is quick first, what takes forwards after it."""
        for kind, job in (
            ("neuron", self._publish_neuron),
            ("patch", self._publish_patch),
            ("class", self._publish_class),
            ("specific", self._publish_specific),
            ("top images", self._publish_top),
            ("effects", self._publish_effects),
        ):
            self._submit(kind, job)

    # --- and a result becomes traits --------------------------------------------------------------

    def _publish_neuron(self) -> None:
        layer, neuron, image = self._selection()
        at = self.site(layer)
        if at is None:
            return
        values = self._values(image)[layer][0, :, neuron].float().cpu().numpy()
        self._page.publish(neuron_map=self._map(at, layer, neuron, image, values))
        if self._index is not None:
            self._page.publish(
                distribution=self._distribution(layer, neuron),
                class_counts=self._classes(layer, neuron),
                alike=self._alike(layer, neuron),
            )

    def _distribution(self, layer: int, neuron: int) -> dict[str, Any]:
        assert self._index is not None
        spread = self._index.distribution(layer, neuron)
        return {
            "layer": layer,
            "neuron": neuron,
            "edges": spread.edges.tolist(),
            "counts": spread.counts.tolist(),
            "sampled": spread.sampled,
            "total": spread.images,
            "shown": self._index.top(layer, neuron).scores.tolist(),
            "caption": description.reduction(self._index),
        }

    def _alike(self, layer: int, neuron: int) -> dict[str, Any]:
        assert self._index is not None
        sampled = len(self._index.sample_ids)
        answer = {"layer": layer, "neuron": neuron}
        if sampled < 3:
            return {**answer, "note": f"needs a sample of images, and this scan kept {sampled}"}
        found = self._index.alike(layer, neuron, LISTED)
        return {
            **answer,
            "neurons": [{"neuron": other, "r": r} for other, r in found],
            "note": f"correlation over {sampled} images",
        }

    def _classes(self, layer: int, neuron: int) -> dict[str, Any]:
        assert self._index is not None
        counts = self._index.class_counts(layer, neuron)
        if not counts:
            return {}
        return {
            "layer": layer,
            "neuron": neuron,
            "k": sum(counts.values()),
            "classes": [
                {"label": self._label(number), "count": count} for number, count in counts.items()
            ],
            "entropy": self._index.class_entropy(layer, neuron),
        }

    def _publish_specific(self) -> None:
        layer, _, _ = self._selection()
        if self._other is None or self._index is None or self.site(layer) is None:
            return
        if self._page.specific.get("layer") == layer:
            return
        found = most_specific(self._index, self._other, layer, LISTED)
        self._page.publish(
            specific={
                "layer": layer,
                "neurons": [
                    {"neuron": one.neuron, "overlap": one.overlap, "entropy": one.entropy}
                    for one in found
                ],
                "measure": (
                    f"largest correlation with any neuron of {self._other.about.model} over the "
                    f"same {len(self._index.sample_ids)} images; entropy of the classes, nats"
                ),
            }
        )

    def _publish_patch(self) -> None:
        layer, _, image = self._selection()
        query = self._page.query
        at = self.site(layer)
        if at is None:
            return
        token = self._token(at, query)
        listed: list[dict[str, float]] = []
        note = "this layer has no token there" if token is None else at.note
        if token is not None:
            values = self._values(image)[layer][0, token].float()
            best = values.topk(min(LISTED, len(values)))
            listed = [
                {"neuron": int(neuron), "value": float(value)}
                for value, neuron in zip(best.values, best.indices, strict=True)
            ]
        self._page.publish(
            patch_neurons={
                "layer": layer,
                "query": query,
                "image_index": image,
                "neurons": listed,
                "note": note,
            }
        )

    def _publish_class(self) -> None:
        layer, _, _ = self._selection()
        target = self._page.target
        if self._index is None or self.site(layer) is None or not self._labelled:
            return
        found = self._index.selective(layer, target, LISTED)
        self._page.publish(
            class_neurons={
                "layer": layer,
                "target": target,
                "label": self._label(target),
                "neurons": [{"neuron": neuron, "value": value} for neuron, value in found],
                "measure": f"of its top {self._index.k} images",
            }
        )

    def _publish_top(self) -> None:
        layer, neuron, _ = asked = self._selection()
        at = self.site(layer)
        if self._index is None or at is None:
            return
        known = self._top.get((layer, neuron))
        if known is None:
            known = self._top_images(at, layer, neuron)
            self._top[layer, neuron] = known
            while len(self._top) > _HELD:
                self._top.popitem(last=False)
        if self._selection() == asked:
            self._page.publish(top_images=known)

    def _top_images(self, at: Site, layer: int, neuron: int) -> dict[str, Any]:
        """Open the top images of a neuron, and run the model as far as its layer for the maps."""
        assert self._index is not None
        top = self._index.top(layer, neuron)
        shown: dict[str, Any] = {
            "layer": layer,
            "neuron": neuron,
            "scores": top.scores.tolist(),
            "names": list(top.names),
            "labels": ["" if number is None else self._label(number) for number in top.labels],
        }
        try:
            pictures = self._index.open_images(top.ids)
        except (OSError, ValueError, LookupError) as error:  # said beside the scores that are known
            return {**shown, "images": np.zeros((0, 1, 1, 3), np.uint8), "note": str(error)}
        batch = torch.cat([self._model.batch(picture) for picture in pictures])
        with self._model.evaluating():
            values = read(self._model, at, self._model.to_device(batch))[..., neuron]
        seen = [thumbnail(self._model.picture(pixels), THUMBNAIL) for pixels in batch]
        shown |= {"images": np.stack(seen), "note": at.note}
        if at.axis is not None and at.axis.grid is not None:
            shown["maps"] = at.axis.laid_out(values.float().cpu().numpy())
            shown["box"] = list(box(at.axis.grid, (batch.shape[-2], batch.shape[-1])))
        return shown

    def _publish_effects(self) -> None:
        layer, neuron, image = asked = self._selection()
        if self.site(layer) is None:
            return
        named = {"layer": layer, "neuron": neuron, "image_index": image}
        try:
            effect = neuron_effect(
                self._model, self._batch_of(image), layer, neuron, tuple(_EFFECTS)
            )
        except ValueError as error:  # a model without scores
            self._page.publish(effects={**named, "note": str(error)})
            return
        plain = effect.plain_probabilities[0]
        rows = []
        for factor, after in zip(effect.factors, effect.probabilities[:, 0], strict=True):
            likeliest = np.argsort(-plain, kind="stable")[:3]
            moved = np.argsort(-np.abs(after - plain), kind="stable")[:2]
            rows.append(
                {
                    "what": _EFFECTS[factor],
                    "classes": [
                        {
                            "label": description.label(self._model, int(number)),
                            "before": float(plain[number]),
                            "after": float(after[number]),
                        }
                        for number in dict.fromkeys([*likeliest, *moved])
                    ],
                    "top_before": description.label(self._model, int(plain.argmax())),
                    "top_after": description.label(self._model, int(after.argmax())),
                }
            )
        if self._selection() == asked:
            self._page.publish(effects={**named, "rows": rows, "note": "scaled on every token"})

    @property
    def _labelled(self) -> bool:
        assert self._index is not None
        return any(label is not None for label in self._index.top(0, 0).labels)

    def _label(self, number: int) -> str:
        assert self._index is not None
        names = self._index.label_names
        return names[number] if names and number < len(names) else f"class {number}"

    # --- what the answers are made of -------------------------------------------------------------

    def _selection(self) -> tuple[int, int, int]:
        return (self._page.neuron_layer, self._page.neuron, self._page.image_index)

    def _values(self, image: int) -> list[torch.Tensor]:
        """Give the hidden units of every layer for an image: one forward for each image."""
        if self._hidden is None or self._hidden[0] != image:
            batch = self._model.to_device(self._batch_of(image))
            with self._model.evaluating():
                found = read_all(self._model, self._sites, batch)
            # A view would keep all that the layer computed with it alive.
            self._hidden = image, [values.clone() for values in found]
        return self._hidden[1]

    def _token(self, at: Site, query: int) -> int | None:
        """Find the token of a layer that stands where the reference axis has its own."""
        reference = self._reference_of()
        if at.axis is None or at.axis.grid is None or reference is None:
            return query if query < at.tokens else None
        return token_there(query, reference, at.axis)

    def _map(
        self, at: Site, layer: int, neuron: int, image: int, values: np.ndarray
    ) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "layer": layer,
            "neuron": neuron,
            "image_index": image,
            "note": at.note,
        }
        if at.axis is None or at.axis.grid is None:
            return {**shown, "values": values[None], "box": None}  # no place on the image
        grid, names = at.axis.grid, at.axis.prefix
        size = self._batch_of(image).shape[-2:]
        reference = self._reference_of()
        return {
            **shown,
            "values": at.axis.laid_out(values),
            "box": list(box(grid, (size[0], size[1]))),
            "prefix": {name: float(value) for name, value in zip(names, values, strict=False)},
            "reference": described(reference, (size[0], size[1])) or {},
        }

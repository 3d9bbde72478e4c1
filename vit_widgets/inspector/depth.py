"""From an image to how its tokens change with depth; from a layer to what its registers see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vit_widgets import probes
from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.activations.normalizations import Normalizations, normalizations
from vit_widgets.inspector.places import layer_around, position
from vit_widgets.inspector.tokens import TokenSource
from vit_widgets.jobs import Job
from vit_widgets.models import TokenAxis
from vit_widgets.widgets import TokenDepth

_NO_TOKENS = "No block of this model returns tokens that could be told apart."


class DepthDesk:
    """Answers what a page asks about norms and layers.

    What is said of all layers is asked once an image, with one forward beside the one that the page
    has already: it sees the tokens before and after each normalisation.

    Parameters
    ----------
    page
        Whose selection is answered; the answers become its traits.
    source
        The tokens of the image in view.
    submit
        Hands a job of some kind to the page's worker; a waiting one of its kind is replaced.

    Examples
    --------
    >>> desk = DepthDesk(page, source, worker.submit)                  # doctest: +SKIP
    >>> desk.observe(), desk.answer()                                  # doctest: +SKIP
    """

    def __init__(
        self, page: TokenDepth, source: TokenSource, submit: Callable[[str, Job], None]
    ) -> None:
        self._page, self._source, self._submit = page, source, submit
        self._around: tuple[ActivationCache, Normalizations] | None = None

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        self._page.observe(lambda _change: self.answer(), ["image_index"])
        self._page.observe(lambda _change: self._answer_layer(), ["layer"])
        self._page.observe(lambda _change: self._answer_query(), ["query", "depth_view"])

    def answer(self) -> None:
        """Say where the tokens lie, and answer for the image, the layer and the query."""
        if not self._answered("depth_norms"):
            self._submit("depth norms", self._publish_norms)
        self._answer_layer()
        if not self._answered("depth_curves"):
            self._submit("depth curves", self._publish_curves)
        if not self._answered("depth_cka"):
            self._submit("depth cka", self._publish_cka)

    def _answered(self, trait: str) -> bool:
        return getattr(self._page, trait).get("image_index") == self._page.image_index

    def _answer_layer(self) -> None:
        self._submit("token layer", self._publish_layer)
        self._submit("depth prefix", self._publish_prefix)
        self._answer_query()

    def _answer_query(self) -> None:
        if self._page.depth_view == "attention":
            self._submit("depth attention", self._publish_attention)

    def _publish_layer(self) -> None:
        self._page.publish(token_layer=self._source.about())

    def _publish_norms(self) -> None:
        cache = self._source.cache

        def norms() -> dict[str, Any]:
            if not cache.blocks:
                return {"note": _NO_TOKENS}
            found = probes.token_norms(cache, around=self._seen(cache))
            parts = [
                _in_order(norms[0], axis)
                for norms, axis in zip(found.values, found.token_axes, strict=True)
            ]
            return {
                "values": np.concatenate([values for values, _ in parts]),
                "shapes": [shape for _, shape in parts],
                "prefix": [list(axis.prefix) if axis else [] for axis in found.token_axes],
                "thresholds": found.thresholds,  # infinity travels as None
                "blocks": list(cache.blocks),
                "layers": _blocks_of_layers(cache),
                "embedded": None if found.embedded is None else float(np.median(found.embedded)),
                "norms": [
                    {
                        "path": path,
                        "block": block,
                        "before": float(np.median(before)),
                        "after": float(np.median(after)),
                    }
                    for path, block, before, after in zip(
                        found.norms, found.norm_layers, found.before, found.after, strict=True
                    )
                ],
                "note": " · ".join(found.notes),
            }

        self._answer("depth_norms", self._image(), norms)

    def _publish_curves(self) -> None:
        cache = self._source.cache

        def curves() -> dict[str, Any]:
            if not cache.blocks:
                return {"note": _NO_TOKENS}
            found = probes.token_statistics(cache, around=self._seen(cache))
            within, among = (
                found.statistics.index(f"{kind}-token variance") for kind in ("intra", "inter")
            )
            first = [
                found.norm_layers.index(block) if block in found.norm_layers else None
                for block in range(len(cache.blocks))
            ]

            def at_norm(values: np.ndarray, statistic: int) -> list[float | None]:
                return [None if at is None else float(values[statistic, at, 0]) for at in first]

            lines = {
                "within": found.values[within, :, 0],
                "among": found.values[among, :, 0],
                "before within": at_norm(found.before, within),
                "after within": at_norm(found.after, within),
                "before among": at_norm(found.before, among),
                "after among": at_norm(found.after, among),
                "neighbours": found.neighbours[:, 0],
            }
            try:
                likeness = probes.class_similarity(cache)
            except ValueError as error:  # patches without places, or tokens that are not numbers
                return {"curves": lines, "note": str(error)}
            quartiles = likeness.quartiles
            more = {
                "class": likeness.mean,
                "class low": quartiles[:, 0],
                "class high": quartiles[:, 2],
            }
            of = " or ".join(dict.fromkeys(likeness.of))
            return {"curves": {**lines, **more}, "class_is": of}

        self._answer("depth_curves", self._image(), curves)

    def _publish_cka(self) -> None:
        cache = self._source.cache

        def alike() -> dict[str, Any]:
            if not cache.blocks:
                return {"note": _NO_TOKENS}
            found = probes.cka(cache)
            return {"values": found.values, "samples": found.samples}

        self._answer("depth_cka", self._image(), alike)

    def _publish_prefix(self) -> None:
        asked = {**self._image(), "layer": self._page.layer}

        def maps() -> dict[str, Any]:
            record = self._record()
            if record is None:
                return {"note": "this layer does not attend"}
            found = probes.register_attention(self._source.cache, record.layer)
            values = found.values.mean(axis=1)
            return {
                "names": list(found.names),
                "values": values,
                "prefix": [_on_prefix(record, one) for one in values],
            }

        self._answer("depth_prefix", asked, maps)

    def _publish_attention(self) -> None:
        query = self._page.query
        asked = {**self._image(), "layer": self._page.layer, "query": query}

        def attention() -> dict[str, Any]:
            record, reference = self._record(), self._source.cache.placement.axis
            if record is None or reference is None:
                return {"note": "this layer does not attend, or where its tokens lie is not known"}
            if record.query_axis.grid is None:
                return {"note": f"{record.name} cannot be placed on the image: {record.reason}"}
            prefix, cell = position(query, reference, record.query_axis)
            token = record.query_axis.prefix[prefix] if prefix is not None else cell
            if token is None:
                return {"note": "this layer has no token there"}
            values = record.seen_from(token).mean(axis=0)
            return {"values": values, "prefix": _on_prefix(record, values)}

        self._answer("depth_attention", asked, attention)

    def _record(self) -> AttentionRecord | None:
        attention, layer = self._source.cache.attention, self._page.layer
        return attention[layer] if layer < len(attention) else None

    def _seen(self, cache: ActivationCache) -> Normalizations:
        """Run the image once more for what its normalisation layers see, kept while it is shown."""
        if self._around is None or self._around[0] is not cache:
            self._around = (cache, normalizations(cache))
        return self._around[1]

    def _image(self) -> dict[str, int]:
        return {"image_index": self._page.image_index}

    def _answer(
        self, trait: str, asked: dict[str, int], make: Callable[[], dict[str, Any]]
    ) -> None:
        """Publish an answer, or in its place the reason why there is none."""
        try:
            answer = make()
        except ValueError as error:  # other grids, no prefix tokens, unknown places
            answer = {"note": str(error)}
        self._page.publish(**{trait: {**asked, **answer}})


def _in_order(norms: np.ndarray, axis: TokenAxis | None) -> tuple[np.ndarray, list[int]]:
    """Put prefix tokens first and patches in raster order; give prefix, rows and cols as well."""
    if axis is None or axis.grid is None:
        return norms, [0, 0, len(norms)]
    prefix = len(axis.prefix)
    laid = np.concatenate([norms[:prefix], axis.laid_out(norms).ravel()])
    return laid, [prefix, axis.grid.rows, axis.grid.cols]


def _blocks_of_layers(cache: ActivationCache) -> list[int | None]:
    """Say for each layer of the page which block it shows; ``None`` for none."""
    if not cache.attention:
        return list(range(len(cache.blocks)))
    around = (layer_around(record.name, cache.blocks) for record in cache.attention)
    return [None if block < 0 else block for block in around]


def _on_prefix(record: AttentionRecord, weights: np.ndarray) -> float | None:
    """Give what is left of 1 for prefix tokens; ``None`` for weights that are no shares of 1."""
    if record.mixed or record.signed or record.kind == "outlook":
        return None
    return max(0.0, 1 - float(np.nansum(weights, dtype=np.float64)))

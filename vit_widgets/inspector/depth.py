"""From an image to how its tokens change with depth; from a layer to what its registers see."""

from __future__ import annotations

from typing import Any

import numpy as np

from vit_widgets import probes
from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.activations.normalizations import Normalizations, normalizations
from vit_widgets.inspector.places import position
from vit_widgets.inspector.tokens import (
    NO_TOKENS,
    Submit,
    TokenDesk,
    TokenSource,
    blocks_of_layers,
)  # fmt: skip
from vit_widgets.models import TokenAxis
from vit_widgets.widgets import TokenDepth


class DepthDesk(TokenDesk[TokenDepth]):
    """Answers what a page asks about norms and layers.

    What is said of all layers is asked once an image, with one forward beside the one that the page
    has already: it sees the tokens before and after each normalisation.
    """

    def __init__(self, page: TokenDepth, source: TokenSource, submit: Submit) -> None:
        super().__init__(page, source, submit)
        self._norms: tuple[ActivationCache, Normalizations, probes.TokenNorms] | None = None

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        self._page.observe(lambda _change: self.answer(), ["image_index"])
        self._page.observe(lambda _change: self._answer_layer(), ["layer"])
        self._page.observe(lambda _change: self._answer_query(), ["query"])
        self._page.observe(lambda _change: self._answer_view(), ["depth_view"])
        settings = ["depth_without", "depth_threshold"]
        self._page.observe(lambda _change: self._answer_object(), settings)

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
        self._ask_layer()
        self._submit("depth prefix", self._publish_prefix)
        self._answer_view()

    def _answer_view(self) -> None:
        self._answer_query()
        self._answer_object()

    def _answer_query(self) -> None:
        if self._page.depth_view == "attention":
            self._submit("depth attention", self._publish_attention)

    def _answer_object(self) -> None:
        """Cut what is in view; while the threshold is dragged, the latest request is the one."""
        found = self._page.depth_object
        there = found and all(found[key] == value for key, value in self._cut_asked().items())
        if self._page.depth_view == "object" and not there:
            self._submit("depth object", self._publish_object)

    def _publish_norms(self) -> None:
        cache = self._source.cache

        def norms() -> dict[str, Any]:
            if not cache.blocks:
                return {"note": NO_TOKENS}
            _, found = self._measured(cache)
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
                "layers": blocks_of_layers(cache),
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
                return {"note": NO_TOKENS}
            found = probes.token_statistics(cache, around=self._measured(cache)[0])
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
                return {"note": NO_TOKENS}
            found = probes.cka(cache)
            return {"values": found.values, "samples": found.samples}

        self._answer("depth_cka", self._image(), alike)

    def _publish_prefix(self) -> None:
        asked = self._selection()

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
        asked = {**self._selection(), "query": query}

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

    def _cut_asked(self) -> dict[str, Any]:
        """Say which object is asked about: the threshold plays a part only in what is left out."""
        page = self._page
        without = page.depth_without
        threshold = page.depth_threshold if without else None
        return {
            **self._image(), "layer": page.layer, "without": without, "threshold": threshold
        }  # fmt: skip

    def _publish_object(self) -> None:
        asked = self._cut_asked()

        def cut() -> dict[str, Any]:
            cache, layer = self._source.cache, self._source.layer()
            if layer is None:
                return {"note": NO_TOKENS}
            out = None
            if asked["without"]:
                _, norms = self._measured(cache)
                limit = asked["threshold"]
                out = norms.outlier_map(layer) if limit is None else norms.laid_out(layer) > limit
            found = probes.tokencut(cache, layer, of="tokens", without=out)
            return {
                "values": found.eigenvector,
                "mask": found.mask,
                "left_out": found.params["left_out"],
                "note": " · ".join(found.notes),
            }

        self._answer("depth_object", asked, cut)

    def _record(self) -> AttentionRecord | None:
        attention, layer = self._source.cache.attention, self._page.layer
        return attention[layer] if layer < len(attention) else None

    def _measured(self, cache: ActivationCache) -> tuple[Normalizations, probes.TokenNorms]:
        """Run the image once more for what its normalisation layers see, kept while it is shown."""
        if self._norms is None or self._norms[0] is not cache:
            around = normalizations(cache)
            self._norms = (cache, around, probes.token_norms(cache, around=around))
        return self._norms[1:]

    def _image(self) -> dict[str, int]:
        return {"image_index": self._page.image_index}


def _in_order(norms: np.ndarray, axis: TokenAxis | None) -> tuple[np.ndarray, list[int]]:
    """Put prefix tokens first and patches in raster order; give prefix, rows and cols as well."""
    if axis is None or axis.grid is None:
        return norms, [0, 0, len(norms)]
    prefix = len(axis.prefix)
    laid = np.concatenate([norms[:prefix], axis.laid_out(norms).ravel()])
    return laid, [prefix, axis.grid.rows, axis.grid.cols]


def _on_prefix(record: AttentionRecord, weights: np.ndarray) -> float | None:
    """Give what is left of 1 for prefix tokens; ``None`` for weights that are no shares of 1."""
    if record.mixed or record.signed or record.kind == "outlook":
        return None
    return max(0.0, 1 - float(np.nansum(weights, dtype=np.float64)))

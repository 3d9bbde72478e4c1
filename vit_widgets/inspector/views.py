"""From an image and a token to what the page multiplies: filters, pixels, and rows of weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from vit_widgets import probes
from vit_widgets.activations.embedding import Embedded, PatchEmbedding
from vit_widgets.inspector.attention import SENT_AHEAD, neighbours
from vit_widgets.inspector.tokens import Submit, TokenDesk, TokenSource
from vit_widgets.probes.filter_scores import Score
from vit_widgets.probes.local_view import checked_embedding, entries, lies_on
from vit_widgets.widgets import TokenViews

_SCORES: tuple[Score, ...] = ("contrast", "strength")


class ViewDesk(TokenDesk[TokenViews]):
    """Answers what a page asks about views of tokens.

    Filters travel once, pixels once an image; another filter or layer is the page's own affair. A
    token asks for one row of weights at all levels, which is there already: no forward. What the
    page has is equal to what it would get, and is not sent again. How far objects are from the rest
    is asked while filters are sorted by it.
    """

    def __init__(self, page: TokenViews, source: TokenSource, submit: Submit) -> None:
        super().__init__(page, source, submit)
        # what was found last, by what was asked
        self._weights: tuple[tuple[Any, ...], probes.ViewWeights] | None = None
        self._entries: tuple[int, Embedded | None, tuple[str, ...]] | None = None

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        self._page.observe(lambda _change: self._ask_layer(), ["layer"])
        self._page.observe(lambda _change: self.answer(), ["image_index"])
        self._page.observe(
            lambda _change: self._ask_rows(), ["query", "pins", "views_residual", "views_heads"]
        )
        self._page.observe(lambda _change: self._ask_rows_of_head(), ["head"])
        self._page.observe(lambda _change: self._ask_separation(), ["views_sort", "token_mask"])

    def answer(self) -> None:
        """Say where the tokens lie, and send what the page has not yet."""
        self._ask_layer()
        self._submit("view image", self._publish_image)
        self._ask_separation()
        self._ask_rows()

    def _ask_rows(self) -> None:
        self._submit("view rows", self._publish_rows)

    def _ask_rows_of_head(self) -> None:
        if self._page.views_heads == "one":
            self._ask_rows()

    def _ask_separation(self) -> None:
        if self._page.views_sort == "separation":
            self._submit("view separation", self._publish_separation)

    def _publish_image(self) -> None:
        index = self._page.image_index
        if self._page.views_image.get("image_index") == index:
            return  # the page has it
        cache = self._source.cache
        try:
            found = checked_embedding(cache, 0)
        except ValueError as error:  # overlapping patches, a stem of convolutions, a video
            self._page.publish(views_filters={"note": str(error)})
            return
        scores = {by: probes.filter_scores(cache, by=by).values for by in _SCORES}
        pixels = cache.images[0].float().cpu().numpy()
        self._page.publish(
            views_filters={"weights": found.filters, "bias": found.bias, "path": found.path},
            views_image={"image_index": index, "pixels": pixels, "scores": scores},
        )

    def _publish_separation(self) -> None:
        index = self._page.image_index
        objects = self._page.objects(index)
        if objects is None:
            return  # the page says that none are drawn
        asked = {"image_index": index, "objects": objects}
        try:
            found = probes.filter_scores(
                self._source.cache, by="separation", mask=objects.astype(bool)
            )
        except ValueError as error:  # no filters, other patches than theirs, an object everywhere
            self._page.publish(views_separation={**asked, "note": str(error)})
            return
        self._page.publish(views_separation={**asked, "scores": found.values})

    def _publish_rows(self) -> None:
        page, cache = self._page, self._source.cache
        asked = {
            "image_index": page.image_index,
            "head": page.head if page.views_heads == "one" else 0,
            "residual": page.views_residual, "heads": page.views_heads,
        }  # fmt: skip
        query, pins = page.query, list(page.pins)
        try:
            found = checked_embedding(cache, 0)
            weights = self._weights_for(asked, found)
            axis, values, notes = weights.axis, weights.values, weights.notes
            if query >= axis.size:
                msg = f"token {query} is not among the {axis.size} tokens of the layers"
                raise ValueError(msg)
        except (ValueError, IndexError) as error:
            page.publish(
                views_rows={**asked, "note": str(error)}, views_entry={**asked, "query": query}
            )
            return
        of_heads = values if values.ndim == 4 else values[None]
        if axis.size * of_heads[:, :, 0].size <= SENT_AHEAD:
            tokens = list(range(axis.size))
        else:
            around = neighbours(cache, query, len(pins), page.layer)
            tokens = [one for one in dict.fromkeys((query, *pins, *around)) if one < axis.size]
        page.publish(
            views_rows={
                **asked, "tokens": tokens, "rows": np.moveaxis(of_heads[:, :, tokens], 2, 0),
                "head_count": min(one.heads for one in cache.attention[: of_heads.shape[1] - 1]),
                "note": " · ".join(notes),
            },
            views_entry={
                **asked, "query": query, "weights": of_heads[:, :, query],
                **self._entry(found, query - len(axis.prefix)),
            },
        )  # fmt: skip

    def _weights_for(self, asked: dict[str, Any], embedding: PatchEmbedding) -> probes.ViewWeights:
        """Multiply the attention of an image up, or give what was found before."""
        head = asked["head"] if asked["heads"] == "one" else asked["heads"]
        question = (asked["image_index"], asked["residual"], head)
        if self._weights is None or self._weights[0] != question:
            cache = self._source.cache
            found = probes.view_weights(cache, residual=asked["residual"], heads=head)
            grid = embedding.grid(*cache.images.shape[-2:])
            if not lies_on(found.axis, grid):
                patches = f"{grid.rows} x {grid.cols} patches"
                msg = f"the tokens of the layers are not the {patches} of {embedding.path}"
                raise ValueError(msg)
            self._weights = (question, found)
        return self._weights[1]

    def _entry(self, embedding: PatchEmbedding, patch: int) -> dict[str, Any]:
        """Give the numbers of a patch's entry of the embedding; a prefix token has no patch."""
        if patch < 0:
            return {"note": "a prefix token has no patch, so it has no view at level 0"}
        index = self._page.image_index
        if self._entries is None or self._entries[0] != index:
            self._entries = (index, *entries(self._source.cache, embedding))
        _, found, notes = self._entries
        pixels = embedding.patches(self._source.cache.images[0])[patch].reshape(-1)
        sums = embedding.filters.reshape(-1, len(pixels)) @ pixels
        if found is None:
            return {"sums": sums, "note": " · ".join(notes)}
        return {
            "sums": sums,
            "position": found.added[patch],
            "embedding": found.tokens[len(found.tokens) - len(found.added) + patch],
            "fixed": found.fixed,
            "note": " · ".join(notes),
        }

"""From a layer and a patch to what the features say: what is alike, what forms an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vit_widgets import probes
from vit_widgets.inspector.tokens import TokenSource
from vit_widgets.jobs import Job
from vit_widgets.widgets import PatchFeatures


class PatchFeatureDesk:
    """Answers what a page asks about the features of patches.

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
    >>> desk = PatchFeatureDesk(page, source, worker.submit)           # doctest: +SKIP
    >>> desk.observe(), desk.answer()                                  # doctest: +SKIP
    """

    def __init__(
        self, page: PatchFeatures, source: TokenSource, submit: Callable[[str, Job], None]
    ) -> None:
        self._page, self._source, self._submit = page, source, submit

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        self._page.observe(lambda _change: self.answer(), ["layer", "image_index", "features_view"])
        self._page.observe(lambda _change: self._ask("similarity"), ["query"])
        self._page.observe(lambda _change: self._ask("segments"), ["features_k"])
        self._page.observe(lambda _change: self._ask("object"), ["features_tau"])

    def answer(self) -> None:
        """Say where the tokens lie, and answer for the view that is open."""
        self._submit("token layer", self._publish_layer)
        self._ask(self._page.features_view)

    def _ask(self, view: str) -> None:
        if self._page.features_view != view:
            return  # asked again when it is opened
        self._submit("patch features", getattr(self, f"_publish_{view}"))

    def _publish_layer(self) -> None:
        self._page.publish(token_layer=self._source.about())

    def _publish_similarity(self) -> None:
        asked = {**self._selection(), "query": self._page.query}
        layer, token = self._source.layer(), self._source.token()
        if layer is None or token is None:
            note = "this layer has no token there" if layer is not None else ""
            self._page.publish(similarity={**asked, "note": note})
            return
        self._answer(
            "similarity",
            asked,
            lambda: _similarity(probes.similarity(self._source.cache, layer, token)),
        )

    def _publish_colours(self) -> None:
        def colours(layer: int) -> dict[str, Any]:
            found = probes.pca_colors(self._source.cache, layer)
            return {
                "values": np.round(255 * found.values).astype(np.uint8),
                "explained": found.explained[:3].tolist(),
            }

        self._answer_layer("colours", self._selection(), colours)

    def _publish_segments(self) -> None:
        k = self._page.features_k

        def segments(layer: int) -> dict[str, Any]:
            labels = probes.kmeans(self._source.cache, layer, k).labels[0]
            return {
                "labels": labels.astype(np.float32),
                "sizes": np.bincount(labels.ravel(), minlength=k).tolist(),
            }

        self._answer_layer("segments", {**self._selection(), "k": k}, segments)

    def _publish_object(self) -> None:
        tau = self._page.features_tau

        def cut(layer: int) -> dict[str, Any]:
            found = probes.tokencut(self._source.cache, layer, tau=tau, of="tokens")
            return {
                "eigenvector": found.eigenvector,
                "mask": found.mask.astype(np.float32),
                "box": self._box_around(found.mask),
                "note": " · ".join(found.notes),
            }

        self._answer_layer("object_cut", {**self._selection(), "tau": tau}, cut)

    def _box_around(self, mask: np.ndarray) -> list[float]:
        """Say what of the picture a mask of patches covers, in fractions of it."""
        axis = self._source.about()["axis"]
        top, left, bottom, right = axis["box"]
        down, across = ((bottom - top) / mask.shape[0], (right - left) / mask.shape[1])
        rows, cols = np.nonzero(mask)
        return [
            top + down * int(rows.min()),
            left + across * int(cols.min()),
            top + down * (int(rows.max()) + 1),
            left + across * (int(cols.max()) + 1),
        ]

    def _answer_layer(
        self, trait: str, asked: Mapping[str, float], make: Callable[[int], dict[str, Any]]
    ) -> None:
        layer = self._source.layer()
        if layer is None:
            self._page.publish(**{trait: dict(asked)})
        else:
            self._answer(trait, asked, lambda: make(layer))

    def _answer(
        self, trait: str, asked: Mapping[str, float], make: Callable[[], dict[str, Any]]
    ) -> None:
        """Publish an answer, or in its place the reason why there is none."""
        try:
            answer = make()
        except ValueError as error:  # unknown places, tokens that are not numbers, too few patches
            answer = {"note": str(error)}
        self._page.publish(**{trait: {**asked, **answer}})

    def _selection(self) -> dict[str, int]:
        return {"layer": self._page.layer, "image_index": self._page.image_index}


def _similarity(found: probes.Similarity) -> dict[str, Any]:
    return {"values": found.values, "prefix": dict(found.prefix)}

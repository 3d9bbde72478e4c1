"""From a layer, objects and versions of an image to painted clusters, and to curves over depth."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from vit_widgets import probes
from vit_widgets.inspector.altered import of_pixels
from vit_widgets.inspector.clusterings import NO_OBJECTS, Clusterings, Found, Question, span_of
from vit_widgets.inspector.tokens import NO_TOKENS, Submit, TokenDesk, TokenSource
from vit_widgets.probes.cluster_metrics import METRICS, NOISE
from vit_widgets.widgets import TokenClusters
from vit_widgets.widgets.base import READY

# Curves are shown as they grow when all of them take longer than this, in seconds.
_PATIENCE = 0.15


class ClusterDesk(TokenDesk[TokenClusters]):
    """Answers what a page asks about clusters.

    Each altered version of an image costs one forward. Layers, distances and objects cost none, but
    where it is the object that is dropped.
    """

    def __init__(self, page: TokenClusters, source: TokenSource, submit: Submit) -> None:
        super().__init__(page, source, submit)
        self._clusterings = Clusterings(source, self._say_running)
        self._guessed: dict[int, tuple[bytes, tuple[int, int]]] = {}
        self._shown_at = 0.0

    # --- a selection becomes a request ----------------------------------------------------------

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        settings = ["clusters_cells", "clusters_dropped", "clusters_seed", "token_mask"]
        asked = ["clusters_of", "clusters_reach", *settings]
        curves = ["clusters_compared", "clusters_measuring", *asked]
        self._page.observe(lambda _change: self.answer(), ["layer", "image_index"])
        self._page.observe(lambda _change: self._ask_clusters(), ["clusters_version", *asked])
        self._page.observe(lambda _change: self._ask_curves(), curves)
        self._page.observe(lambda _change: self._ask_guess(), ["clusters_guess"])

    def answer(self) -> None:
        """Say where the tokens lie, paint the layer in view, and measure all of them."""
        self._ask_layer()
        self._ask_clusters()
        self._ask_curves()
        self._ask_guess()

    def _ask_clusters(self) -> None:
        self._submit("clusters", self._publish_clusters)

    def _ask_curves(self) -> None:
        self._submit("cluster curves", self._measure)

    def _ask_guess(self) -> None:
        asked = self._page.clusters_guess
        if asked and not asked["note"]:
            self._submit("clusters guess", self._publish_guess)

    def _asked(self, version: str) -> Question:
        page = self._page
        marked = page.objects(page.image_index)
        return Question(
            image_index=page.image_index,
            version=version,
            clustered=page.clusters_of,
            reach=page.clusters_reach,
            cells=page.clusters_cells,
            share=page.clusters_dropped,
            seed=page.clusters_seed,
            drawn=None if marked is None or not marked.any() else (marked.tobytes(), marked.shape),
        )

    # --- and a result becomes traits ------------------------------------------------------------

    def _publish_clusters(self) -> None:
        question = self._asked(self._page.clusters_version)
        asked = {"layer": self._page.layer, **_about(question), "version": question.version}
        layer = self._source.layer()
        found = NO_TOKENS if layer is None else self._clusterings.of(question, layer)
        if isinstance(found, Found):
            sizes = np.bincount(found.labels[found.labels >= 0])
            answer: dict[str, Any] = {
                "labels": found.labels.astype(np.float32),
                "sizes": sizes.tolist(),
                "noise": int((found.labels == NOISE).sum()),
                "owners": found.owners,
                "eps": found.eps,
            }
        else:
            answer = {"note": found}
        self._page.publish(clusters={**asked, **answer}, clusters_picture=self._under(question))

    def _under(self, question: Question) -> dict[str, Any]:
        """Give the altered picture; nothing for the image as it is."""
        if question.version == "original":
            return {}
        about = {
            "image_index": question.image_index,
            "version": question.version,
            "settings": question.settings,
        }
        try:
            made = self._clusterings.altered(question)
        except ValueError as error:
            return {**about, "note": str(error)}
        held = self._page.clusters_picture
        if held.get("pixels") and held["pixels"]["view"] == made.picture.tobytes():
            return {**held, **about, "words": made.words}  # the same pixels need not travel again
        return {**about, "pixels": made.picture[None], "words": made.words}

    def _measure(self) -> None:
        """Measure one layer and come again, so that whatever is asked meanwhile goes first."""
        versions = ["original", *self._page.clusters_compared]
        questions = [self._asked(version) for version in versions]
        layers = self._source.layers()
        missing = [
            (question, layer)
            for question in questions
            for layer in dict.fromkeys(layers)
            if layer is not None and self._clusterings.known(question, layer) is None
        ]
        if missing and self._page.clusters_measuring:
            self._clusterings.of(*missing[0])
            if len(missing) > 1:
                self._ask_curves()
                if time.monotonic() - self._shown_at < _PATIENCE:
                    return
        self._page.publish(clusters_curves=self._curves(questions, layers))
        self._shown_at = time.monotonic()

    def _curves(self, questions: list[Question], layers: list[int | None]) -> dict[str, Any]:
        values = np.full((len(questions), len(METRICS), len(layers)), np.nan)
        notes: dict[str, str] = {}
        done = 0
        for row, question in enumerate(questions):
            for col, layer in enumerate(layers):
                found = None if layer is None else self._clusterings.known(question, layer)
                done += found is not None
                if isinstance(found, Found):
                    values[row, :, col] = found.metrics
                elif found is not None and found != NO_OBJECTS:
                    notes.setdefault(question.version, found)
        there = [layer for layer in layers if layer is not None]
        question = questions[0]
        marked = question.objects
        sizes = np.bincount([] if marked is None else marked[marked > 0])
        note = NO_OBJECTS if question.drawn is None and question.clustered == "objects" else ""
        return {
            **_about(question),
            "versions": [one.version for one in questions],
            "values": values,
            "objects": [[name, int(count)] for name, count in enumerate(sizes) if count],
            "rest": question.rest,
            "guessed": self._guessed.get(question.image_index, ()) == question.drawn,
            "done": done,
            "total": len(questions) * len(there),
            "forwards": self._clusterings.forwards,
            "notes": notes,
            "note": note if there else NO_TOKENS,
        }

    def _publish_guess(self) -> None:
        """Mark what TokenCut finds at the layer in view."""
        page, asked = self._page, dict(self._page.clusters_guess)
        if not asked:
            return
        image_index = page.image_index
        try:
            mask = self._guess(image_index)
        except ValueError as error:  # nothing to cut, or no places
            page.publish(clusters_guess={**asked, "note": str(error)})
            return
        self._guessed[image_index] = (mask.tobytes(), mask.shape)
        page.publish(
            token_mask={"image_index": image_index, "values": mask},
            clusters_of="objects",
            clusters_guess={},
        )

    def _guess(self, image_index: int) -> np.ndarray:
        """Give TokenCut's object, uint8 0 or 1 of the patches that the selection counts on."""
        cache, layer = self._source.of_image(image_index), self._source.layer()
        if layer is None:
            raise ValueError(NO_TOKENS)
        mask = probes.tokencut(cache, layer, of="tokens").mask
        axis, grid = cache.token_axes[layer], self._clusterings.grid(image_index)
        assert axis is not None  # or TokenCut had no patches
        assert axis.grid is not None
        pixels = of_pixels(mask, axis.grid, span_of(grid))
        return probes.object_labels(pixels, grid, pixels.shape).astype(np.uint8)

    def _say_running(self, running: bool) -> None:
        text = {"state": "working", "text": "running the altered image"} if running else {}
        self._page.publish(status={**READY, **text})


def _about(question: Question) -> dict[str, Any]:
    """Say which selection is answered."""
    return {
        "image_index": question.image_index,
        "clustered": question.clustered,
        "reach": question.reach,
        "settings": question.settings,
    }

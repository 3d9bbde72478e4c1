"""From a layer and a patch to what the features say: what is alike, what forms an object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vit_widgets import probes
from vit_widgets.activations import ActivationCache
from vit_widgets.inspector.pictures import seen
from vit_widgets.inspector.places import described, token_there
from vit_widgets.inspector.tokens import TokenDesk
from vit_widgets.models import Grid, TokenAxis
from vit_widgets.probes.patch_features import Features
from vit_widgets.widgets import PatchFeatures
from vit_widgets.widgets.base import READY

MOST_TOGETHER = 24
"""How many images colours and segments are fitted on together, at most."""

# What a change asks again, of the view that is open.
_ASKED_BY = {
    "query": ("similarity", "heads"),
    "features_of": ("similarity", "colours", "segments", "object"),
    "features_onto": ("similarity",),
    "features_images": ("colours", "segments"),
    "features_foreground": ("colours",),
    "features_k": ("segments",),
    "features_tau": ("object",),
    "features_refined": ("object",),
    "features_top": ("class",),
}


class PatchFeatureDesk(TokenDesk[PatchFeatures]):
    """Answers what a page asks about the features of patches."""

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        self._page.observe(lambda _change: self.answer(), ["layer", "image_index", "features_view"])
        self._page.observe(self._changed, list(_ASKED_BY))

    def _changed(self, change: Any) -> None:
        if self._page.features_view in _ASKED_BY[change["name"]]:
            self._ask()  # other views ask when they are opened

    def answer(self) -> None:
        """Say where the tokens lie, and answer for the view that is open."""
        self._ask_layer()
        self._ask()

    def _ask(self) -> None:
        self._submit("patch features", getattr(self, f"_publish_{self._page.features_view}"))

    # --- similarity, and matches on another image -----------------------------------------------

    def _publish_similarity(self) -> None:
        asked = {**self._selection(), "query": self._page.query}
        of, onto = self._of, self._page.features_onto

        def similarity(layer: int) -> dict[str, Any]:
            token, axis = self._asked(layer, of)
            found = probes.similarity(self._source.cache, layer, token, of=of)
            return {
                "values": found.values, "prefix": dict(found.prefix), "axis": self._described(axis)
            }  # fmt: skip

        self._answer_layer("similarity", {**asked, "of": of}, similarity)
        if onto < 0:
            return
        if self._page.onto_picture.get("onto") != onto:
            self._page.publish(
                onto_picture={"onto": onto, "picture": seen(self._source.of_image(onto))[None]}
            )
        self._answer_layer(
            "matches",
            {**asked, "onto": onto, "of": of},
            lambda layer: self._match(layer, self._source.of_image(onto), of),
        )

    def _match(self, layer: int, there: ActivationCache, of: Features) -> dict[str, Any]:
        """Look for the token on another image."""
        cache = self._source.cache
        token, axis = self._asked(layer, of)
        found = probes.similarity(cache, layer, token, onto=there, onto_image=0, of=of)
        pairs = probes.matching(cache, layer, onto=there, onto_image=0, of=of)
        best = np.unravel_index(np.nanargmax(found.values), found.values.shape)
        patch = token - len(axis.prefix)
        return {
            "values": found.values,
            "best": [int(one) for one in best],
            "cosine": float(found.values[best]),
            "mutual": bool(pairs.mutual.ravel()[patch]) if patch >= 0 else None,
            "axis": self._described(axis),
        }

    def _asked(self, layer: int, of: Features) -> tuple[int, TokenAxis]:
        """Find the query among the features of a layer, on their own axis."""
        found = probes.patch_features(self._source.cache, layer, of=of)
        return self._placed(found.names, found.grid)

    def _placed(self, prefix: tuple[str, ...], grid: Grid) -> tuple[int, TokenAxis]:
        axis = TokenAxis(len(prefix) + grid.size, prefix, grid)
        reference = self._source.cache.placement.axis
        token = None if reference is None else token_there(self._page.query, reference, axis)
        if token is None:
            msg = "this layer has no token there"
            raise ValueError(msg)
        return token, axis

    # --- of the whole layer ---------------------------------------------------------------------

    def _publish_colours(self) -> None:
        foreground, asked, of = self._page.features_foreground, self._together(), self._of

        def colours(layer: int) -> dict[str, Any]:
            caches, at, note = self._captures()
            found = probes.pca_colors(caches, layer, of=of, foreground=foreground)
            colour = np.round(255 * np.nan_to_num(found.values[[at]])).astype(np.uint8)
            return {
                "values": colour,
                "mask": found.foreground[at] if foreground else None,
                "explained": found.explained.tolist(),
                "axis": self._axis(layer, of),
                "note": " · ".join([*found.notes, *note]),
            }

        self._answer_layer("colours", {**asked, "foreground": foreground}, colours)

    def _publish_segments(self) -> None:
        k, asked, of = self._page.features_k, self._together(), self._of

        def segments(layer: int) -> dict[str, Any]:
            caches, at, note = self._captures()
            labels = probes.kmeans(caches, layer, k, of=of).labels
            return {
                "labels": labels[at].astype(np.float32),
                "sizes": np.bincount(labels.ravel(), minlength=k).tolist(),
                "axis": self._axis(layer, of),
                "note": " · ".join(note),
            }

        self._answer_layer("segments", {**asked, "k": k}, segments)

    def _captures(self) -> tuple[list[ActivationCache], int, list[str]]:
        """Give the images that are looked at as one set, which of them is in view, and a note."""
        page = self._page
        count, here = len(page.image_names), page.image_index
        if page.features_images == "this image" or count < 2:
            return [self._source.cache], 0, []
        chosen = list(range(min(count, MOST_TOGETHER)))
        if here not in chosen:
            chosen[-1] = here
        caches = []
        for image in chosen:
            text = f"running {page.image_names[image]}"
            page.publish(status={**READY, "state": "working", "text": text})
            caches.append(self._source.of_image(image))
        page.publish(status=dict(READY))
        note = [f"fitted on {MOST_TOGETHER} of the {count} images"] if count > len(chosen) else []
        return caches, chosen.index(here), note

    def _publish_object(self) -> None:
        tau, refined, of = self._page.features_tau, self._page.features_refined, self._of

        def object_(layer: int) -> dict[str, Any]:
            cache = self._source.cache
            found = probes.tokencut(cache, layer, tau=tau, of=of)
            return {
                "eigenvector": found.eigenvector,
                "mask": found.mask.astype(np.float32),
                "box": self._fractions(found.box),
                "pixels": found.refined(seen(cache)) if refined else None,
                "axis": self._axis(layer, of),
                "note": " · ".join(found.notes),
            }

        asked = {**self._selection(), "of": of, "tau": tau, "refined": refined}
        self._answer_layer("object_cut", asked, object_)

    def _publish_class(self) -> None:
        top = self._page.features_top

        def class_(layer: int) -> dict[str, Any]:
            found = probes.glsim(self._source.cache, layer, top=top)
            return {
                "values": found.values,
                "patches": found.patches.tolist(),
                "box": self._fractions(found.box),
                "norm": found.norm,
                "note": " · ".join(found.notes),
            }

        self._answer_layer("class_patches", {**self._selection(), "top": top}, class_)

    # --- where heads look -----------------------------------------------------------------------

    def _publish_heads(self) -> None:
        def heads(_layer: int) -> dict[str, Any]:
            cache, at = self._source.cache, self._page.layer
            record = cache.attention[at] if at < len(cache.attention) else None
            if record is None or record.query_axis.grid is None or record.key_axis.grid is None:
                msg = record.reason if record else "this layer has no attention to look at"
                raise ValueError(msg)
            query, _ = self._placed(record.query_axis.prefix, record.query_axis.grid)
            found = probes.head_masks(cache, at, query=query)
            return {
                "weights": found.weights,
                "on_patches": found.on_patches.tolist(),
                "asked": found.query,
                "axis": self._described(record.key_axis),
                "note": " · ".join(found.notes),
            }

        self._answer_layer("head_weights", {**self._selection(), "query": self._page.query}, heads)

    # --- answers --------------------------------------------------------------------------------

    def _axis(self, layer: int, of: Features) -> Mapping[str, Any]:
        """Describe where the features of a layer lie."""
        found = probes.patch_features(self._source.cache, layer, of=of)
        names, grid = found.names, found.grid
        return self._described(TokenAxis(len(names) + grid.size, names, grid))

    def _described(self, axis: TokenAxis) -> Mapping[str, Any]:
        """Describe an axis for the page; ``{}`` for the one of the layer's tokens."""
        known = described(axis, self._size())
        return {} if known is None or known == self._source.about()["axis"] else known

    def _fractions(self, box: tuple[int, int, int, int]) -> list[float]:
        """Say what of the picture a box in pixels covers: top, left, bottom, right."""
        height, width = seen(self._source.cache).shape[:2]
        x0, y0, x1, y1 = box
        return [y0 / height, x0 / width, y1 / height, x1 / width]

    def _size(self) -> tuple[int, int]:
        images = self._source.cache.images
        return int(images.shape[-2]), int(images.shape[-1])

    def _answer_layer(
        self, trait: str, asked: Mapping[str, Any], make: Callable[[int], dict[str, Any]]
    ) -> None:
        """Publish an answer for the layer; that of no layer is empty, `token_layer` says why."""
        layer = self._source.layer()
        self._answer(trait, asked, lambda: {} if layer is None else make(layer))

    def _together(self) -> dict[str, Any]:
        return {**self._selection(), "of": self._of, "images": self._page.features_images}

    @property
    def _of(self) -> Features:
        return "keys" if self._page.features_of == "keys" else "tokens"

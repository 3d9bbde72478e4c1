"""From a layer to its tokens on a plane: a little of t-SNE at a time, so that nothing waits."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from vit_widgets import probes
from vit_widgets.inspector.attention import layer_maps
from vit_widgets.inspector.tokens import Submit, TokenDesk, TokenSource
from vit_widgets.models import TokenAxis
from vit_widgets.probes.kmeans import grouped
from vit_widgets.probes.projection import Method
from vit_widgets.widgets import TokenScatter
from vit_widgets.widgets.base import READY
from vit_widgets.widgets.wire import unpack

MOST_POINTS = 5000
"""Points that are laid out together, at most."""

PERPLEXITY, ITERATIONS = 30.0, 750

BETWEEN_FRAMES = 0.05
"""Seconds between two frames of a t-SNE that are sent, at least."""

_NEEDED = {"tsne": "openTSNE", "umap": "umap"}


@dataclass(frozen=True)
class Question:
    """What is asked: which tokens, and how they are laid out."""

    block: int
    images: tuple[int, ...]
    method: str
    layer: int
    image_index: int
    query: int
    span: str

    @property
    def frame(self) -> tuple[Any, ...]:
        """What a finished frame is kept under."""
        return (self.method, self.images, self.block)


class ScatterDesk(TokenDesk[TokenScatter]):
    """Answers what a page asks about tokens on a plane.

    Notes
    -----
    The frames of a PCA are turned onto each other from the first layer on, so that a frame is the
    same whichever way one came to it. t-SNE begins with that of the nearest layer that has one.
    """

    def __init__(self, page: TokenScatter, source: TokenSource, submit: Submit) -> None:
        super().__init__(page, source, submit)
        self._frames: dict[tuple[Any, ...], probes.Projection] = {}
        self._run: Iterator[probes.Projection] | None = None
        self._last: probes.Projection | None = None  # of this run
        self._asked: Question | None = None
        self._seen: set[int] = set()  # images that the model has run on
        self._sent = 0.0
        there = [
            name
            for name in ("pca", "tsne", "umap")
            if name not in _NEEDED or importlib.util.find_spec(_NEEDED[name]) is not None
        ]
        # t-SNE can be chosen all the same: then it says what to install
        page.publish(scatter_methods=list(dict.fromkeys(["pca", "tsne", *there])))

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        page = self._page
        asks = ["layer", "image_index", "scatter_method", "scatter_span"]
        page.observe(lambda _change: self.answer(), asks)
        colours = ["query", "scatter_colour", "scatter_k", "token_mask"]
        page.observe(lambda _change: self._submit("scatter values", self._publish_values), colours)
        page.observe(self._going_changed, ["scatter_going"])

    def answer(self) -> None:
        """Say where the tokens lie, and lay out those of the layer in view."""
        self._page.publish(scatter_going=True)
        self._ask_layer()
        self._submit("scatter", self._begin)

    def _going_changed(self, _change: object) -> None:
        if self._page.scatter_going:
            self._submit("scatter", self._begin)

    # --- points -----------------------------------------------------------------------------------

    def _question(self) -> Question | None:
        """Say what is asked now; ``None`` where the layer in view has no tokens."""
        page, block = self._page, self._source.layer()
        if block is None:
            return None
        images = [page.image_index]
        if page.scatter_span == "all images":
            each = self._source.cache.tokens[block].shape[1]
            together = max(1, MOST_POINTS // each)
            first = page.image_index - page.image_index % together
            last = min(first + together, max(1, len(page.image_names)))
            images = list(range(first, last))
        return Question(
            block,
            tuple(images),
            page.scatter_method,
            page.layer,
            page.image_index,
            page.query,
            page.scatter_span,
        )

    def _begin(self) -> None:
        """Begin to answer what is asked now, whatever was going on before."""
        page, asked = self._page, self._question()
        self._run, self._last, self._asked = None, None, asked
        if asked is None:
            page.publish(scatter_points={"layer": page.layer, "image_index": page.image_index})
            return
        if not self._captured(asked):
            self._submit("scatter", self._begin)  # behind whatever else was asked meanwhile
            return
        self._submit("scatter values", self._publish_values)
        if asked.frame in self._frames:
            self._publish(self._frames[asked.frame])
            return
        try:
            tokens = self._tokens(asked)
            plane = self._plane(asked, tokens)
        except ValueError as error:  # tokens that are not numbers, or all the same
            self._refuse(asked, error)
            return
        if asked.method == "pca":
            self._publish(plane)
            return
        self._run = probes.projections(
            tokens,
            cast("Method", asked.method),
            start=self._nearest(asked) or plane,
            perplexity=max(1.0, min(PERPLEXITY, (len(tokens.values) - 1) // 3)),
            iterations=ITERATIONS,
        )
        self._step()

    def _step(self) -> None:
        """Do a little of what is going on, and come again."""
        asked = self._asked
        if self._run is None or asked is None:
            return  # another selection was answered at once
        if not self._page.scatter_going and self._last is not None:  # there is something to keep
            self._run = None
            self._publish(self._last)
            return
        try:
            found = self._last = next(self._run)
        except (ValueError, ImportError) as error:  # too few tokens, a library that is missing
            self._refuse(asked, error)
            return
        if found.iterations == found.params.get("iterations", 0):
            self._frames[asked.frame] = found
            self._run = None
            self._publish(found)
            return
        if time.monotonic() - self._sent > BETWEEN_FRAMES:
            self._publish(found)
        self._submit("scatter step", self._step)

    def _captured(self, asked: Question) -> bool:
        """Run the model on one image that it did not see yet; whether all were seen before."""
        page = self._page
        for number, image in enumerate(asked.images):
            if image in self._seen:
                continue
            if len(asked.images) > 1:
                text = f"running image {number + 1} of {len(asked.images)}"
                page.publish(status={**READY, "state": "working", "text": text})
            self._source.of_image(image)
            self._seen.add(image)
            return False
        if page.status["state"] == "working":
            page.publish(status=dict(READY))
        return True

    def _axis(self, asked: Question) -> TokenAxis | None:
        return self._source.of_image(asked.image_index).token_axes[asked.block]

    def _tokens(self, asked: Question, block: int | None = None) -> probes.LayerTokens:
        caches = [self._source.of_image(image) for image in asked.images]
        return probes.layer_tokens(caches, asked.block if block is None else block)

    def _plane(self, asked: Question, tokens: probes.LayerTokens) -> probes.Projection:
        """Give the PCA of a layer, turned onto those of the layers before it."""
        before: probes.Projection | None = None
        for block in range(asked.block + 1):
            key = ("pca", asked.images, block)
            if key not in self._frames:
                try:
                    mine = tokens if block == asked.block else self._tokens(asked, block)
                    same = before is not None and np.array_equal(before.token, mine.token)
                    start = before if same else None
                    [self._frames[key]] = probes.projections(mine, "pca", start=start)
                except ValueError:
                    if block == asked.block:
                        raise
                    continue  # a layer before it that has no plane turns nothing
            before = self._frames[key]
        assert before is not None
        return before

    def _nearest(self, asked: Question) -> probes.Projection | None:
        """Give the frame of the same method in the nearest layer that has one of these tokens."""
        size = len(self._frames[("pca", asked.images, asked.block)].points)
        there = [
            (abs(block - asked.block), found)
            for (method, images, block), found in self._frames.items()
            if (method, images, len(found.points)) == (asked.method, asked.images, size)
        ]
        return min(there, key=lambda one: one[0])[1] if there else None

    def _publish(self, found: probes.Projection) -> None:
        asked = self._asked
        assert asked is not None
        self._sent = time.monotonic()
        axis = self._axis(asked)
        grid = [] if axis is None or axis.grid is None else [axis.grid.rows, axis.grid.cols]
        notes = [note for note in found.notes if "iterations" not in note]
        count = len(self._page.image_names)
        if asked.span == "all images" and len(asked.images) < count:
            which = f"Images {asked.images[0]} to {asked.images[-1]} of {count}"
            notes += [f"{which}: at most {MOST_POINTS} points are laid out together."]
        if found.method != "pca":
            start = found.params["start"]
            notes += [f"Begun with the {_NAMES[start['method']]} of block {start['layer']}."]
        self._page.publish(
            scatter_points={
                "layer": asked.layer,
                "image_index": asked.image_index,
                "method": found.method,
                "span": asked.span,
                "points": found.points,
                "image": np.array(asked.images)[found.image],
                "token": found.token,
                "prefix": list(found.names),
                "grid": grid,
                "explained": [] if found.explained is None else found.explained,
                "done": found.iterations,
                "total": found.params.get("iterations", 0),
                "note": " · ".join(notes),
            }
        )

    def _refuse(self, asked: Question, error: Exception) -> None:
        """Say why there are no points."""
        self._run = None
        self._page.publish(
            scatter_points={
                "layer": asked.layer,
                "image_index": asked.image_index,
                "method": asked.method,
                "span": asked.span,
                "note": str(error),
            }
        )

    # --- and their colours ------------------------------------------------------------------------

    def _publish_values(self) -> None:
        """Publish a number for each point, or in its place the reason why there is none."""
        page, asked = self._page, self._question()
        by = page.scatter_colour
        if asked is None or by in ("position", "image"):
            return  # the page has them
        if any(image not in self._seen for image in asked.images):
            return  # asked again when the model has seen them
        about = {
            "layer": asked.layer, "image_index": asked.image_index, "query": asked.query, "by": by,
        }  # fmt: skip
        make = getattr(self, f"_by_{by}")
        self._answer("scatter_values", about, lambda: make(asked, self._tokens(asked)))

    def _by_norm(self, _asked: Question, tokens: probes.LayerTokens) -> dict[str, Any]:
        return {"values": np.linalg.norm(tokens.values.astype(np.float64), axis=1)}

    def _by_cluster(self, _asked: Question, tokens: probes.LayerTokens) -> dict[str, Any]:
        values = np.full(len(tokens.values), np.nan)
        patches = ~tokens.prefix
        values[patches] = grouped(tokens.values[patches], self._page.scatter_k)[0]
        return {"values": values}

    def _by_object(self, asked: Question, tokens: probes.LayerTokens) -> dict[str, Any]:
        values = np.full(len(tokens.values), np.nan)
        drawn = 0
        for number, image in enumerate(asked.images):
            objects = self._page.objects(image)
            if objects is not None:
                drawn += 1
                values[(tokens.image == number) & ~tokens.prefix] = self._there(
                    asked, image, objects
                )
        note = "" if drawn else "No object is drawn yet: take the brush, or set token_mask."
        return {"values": values, "note": note}

    def _there(self, asked: Question, image: int, objects: np.ndarray) -> np.ndarray:
        """Give each patch of the layer the object at its centre, float (patch)."""
        reference, axis = self._source.of_image(image).placement.axis, self._axis(asked)
        if axis is None or axis.grid is None or reference is None or reference.grid is None:
            msg = "Where the tokens of this layer lie on the image is not known."
            raise ValueError(msg)
        if objects.shape != (reference.grid.rows, reference.grid.cols):
            msg = (
                f"token_mask of shape {objects.shape} does not fit image {image}, which has "
                f"patches {(reference.grid.rows, reference.grid.cols)}"
            )
            raise ValueError(msg)
        grid = axis.grid
        places = [
            reference.grid.at(*grid.center(row, col))
            for row in range(grid.rows)
            for col in range(grid.cols)
        ]
        return np.array([np.nan if place is None else objects[place] for place in places])

    def _by_attention(self, asked: Question, tokens: probes.LayerTokens) -> dict[str, Any]:
        """Give the mean over heads of what the query pays the tokens of its image."""
        values = np.full(len(tokens.values), np.nan)
        cache = self._source.of_image(asked.image_index)
        if asked.layer >= len(cache.attention):
            return {"values": values, "note": "This layer has no attention."}
        maps = layer_maps(cache, asked.layer, [asked.query], "attends to", exact=True)
        axis = self._axis(asked)
        same = maps["kind"] == "image" and axis is not None and axis.grid is not None
        if not same or list(maps["grid"]) != [axis.grid.rows, axis.grid.cols]:  # type: ignore[union-attr]
            note = "The attention of this layer is not between the tokens that its block returns."
            return {"values": values, "note": note}
        mine = tokens.image == asked.images.index(asked.image_index)
        values[mine & ~tokens.prefix] = unpack(maps["cells"])[0].mean(axis=0)
        if maps["prefix_values"] and list(maps["prefix"]) == list(tokens.names):
            values[mine & tokens.prefix] = unpack(maps["prefix_values"])[0].mean(axis=0)
        return {"values": values}


_NAMES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}

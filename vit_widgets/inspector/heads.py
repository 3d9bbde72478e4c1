"""From images and a class to what heads do, what they matter, and what is left without them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from vit_widgets import probes
from vit_widgets.activations import AttentionRecord
from vit_widgets.inspector.attention import layer_maps
from vit_widgets.inspector.explained import class_names
from vit_widgets.inspector.head_measures import (
    AT_ONCE,
    STEPS,
    HeadMeasures,
    HeadQuestion,
    important,
    mean_known,
)
from vit_widgets.inspector.tokens import Submit, TokenDesk, TokenSource
from vit_widgets.probes.ablation import METRICS
from vit_widgets.probes.head_statistics import STATISTICS
from vit_widgets.probes.progress import Progress
from vit_widgets.widgets import HeadDashboard
from vit_widgets.widgets.base import READY
from vit_widgets.widgets.explained import spelled
from vit_widgets.widgets.wire import unpack

# What grows is shown as often as this, in seconds.
_PATIENCE = 0.2

_NO_ATTENTION = "This model has no attention to look at."
_NO_MASK = "No object is marked: draw one on the patches, or set page.token_mask."
_NO_EXACT = "Measured when you ask for it: Exact, or Screen."
_NO_CLASS = "It is known of a class only, and what is explained has none."
_NO_LABELS = "The right classes are not known: set page.heads_labels to one class for each image."


class HeadDesk(TokenDesk[HeadDashboard]):
    """Answers what a page asks about heads.

    Statistics read what a forward left, and run none. The first order takes a forward and a
    backward an image; what takes longer is done a step at a time, so that whatever else is asked
    meanwhile goes first, and a stop keeps what there is.
    """

    def __init__(self, page: HeadDashboard, source: TokenSource, submit: Submit) -> None:
        super().__init__(page, source, submit)
        self._measures = HeadMeasures(source)
        self._refused: dict[Any, str] = {}  # why there is no first order, by what is asked
        self._going: tuple[HeadQuestion, str, Iterator[None]] | None = None
        self._shown_at: dict[str, float] = {}
        page.publish(explained_classes=class_names(source.cache))

    # --- a selection becomes a request ----------------------------------------------------------

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        page = self._page
        page.observe(lambda _change: self.answer(), ["image_index"])
        page.observe(lambda _change: self._answer_layer(), ["layer", "query"])
        page.observe(lambda _change: self._answer_statistics(), ["heads_over", "token_mask"])
        page.observe(
            lambda _change: self._answer_importance(),
            ["heads_over", "explained", "heads_labels"],
        )
        page.observe(lambda _change: self._answer_patterns(), ["heads_k"])
        page.observe(lambda _change: self._run_changed(), ["heads_running"])

    def answer(self) -> None:
        """Answer for the image, its layer and query, and go on with what was going on."""
        self._answer_layer()
        self._answer_statistics()
        self._answer_importance()
        self._answer_patterns()

    def _answer_layer(self) -> None:
        self._ask_layer()
        self._submit("heads map", self._publish_map)

    def _answer_statistics(self) -> None:
        self._submit("heads statistics", self._measure_statistics)

    def _answer_importance(self) -> None:
        self._submit("heads importance", self._measure_first_order)
        self._run_changed()

    def _answer_patterns(self) -> None:
        self._submit("heads patterns", self._publish_patterns)

    def _run_changed(self) -> None:
        self._submit("heads run", self._run)

    def _due(self, what: str) -> bool:
        """Whether something that grows is to be shown again."""
        now = time.monotonic()
        if now - self._shown_at.get(what, 0.0) < _PATIENCE:
            return False
        self._shown_at[what] = now
        return True

    def _asked(self) -> HeadQuestion:
        page = self._page
        images: tuple[int, ...] = (page.image_index,)
        if page.heads_over == "all images":
            images = tuple(range(max(1, len(page.image_names))))
        labels = page.heads_labels
        right = tuple(labels[one] for one in images) if len(labels) > max(images) else ()
        return HeadQuestion(page.image_index, images, page.heads_over, page.explained, right)

    # --- what heads do ----------------------------------------------------------------------------

    def _publish_map(self) -> None:
        page, cache = self._page, self._source.cache
        asked = {"layer": page.layer, "query": page.query, "image_index": page.image_index}
        if page.layer >= len(cache.attention):
            page.publish(heads_map={**asked, "note": _NO_ATTENTION})
            return
        maps = layer_maps(cache, page.layer, [page.query], "attends to", exact=True)
        if maps["kind"] != "image":
            page.publish(heads_map={**asked, "note": cache.attention[page.layer].reason})
            return
        values = unpack(maps["cells"])[0]
        axis = {"grid": maps["grid"], "prefix": maps["prefix"], "box": maps["box"]}
        note = "" if np.isfinite(values).any() else "This layer has no token there."
        page.publish(
            heads_map={
                **asked, "axis": axis, "values": values.reshape(len(values), *maps["grid"]),
                "note": note,
            }
        )  # fmt: skip

    def _measure_statistics(self) -> None:
        """Measure one image and come again, so that whatever is asked meanwhile goes first."""
        asked = self._asked()
        cache = self._source.cache
        if not cache.attention:
            reasons = dict.fromkeys(STATISTICS, _NO_ATTENTION)
            self._page.publish(heads_statistics={**asked.about, "reasons": reasons})
            return
        known: list[np.ndarray] = []
        note = ""
        missing = 0
        measured = False
        for image in asked.images:
            objects = self._page.objects(image)
            if not self._measures.knows(image, objects) and measured:
                missing += 1
                continue
            measured = measured or not self._measures.knows(image, objects)
            try:
                known.append(self._measures.statistics(image, objects))
            except ValueError as error:  # an object that does not fit
                note = str(error)
                known.append(self._measures.statistics(image, None))
        if missing:
            self._answer_statistics()
            if not self._due("statistics"):
                return
        values = mean_known(known)
        self._page.publish(
            heads_statistics={
                **asked.about,
                "values": values,
                "hops": self._measures.hops(asked.image_index),
                "done": len(known),
                "total": len(asked.images),
                "reasons": _reasons(cache.attention, values, note),
            }
        )

    def _publish_patterns(self) -> None:
        page = self._page
        asked = {"image_index": page.image_index, "k": page.heads_k}
        try:
            answer = self._measures.patterns(page.image_index, page.heads_k)
        except ValueError as error:  # windows, unknown places, fewer heads than clusters
            answer = {"note": str(error)}
        page.publish(heads_patterns={**asked, **answer})

    # --- what they matter -------------------------------------------------------------------------

    def _measure_first_order(self) -> None:
        """Differentiate a few images and come again."""
        asked = self._asked()
        if not self._read(asked):
            self._submit("heads importance", self._measure_first_order)
            return
        key = asked.effects
        if key not in self._refused:
            try:
                if self._measures.differentiate(asked):
                    self._submit("heads importance", self._measure_first_order)
            except ValueError as error:  # no scores, no gradient, heads that cannot be told apart
                self._refused[key] = str(error)
        self._publish_importance(asked)

    def _read(self, asked: HeadQuestion) -> bool:
        """Run the model on one image that it did not see yet; whether all were seen before."""
        unread = self._measures.unread(asked)
        if not unread:
            return True
        if len(asked.images) > 1:
            done = len(asked.images) - len(unread)
            text = f"running image {done + 1} of {len(asked.images)}"
            status = {"state": "working", "text": text, "progress": done / len(asked.images)}
            self._page.publish(status={**READY, **status})
        self._measures.batch(unread[:1])
        if len(unread) == 1 and self._page.status["state"] == "working":
            self._page.publish(status=dict(READY))
        return False

    def _publish_importance(self, asked: HeadQuestion, error: str = "") -> None:
        first_order, images, words = self._measures.first_order(asked)
        run, exact = self._measures.exact(asked) or ("", None)
        values = important(first_order, exact)
        refused = self._refused.get(asked.effects, "")
        reasons = {"first_order": refused} if refused else {}
        if exact is None or not exact.steps[0]:
            reasons |= dict.fromkeys(METRICS, error or refused or _NO_EXACT)
        else:
            notes = " · ".join(note for note in exact.notes if "stopped" not in note)
            for metric in METRICS:
                if np.isnan(exact.metric(metric)).all():
                    reasons[metric] = _NO_LABELS if metric == "accuracy" else notes or _NO_CLASS
        notes_ = exact.notes if exact is not None else ()
        self._page.publish(
            heads_importance={
                **asked.about,
                "explained": spelled(asked.explained),
                "words": words,
                "values": values,
                "run": run,
                "done": exact.steps[0] if exact is not None else 0,
                "total": exact.steps[1] if exact is not None else 0,
                "images": images,
                "evaluations": exact.evaluations if exact is not None else 0,
                "forwards": exact.forwards if exact is not None else 0.0,
                "agreement": self._measures.agreement(asked),
                "reasons": reasons,
                "note": error or " · ".join(note for note in notes_ if "stopped" not in note),
            }
        )

    # --- at length --------------------------------------------------------------------------------

    def _run(self) -> None:
        """Begin what the page wants to be run, or go on with it, also where it was stopped."""
        run, asked = self._page.heads_running, self._asked()
        if self._going is not None:
            of, kind, _ = self._going
            if (of.effects, of.over) != (asked.effects, asked.over):
                self._going = None  # of another image, class or set
                if kind == run:  # which is not asked any more
                    self._page.publish(heads_running="")
                    return
        if not run:
            return
        if self._going is None or self._going[1] != run:
            making = self._pruning if run == "curve" else self._silencing
            self._going = (asked, run, making(asked, run))
        self._submit("heads step", self._step)

    def _step(self) -> None:
        """Do a little of what is going on, and come again."""
        if self._going is None or self._page.heads_running != self._going[1]:
            return
        asked, run, going = self._going
        ended, error = True, ""
        try:
            next(going)
            ended = False
        except StopIteration:
            pass
        except ValueError as refused:  # no scores, heads that cannot be told apart, other sizes
            error = str(refused)
        finally:
            if ended:
                self._going = None
                self._page.publish(heads_running="")
        if not ended:
            self._submit("heads step", self._step)
        elif error and run == "curve":
            about = {**asked.about, "explained": spelled(asked.explained), "note": error}
            self._page.publish(heads_curve=about)
        elif error:
            self._publish_importance(asked, error)

    def _ranked(self, asked: HeadQuestion) -> Iterator[None]:
        """Read all images and measure them to first order, which ranks the heads.

        Raises
        ------
        ValueError
            Where there is none.
        """
        while not self._read(asked):
            yield
        if asked.effects not in self._refused:
            while self._measures.differentiate(asked):
                yield

    def _silencing(self, asked: HeadQuestion, run: str) -> Iterator[None]:
        """Silence heads, and publish what is known now and then."""
        yield from self._ranked(asked)
        exact = self._measures.exact(asked)
        if exact is not None and exact[0] in ("exact", run) and exact[1].complete:
            return  # it is known
        heads = None
        if run == "screen":
            heads = self._measures.screened(asked)
            if not heads:
                raise ValueError(self._refused[asked.effects])
        for _ in self._measures.silencing(asked, run, heads):
            if self._due("importance"):
                self._publish_importance(asked)
            yield
        self._publish_importance(asked)

    def _pruning(self, asked: HeadQuestion, _run: str) -> Iterator[None]:
        """Silence more and more heads, a few images at a time."""
        yield from self._ranked(asked)
        ranking = self._measures.ranking(asked)
        if ranking is None:
            raise ValueError(self._refused[asked.effects])
        by, values = ranking
        batch = self._measures.batch(asked.images)
        parts: list[np.ndarray] = []
        about = {**asked.about, "explained": spelled(asked.explained), "by": by, "total": 0}
        self._page.publish(heads_removed=0, heads_curve=about)
        chunks = range(0, len(batch), AT_ONCE)
        for chunk, first in enumerate(chunks):

            def progress(done: int, total: int, chunk: int = chunk) -> bool:
                if self._due("curve"):
                    held = self._page.heads_curve
                    told = {"done": chunk * total + done, "total": len(chunks) * total}
                    self._page.publish(heads_curve={**held, **told})
                return bool(self._page.heads_running) and self._wanted(HeadDashboard)

            right = asked.labels[first : first + AT_ONCE]
            some = batch[first : first + AT_ONCE]
            found = self._pruned(asked, values, some, right, progress)
            while any("stopped" in note for note in found.notes):
                self._page.publish(heads_curve={**self._page.heads_curve, "note": _stopped(parts)})
                yield
                found = self._pruned(asked, values, some, right, progress)
            parts.append(found.each)
            steps = 2 * len(found.heads)
            self._page.publish(
                heads_curve={
                    **about,
                    "values": np.moveaxis(_mean_curves(parts), -1, 1),
                    "counts": found.heads.tolist(),
                    "order": [list(pair) for pair in found.order],
                    "done": (chunk + 1) * steps,
                    "total": len(chunks) * steps,
                    "images": sum(one.shape[2] for one in parts),
                    "note": " · ".join(found.notes),
                }
            )
            yield

    def _pruned(
        self,
        asked: HeadQuestion,
        values: np.ndarray,
        some: torch.Tensor,
        right: tuple[int, ...],
        progress: Progress,
    ) -> probes.PruningCurve:
        return probes.pruning_curve(
            self._measures.model,
            some,
            values,
            self._measures.target(asked),
            STEPS,
            labels=np.array(right) if right else None,
            progress=progress,
        )


def _mean_curves(parts: list[np.ndarray]) -> np.ndarray:
    """Average curves (order, step, image, metric) over the images of all parts."""
    every = np.concatenate(parts, axis=2)
    mean: np.ndarray = np.ma.masked_invalid(every).mean(axis=2).filled(np.nan)
    return mean


def _stopped(parts: list[np.ndarray]) -> str:
    images = sum(one.shape[2] for one in parts)
    return f"stopped after {images} images" if images else "stopped before the first images"


def _reasons(records: Sequence[AttentionRecord], values: np.ndarray, note: str) -> dict[str, str]:
    """Say why a statistic is known nowhere, or not everywhere."""
    reasons: dict[str, str] = {}
    for name, of_heads in zip(STATISTICS, values, strict=True):
        lacking = [
            record for record in records if np.isnan(of_heads[record.layer, : record.heads]).all()
        ]
        if not lacking:
            continue
        every = len(lacking) == len(records)
        first = lacking[0]
        if name == "mask_mass" and every:
            reasons[name] = note or _NO_MASK
            continue
        where = "No layer has it" if every else f"{len(lacking)} of {len(records)} layers lack it"
        if name == "self_mass":
            why = f"the attention of {first.name} is {first.kind}, not of tokens to themselves"
        else:
            why = first.reason or "frames lie beside each other, so that there is no distance"
        reasons[name] = f"{where}: {why}."
    return reasons

"""From a target to maps and their tests: one after the other, the quick ones first."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from vit_widgets.inspector.attribution_maps import (
    BASELINES,
    BASIC,
    RANDOM_MAPS,
    Asked,
    AttributionMaps,
    Failed,
    MapTask,
    MeasureTask,
    Task,
    mean_scores,
    on_cells,
    trust,
)
from vit_widgets.inspector.places import box
from vit_widgets.inspector.tokens import Submit, TokenDesk, TokenSource
from vit_widgets.jobs import exiting
from vit_widgets.models import Grid
from vit_widgets.probes import ATTRIBUTIONS, Faithfulness, PatchMap, PixelMap
from vit_widgets.probes.attribution.methods import AttributionMethod
from vit_widgets.probes.leaderboard import CELLS
from vit_widgets.widgets import Attributions
from vit_widgets.widgets.base import READY
from vit_widgets.widgets.maps import token_axis

# How often a long map says how far it is, in seconds.
_EVERY = 0.2


class AttributionDesk(TokenDesk[Attributions]):
    """Answers what a page asks about attributions.

    Maps and measures are kept: a target, a method or an image that was there before costs nothing.
    """

    def __init__(self, page: Attributions, source: TokenSource, submit: Submit) -> None:
        super().__init__(page, source, submit)
        model = source.cache.model
        self._maps = AttributionMaps(
            model, lambda index: source.of_image(index).images[:1], self._cells
        )
        self._partial: dict[MapTask, PatchMap | PixelMap] = {}
        self._told = 0.0

    # --- a selection becomes a request ----------------------------------------------------------

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        target = ["attribution_kind", "attribution_class", "attribution_against"]
        wanted = ["attribution_method", "attribution_methods", "attribution_settings"]
        measured = ["attribution_measures", "attribution_running", "token_mask"]
        self._page.observe(lambda _change: self.answer(), ["image_index", "layer"])
        self._page.observe(lambda _change: self._ask(), [*target, *wanted, *measured])
        self._page.observe(
            lambda _change: self._submit("attribution step", self._publish_picture),
            ["attribution_step", "attribution_curve"],
        )

    def answer(self) -> None:
        """Say where the patches lie, and make what is not made yet."""
        self._ask_layer()
        self._ask()

    def _ask(self) -> None:
        self._submit("attribution", self._work)

    def _publish_layer(self) -> None:
        super()._publish_layer()
        self._page.publish(attribution_classes=self._classes())

    def _classes(self) -> list[str]:
        model, scores = self._source.cache.model, self._source.cache.logits
        labels = model.labels or ()
        count = 0 if scores is None else int(scores.shape[-1])
        return [labels[at] if at < len(labels) else f"class {at}" for at in range(count)]

    def _cells(self, image_index: int) -> Grid:
        """Cells on which maps are compared: the model's patches, where they are known."""
        cache = self._source.of_image(image_index)
        axis = cache.placement.axis
        if axis is not None and axis.grid is not None:
            return axis.grid
        height, width = cache.images.shape[-2:]
        return Grid(CELLS, CELLS, (height / CELLS, width / CELLS))

    # --- what is wanted -------------------------------------------------------------------------

    def _asked(self) -> Asked:
        page = self._page
        kind = page.attribution_kind
        first = -1 if kind == "predicted" else page.attribution_class
        return kind, first, page.attribution_against if kind == "margin" else -1

    def _task(self, name: str) -> MapTask:
        """Settle what of a map can be chosen."""
        given = self._page.attribution_settings.get(name, {})
        chosen = ATTRIBUTIONS[name].chosen(
            {key: self._page.layer if value == "in view" else value for key, value in given.items()}
        )
        return MapTask(self._page.image_index, self._asked(), name, tuple(chosen.items()))

    def _names(self) -> list[str]:
        """Name the methods that are wanted, in the order in which they are made."""
        page = self._page
        wanted = {*page.attribution_methods, page.attribution_method}
        return [name for name in ATTRIBUTIONS if name in wanted]

    def _baselines(self) -> list[MapTask]:
        index, asked = self._page.image_index, self._asked()
        drawn = [
            MapTask(index, asked, BASELINES[0], (("seed", seed),)) for seed in range(RANDOM_MAPS)
        ]
        return [*drawn, MapTask(index, asked, BASELINES[1])]

    def _measures(self, of: MapTask) -> list[MeasureTask]:
        page = self._page
        groups = [BASIC, *((name,) for name in page.attribution_measures)]
        marked = page.objects(of.image_index)
        found = [MeasureTask(of, metrics) for metrics in groups]
        if marked is not None and marked.any():
            mask = (np.ascontiguousarray(marked > 0).tobytes(), marked.shape)
            found.append(MeasureTask(of, ("localization",), mask))
        return found

    def _tasks(self) -> Iterator[Task]:
        """Give all that is wanted: maps first, then measures, those of the large map first."""
        maps = [self._task(name) for name in self._names()]
        yield from maps
        chosen = [task for task in maps if task.method == self._page.attribution_method]
        for task in dict.fromkeys([*chosen, *self._baselines(), *maps]):
            if task.method in BASELINES:
                yield task
            yield from self._measures(task)

    # --- and is made, one at a time -------------------------------------------------------------

    def _work(self) -> None:
        """Do one thing and come again, so that whatever is asked meanwhile goes first."""
        tasks = list(self._tasks())
        missing = [task for task in tasks if self._maps.known(task) is None]
        going = bool(missing) and self._page.attribution_running
        self._publish(len(tasks) - len(missing), len(tasks), missing[0] if going else None)
        if not going:
            return
        task = missing[0]
        found = self._maps.run(task, lambda done, total: self._goes_on(task, done, total))
        if isinstance(task, MapTask) and isinstance(found, (PatchMap, PixelMap)):
            self._partial = {task: found}
        self._ask()

    def _goes_on(self, task: Task, done: int, total: int) -> bool:
        """Say how far a task is, and whether it is wanted still."""
        page = self._page
        if time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            words = f"{_words(task)}: {done} of {total}"
            page.publish(
                status={**READY, "state": "working", "text": words, "progress": done / total}
            )
        return page.attribution_running and self._wanted() and task in set(self._tasks())

    def _wanted(self) -> bool:
        return self._page.shows(Attributions) and not exiting()

    # --- and a result becomes traits ------------------------------------------------------------

    def _publish(self, done: int, total: int, running: Task | None) -> None:
        page = self._page
        index, asked = page.image_index, list(self._asked())
        about = {"image_index": index, "asked": asked}
        status = dict(READY)
        if running is not None:
            status |= {"state": "working", "text": _words(running), "progress": done / total}
        page.publish(
            status=status,
            attribution_list={**about, **self._listed(done, total, running)},
            attribution={**about, **self._large()},
            attribution_curves={**about, **self._curves()},
        )
        self._publish_picture()

    def _listed(self, done: int, total: int, running: Task | None) -> dict[str, Any]:
        grid = self._cells(self._page.image_index)
        names = self._names()
        values = np.full((len(ATTRIBUTIONS), grid.rows, grid.cols), np.nan)
        methods, target, score = [], "", None
        for at, (name, method) in enumerate(ATTRIBUTIONS.items()):
            task = self._task(name)
            found = self._map(task)
            if isinstance(found, (PatchMap, PixelMap)):
                values[at] = on_cells(found, grid)
                if found.target is not None and name != "rise":
                    target, score = found.target.words, found.score
            methods.append(_about(method, task, found, grid, wanted=name in names))
            if found is not None and self._maps.known(task) is None:
                methods[-1]["state"] = "stopped"
        return {
            "target": target or self._target_words(),
            "score": score,
            "methods": methods,
            "grid": self._axis(grid),
            "values": values,
            "running": "" if running is None else _words(running),
            "done": done,
            "total": total,
            "note": "" if self._classes() else "This model returns no class scores.",
        }

    def _target_words(self) -> str:
        kind, first, other = self._asked()
        names = [f"class {one}" for one in (first, other) if one >= 0]
        return " against ".join(names) if names else f"the {kind} class"

    def _map(self, task: MapTask) -> PatchMap | PixelMap | Failed | None:
        """Give a map, or as much of it as there was time for."""
        found = self._maps.known(task)
        return self._partial.get(task) if found is None else found

    def _axis(self, grid: Grid) -> dict[str, Any]:
        images = self._source.of_image(self._page.image_index).images
        size = (int(images.shape[-2]), int(images.shape[-1]))
        return dict(token_axis((grid.rows, grid.cols), (), box(grid, size)))

    def _large(self) -> dict[str, Any]:
        name = self._page.attribution_method
        if name not in ATTRIBUTIONS:
            return {"method": name, "notes": [f"There is no method {name!r}."]}
        task = self._task(name)
        found, about = self._map(task), {"method": name, "settings": dict(task.settings)}
        if found is None:
            return about
        if isinstance(found, Failed):
            return {**about, "notes": [found.reason]}
        values = np.where(np.isfinite(found.values), found.values, np.nan)
        return {
            **about,
            "values": values,
            "axis": self._axis(found.grid) if isinstance(found, PatchMap) else {},
            "target": "" if found.target is None else found.target.words,
            "score": found.score,
            "signed": bool((values < 0).any()),
            "notes": [*_residual(found), *found.notes],
        }

    def _curves(self) -> dict[str, Any]:
        """Collect what is measured of every map that is made, the baselines last."""
        *drawn, edges = self._baselines()
        rows = {name: [self._task(name)] for name in self._names()}
        rows |= {BASELINES[0]: drawn, BASELINES[1]: [edges]}
        measured = {name: [self._scores(task) for task in tasks] for name, tasks in rows.items()}
        of_random = [one["abpc"] for one in measured[BASELINES[0]] if "abpc" in one]
        of_edges = measured[BASELINES[1]][0].get("abpc")
        curves = {name: [self._basic(task) for task in tasks] for name, tasks in rows.items()}
        known = [one for some in curves.values() for one in some if one is not None]
        fractions = known[0].curves["deletion"].fractions if known else np.empty(0)
        drawings = {
            kind: np.array([_mean_curve(some, kind, len(fractions)) for some in curves.values()])
            for kind in ("deletion", "insertion")
        }
        return {
            "names": list(rows),
            "fractions": fractions.tolist(),
            **drawings,
            "scores": [mean_scores([one for one in some if one]) for some in measured.values()],
            "words": [
                "" if name in BASELINES else trust(some[0].get("abpc", np.nan), of_random, of_edges)
                for name, some in measured.items()
            ],
            "notes": ["; ".join(self._notes(tasks[0])) for tasks in rows.values()],
            "pictures": sum(
                one.params["pictures"]
                for tasks in rows.values()
                for task in tasks
                for measure in self._measures(task)
                if isinstance(one := self._maps.known(measure), Faithfulness)
            ),
        }

    def _basic(self, task: MapTask) -> Faithfulness | None:
        found = self._maps.known(MeasureTask(task, BASIC))
        return found if isinstance(found, Faithfulness) and "deletion" in found.curves else None

    def _scores(self, task: MapTask) -> dict[str, float]:
        found = [self._maps.known(measure) for measure in self._measures(task)]
        return {
            name: score
            for one in found
            if isinstance(one, Faithfulness)
            for name, score in one.scores.items()
        }

    def _notes(self, task: MapTask) -> list[str]:
        """Say why a map is not measured, or what to know of its measures."""
        if isinstance(self._maps.known(task), Failed):
            return []  # said of the map itself
        found = [self._maps.known(measure) for measure in self._measures(task)]
        said = [one.reason for one in found if isinstance(one, Failed)]
        said += [note for one in found if isinstance(one, Faithfulness) for note in one.notes]
        return list(dict.fromkeys(said))

    def _publish_picture(self) -> None:
        """Show the picture at a step of a curve; it costs no forward."""
        page = self._page
        name, curve, step = page.attribution_method, page.attribution_curve, page.attribution_step
        found = self._basic(self._task(name)) if name in ATTRIBUTIONS else None
        if found is None or step < 0:
            page.publish(attribution_picture={})
            return
        step = min(step, len(found.curves[curve].fractions) - 1)
        page.publish(
            attribution_picture={
                "image_index": page.image_index,
                "asked": list(self._asked()),
                "method": name,
                "curve": curve,
                "step": step,
                "pixels": found.state(step, curve)[None],
            }
        )


def _about(
    method: AttributionMethod,
    task: MapTask,
    found: PatchMap | PixelMap | Failed | None,
    grid: Grid,
    *,
    wanted: bool,
) -> dict[str, Any]:
    """Describe a method for the page."""
    forwards, backwards = method.cost(grid.size, **dict(task.settings))
    cost = f"{forwards} forward{'s' * (forwards > 1)}"
    state = "waiting" if wanted else "off"
    if found is not None:
        state = "failed" if isinstance(found, Failed) else "made"
    return {
        "name": method.name,
        "words": method.words,
        "about": method.about,
        "target": method.target,
        "cost": f"{cost}, {backwards} back" if backwards else cost,
        "state": state,
        "note": found.reason if isinstance(found, Failed) else "",
        "settings": [
            {
                "name": one.name,
                "words": one.words,
                "kind": one.kind,
                "default": one.default,
                "choices": list(one.choices),
                "low": one.low,
                "high": one.high,
                "step": one.step,
            }
            for one in method.settings
        ],
    }


def _mean_curve(found: list[Faithfulness | None], kind: str, steps: int) -> np.ndarray:
    known = [one.curves[kind].scores for one in found if one is not None]
    return np.mean(known, axis=0) if known else np.full(steps, np.nan)


def _residual(found: PatchMap | PixelMap) -> list[str]:
    """Say by how much a map that promises a sum misses it."""
    if not isinstance(found, PixelMap) or found.residual is None:
        return []
    return [f"residual {found.residual:.3g} of a score of {found.score:.3g}".replace("-", "−")]


def _words(task: Task) -> str:
    """Name a task for whoever waits."""
    of = task if isinstance(task, MapTask) else task.of
    name = ATTRIBUTIONS[of.method].words if of.method in ATTRIBUTIONS else of.method
    return name if isinstance(task, MapTask) else f"testing {name}"

"""From a target to maps and their tests: one after the other, the quick ones first."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from vit_widgets.inspector.attribution_maps import (
    BASIC,
    AttributionMaps,
    Failed,
    MapTask,
    MeasureTask,
    Task,
    on_cells,
)
from vit_widgets.inspector.attribution_tests import Tested, basic, tests_of_one, tests_over
from vit_widgets.inspector.explained import class_names
from vit_widgets.inspector.places import box
from vit_widgets.inspector.tokens import Submit, TokenDesk, TokenSource
from vit_widgets.models import Grid
from vit_widgets.probes import ATTRIBUTIONS, PatchMap, PixelMap
from vit_widgets.probes.attribution.methods import AttributionMethod
from vit_widgets.probes.baselines import BASELINES
from vit_widgets.widgets import Attributions
from vit_widgets.widgets.base import READY
from vit_widgets.widgets.explained import spelled
from vit_widgets.widgets.maps import token_axis

RANDOM_MAPS = 5
"""Random maps that a map of one image is compared with; over all images it is one for each."""

# How often a long map says how far it is, in seconds.
_EVERY = 0.2

# How often means over images are made anew while there are more to come, in seconds.
_PATIENCE = 1.0

_NO_CLASSES = (
    "This model returns no class scores: explain the likeness to an image, or a function of what "
    "it returns."
)


class AttributionDesk(TokenDesk[Attributions]):
    """Answers what a page asks about attributions.

    Maps and measures are kept: a target, a method or an image that was there before costs nothing.
    """

    def __init__(self, page: Attributions, source: TokenSource, submit: Submit) -> None:
        super().__init__(page, source, submit)
        self._maps = AttributionMaps(source)
        self._partial: dict[MapTask, PatchMap | PixelMap] = {}
        self._told = self._shown = 0.0
        self._classes = class_names(source.cache)
        page.publish(explained_classes=self._classes)

    # --- a selection becomes a request ----------------------------------------------------------

    def observe(self) -> None:
        """Answer every change of the selection from now on."""
        wanted = ["attribution_method", "attribution_methods", "attribution_settings"]
        measured = ["attribution_measures", "attribution_over", "attribution_running", "token_mask"]
        self._page.observe(lambda _change: self.answer(), ["image_index", "layer"])
        self._page.observe(lambda _change: self._ask(), ["explained", *wanted, *measured])
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

    # --- what is wanted -------------------------------------------------------------------------

    def _task(self, name: str, image_index: int) -> MapTask:
        """Settle what of a map can be chosen."""
        page, given = self._page, self._page.attribution_settings.get(name, {})
        chosen = ATTRIBUTIONS[name].chosen(
            {key: page.layer if value == "in view" else value for key, value in given.items()}
        )
        return MapTask(image_index, page.explained, name, tuple(chosen.items()))

    def _in_view(self, name: str) -> MapTask:
        return self._task(name, self._page.image_index)

    def _names(self) -> list[str]:
        """Name the methods that are wanted, in the order in which they are made."""
        page = self._page
        wanted = {*page.attribution_methods, page.attribution_method}
        return [name for name in ATTRIBUTIONS if name in wanted]

    def _baselines(self, image_index: int, seeds: Iterable[int]) -> dict[str, list[MapTask]]:
        explained = self._page.explained
        drawn = [MapTask(image_index, explained, BASELINES[0], (("seed", seed),)) for seed in seeds]
        return {
            BASELINES[0]: drawn,
            BASELINES[1]: [MapTask(image_index, explained, BASELINES[1])],
        }

    def _measures(self, of: MapTask) -> list[MeasureTask]:
        page = self._page
        groups = [BASIC, *((name,) for name in page.attribution_measures)]
        marked = page.objects(of.image_index)
        found = [MeasureTask(of, metrics) for metrics in groups]
        if marked is not None and marked.any():
            mask = (np.ascontiguousarray(marked > 0).tobytes(), marked.shape)
            found.append(MeasureTask(of, ("localization",), mask))
        return found

    def _rows_of_one(self) -> dict[str, Tested]:
        """Name what is measured of the image in view, by method, the baselines last."""
        rows = {name: [self._in_view(name)] for name in self._names()}
        rows |= self._baselines(self._page.image_index, range(RANDOM_MAPS))
        return {
            name: {task: self._measures(task) for task in tasks} for name, tasks in rows.items()
        }

    def _rows_over(self) -> Mapping[str, Tested]:
        """Name what is measured of all images: for each a map of every method."""
        found: dict[str, dict[MapTask, list[MeasureTask]]] = {}
        for image in range(max(1, len(self._page.image_names))):
            tasks = {name: [self._task(name, image)] for name in self._names()}
            # chance differs from image to image, so that it averages out
            for name, [task] in {**tasks, **self._baselines(image, [image])}.items():
                found.setdefault(name, {})[task] = self._measures(task)
        return found

    def _tasks(self) -> list[Task]:
        """Give all that is wanted: maps in view, then measures, those of the large map first."""
        page = self._page
        maps = [self._in_view(name) for name in self._names()]
        first = [task for task in maps if task.method == page.attribution_method]
        tasks: list[Task] = [*maps]
        if page.attribution_over == "this image":
            rows = self._rows_of_one()
            tested = {task: some for row in rows.values() for task, some in row.items()}
            baselines = [task for task in tested if task.method in BASELINES]
            for task in dict.fromkeys([*first, *baselines, *maps]):
                tasks += tested[task]
            return tasks
        every = self._rows_over().values()
        for of_image in zip(*(row.items() for row in every), strict=True):
            for _, some in of_image:
                tasks += some
        return tasks

    # --- and is made, one at a time -------------------------------------------------------------

    def _work(self) -> None:
        """Do one thing and come again, so that whatever is asked meanwhile goes first."""
        self._maps.in_view = self._page.image_index
        tasks = self._tasks()
        missing = [task for task in tasks if not self._done(task)]
        going = bool(missing) and self._page.attribution_running
        self._publish(len(tasks) - len(missing), len(tasks), missing[0] if going else None)
        if not going:
            return
        task = missing[0]
        if isinstance(task, MeasureTask) and self._maps.known(task.of) is None:
            task = task.of
        found = self._maps.run(task, lambda done, total: self._goes_on(task, done, total))
        if isinstance(task, MapTask) and isinstance(found, (PatchMap, PixelMap)):
            self._partial = {task: found}
        self._ask()

    def _done(self, task: Task) -> bool:
        """Whether nothing is to be made: of the image in view whole, of others as numbers."""
        if isinstance(task, MapTask):
            return self._maps.known(task) is not None
        if self._maps.numbers(task) is None:
            return False
        here = task.of.image_index == self._page.image_index and task.metrics == BASIC
        shown = here and task.of.method not in BASELINES
        return not shown or self._maps.known(task) is not None

    def _goes_on(self, task: Task, done: int, total: int) -> bool:
        """Say how far a task is, and whether it is wanted still."""
        page = self._page
        if time.monotonic() - self._told > _EVERY:
            self._told = time.monotonic()
            words = f"{_words(task)}: {done} of {total}"
            page.publish(
                status={**READY, "state": "working", "text": words, "progress": done / total}
            )
        return page.attribution_running and self._wanted(Attributions) and self._asked(task)

    def _asked(self, task: Task) -> bool:
        tasks = self._tasks()
        return task in tasks or any(
            isinstance(one, MeasureTask) and one.of == task for one in tasks
        )

    # --- and a result becomes traits ------------------------------------------------------------

    def _publish(self, done: int, total: int, running: Task | None) -> None:
        page = self._page
        about = {"image_index": page.image_index, "explained": spelled(page.explained)}
        status = dict(READY)
        if running is not None:
            status |= {"state": "working", "text": _words(running), "progress": done / total}
        answers = {
            "status": status,
            "attribution_list": {**about, **self._listed(done, total, running)},
            "attribution": {**about, **self._large()},
        }
        every = page.attribution_over == "all images"
        if not every or running is None or time.monotonic() - self._shown > _PATIENCE:
            tests = {**about, "over": page.attribution_over, **self._tests()}
            answers["attribution_curves"] = tests
            self._shown = time.monotonic()
        page.publish(**answers)
        self._publish_picture()

    def _tests(self) -> dict[str, Any]:
        if self._page.attribution_over == "this image":
            return tests_of_one(self._maps, self._rows_of_one())
        try:
            return tests_over(self._maps, self._rows_over())
        except ValueError as error:  # images of different grids
            return {"notes": [str(error)]}

    def _listed(self, done: int, total: int, running: Task | None) -> dict[str, Any]:
        grid = self._maps.grid(self._page.image_index)
        names = self._names()
        values = np.full((len(ATTRIBUTIONS), grid.rows, grid.cols), np.nan)
        methods, target, score = [], "", None
        for at, (name, method) in enumerate(ATTRIBUTIONS.items()):
            task = self._in_view(name)
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
            "note": "" if self._classes else _NO_CLASSES,
        }

    def _target_words(self) -> str:
        """Name what is explained before a map says it."""
        explained = self._page.explained
        if explained is None:
            return "the class that is predicted"
        if callable(explained):
            return f"the function {spelled(explained)}"
        kind, *numbers = explained if isinstance(explained, tuple) else ("class", explained)
        return f"{kind} {', '.join('predicted' if one is None else str(one) for one in numbers)}"

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
        task = self._in_view(name)
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

    def _publish_picture(self) -> None:
        """Show the picture at a step of a curve; it costs no forward."""
        page = self._page
        name, curve, step = page.attribution_method, page.attribution_curve, page.attribution_step
        found = basic(self._maps, self._in_view(name)) if name in ATTRIBUTIONS else None
        if found is None or step < 0:
            page.publish(attribution_picture={})
            return
        step = min(step, len(found.curves[curve].fractions) - 1)
        page.publish(
            attribution_picture={
                "image_index": page.image_index,
                "explained": spelled(page.explained),
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
    cost = f"{forwards} run{'s' * (forwards > 1)}"
    state = "waiting" if wanted else "off"
    if found is not None:
        state = "failed" if isinstance(found, Failed) else "made"
    return {
        "name": method.name,
        "words": method.words,
        "about": method.about,
        "target": method.target,
        "cost": f"{cost} + {backwards} back" if backwards else cost,
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

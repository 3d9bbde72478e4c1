"""An image that is optimised while it is looked at: a little work at a time, on a worker.

The page (or Python) says in ``feature_wanted`` which run it wants and whether that shall run, pause
or stop. What is wanted is looked at before every step; so a request may come late, twice, or on any
thread.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from vit_widgets.inspector.feature_settings import (
    CHOICES,
    asked_settings,
    beyond_page,
    labels,
    page_settings,
    python_lines,
    weights,
    with_preset,
)
from vit_widgets.jobs import Worker
from vit_widgets.models import VisionModel
from vit_widgets.probes.feature_visualization import (
    FeatureRun,
    FeatureVisualization,
    Progress,
    Settings,
    target_of,
)
from vit_widgets.widgets.feature_canvas import FeatureCanvas, packed_curves

SLICE = 0.05
"""Seconds of steps after which whatever else waits on the worker goes first."""

BETWEEN_PICTURES = 0.1
"""Seconds between two pictures that are sent, at least."""

MOST_BYTES = 2_000_000
"""Bytes of pictures that are sent in a second, at most: several large ones come less often."""

_BETWEEN_COPIES = 0.5  # they are many, and seldom looked at for long


class LiveFeature:
    """Optimises an image for the neuron that is selected on a page, and shows it there.

    Parameters
    ----------
    view
        A page with the traits of :class:`FeatureCanvas`.
    model
        The model.
    worker
        What runs the steps; other requests of the page may use it, too, and go first.
    layer
        Gives the layer of neurons that is selected; default: the page's `layer`.
    opened_by
        How the model is opened in Python, for the lines that make the picture again.
    settings
        Any fields of :class:`Settings`.

    Examples
    --------
    >>> live = LiveFeature(page, model, worker)                        # doctest: +SKIP
    >>> live.start()                                                   # doctest: +SKIP
    >>> live.result.save("neuron.png")                                 # doctest: +SKIP
    """

    def __init__(
        self,
        view: FeatureCanvas,
        model: VisionModel,
        worker: Worker,
        *,
        layer: Callable[[], int] | None = None,
        opened_by: str = "model",
        settings: Settings | None = None,
    ) -> None:
        self._view, self._model, self._worker = view, model, worker
        self._layer = layer or (lambda: view.layer)
        self._opened_by = opened_by
        settings = settings or Settings()
        self._beyond = beyond_page(settings)
        self._run: FeatureRun | None = None
        self._number = 0  # of the run that was begun last, as the page counts
        self._going = False
        self._weights: Any = None  # λ as the page named it, applied last
        self._progress: list[Progress] = []  # of each step taken
        self._stepping = threading.Lock()
        self._next_picture = self._next_copies = 0.0  # when they are due
        self._closed = False
        shown = page_settings(settings)
        self._preset = shown["preset"]
        offered = {
            name: list(one if shown[name] in one else (*one, shown[name]))
            for name, one in CHOICES.items()
        }
        view.publish(feature_settings=shown, feature_choices=offered)
        view.observe(self._asked, ["feature_wanted"])
        view.observe(self._settings_changed, ["feature_settings"])
        view.observe(self._copies_asked, ["feature_copies_shown"])

    # --- what Python may ask ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin anew, with what is selected and set now."""
        last = max(self._number, self._view.feature_wanted.get("run", 0))
        self._want(last + 1, "run")

    def pause(self) -> None:
        """Take no step more until :meth:`resume`."""
        self._want(self._last(), "pause")

    def resume(self) -> None:
        """Go on."""
        self._want(self._last(), "run")

    def stop(self) -> None:
        """End it; the best picture so far stays."""
        self._want(self._last(), "stop")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is done, paused or stopped; an interrupt stops it and keeps the best.

        Returns
        -------
        bool
            ``False`` if `timeout` seconds went by first.
        """
        try:
            return self._worker.wait(timeout)
        except KeyboardInterrupt:
            self.stop()
            self._worker.wait()
            raise

    @property
    def result(self) -> FeatureVisualization | None:
        """What there is: the final images, or the best so far; ``None`` before the first step."""
        with self._stepping:
            return self._run.result() if self._run is not None and self._progress else None

    def close(self) -> None:
        """Take no step more, and listen to the page no longer; the result stays."""
        if self._closed:
            return
        self._closed = True
        self._view.unobserve(self._asked, ["feature_wanted"])
        self._view.unobserve(self._settings_changed, ["feature_settings"])
        self._view.unobserve(self._copies_asked, ["feature_copies_shown"])

    def _last(self) -> int:
        return int(self._view.feature_wanted.get("run", self._number))

    def _want(self, run: int, do: str) -> None:
        self._view.publish(feature_wanted={"run": run, "do": do})

    # --- what the page asks: only noted, whichever thread it comes on ---------------------------

    def _asked(self, _change: object) -> None:
        self._worker.submit("feature", self._work)

    def _settings_changed(self, _change: object) -> None:
        shown = self._view.feature_settings
        preset = shown.get("preset", self._preset)
        if preset != self._preset:
            self._preset = preset
            self._view.publish(feature_settings=with_preset(shown))

    def _copies_asked(self, _change: object) -> None:
        if self._view.feature_copies_shown:
            self._worker.submit("feature copies", self._show_copies)

    # --- the work ---------------------------------------------------------------------------------

    def _work(self) -> None:
        """Do a little of what is wanted, and come again."""
        try:
            self._do_wanted()
        except Exception as error:  # noqa: BLE001 - shown in the widget, whatever it is
            self._fail(error)

    def _do_wanted(self) -> None:
        number, do = self._wanted()
        if number > self._number:
            self._begin(number, do)
        if number != self._number or not self._going or self._closed:
            return
        if do == "stop":
            self._end("stopped")
        elif do == "pause":
            self._show("paused")
        else:
            self._steps(number)

    def _wanted(self) -> tuple[int, str]:
        wanted = self._view.feature_wanted
        return int(wanted.get("run", 0)), str(wanted.get("do", "stop"))

    def _begin(self, number: int, do: str) -> None:
        if do == "stop":  # asked for and taken back before it began
            if self._going:
                self._end("stopped")
            self._number = number
            return
        self._going = False  # what was going is abandoned
        self._number = number
        nothing = {"run": number, "step": 0, "steps": 0, "seconds_left": None}
        self._view.publish(feature_progress=nothing, feature_note="", feature_detail="")
        shown = dict(self._view.feature_settings)
        neuron = self._view.neuron
        settings = asked_settings(shown, self._layer(), neuron, self._beyond)
        target = target_of(self._model, settings)
        run = FeatureRun(self._model, target, settings.neuron, settings)
        with self._stepping:
            self._run, self._progress = run, []
        self._going = True
        self._weights = shown.get("total_variation")
        with self._view.hold_sync():
            self._view.publish(
                feature_for={
                    "layer": run.settings.layer,
                    "neuron": neuron,
                    "space": run.settings.space,
                    "objective": run.settings.objective,
                    "model": self._model.name,
                    "settings": shown,
                    **({"unit": shown["unit"]} if "unit" in shown else {}),
                },
                feature_strip_labels=labels(run.settings),
                feature_curves={},
                feature_copies=None,
                feature_note=target.note,
            )
            self._show("running")

    def _steps(self, number: int) -> None:
        run = self._run
        assert run is not None
        begun = time.monotonic()
        while not run.done and self._wanted() == (number, "run") and not self._closed:
            self._apply_weights(run)
            with self._stepping:
                self._progress.append(run.step())
            if time.monotonic() - begun > SLICE:
                break
        if run.done:
            self._end("done")
            return
        if time.monotonic() > self._next_picture:
            self._show("running")
        if not self._closed:
            self._worker.submit("feature", self._work)

    def _apply_weights(self, run: FeatureRun) -> None:
        named = self._view.feature_settings.get("total_variation", self._weights)
        if named == self._weights:
            return
        self._weights = named
        each = weights(named, run.settings)
        if each is None:
            note = "The run goes on with its own λ: another number of them needs a new start."
            self._view.publish(feature_note=note)
            return
        run.total_variation = each

    # --- what is shown ----------------------------------------------------------------------------

    def _show(self, state: str) -> None:
        """Show the picture as it is now."""
        run = self._run
        assert run is not None
        now, images = time.monotonic(), run.images()
        self._next_picture = now + max(BETWEEN_PICTURES, images.nbytes / MOST_BYTES)
        shown = self._numbers(run)
        if state != "running" or now > self._next_copies:
            shown |= self._copies(run)
        shown["feature_code"] = self._code(run.settings)
        self._view.publish(feature_state=state, **shown, **_pictures(images))

    def _end(self, state: str) -> None:
        """Show what stays: the final image, or the best so far of a run that is not done."""
        run = self._run
        assert run is not None
        self._going = False
        with self._stepping:
            made = run.result()
        shown = {**self._numbers(run), **self._copies(run)}
        shown["feature_progress"]["best_step"] = int(made.best_step[0])
        best = "the start" if not self._progress else _listed(made.best_step)
        kept = "" if run.done else f"The best so far, of {best}, is kept."
        self._view.publish(
            feature_state=state,
            feature_note=" ".join(filter(None, (kept, made.note))),
            feature_code=self._code(made.settings),
            **shown,
            **_pictures(run.images() if run.done else run.best()),
        )

    def _fail(self, error: Exception) -> None:
        shown: dict[str, Any] = {}
        if self._going and self._run is not None:
            shown = {**self._numbers(self._run), **_pictures(self._run.best())}
        self._going = False
        self._view.publish(
            feature_state="failed",
            feature_note=str(error) or type(error).__name__,
            feature_detail="".join(traceback.format_exception(error)),
            **shown,
        )

    def _show_copies(self) -> None:
        if self._run is not None:
            self._view.publish(**self._copies(self._run))

    def _copies(self, run: FeatureRun) -> dict[str, Any]:
        if not self._view.feature_copies_shown or not self._progress:
            return {}
        copies = run.copies(0)
        self._next_copies = time.monotonic() + max(_BETWEEN_COPIES, copies.nbytes / MOST_BYTES)
        return {"feature_copies": copies}

    def _numbers(self, run: FeatureRun) -> dict[str, Any]:
        """Give how far the run is, and what was measured at each step."""
        taken, steps = len(self._progress), run.settings.steps
        about: dict[str, Any] = {"run": self._number, "step": 0, "steps": steps}
        if not taken:
            return {"feature_progress": {**about, "seconds_left": None}}
        last = self._progress[-1]
        loss, activation, roughness = np.stack(
            [(one.loss, one.activation, one.total_variation) for one in self._progress], axis=-1
        )  # each (picture, step)
        about |= {
            "step": last.step,
            "seconds_left": (steps - last.step) * last.seconds / taken,
            "loss": float(loss[0, -1]),
            "activation": float(activation[0, -1]),
            "total_variation": float(roughness[0, -1]),
        }
        curves = packed_curves(loss, activation, roughness)
        return {"feature_progress": about, "feature_curves": curves}

    def _code(self, settings: Settings) -> str:
        return python_lines(settings, self._opened_by, self._model.input_size)


def _pictures(images: np.ndarray) -> dict[str, Any]:
    return {"feature_image": images[0], "feature_strip": images if len(images) > 1 else None}


def _listed(steps: np.ndarray) -> str:
    each = sorted(set(steps.tolist()))
    return f"step {each[0]}" if len(each) == 1 else f"steps {', '.join(map(str, each))}"

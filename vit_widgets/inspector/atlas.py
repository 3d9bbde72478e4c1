"""An atlas of a layer: an optimised image of each neuron on screen, a few at a time."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from vit_widgets.activations import Site
from vit_widgets.inspector.pictures import thumbnail
from vit_widgets.jobs import Job
from vit_widgets.models import VisionModel
from vit_widgets.probes.feature_visualization import FeatureRun, Settings
from vit_widgets.widgets import NeuronPage

SETTINGS = Settings.of("preview", steps=32, copies=1)
"""Quick: an atlas is to look around in; the chosen neuron gets an image of its own."""

SIDE = 72
"""Longer side of a cell, in pixels."""

AT_ONCE = 8
"""Neurons that are optimised as one batch."""

_SLICE = 0.05  # seconds of work before others get their turn
_HELD = 4096  # cells, 15 kB each


class Atlas:
    """Fills the cells that a page has on screen.

    Parameters
    ----------
    page
        Says in `atlas_wanted` what it shows; gets `atlas`.
    model
        The model.
    site_of
        Gives the place of a layer of neurons.
    submit
        As of :class:`~vit_widgets.inspector.neurons.NeuronDesk`.

    Examples
    --------
    >>> atlas = Atlas(page, model, lambda layer: sites(model)[layer], worker.submit)
    ... # doctest: +SKIP
    >>> page.atlas_wanted = {"layer": 3, "first": 0, "count": 24}      # doctest: +SKIP
    """

    def __init__(
        self,
        page: NeuronPage,
        model: VisionModel,
        site_of: Callable[[int], Site | None],
        submit: Callable[[str, Job], None],
    ) -> None:
        self._page, self._model, self._site_of, self._submit = page, model, site_of, submit
        self._cells: OrderedDict[tuple[int, int], tuple[np.ndarray, float]] = OrderedDict()
        self._run: FeatureRun | None = None
        self._neurons: tuple[int, list[int]] = (0, [])

    def observe(self) -> None:
        """Fill whatever the page comes to show."""
        self._page.observe(self._changed, ["atlas_wanted", "atlas_open"])

    def _changed(self, _change: object) -> None:
        if self._page.atlas_open:
            self._submit("atlas on screen", self._show_known)
            self._submit("atlas", self._work)

    def _shown(self) -> tuple[Site, int, range] | None:
        """Give the layer on screen and its neurons; ``None`` where there is none."""
        wanted = self._page.atlas_wanted
        at = self._site_of(wanted["layer"]) if wanted else None
        if not self._page.atlas_open or at is None:
            return None
        first = max(0, wanted["first"])
        return at, wanted["layer"], range(first, min(first + wanted["count"], at.features))

    def _show_known(self) -> None:
        shown = self._shown()
        if shown is not None:
            _, layer, neurons = shown
            self._publish(layer, [one for one in neurons if (layer, one) in self._cells])

    def _work(self) -> None:
        """Take some steps for the first cells that are missing, and come again."""
        shown = self._shown()
        if shown is None:
            self._run = None
            return
        at, layer, neurons = shown
        if (
            self._run is None
            or self._neurons[0] != layer
            or not set(self._neurons[1]) & set(neurons)
        ):
            missing = [one for one in neurons if (layer, one) not in self._cells]
            if not missing:
                return
            self._neurons = (layer, missing[:AT_ONCE])
            self._run = FeatureRun(self._model, at, self._neurons[1], SETTINGS)
        until = time.monotonic() + _SLICE
        while not self._run.done and time.monotonic() < until:
            self._run.step()
        if self._run.done:
            self._keep(self._run)
            self._publish(*self._neurons)
            self._run = None
        self._submit("atlas", self._work)

    def _keep(self, run: FeatureRun) -> None:
        layer, neurons = self._neurons
        made = run.result()
        for neuron, picture, value in zip(neurons, run.images(), made.activation, strict=True):
            self._cells[layer, neuron] = (thumbnail(picture, SIDE), float(value))
        while len(self._cells) > _HELD:
            self._cells.popitem(last=False)

    def _publish(self, layer: int, neurons: Sequence[int]) -> None:
        """Send cells that are there: one answer for each unbroken run of neurons."""
        for _, run in itertools.groupby(enumerate(neurons), lambda pair: pair[1] - pair[0]):
            several = [neuron for _, neuron in run]
            cells = [self._cells[layer, neuron] for neuron in several]
            self._page.publish(
                atlas={
                    "layer": layer,
                    "first": several[0],
                    "images": np.stack([picture for picture, _ in cells]),
                    "captions": [f"{value:.2f}" for _, value in cells],
                    "note": f"optimised quickly, in {SETTINGS.steps} steps",
                }
            )

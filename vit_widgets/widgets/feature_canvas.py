"""The live canvas of an image that is being optimised for a neuron."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets.widgets.base import STATIC, VitWidget
from vit_widgets.widgets.traits import Pixels
from vit_widgets.widgets.wire import Packed, pack, unpack

STATES = ("empty", "running", "paused", "stopped", "done", "failed")

MOST_POINTS = 200
"""Points of a curve that travel; a longer one is thinned."""

_SIDE = 384  # pixels of the static picture


def packed_curves(
    loss: np.ndarray, activation: np.ndarray, total_variation: np.ndarray, most: int = MOST_POINTS
) -> Packed:
    """Pack the curves of a run so far, thinned evenly to what a screen can show.

    Parameters
    ----------
    loss, activation, total_variation
        float (picture, step): what was measured at step 0, 1, 2, … of each picture of the run.
    most
        Points of each curve that are kept, at least 2.

    Returns
    -------
    dict
        Packed float32 (3, picture, point) in the order of the arguments, with two more keys:
        ``every``, the steps between two points, and ``last``, the step of the last point, which is
        always there.

    Examples
    --------
    >>> falling = np.linspace(1, 0, 401)[None]
    >>> curves = packed_curves(falling, -falling, falling, most=101)
    >>> curves["shape"], curves["every"], curves["last"]
    ([3, 1, 101], 4, 400)
    """
    curves = np.stack([loss, activation, total_variation]).astype(np.float32)
    last = curves.shape[-1] - 1
    every = max(1, -(-last // (most - 1)))
    kept = np.append(np.arange(0, max(last, 0), every), last) if last >= 0 else np.arange(0)
    return {**pack(curves[..., kept]), "every": every, "last": last}


class FeatureCanvas(VitWidget):
    """An image that is being optimised for a neuron: how it looks, how far it is, and its settings.

    It draws what it is given. What the page asks for stands in `feature_wanted` and
    `feature_settings`; whoever optimises observes them (``vw.inspect_feature`` does).

    Attributes
    ----------
    feature_image : array
        The picture so far: uint8 pixels (height, width, 3) or floats in [0, 1].
    feature_strip : array
        Several pictures of one run, (picture, height, width, 3); ``{}`` for a single one.
    feature_strip_labels : list of str
        What sets each of them apart, e.g. ``"seed 3"``.
    feature_state : str
        ``"empty"``, ``"running"``, ``"paused"``, ``"stopped"``, ``"done"`` or ``"failed"``.
    feature_progress : dict
        ``{run, step, steps, seconds_left, activation, total_variation, loss, best_step}``; the
        numbers are those of the first picture, ``seconds_left`` is ``None`` while not known.
    feature_curves : dict
        What :func:`packed_curves` returns.
    feature_for : dict
        What the picture is of: ``{layer, neuron, space, objective, model, settings}``. A picture of
        another neuron than the one selected is dimmed and says whose it is.
    feature_settings : dict
        Of the next run: ``{objective, space, preset, total_variation, copies, jitter, color_shift,
        noise, seed, parametrization, steps, learning_rate}``, as many of them as there are. A list
        for ``seed`` or ``total_variation`` makes one picture for each. ``total_variation`` holds at
        once, also for the run that is going.
    feature_choices : dict
        ``{setting: [what it may be]}`` for settings that are a choice.
    feature_wanted : dict
        ``{run, do}``: which run is wanted and whether it shall ``"run"``, ``"pause"`` or
        ``"stop"``. A larger `run` begins anew.
    feature_copies_shown : bool
        Whether the augmented copies of the current step are asked for.
    feature_copies : array
        uint8 (copy, height, width, 3): what the model sees in the current step.
    feature_note : str
        What should be known of the picture, or what went wrong.
    feature_detail : str
        The Python message of what went wrong.
    feature_code : str
        The lines of Python that make the picture again.

    Examples
    --------
    >>> canvas = FeatureCanvas(feature_image=np.zeros((96, 96, 3), np.uint8), neuron=5)
    >>> canvas.feature_for = {"layer": 0, "neuron": 5, "objective": "most active"}
    """

    _esm = STATIC / "feature_canvas.js"

    feature_image = Pixels().tag(sync=True)
    feature_strip = Pixels().tag(sync=True)
    feature_strip_labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    feature_state = traitlets.Enum(STATES, "empty").tag(sync=True)
    feature_progress = traitlets.Dict().tag(sync=True)
    feature_curves = traitlets.Dict().tag(sync=True)
    feature_for = traitlets.Dict().tag(sync=True)
    feature_settings = traitlets.Dict().tag(sync=True)
    feature_choices = traitlets.Dict().tag(sync=True)
    feature_wanted = traitlets.Dict().tag(sync=True)
    feature_copies_shown = traitlets.Bool(default_value=False).tag(sync=True)
    feature_copies = Pixels().tag(sync=True)
    feature_note = traitlets.Unicode("").tag(sync=True)
    feature_detail = traitlets.Unicode("").tag(sync=True)
    feature_code = traitlets.Unicode("").tag(sync=True)

    def picture(self) -> Image.Image | None:
        """Draw the optimised image, several beside each other."""
        shown = self.feature_strip or self.feature_image
        if not shown:
            return None
        pixels = unpack(shown)
        beside = np.concatenate(list(pixels), axis=1) if pixels.ndim == 4 else pixels
        factor = max(1, round(_SIDE / beside.shape[0])) if pixels.ndim == 3 else 1
        return Image.fromarray(beside.repeat(factor, axis=0).repeat(factor, axis=1))

    def __repr__(self) -> str:
        of: dict[str, Any] = {"layer": self.layer, "neuron": self.neuron, **self.feature_for}
        name = type(self).__name__
        return f"{name}(layer={of['layer']!r}, neuron={of['neuron']}, {self.feature_state})"

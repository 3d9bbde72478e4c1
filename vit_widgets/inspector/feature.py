"""One neuron and the image that excites it most, live."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import traitlets
from torch import nn

from vit_widgets.activations.sites import sites
from vit_widgets.inspector import opening
from vit_widgets.inspector.live_feature import LiveFeature
from vit_widgets.jobs import Worker
from vit_widgets.models import VisionModel
from vit_widgets.models.preprocessing import Transform
from vit_widgets.probes.feature_visualization import FeatureVisualization, Settings, target_of
from vit_widgets.probes.feature_visualization.targets import Along, Target, check_features
from vit_widgets.widgets.feature_canvas import FeatureCanvas


class FeatureInspector(FeatureCanvas):
    """An image being optimised for a neuron. Made by :func:`inspect_feature`.

    Attributes
    ----------
    model
        The model that is looked into.
    result
        The images so far with all that makes them again; ``None`` before the first step.

    Examples
    --------
    >>> feature = inspect_feature("demo", layer=3, neuron=5)           # doctest: +SKIP
    >>> feature.start()                                                # doctest: +SKIP
    >>> feature.wait()                                                 # doctest: +SKIP
    True
    >>> feature.save("neuron.png")                                     # doctest: +SKIP
    """

    def __init__(
        self, model: VisionModel, settings: Settings, sizes: Sequence[int], opened_by: str
    ) -> None:
        self.model = model
        self._space, self._sizes = settings.space, sizes
        layer = settings.layer if isinstance(settings.layer, int) else 0
        super().__init__(layer=layer, neuron=settings.neuron[0])
        self._worker = Worker(self.show_failure)
        self._live = LiveFeature(self, model, self._worker, opened_by=opened_by, settings=settings)

    @property
    def result(self) -> FeatureVisualization | None:
        """The images so far: final ones, or the best of a run that is not done."""
        return self._live.result

    def start(self) -> None:
        """Begin anew with the neuron and the settings of now."""
        self._live.start()

    def pause(self) -> None:
        """Take no step more until :meth:`resume`."""
        self._live.pause()

    def resume(self) -> None:
        """Go on."""
        self._live.resume()

    def stop(self) -> None:
        """End it; the best picture so far stays."""
        self._live.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is done, paused or stopped.

        Interrupting stops it and keeps the best.

        Returns
        -------
        bool
            ``False`` if `timeout` seconds went by first.
        """
        return self._live.wait(timeout)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the picture as a PNG that carries its settings.

        Parameters
        ----------
        path
            Of the file; ``Settings.from_png`` reads it back.

        Raises
        ------
        ValueError
            If there is no picture yet.
        """
        result = self.result
        if result is None:
            msg = "there is no picture to save yet; start() makes one"
            raise ValueError(msg)
        result.save(path)

    def close(self) -> None:
        """Take no step more, and close the page; `result` stays."""
        self._live.close()
        self._worker.cancel()
        super().close()

    def size_of(self, name: str) -> int | None:
        """Count layers and neurons of the space that was opened; others say at the start."""
        here = self.feature_settings.get("space", self._space) == self._space
        if name == "layer" and here:
            return len(self._sizes)
        if name == "neuron" and here:
            return self._sizes[min(self.layer, len(self._sizes) - 1)]
        return super().size_of(name)

    @traitlets.observe("layer")
    def _layer_changed(self, _change: object) -> None:
        size = self.size_of("neuron") if self.ranges_known else None
        if size is not None and self.neuron >= size:
            self.neuron = size - 1


def inspect_feature(
    model: str | nn.Module | VisionModel = "demo",
    layer: int | str | None = 0,
    neuron: int | Sequence[int] = 0,
    space: str = "ffn_act",
    preset: str = "preview",
    *,
    transform: Transform | None = None,
    labels: Sequence[str] | None = None,
    **settings: Any,
) -> FeatureInspector:
    """Watch an image being optimised until a neuron is as active as can be.

    It begins with Start on the page, or with ``.start()``; while it runs, the notebook can be used.

    Parameters
    ----------
    model
        ``"demo"``, a timm name, any ``nn.Module``, or a :class:`VisionModel`.
    layer, neuron, space, preset
        As of ``vw.probes.visualize_feature``; several neurons are optimised in one batch.
    transform, labels
        As of :func:`load`.
    **settings
        Any field of ``vw.probes.Settings``, e.g. ``seed=[0, 1, 2]``, ``steps=128``,
        ``objective="least active"``, ``direction=``.

    Returns
    -------
    FeatureInspector

    Raises
    ------
    IndexError
        For a layer or neuron out of range, naming the range.
    ValueError, TypeError
        For a model that cannot be opened, or a setting that has no meaning.

    Examples
    --------
    >>> inspect_feature("demo", layer=3, neuron=5)                     # doctest: +SKIP
    >>> inspect_feature(net, layer=None, neuron=7, space="logit")      # doctest: +SKIP
    """
    held = opening.opened(model, transform, labels)
    asked = Settings.of(preset, layer=layer, neuron=neuron, space=space, **settings)
    target = target_of(held, asked)
    check_features(target, asked.neuron)
    return FeatureInspector(held, asked, _sizes(held, target), opening.opened_by(model))


def _sizes(model: VisionModel, target: Target) -> list[int]:
    """Count what can be selected in each layer; in the one place there is where none is counted."""
    if not isinstance(target.layer, int):
        return [target.features]
    space: Any = target.space
    along = isinstance(target, Along)  # the directions are the same whatever the layer
    return [target.features if along else one.features for one in sites(model, space)]

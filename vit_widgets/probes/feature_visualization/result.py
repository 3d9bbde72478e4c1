"""What a visualised feature is kept as."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vit_widgets.probes.feature_visualization.settings import PNG_KEY, Settings
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class FeatureVisualization(Result):
    """Images that were optimised for a feature: see :func:`visualize_feature`.

    Attributes
    ----------
    images
        float32 (image, row, col, channel), RGB in [0, 1]: at the end of a complete run; of one that
        was stopped the best so far.
    activation
        Of these images as they are, without augmentation: float32 (image,).
    curves
        ``"loss"``, ``"activation"`` (mean over the augmented copies) and ``"total_variation"``
        before each update: float32 (image, step), of ``settings.steps + 1`` steps; NaN for those
        that a stopped run did not take.
    best_step
        Step at which each image's augmented activation was the best, smoothed over a few steps.
    settings
        With which the same images are made again.
    note
        What is not known, in a sentence, or empty.
    axes
        Names of the axes of `images`.
    """

    images: np.ndarray
    activation: np.ndarray
    curves: dict[str, np.ndarray]
    best_step: np.ndarray
    settings: Settings
    note: str = ""
    axes: tuple[str, ...] = ("image", "row", "col", "channel")
    method: str = "visualize_feature"

    @property
    def values(self) -> np.ndarray:
        """The images."""
        return self.images

    @property
    def image(self) -> np.ndarray:
        """The first image, (row, col, channel)."""
        return self.images[0]

    @property
    def params(self) -> dict[str, Any]:
        """All that is needed to repeat it: arguments of :func:`visualize_feature`."""
        return self.settings.arguments()

    @property
    def stopped_at(self) -> int | None:
        """The step after which it was stopped; ``None`` for a complete run."""
        return self.settings.stopped_at

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the images as one PNG, side by side, with the settings in a text chunk.

        :meth:`Settings.from_png` reads them back.

        Examples
        --------
        >>> made.save("neuron.png")                                        # doctest: +SKIP
        >>> again = visualize_feature(                                     # doctest: +SKIP
        ...     model, **Settings.from_png("neuron.png").arguments()
        ... )
        """
        text = PngInfo()
        text.add_text(PNG_KEY, self.settings.to_json())
        text.add_text("activation", json.dumps(self.activation.tolist()))
        strip = np.concatenate(list(self.images), axis=1)
        Image.fromarray(np.round(strip * 255).astype(np.uint8)).save(path, "PNG", pnginfo=text)

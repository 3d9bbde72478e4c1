"""The pictures of a view, as the model takes them, and what a forward left of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from vit_widgets.activations import ActivationCache, capture
from vit_widgets.activations.cache import Part
from vit_widgets.inspector.captures import captures
from vit_widgets.models import VisionModel
from vit_widgets.models.images import Picture
from vit_widgets.models.video import strip


class Pictures:
    """Pictures that one view looks at.

    Parameters
    ----------
    model
        The model.
    pictures
        From :meth:`VisionModel.each`.

    Examples
    --------
    >>> pictures = Pictures(model, model.each(images))                 # doctest: +SKIP
    >>> pictures.captured(0).logits.shape                              # doctest: +SKIP
    torch.Size([1, 12])
    """

    def __init__(self, model: VisionModel, pictures: Sequence[Picture]) -> None:
        self._model, self._pictures = model, list(pictures)
        self._kept: tuple[Part, ...] = ("attention",)
        self._owner = object()

    def __len__(self) -> int:
        return len(self._pictures)

    def checked(self, index: int) -> int:
        """Give an index back, or refuse it.

        Raises
        ------
        IndexError
            For a picture that there is not, naming the valid ones.
        """
        if not 0 <= index < len(self):
            msg = f"image_index {index} is out of range: valid are 0 to {len(self) - 1}"
            raise IndexError(msg)
        return index

    def batch(self, index: int) -> torch.Tensor:
        """Preprocess one: (1, channels, height, width), on the CPU."""
        return self._model.batch(self._pictures[index])

    def captured(self, index: int) -> ActivationCache:
        """Give what a forward of one left: attention; run once as long as there is room."""
        kept = self._kept

        def run() -> ActivationCache:
            return capture(self._model, self.batch(index), keep=kept)

        return captures.get((self._owner, index, kept), run)

    def tokens(self, index: int) -> ActivationCache:
        """Give what a forward of one left, with its tokens; from now on all are kept so."""
        self._kept = ("attention", "tokens")
        return self.captured(index)

    def forget(self) -> None:
        """Make room: what was captured is let go."""
        captures.drop(self._owner)


def seen(cache: ActivationCache) -> np.ndarray:
    """Give the picture that the model saw, uint8 (height, width, 3); of a video the strip."""
    picture = cache.model.picture(cache.images[0])
    axis = cache.placement.axis
    if picture.ndim == 4 and axis is not None and axis.grid is not None:
        return strip(picture, axis.grid)
    return picture[0] if picture.ndim == 4 else picture  # without places there is no frame to tell


def thumbnail(picture: np.ndarray, side: int) -> np.ndarray:
    """Scale a picture (row, col, 3) down to a longer side in pixels; a smaller one stays."""
    image = Image.fromarray(picture)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)

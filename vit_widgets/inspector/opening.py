"""Opening a model and pictures for a view: what every ``vw.inspect…`` begins with."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import nn

from vit_widgets.dataset import NeuronIndex, bundled_index
from vit_widgets.demo import CLASSES, Scene, scenes
from vit_widgets.models import VisionModel, load
from vit_widgets.models.images import Picture
from vit_widgets.models.preprocessing import Transform

THUMBNAIL = 72
"""Side of a picture in the image strip, in pixels."""

_FRAMES = 8
"""Frames of a video where neither the user nor the model says how many."""

# Models opened by name are shared while any view holds them: re-running a cell loads nothing.
_opened: weakref.WeakValueDictionary[str, VisionModel] = weakref.WeakValueDictionary()


def opened(
    model: str | nn.Module | VisionModel,
    transform: Transform | None = None,
    labels: Sequence[str] | None = None,
) -> VisionModel:
    """Open a model; one that is opened by its name alone is shared between views."""
    if not isinstance(model, str) or transform is not None or labels is not None:
        return load(model, transform=transform, labels=labels)
    if model not in _opened:
        held = load(model)
        _opened[model] = held
        return held
    return _opened[model]


def opened_by(model: object) -> str:
    """Say in Python how a model is opened, for lines that are copied."""
    return f'vw.load("{model}")' if isinstance(model, str) else "model"


def index_of(model: object, held: VisionModel, index: NeuronIndex | None) -> NeuronIndex | None:
    """Give the index that the user passed, or the one that comes with the bundled model."""
    return bundled_index(held) if index is None and model == "demo" else index


def pictures(model: VisionModel, images: object) -> tuple[list[Picture], list[str]]:
    """Read images or videos, and name them: by their file, what they show, or a number.

    ``None`` stands for a dozen of the demo's scenes, or three of them that stand still.
    """
    if images is None:
        images = scenes(12, background="correlated")
        if model.clip is not None:
            images = [[scene] * (model.clip.frames or _FRAMES) for scene in images[:3]]
    read = model.each(images)
    return read, _names(images, len(read), "image" if model.clip is None else "video")


def code(function: str, model: object, selection: str, **given: object) -> str:
    """Write the lines that make a view again; the page fills the selection in.

    Parameters
    ----------
    function
        As in ``vw.inspect``.
    model
        What the user passed.
    selection
        Arguments in which names in braces are replaced by what is selected.
    **given
        What else the user passed.
    """
    names = [name for name, value in given.items() if value is not None]
    arguments = [
        repr(model) if isinstance(model, str) else "model",
        *(f"{name}={name}" for name in names),
        selection,
    ]
    return f"import vit_widgets as vw\n\nvw.{function}({', '.join(arguments)})"


def _names(images: object, count: int, noun: str) -> list[str]:
    several = images if isinstance(images, (list, tuple)) and len(images) == count else [images]
    named = [_name(one) or f"{noun} {at}" for at, one in enumerate(several)]
    return named if len(named) == count else [f"{noun} {index}" for index in range(count)]


def _name(image: object) -> str:
    """Name an image by its file, or a scene by what it shows."""
    if isinstance(image, (str, os.PathLike)):
        return Path(image).name
    if isinstance(image, Scene):
        return CLASSES[image.label]
    return ""


def strip(model: VisionModel, pictures: Sequence[Picture]) -> np.ndarray:
    """Draw the image strip, uint8 (image, side, side, 3): what the model sees, cut to a square.

    Of a video it is the first frame.
    """
    small = []
    for picture in pictures:
        pixels = model.batch(picture)[0]
        seen = Image.fromarray(model.picture(pixels[0] if pixels.ndim == 4 else pixels))
        side = min(seen.size)
        left, top = (seen.width - side) // 2, (seen.height - side) // 2
        square = seen.crop((left, top, left + side, top + side))
        small.append(np.asarray(square.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)))
    return np.stack(small)

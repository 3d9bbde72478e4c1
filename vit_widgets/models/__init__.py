"""What is this model? Opening it, its anatomy, and where its tokens lie on the image."""

import importlib
from typing import Any

from vit_widgets.models.geometry import Grid, TokenAxis
from vit_widgets.models.images import read_images
from vit_widgets.models.loading import VisionModel, load

__all__ = ["Grid", "TokenAxis", "VisionModel", "load", "read_images"]


def __getattr__(name: str) -> Any:
    # `support` is measured by capturing, a stage further on: asked for here, looked up there.
    if name == "support":
        return importlib.import_module("vit_widgets.activations.support").support
    msg = f"module 'vit_widgets.models' has no attribute {name!r}"
    raise AttributeError(msg)

"""What is this model? Opening it, its anatomy, and where its tokens lie on the image."""

from vit_widgets.models.geometry import Grid, TokenAxis
from vit_widgets.models.images import read_images
from vit_widgets.models.loading import VisionModel, load

__all__ = ["Grid", "TokenAxis", "VisionModel", "load", "read_images"]

"""One forward, and what it left."""

from vit_widgets.activations.cache import ActivationCache, capture
from vit_widgets.activations.gradients import GradientCache, GradientRecord, gradients
from vit_widgets.activations.layouts import Placement
from vit_widgets.activations.records import AttentionRecord

__all__ = [
    "ActivationCache",
    "AttentionRecord",
    "GradientCache",
    "GradientRecord",
    "Placement",
    "capture",
    "gradients",
]

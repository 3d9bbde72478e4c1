"""One forward, and what it left; features where they arise, read or edited."""

from vit_widgets.activations.cache import ActivationCache, capture
from vit_widgets.activations.edits import edit
from vit_widgets.activations.gradients import GradientCache, GradientRecord, gradients
from vit_widgets.activations.layouts import Placement
from vit_widgets.activations.records import AttentionRecord
from vit_widgets.activations.seeing import read, read_all, seeing
from vit_widgets.activations.sites import SPACES, Site, Space, site, sites

__all__ = [
    "SPACES",
    "ActivationCache",
    "AttentionRecord",
    "GradientCache",
    "GradientRecord",
    "Placement",
    "Site",
    "Space",
    "capture",
    "edit",
    "gradients",
    "read",
    "read_all",
    "seeing",
    "site",
    "sites",
]

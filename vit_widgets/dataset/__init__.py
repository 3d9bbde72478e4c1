"""A model over a whole dataset, in one pass that can be stopped, resumed, spread and merged."""

from vit_widgets.dataset.comparison import Specific, most_specific
from vit_widgets.dataset.estimate import Estimate, estimate
from vit_widgets.dataset.index import Distribution, NeuronIndex, TopImages
from vit_widgets.dataset.progress import Progress
from vit_widgets.dataset.scan import scan
from vit_widgets.dataset.top_images import state_bytes

__all__ = [
    "Distribution",
    "Estimate",
    "NeuronIndex",
    "Progress",
    "Specific",
    "TopImages",
    "estimate",
    "most_specific",
    "scan",
    "state_bytes",
]

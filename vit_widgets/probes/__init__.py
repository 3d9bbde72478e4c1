"""Questions about a model, one a file: each takes a cache or a model and returns arrays."""

from vit_widgets.probes.head_statistics import (
    HeadStatistics,
    head_statistics,
    layer_statistics,
)
from vit_widgets.probes.neuron_effect import NeuronEffect, neuron_effect

__all__ = [
    "HeadStatistics",
    "NeuronEffect",
    "head_statistics",
    "layer_statistics",
    "neuron_effect",
]

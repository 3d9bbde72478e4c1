"""Questions about a model, one a file: each takes a cache or a model and returns arrays."""

from vit_widgets.probes.feature_visualization import (
    FeatureRun,
    FeatureVisualization,
    high_frequency_share,
    published_features,
    visualize_feature,
)
from vit_widgets.probes.head_statistics import (
    HeadStatistics,
    head_statistics,
    layer_statistics,
)
from vit_widgets.probes.neuron_effect import NeuronEffect, neuron_effect

__all__ = [
    "FeatureRun",
    "FeatureVisualization",
    "HeadStatistics",
    "NeuronEffect",
    "head_statistics",
    "high_frequency_share",
    "layer_statistics",
    "neuron_effect",
    "published_features",
    "visualize_feature",
]

"""Images that excite a feature: neurons, channels, classes, directions."""

from vit_widgets.probes.feature_visualization.chosen_features import (
    CHOSEN,
    PublishedFeature,
    PublishedFeatures,
    published_features,
)
from vit_widgets.probes.feature_visualization.optimization import FeatureRun, NotFinite, Progress
from vit_widgets.probes.feature_visualization.result import FeatureVisualization
from vit_widgets.probes.feature_visualization.settings import PRESETS, Settings
from vit_widgets.probes.feature_visualization.spectrum import high_frequency_share
from vit_widgets.probes.feature_visualization.targets import (
    Along,
    Embedding,
    Features,
    Logits,
    target_of,
)
from vit_widgets.probes.feature_visualization.total_variation import total_variation
from vit_widgets.probes.feature_visualization.visualize import visualize_feature

__all__ = [
    "CHOSEN",
    "PRESETS",
    "Along",
    "Embedding",
    "FeatureRun",
    "FeatureVisualization",
    "Features",
    "Logits",
    "NotFinite",
    "Progress",
    "PublishedFeature",
    "PublishedFeatures",
    "Settings",
    "high_frequency_share",
    "published_features",
    "target_of",
    "total_variation",
    "visualize_feature",
]

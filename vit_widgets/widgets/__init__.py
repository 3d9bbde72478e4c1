"""Components for plain arrays: nothing here knows torch."""

from vit_widgets.widgets.attributions import Attributions
from vit_widgets.widgets.compare_maps import CompareMaps
from vit_widgets.widgets.feature_canvas import FeatureCanvas
from vit_widgets.widgets.head_dashboard import HeadDashboard
from vit_widgets.widgets.head_grid import HeadGrid
from vit_widgets.widgets.inspector_page import InspectorPage
from vit_widgets.widgets.layer_slider import LayerSlider
from vit_widgets.widgets.neuron_page import NeuronPage
from vit_widgets.widgets.patch_features import PatchFeatures
from vit_widgets.widgets.patch_overlay import PatchOverlay
from vit_widgets.widgets.token_clusters import TokenClusters
from vit_widgets.widgets.token_depth import TokenDepth
from vit_widgets.widgets.token_scatter import TokenScatter
from vit_widgets.widgets.token_views import TokenViews

__all__ = [
    "Attributions",
    "CompareMaps",
    "FeatureCanvas",
    "HeadDashboard",
    "HeadGrid",
    "InspectorPage",
    "LayerSlider",
    "NeuronPage",
    "PatchFeatures",
    "PatchOverlay",
    "TokenClusters",
    "TokenDepth",
    "TokenScatter",
    "TokenViews",
]

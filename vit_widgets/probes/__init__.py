"""Questions about a model, one a file: each takes a cache or a model and returns arrays."""

from vit_widgets.probes.bilateral import bilateral
from vit_widgets.probes.cka import CKA, CKASum, cka
from vit_widgets.probes.class_similarity import ClassSimilarity, class_similarity
from vit_widgets.probes.cluster_metrics import (
    Clustering,
    ClusterMetrics,
    PatchClusters,
    cluster_metrics,
    clustering,
    patch_clusters,
)
from vit_widgets.probes.feature_visualization import (
    FeatureRun,
    FeatureVisualization,
    high_frequency_share,
    published_features,
    visualize_feature,
)
from vit_widgets.probes.filter_scores import FilterScores, filter_scores
from vit_widgets.probes.filters import Filters, filters
from vit_widgets.probes.glsim import GLSim, glsim
from vit_widgets.probes.head_masks import HeadMasks, head_masks
from vit_widgets.probes.head_statistics import (
    HeadStatistics,
    head_statistics,
    layer_statistics,
)
from vit_widgets.probes.kmeans import Segments, kmeans
from vit_widgets.probes.leave_out import leave_out
from vit_widgets.probes.local_view import LocalView, local_view
from vit_widgets.probes.mask_iou import mask_iou
from vit_widgets.probes.matching import Matching, matching
from vit_widgets.probes.neuron_effect import NeuronEffect, neuron_effect
from vit_widgets.probes.neuron_map import ActiveNeurons, NeuronMap, active_at, neuron_map
from vit_widgets.probes.object_iou import ObjectIoU, object_iou
from vit_widgets.probes.object_patches import object_labels
from vit_widgets.probes.patch_drop import Dropped, drop_patches
from vit_widgets.probes.patch_features import patch_features
from vit_widgets.probes.patch_keys import patch_keys
from vit_widgets.probes.patch_shuffle import Shuffled, shuffle_patches
from vit_widgets.probes.patch_tokens import PatchTokens, patch_tokens
from vit_widgets.probes.pca_colors import PCAColors, pca_colors
from vit_widgets.probes.projection import (
    LayerTokens,
    Projection,
    layer_tokens,
    project,
    projections,
)
from vit_widgets.probes.register_attention import RegisterAttention, register_attention
from vit_widgets.probes.scene_truth import Attribute
from vit_widgets.probes.selectivity import SelectiveCounts, Selectivity, selectivity
from vit_widgets.probes.similarity import Similarity, similarity
from vit_widgets.probes.spatial_variance import SpatialVariance, spatial_variance
from vit_widgets.probes.token_norms import TokenNorms, token_norms
from vit_widgets.probes.token_statistics import TokenStatistics, token_statistics
from vit_widgets.probes.token_view import View, global_view, token_view
from vit_widgets.probes.tokencut import TokenCut, cut, tokencut
from vit_widgets.probes.view_weights import ViewWeights, owning_head, view_weights

__all__ = [
    "CKA",
    "ActiveNeurons",
    "Attribute",
    "CKASum",
    "ClassSimilarity",
    "ClusterMetrics",
    "Clustering",
    "Dropped",
    "FeatureRun",
    "FeatureVisualization",
    "FilterScores",
    "Filters",
    "GLSim",
    "HeadMasks",
    "HeadStatistics",
    "LayerTokens",
    "LocalView",
    "Matching",
    "NeuronEffect",
    "NeuronMap",
    "ObjectIoU",
    "PCAColors",
    "PatchClusters",
    "PatchTokens",
    "Projection",
    "RegisterAttention",
    "Segments",
    "SelectiveCounts",
    "Selectivity",
    "Shuffled",
    "Similarity",
    "SpatialVariance",
    "TokenCut",
    "TokenNorms",
    "TokenStatistics",
    "View",
    "ViewWeights",
    "active_at",
    "bilateral",
    "cka",
    "class_similarity",
    "cluster_metrics",
    "clustering",
    "cut",
    "drop_patches",
    "filter_scores",
    "filters",
    "global_view",
    "glsim",
    "head_masks",
    "head_statistics",
    "high_frequency_share",
    "kmeans",
    "layer_statistics",
    "layer_tokens",
    "leave_out",
    "local_view",
    "mask_iou",
    "matching",
    "neuron_effect",
    "neuron_map",
    "object_iou",
    "object_labels",
    "owning_head",
    "patch_clusters",
    "patch_features",
    "patch_keys",
    "patch_tokens",
    "pca_colors",
    "project",
    "projections",
    "published_features",
    "register_attention",
    "selectivity",
    "shuffle_patches",
    "similarity",
    "spatial_variance",
    "token_norms",
    "token_statistics",
    "token_view",
    "tokencut",
    "view_weights",
    "visualize_feature",
]

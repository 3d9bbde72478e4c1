"""Questions about a model, one a file: each takes a cache or a model and returns arrays."""

from vit_widgets.probes.ablate_blocks import ablate_blocks
from vit_widgets.probes.ablate_heads import ablate_heads, head_ablations
from vit_widgets.probes.ablate_neurons import ablate_neurons
from vit_widgets.probes.ablation import Ablation
from vit_widgets.probes.attribution import (
    ATTRIBUTIONS,
    AttributionMethod,
    LayerRelevance,
    PartialRollouts,
    attention_cam,
    attention_flow,
    grad_cam,
    gradient_attention,
    input_x_gradient,
    integrated_gradients,
    layer_relevance,
    legrad,
    lrp,
    occlusion,
    partial_rollouts,
    relevance,
    relevance_matrix,
    rise,
    rollout,
    rollout_matrix,
    saliency,
    smooth_grad,
    transformer_attribution,
)
from vit_widgets.probes.baselines import edge_map, random_map
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
from vit_widgets.probes.faithfulness import (
    Curve,
    Faithfulness,
    FaithfulnessOver,
    Interval,
    MaxSensitivity,
    MeanCurve,
    Randomization,
    faithfulness,
    faithfulness_over,
    max_sensitivity,
    randomization,
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
from vit_widgets.probes.head_gradients import HeadGradients, head_gradients
from vit_widgets.probes.head_masks import HeadMasks, head_masks
from vit_widgets.probes.head_patterns import HeadPatterns, head_patterns
from vit_widgets.probes.head_statistics import (
    HeadStatistics,
    head_statistics,
    layer_statistics,
)
from vit_widgets.probes.head_summary import HeadSummary, head_summary
from vit_widgets.probes.hop_profile import HopProfile, hop_profile
from vit_widgets.probes.kmeans import Segments, kmeans
from vit_widgets.probes.leaderboard import Leaderboard, leaderboard
from vit_widgets.probes.leave_out import leave_out
from vit_widgets.probes.local_view import LocalView, local_view
from vit_widgets.probes.maps import PatchMap, PixelMap
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
from vit_widgets.probes.pruning_curve import PruningCurve, pruning_curve
from vit_widgets.probes.register_attention import RegisterAttention, register_attention
from vit_widgets.probes.scene_truth import Attribute
from vit_widgets.probes.screen_heads import HeadScreen, screen_heads
from vit_widgets.probes.selectivity import SelectiveCounts, Selectivity, selectivity
from vit_widgets.probes.similarity import Similarity, similarity
from vit_widgets.probes.spatial_variance import SpatialVariance, spatial_variance
from vit_widgets.probes.target import ReadOut
from vit_widgets.probes.token_norms import TokenNorms, token_norms
from vit_widgets.probes.token_statistics import TokenStatistics, token_statistics
from vit_widgets.probes.token_view import View, global_view, token_view
from vit_widgets.probes.tokencut import TokenCut, cut, tokencut
from vit_widgets.probes.view_weights import ViewWeights, owning_head, view_weights

__all__ = [
    "ATTRIBUTIONS",
    "CKA",
    "Ablation",
    "ActiveNeurons",
    "Attribute",
    "AttributionMethod",
    "CKASum",
    "ClassSimilarity",
    "ClusterMetrics",
    "Clustering",
    "Curve",
    "Dropped",
    "Faithfulness",
    "FaithfulnessOver",
    "FeatureRun",
    "FeatureVisualization",
    "FilterScores",
    "Filters",
    "GLSim",
    "HeadGradients",
    "HeadMasks",
    "HeadPatterns",
    "HeadScreen",
    "HeadStatistics",
    "HeadSummary",
    "HopProfile",
    "Interval",
    "LayerRelevance",
    "LayerTokens",
    "Leaderboard",
    "LocalView",
    "Matching",
    "MaxSensitivity",
    "MeanCurve",
    "NeuronEffect",
    "NeuronMap",
    "ObjectIoU",
    "PCAColors",
    "PartialRollouts",
    "PatchClusters",
    "PatchMap",
    "PatchTokens",
    "PixelMap",
    "Projection",
    "PruningCurve",
    "Randomization",
    "ReadOut",
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
    "ablate_blocks",
    "ablate_heads",
    "ablate_neurons",
    "active_at",
    "attention_cam",
    "attention_flow",
    "bilateral",
    "cka",
    "class_similarity",
    "cluster_metrics",
    "clustering",
    "cut",
    "drop_patches",
    "edge_map",
    "faithfulness",
    "faithfulness_over",
    "filter_scores",
    "filters",
    "global_view",
    "glsim",
    "grad_cam",
    "gradient_attention",
    "head_ablations",
    "head_gradients",
    "head_masks",
    "head_patterns",
    "head_statistics",
    "head_summary",
    "high_frequency_share",
    "hop_profile",
    "input_x_gradient",
    "integrated_gradients",
    "kmeans",
    "layer_relevance",
    "layer_statistics",
    "layer_tokens",
    "leaderboard",
    "leave_out",
    "legrad",
    "local_view",
    "lrp",
    "mask_iou",
    "matching",
    "max_sensitivity",
    "neuron_effect",
    "neuron_map",
    "object_iou",
    "object_labels",
    "occlusion",
    "owning_head",
    "partial_rollouts",
    "patch_clusters",
    "patch_features",
    "patch_keys",
    "patch_tokens",
    "pca_colors",
    "project",
    "projections",
    "pruning_curve",
    "published_features",
    "random_map",
    "randomization",
    "register_attention",
    "relevance",
    "relevance_matrix",
    "rise",
    "rollout",
    "rollout_matrix",
    "saliency",
    "screen_heads",
    "selectivity",
    "shuffle_patches",
    "similarity",
    "smooth_grad",
    "spatial_variance",
    "token_norms",
    "token_statistics",
    "token_view",
    "tokencut",
    "transformer_attribution",
    "view_weights",
    "visualize_feature",
]

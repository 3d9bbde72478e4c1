"""Questions about a model, one a file: each takes a cache or a model and returns arrays."""

from vit_widgets.probes.attribution import (
    PartialRollouts,
    attention_cam,
    grad_cam,
    gradient_attention,
    input_x_gradient,
    integrated_gradients,
    legrad,
    occlusion,
    partial_rollouts,
    relevance,
    relevance_matrix,
    rise,
    rollout,
    rollout_matrix,
    saliency,
    smooth_grad,
)
from vit_widgets.probes.baselines import edge_map, random_map
from vit_widgets.probes.cka import CKA, cka
from vit_widgets.probes.cluster_metrics import (
    Clustering,
    ClusterMetrics,
    cluster_metrics,
    clustering,
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
from vit_widgets.probes.glsim import GLSim, glsim
from vit_widgets.probes.head_masks import HeadMasks, head_masks
from vit_widgets.probes.head_statistics import (
    HeadStatistics,
    head_statistics,
    layer_statistics,
)
from vit_widgets.probes.kmeans import Segments, kmeans
from vit_widgets.probes.leaderboard import Leaderboard, leaderboard
from vit_widgets.probes.maps import PatchMap, PixelMap
from vit_widgets.probes.mask_iou import mask_iou
from vit_widgets.probes.neuron_effect import NeuronEffect, neuron_effect
from vit_widgets.probes.neuron_map import ActiveNeurons, NeuronMap, active_at, neuron_map
from vit_widgets.probes.patch_drop import Dropped, drop_patches
from vit_widgets.probes.patch_keys import patch_keys
from vit_widgets.probes.patch_shuffle import Shuffled, shuffle_patches
from vit_widgets.probes.patch_tokens import PatchTokens, patch_tokens
from vit_widgets.probes.pca_colors import PCAColors, pca_colors
from vit_widgets.probes.scene_truth import Attribute
from vit_widgets.probes.selectivity import SelectiveCounts, Selectivity, selectivity
from vit_widgets.probes.similarity import Similarity, similarity
from vit_widgets.probes.spatial_variance import SpatialVariance, spatial_variance
from vit_widgets.probes.target import ReadOut
from vit_widgets.probes.tokencut import TokenCut, cut, tokencut

__all__ = [
    "CKA",
    "ActiveNeurons",
    "Attribute",
    "ClusterMetrics",
    "Clustering",
    "Curve",
    "Dropped",
    "Faithfulness",
    "FaithfulnessOver",
    "FeatureRun",
    "FeatureVisualization",
    "GLSim",
    "HeadMasks",
    "HeadStatistics",
    "Interval",
    "Leaderboard",
    "MaxSensitivity",
    "MeanCurve",
    "NeuronEffect",
    "NeuronMap",
    "PCAColors",
    "PartialRollouts",
    "PatchMap",
    "PatchTokens",
    "PixelMap",
    "Randomization",
    "ReadOut",
    "Segments",
    "SelectiveCounts",
    "Selectivity",
    "Shuffled",
    "Similarity",
    "SpatialVariance",
    "TokenCut",
    "active_at",
    "attention_cam",
    "cka",
    "cluster_metrics",
    "clustering",
    "cut",
    "drop_patches",
    "edge_map",
    "faithfulness",
    "faithfulness_over",
    "glsim",
    "grad_cam",
    "gradient_attention",
    "head_masks",
    "head_statistics",
    "high_frequency_share",
    "input_x_gradient",
    "integrated_gradients",
    "kmeans",
    "layer_statistics",
    "leaderboard",
    "legrad",
    "mask_iou",
    "max_sensitivity",
    "neuron_effect",
    "neuron_map",
    "occlusion",
    "partial_rollouts",
    "patch_keys",
    "patch_tokens",
    "pca_colors",
    "published_features",
    "random_map",
    "randomization",
    "relevance",
    "relevance_matrix",
    "rise",
    "rollout",
    "rollout_matrix",
    "saliency",
    "selectivity",
    "shuffle_patches",
    "similarity",
    "smooth_grad",
    "spatial_variance",
    "tokencut",
    "visualize_feature",
]

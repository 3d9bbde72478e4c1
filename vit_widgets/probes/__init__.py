"""Questions about a model, one a file: each takes a cache or a model and returns arrays."""

from vit_widgets.probes.ablate_blocks import ablate_blocks
from vit_widgets.probes.ablate_heads import ablate_heads
from vit_widgets.probes.ablate_neurons import ablate_neurons
from vit_widgets.probes.ablation import Ablation
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
from vit_widgets.probes.cka import CKA, cka
from vit_widgets.probes.cluster_metrics import (
    Clustering,
    ClusterMetrics,
    cluster_metrics,
    clustering,
)
from vit_widgets.probes.feature_visualization import (
    FeatureRun,
    FeatureVisualization,
    high_frequency_share,
    published_features,
    visualize_feature,
)
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
from vit_widgets.probes.maps import PatchMap, PixelMap
from vit_widgets.probes.mask_iou import mask_iou
from vit_widgets.probes.neuron_effect import NeuronEffect, neuron_effect
from vit_widgets.probes.neuron_map import ActiveNeurons, NeuronMap, active_at, neuron_map
from vit_widgets.probes.patch_drop import Dropped, drop_patches
from vit_widgets.probes.patch_keys import patch_keys
from vit_widgets.probes.patch_shuffle import Shuffled, shuffle_patches
from vit_widgets.probes.patch_tokens import PatchTokens, patch_tokens
from vit_widgets.probes.pca_colors import PCAColors, pca_colors
from vit_widgets.probes.pruning_curve import PruningCurve, pruning_curve
from vit_widgets.probes.scene_truth import Attribute
from vit_widgets.probes.screen_heads import HeadScreen, screen_heads
from vit_widgets.probes.selectivity import SelectiveCounts, Selectivity, selectivity
from vit_widgets.probes.similarity import Similarity, similarity
from vit_widgets.probes.spatial_variance import SpatialVariance, spatial_variance
from vit_widgets.probes.target import ReadOut
from vit_widgets.probes.tokencut import TokenCut, cut, tokencut

__all__ = [
    "CKA",
    "Ablation",
    "ActiveNeurons",
    "Attribute",
    "ClusterMetrics",
    "Clustering",
    "Dropped",
    "FeatureRun",
    "FeatureVisualization",
    "GLSim",
    "HeadGradients",
    "HeadMasks",
    "HeadPatterns",
    "HeadScreen",
    "HeadStatistics",
    "HeadSummary",
    "HopProfile",
    "NeuronEffect",
    "NeuronMap",
    "PCAColors",
    "PartialRollouts",
    "PatchMap",
    "PatchTokens",
    "PixelMap",
    "PruningCurve",
    "ReadOut",
    "Segments",
    "SelectiveCounts",
    "Selectivity",
    "Shuffled",
    "Similarity",
    "SpatialVariance",
    "TokenCut",
    "ablate_blocks",
    "ablate_heads",
    "ablate_neurons",
    "active_at",
    "attention_cam",
    "cka",
    "cluster_metrics",
    "clustering",
    "cut",
    "drop_patches",
    "glsim",
    "grad_cam",
    "gradient_attention",
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
    "layer_statistics",
    "legrad",
    "mask_iou",
    "neuron_effect",
    "neuron_map",
    "occlusion",
    "partial_rollouts",
    "patch_keys",
    "patch_tokens",
    "pca_colors",
    "pruning_curve",
    "published_features",
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
    "tokencut",
    "visualize_feature",
]

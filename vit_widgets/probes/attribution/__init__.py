"""Which patches or pixels made the model say this: one family of methods a file."""

from vit_widgets.probes.attribution.attention_flow import attention_flow
from vit_widgets.probes.attribution.grad_cam import grad_cam
from vit_widgets.probes.attribution.integrated_gradients import integrated_gradients
from vit_widgets.probes.attribution.lrp import LayerRelevance, layer_relevance, lrp
from vit_widgets.probes.attribution.methods import ATTRIBUTIONS, AttributionMethod
from vit_widgets.probes.attribution.occlusion import occlusion
from vit_widgets.probes.attribution.relevance import (
    attention_cam,
    gradient_attention,
    legrad,
    relevance,
    relevance_matrix,
    transformer_attribution,
)
from vit_widgets.probes.attribution.rise import rise
from vit_widgets.probes.attribution.rollout import (
    PartialRollouts,
    partial_rollouts,
    rollout,
    rollout_matrix,
)
from vit_widgets.probes.attribution.saliency import input_x_gradient, saliency, smooth_grad

__all__ = [
    "ATTRIBUTIONS",
    "AttributionMethod",
    "LayerRelevance",
    "PartialRollouts",
    "attention_cam",
    "attention_flow",
    "grad_cam",
    "gradient_attention",
    "input_x_gradient",
    "integrated_gradients",
    "layer_relevance",
    "legrad",
    "lrp",
    "occlusion",
    "partial_rollouts",
    "relevance",
    "relevance_matrix",
    "rise",
    "rollout",
    "rollout_matrix",
    "saliency",
    "smooth_grad",
    "transformer_attribution",
]

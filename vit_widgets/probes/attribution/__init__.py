"""Which patches or pixels made the model say this: one family of methods a file."""

from vit_widgets.probes.attribution.grad_cam import grad_cam
from vit_widgets.probes.attribution.relevance import (
    attention_cam,
    gradient_attention,
    legrad,
    relevance,
    relevance_matrix,
)
from vit_widgets.probes.attribution.rollout import (
    PartialRollouts,
    partial_rollouts,
    rollout,
    rollout_matrix,
)

__all__ = [
    "PartialRollouts",
    "attention_cam",
    "grad_cam",
    "gradient_attention",
    "legrad",
    "partial_rollouts",
    "relevance",
    "relevance_matrix",
    "rollout",
    "rollout_matrix",
]

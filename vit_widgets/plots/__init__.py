"""Figures of what probes found: curves and points, drawn with bqplot, from the arrays of a result.

Nothing here imports torch, and nothing but a call imports bqplot.

Examples
--------
>>> from vit_widgets import plots
>>> figures = plots.selectivity(found.counts(0.9))                     # doctest: +SKIP
"""

from vit_widgets.plots.clustering import cluster_metrics
from vit_widgets.plots.depth import selectivity, spatial_variance
from vit_widgets.plots.faithfulness import faithfulness, faithfulness_over
from vit_widgets.plots.heads import (
    head_matrix,
    head_patterns,
    head_scatter,
    hop_profile,
    pruning_curve,
)
from vit_widgets.plots.layers import cka, class_similarity, token_norms, token_statistics
from vit_widgets.plots.projection import projection

__all__ = [
    "cka",
    "class_similarity",
    "cluster_metrics",
    "faithfulness",
    "faithfulness_over",
    "head_matrix",
    "head_patterns",
    "head_scatter",
    "hop_profile",
    "projection",
    "pruning_curve",
    "selectivity",
    "spatial_variance",
    "token_norms",
    "token_statistics",
]

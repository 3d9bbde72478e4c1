"""Figures of what probes found: curves, drawn with bqplot, from the arrays of a result.

Nothing here imports torch, and nothing but a call imports bqplot.

Examples
--------
>>> from vit_widgets import plots
>>> figures = plots.selectivity(found.counts(0.9))                     # doctest: +SKIP
"""

from vit_widgets.plots.depth import selectivity, spatial_variance
from vit_widgets.plots.faithfulness import faithfulness, faithfulness_over

__all__ = ["faithfulness", "faithfulness_over", "selectivity", "spatial_variance"]

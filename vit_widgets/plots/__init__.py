"""Figures of what probes found: curves and points, drawn with bqplot, from the arrays of a result.

Nothing here imports torch, and nothing but a call imports bqplot.

Examples
--------
>>> from vit_widgets import plots
>>> figures = plots.selectivity(found.counts(0.9))                     # doctest: +SKIP
"""

from vit_widgets.plots.depth import selectivity, spatial_variance
from vit_widgets.plots.projection import projection

__all__ = ["projection", "selectivity", "spatial_variance"]

"""Questions about a model, one a file: each takes a cache or a model and returns arrays."""

from vit_widgets.probes.head_statistics import (
    HeadStatistics,
    head_statistics,
    layer_statistics,
)

__all__ = ["HeadStatistics", "head_statistics", "layer_statistics"]

"""Clusters against objects, layer by layer: small multiples, one for each metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vit_widgets.plots.depth import _axis, _figure, _layers

if TYPE_CHECKING:
    from vit_widgets.probes import ClusterMetrics

TITLES = {
    "purity": "Purity",
    "silhouette": "Silhouette, by cosine",
    "in_cluster": "Cosine within a cluster",
    "in_object": "Cosine within an object",
    "unique_labels": "Objects that own a cluster",
}
"""The five metrics of Nguyen et al. 2022 that are drawn, in words."""

ORIGINAL = "#0072b2"
# Okabe and Ito's; the eighth is their grey, so that it comes last
ALTERED = ("#d55e00", "#cc79a7", "#009e73", "#e69f00", "#56b4e9", "#8a8a8a")


def cluster_metrics(found: ClusterMetrics, altered: Mapping[str, ClusterMetrics]) -> Any:
    """Draw the five metrics against depth.

    Parameters
    ----------
    found
        From :func:`vit_widgets.probes.cluster_metrics`: solid lines.
    altered
        The same of altered versions of the image, by their names: dotted lines.

    Returns
    -------
    ipywidgets.HBox
        One bqplot figure for each metric. The scale ends at what is there, -1 where no cluster is.

    Raises
    ------
    ValueError
        If the results are of different layers, or more than six altered versions are given.

    Examples
    --------
    >>> figures = cluster_metrics(found, {"shuffled": other})          # doctest: +SKIP
    """
    import ipywidgets

    if len(altered) > len(ALTERED):
        msg = f"{len(altered)} altered versions are too many to be told apart: give {len(ALTERED)}"
        raise ValueError(msg)
    for name, other in altered.items():
        if other.layers != found.layers:
            msg = (
                f"{name} has layers {list(other.layers)}, the original {list(found.layers)}: "
                "measure the same ones"
            )
            raise ValueError(msg)
    figures = [_metric(metric, title, found, altered) for metric, title in TITLES.items()]
    return ipywidgets.HBox(figures, layout=ipywidgets.Layout(flex_flow="row wrap"))


def _metric(
    metric: str, title: str, found: ClusterMetrics, altered: Mapping[str, ClusterMetrics]
) -> Any:
    import bqplot

    layers = np.array(found.layers)
    x = bqplot.LinearScale()
    y = bqplot.LinearScale()
    shared = {"x": layers, "scales": {"x": x, "y": y}, "marker": "circle", "marker_size": 24}
    # drawn first, so that the original lies over them; each is named in the legend
    marks = [
        bqplot.Lines(
            y=other.of(metric), colors=[colour], labels=[name], line_style="dotted",
            display_legend=True, **shared,
        )
        for (name, other), colour in zip(altered.items(), ALTERED, strict=False)
    ]  # fmt: skip
    marks.append(
        bqplot.Lines(
            y=found.of(metric), colors=[ORIGINAL], labels=["original"],
            display_legend=bool(altered), **shared,
        )
    )  # fmt: skip
    return _figure(title, marks, [_layers(x, layers), _axis(y, metric.replace("_", " "))])

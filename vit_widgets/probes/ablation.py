"""What silencing the parts of a model did: one result for heads, neurons and blocks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from vit_widgets import tables
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import ReadOut

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("probability", "logit", "distribution", "embedding", "accuracy")
"""What is measured of a silenced part, each the larger the more it mattered.

``probability``
    By how much the probability of the target class falls.
``logit``
    By how much the target itself falls: the score of its class, or what else it is.
``distribution``
    Jensen–Shannon divergence of the probabilities with and without the part, 0 to ln 2 nats.
``embedding``
    1 minus the cosine of the vectors that the class layer is given, with and without the part.
``accuracy``
    By how much the share of images with the right class falls; known where labels are given.
"""


@dataclass(frozen=True, repr=False)
class Ablation(Result):
    """What silencing each part of a model did.

    Attributes
    ----------
    each
        float64 (image, layer, part, metric), the parts being heads, neurons or whole blocks; NaN
        where a part is not there, was not asked for or not reached, and where a metric has no
        meaning.
    metrics
        Names along the last axis, :data:`METRICS`.
    targets
        What was followed in each image.
    evaluations
        Blocks that were run, times images.
    forwards
        The same in whole forwards of one image.
    notes
        What has to be known of these numbers, in sentences.
    steps
        How many were done, and of how many.
    axes
        Names of the axes of `values`.
    """

    each: np.ndarray
    targets: tuple[ReadOut, ...]
    evaluations: int
    forwards: float
    notes: tuple[str, ...] = ()
    steps: tuple[int, int] = (0, 0)
    metrics: tuple[str, ...] = METRICS
    axes: tuple[str, ...] = ("layer", "head", "metric")
    method: str = "ablate_heads"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """Mean over the images: float64 (layer, head, metric)."""
        return np.ma.masked_invalid(self.each).mean(axis=0).filled(np.nan)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over the images, with `axes`; 0 for one image."""
        return np.ma.masked_invalid(self.each).std(axis=0).filled(np.nan)

    @property
    def complete(self) -> bool:
        """Whether all of it was done."""
        return self.steps[0] == self.steps[1]

    def metric(self, name: str) -> np.ndarray:
        """Give one metric: float64 (layer, head).

        Raises
        ------
        ValueError
            For an unknown one, naming those that there are.
        """
        if name not in self.metrics:
            msg = f"metric {name!r} is not known; it is one of {', '.join(self.metrics)}"
            raise ValueError(msg)
        return self.values[..., self.metrics.index(name)]

    def ranked(self, metric: str = "logit") -> list[tuple[int, ...]]:
        """List the parts, (layer, head), the most important first; those that are NaN are left out.

        By the size of the mean effect: a part that holds the target down matters as well.
        """
        return ranked(self.metric(metric))

    def table(self, metric: str = "logit") -> pd.DataFrame:
        """Make a table: a row for each part, the most important first, as :meth:`ranked` has them.

        Columns: ``layer`` and ``head`` (or ``neuron``; neither of whole blocks), and the metrics.

        Parameters
        ----------
        metric
            Whose size orders the rows.

        Raises
        ------
        ValueError
            For an unknown metric.
        ImportError
            Without pandas.

        Examples
        --------
        >>> found.table().head(2).round(3)                             # doctest: +SKIP
           layer  head  probability  logit  distribution  embedding  accuracy
        0      5     1        0.037  0.341         0.007      0.010     -0.01
        1      4     0        0.026  0.220         0.005      0.013     -0.01
        """
        parts = self.ranked(metric)
        of_parts = [self.values[part] for part in parts]
        table = tables.pandas("`values`").DataFrame(of_parts, columns=list(self.metrics))
        for axis, name in enumerate(self.axes[:-1]):
            # neurons are of one layer, which is the only one along its axis
            first = self.params.get("layer", 0) if name == "layer" else 0
            table.insert(axis, name, [first + part[axis] for part in parts])
        return table

    def show(self) -> Any:
        """Draw the effects, layers against heads.

        Returns
        -------
        bqplot.Figure
        """
        from importlib import import_module

        return import_module("vit_widgets.plots").head_matrix(
            self.metric("logit"), "by how much the target falls without the head"
        )


def ranked(values: np.ndarray) -> list[tuple[int, ...]]:
    """List the places of an array by the size of their values, the largest first, without NaN.

    Examples
    --------
    >>> ranked(np.array([[0.5, -2.0], [np.nan, 1.0]]))
    [(0, 1), (1, 1), (0, 0)]
    """
    order = np.argsort(-np.abs(values), axis=None, kind="stable")
    places = zip(*np.unravel_index(order, values.shape), strict=True)
    return [tuple(map(int, place)) for place in places if np.isfinite(values[place])]

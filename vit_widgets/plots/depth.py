"""What changes with depth: one number a layer, one line a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from vit_widgets.probes import SelectiveCounts, SpatialVariance

# Okabe and Ito's colours, told apart by colour-blind readers; grey for their black, which a dark
# page swallows, and without their yellow, which a white one does.
COLOURS = {
    "object": "#8a8a8a",
    "part": "#56b4e9",
    "class": "#0072b2",
    "texture": "#d55e00",
    "colour": "#cc79a7",
    "background": "#009e73",
}
_TEXT = "#808080"  # as legible on white as on black: bqplot's own turns orange on a dark page
_LINE = 0.075  # height of a line of text, as a share of the figure's
_ASKED_OF = {
    "patch": "Told from one patch",
    "image": "Told from the mean over an image",
    "sheet": "Told from a sheet of printed paper",
}


def selectivity(counts: SelectiveCounts) -> Any:
    """Draw how many neurons of each layer are selective, one figure for each level.

    Parameters
    ----------
    counts
        From :meth:`~vit_widgets.probes.Selectivity.counts`.

    Returns
    -------
    ipywidgets.HBox
        bqplot figures: percent of the neurons of a layer against the layer. Solid lines are what
        was found, dotted ones of the same colour what the shuffled labels give.
    """
    import ipywidgets

    figures = []
    for level, title in _ASKED_OF.items():
        rows = [row for row, (_, of) in enumerate(counts.kinds) if of == level]
        if rows:
            kinds = [counts.kinds[row][0] for row in rows]
            found = 100 * counts.values[rows] / counts.neurons
            chance = 100 * counts.chance[rows] / counts.neurons
            figures.append(_percent(title, kinds, found, chance, counts.threshold))
    row = ipywidgets.Layout(flex_flow="row wrap")
    return ipywidgets.HBox(figures, layout=row)


def _percent(
    title: str, kinds: Sequence[str], found: np.ndarray, chance: np.ndarray, threshold: float
) -> Any:
    import bqplot

    top = 1.05 * max(float(np.nanmax(found)), float(np.nanmax(chance)), 1.0)
    layers = np.arange(found.shape[1])
    # room for the names behind the last layer
    x = bqplot.LinearScale(min=0, max=max(1.0, 1.35 * float(layers[-1])))
    y = bqplot.LinearScale(min=0, max=top)
    shared = {"x": layers, "scales": {"x": x, "y": y}}
    colours = [COLOURS[kind] for kind in kinds]
    marks = [
        bqplot.Lines(y=chance, colors=colours, line_style="dotted", stroke_width=1.5, **shared),
        bqplot.Lines(
            y=found, colors=colours, labels=list(kinds), marker="circle", marker_size=24, **shared
        ),
        bqplot.Label(
            x=np.full(len(kinds), layers[-1]),
            y=apart(found[:, -1], _LINE * top),
            text=list(kinds),
            colors=colours,
            default_size=12,
            x_offset=8,
            y_offset=4,
            scales={"x": x, "y": y},
        ),
    ]
    axes = [_layers(x, layers), _axis(y, f"% of neurons with AUC ≥ {threshold:g}")]
    return _figure(title, marks, axes)


def apart(places: np.ndarray, least: float) -> np.ndarray:
    """Move labels up until none covers another, and no further.

    Parameters
    ----------
    places
        Where they would stand, float (label).
    least
        Distance that they need.

    Examples
    --------
    >>> apart(np.array([0.0, 5.0, 0.5, 0.2]), least=1.0).tolist()
    [0.0, 5.0, 2.0, 1.0]
    """
    moved = np.array(places, dtype=float)
    below = -np.inf
    for label in np.argsort(moved, kind="stable"):
        below = moved[label] = max(moved[label], below + least)
    return moved


def spatial_variance(result: SpatialVariance) -> Any:
    """Draw the relative variance of maps against depth, on a logarithmic scale.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.spatial_variance`.

    Returns
    -------
    bqplot.Figure
        The median over neurons and images, between the quartiles.
    """
    import bqplot

    x, y = bqplot.LinearScale(), bqplot.LogScale()
    layers = np.arange(len(result.layers))
    shared = {"x": layers, "scales": {"x": x, "y": y}, "colors": [COLOURS["class"]]}
    marks = [
        bqplot.Lines(
            y=result.quartiles, fill="between", fill_opacities=[0.15] * 2, opacities=[0.3] * 2,
            **shared,
        ),
        bqplot.Lines(y=result.medians, marker="circle", marker_size=24, **shared),
    ]  # fmt: skip
    axes = [_layers(x, layers), _axis(y, "variance over patches / mean²")]
    return _figure("How uneven the maps of neurons are: median and quartiles", marks, axes)


def _axis(scale: Any, label: str) -> Any:
    import bqplot

    return bqplot.Axis(
        scale=scale,
        label=label,
        side="left",
        label_offset="44px",
        label_color=_TEXT,
        grid_color="#8884",
        tick_style={"font-size": "11px"},
    )


def _layers(scale: Any, layers: np.ndarray) -> Any:
    import bqplot

    return bqplot.Axis(
        scale=scale,
        label="layer",
        label_color=_TEXT,
        tick_values=layers,
        tick_format="d",
        grid_lines="none",
        tick_style={"font-size": "11px"},
    )


def _figure(title: str, marks: Sequence[Any], axes: Sequence[Any]) -> Any:
    import bqplot
    import ipywidgets

    return bqplot.Figure(
        marks=list(marks),
        axes=list(axes),
        title=title,
        title_style={"font-size": "13px", "fill": _TEXT},
        fig_margin={"top": 40, "bottom": 44, "left": 60, "right": 20},
        animation_duration=0,
        layout=ipywidgets.Layout(width="420px", height="300px"),
    )

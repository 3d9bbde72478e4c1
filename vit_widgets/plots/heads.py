"""What heads do and what they matter: a matrix of all, any two numbers, lines over hops and steps.

A view links these figures by the traits of their marks: the matrix's ``selected`` (row, column) and
the scatter's ``selected`` (index ``layer * heads + head``) say which heads the user chose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vit_widgets.plots.depth import _TEXT, COLOURS, _axis, _figure

if TYPE_CHECKING:
    from vit_widgets.probes import HeadPatterns, HopProfile, PruningCurve

# Signed values: Okabe and Ito's vermilion and blue around a grey that both pages tell from either.
_SIGNED = ("#d55e00", "#b8b8b8", "#0072b2")
_SIZES = ("#d0d0d0", "#0072b2")
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a8a8a")


def head_matrix(values: np.ndarray, title: str) -> Any:
    """Draw a number of each head: layers down, heads across, the first layer on top.

    Parameters
    ----------
    values
        (layer, head); NaN, drawn empty, where there is none.
    title
        What the number is.

    Returns
    -------
    bqplot.Figure
        Its one mark is a ``GridHeatMap``. Colours are centred on zero where values have both signs.
    """
    import bqplot

    values = np.asarray(values, dtype=float)
    layers, heads = values.shape
    finite = values[np.isfinite(values)]
    most = float(np.abs(finite).max()) if finite.size and np.abs(finite).max() > 0 else 1.0
    if finite.size and finite.min() < 0:
        colour = bqplot.ColorScale(min=-most, mid=0, max=most, colors=list(_SIGNED))
    else:
        colour = bqplot.ColorScale(min=0, max=most, colors=list(_SIZES))
    row = bqplot.OrdinalScale(domain=list(range(layers)), reverse=True)
    column = bqplot.OrdinalScale(domain=list(range(heads)))
    mark = bqplot.GridHeatMap(
        color=values,
        row=np.arange(layers),
        column=np.arange(heads),
        scales={"row": row, "column": column, "color": colour},
        null_color="transparent",
        interactions={"click": "select"},
        selected_style={"stroke": COLOURS["texture"], "stroke-width": "2px"},
    )
    axes = [
        _axis(row, "layer"),
        _across(column, "head"),
        bqplot.ColorAxis(scale=colour, side="top", num_ticks=5),
    ]
    return _below_a_colour_axis(_figure(title, [mark], axes))


def head_scatter(across: np.ndarray, down: np.ndarray, names: tuple[str, str]) -> Any:
    """Draw two numbers of each head against each other, coloured by the layer.

    Parameters
    ----------
    across, down
        (layer, head) each; heads for which either is NaN are left out of sight.
    names
        What they are.

    Returns
    -------
    bqplot.Figure
        Its one mark is a ``Scatter`` whose point ``layer * heads + head`` is that head; a lasso
        over it sets ``selected``.

    Raises
    ------
    ValueError
        For arrays of different shapes.
    """
    import bqplot

    across, down = (np.asarray(one, dtype=float) for one in (across, down))
    if across.shape != down.shape or across.ndim != 2:
        msg = f"shapes {across.shape} and {down.shape}: give two arrays (layer, head) of one shape"
        raise ValueError(msg)
    layer, head = (one.ravel() for one in np.indices(across.shape))
    x, y = bqplot.LinearScale(), bqplot.LinearScale()
    colour = bqplot.ColorScale(colors=[COLOURS["part"], COLOURS["class"], COLOURS["texture"]])
    mark = bqplot.Scatter(
        x=across.ravel(),
        y=down.ravel(),
        color=layer,
        names=np.array([f"{one}.{other}" for one, other in zip(layer, head, strict=True)]),
        display_names=False,
        default_size=36,
        scales={"x": x, "y": y, "color": colour},
        tooltip=bqplot.Tooltip(fields=["name", "x", "y"], labels=["layer.head", *names]),
        unselected_style={"opacity": 0.3},
    )
    axes = [
        _across(x, names[0]),
        _axis(y, names[1]),
        bqplot.ColorAxis(scale=colour, side="top", label="layer", tick_format="d"),
    ]
    drawn = _below_a_colour_axis(_figure(f"{names[1]} against {names[0]}", [mark], axes))
    from bqplot.interacts import LassoSelector

    drawn.interaction = LassoSelector(marks=[mark])
    return drawn


def hop_profile(result: HopProfile, layer: int = -1) -> Any:
    """Draw how much each head of a layer gives to patches so many hops away.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.hop_profile`.
    layer
        Counted from 0; -1 is the last.

    Returns
    -------
    bqplot.Figure
        Its one mark is a line for each head.

    Raises
    ------
    IndexError
        For a layer out of range.
    """
    count = len(result.sums)
    if not -count <= layer < count:
        msg = f"layer {layer} is out of range: there are layers 0 to {count - 1}, or -1"
        raise IndexError(msg)
    lines = result.sums[layer]
    lines = lines[np.isfinite(lines).any(axis=-1)]
    names = [f"head {head}" for head in range(len(lines))]
    title = f"Attention by distance, layer {layer % count}"
    return _lines(title, np.arange(lines.shape[-1]), lines, names, ("hops", "weight in the ring"))


def pruning_curve(result: PruningCurve, metric: str = "probability") -> Any:
    """Draw what is left of a metric as heads are silenced.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.pruning_curve`.
    metric
        One of ``result.metrics``.

    Returns
    -------
    bqplot.Figure
        A line for each order.
    """
    names = ["most important first", "least important first"]
    lines = result.metric(metric)
    return _lines("Heads silenced together", result.heads, lines, names, ("heads", metric))


def head_patterns(result: HeadPatterns) -> Any:
    """Draw where the maps of heads lie among each other, coloured by their cluster.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.head_patterns`.

    Returns
    -------
    bqplot.Figure
        Its one mark is a ``Scatter`` with a point for each map, in the order of ``result.heads``; a
        lasso over it sets ``selected``.
    """
    import bqplot
    from bqplot.interacts import LassoSelector

    x, y = bqplot.LinearScale(), bqplot.LinearScale()
    names = [f"{layer}.{head}, image {image}" for image, layer, head in result.heads.tolist()]
    mark = bqplot.Scatter(
        x=result.places[:, 0],
        y=result.places[:, 1],
        names=np.array(names),
        display_names=False,
        colors=[_PALETTE[label % len(_PALETTE)] for label in result.labels],
        default_size=36,
        scales={"x": x, "y": y},
        tooltip=bqplot.Tooltip(fields=["name"], labels=["layer.head"]),
        unselected_style={"opacity": 0.3},
    )
    axes = [_across(x, "first component"), _axis(y, "second component")]
    drawn = _figure("Heads by what their maps look like", [mark], axes)
    drawn.interaction = LassoSelector(marks=[mark])
    return drawn


def _lines(
    title: str, x: np.ndarray, lines: np.ndarray, names: Sequence[str], labels: tuple[str, str]
) -> Any:
    import bqplot

    scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
    mark = bqplot.Lines(
        x=x,
        y=lines,
        labels=list(names),
        colors=[_PALETTE[line % len(_PALETTE)] for line in range(len(lines))],
        marker="circle",
        marker_size=16,
        display_legend=True,
        scales=scales,
    )
    axes = [
        _across(scales["x"], labels[0]),
        _axis(scales["y"], labels[1]),
    ]
    drawn = _figure(title, [mark], axes)
    drawn.legend_text = {"font-size": "11px", "fill": _TEXT}
    drawn.legend_style = {"fill": "transparent", "stroke-width": 0}
    drawn.legend_location = "top-right"
    return drawn


def _across(scale: Any, label: str) -> Any:
    drawn = _axis(scale, label)
    drawn.side, drawn.label_offset, drawn.grid_lines = "bottom", "32px", "none"
    return drawn


def _below_a_colour_axis(drawn: Any) -> Any:
    drawn.fig_margin = {"top": 84, "bottom": 44, "left": 60, "right": 20}
    return drawn

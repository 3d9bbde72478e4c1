"""How tokens change from layer to layer: norms, statistics, and how alike layers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vit_widgets.plots.depth import _TEXT, COLOURS, _axis, _figure, _layers, apart

if TYPE_CHECKING:
    from vit_widgets.probes import CKA, ClassSimilarity, TokenNorms, TokenStatistics

_NAME_ROOM = 1.45  # the names of the curves stand behind the last layer
_CELL_STYLE = {"font-size": "11px"}


def token_norms(result: TokenNorms) -> Any:
    """Draw the norms of the patches against depth.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.token_norms`.

    Returns
    -------
    bqplot.Figure
        Median, maximum and threshold on a logarithmic scale; of several images the median, the
        maximum over all of them.
    """
    curves = {
        "median": np.median(result.medians, axis=1),
        "maximum": result.maxima.max(axis=1),
        "threshold": np.where(np.isfinite(result.thresholds), result.thresholds, np.nan),
    }
    title = f"Norms of the patches: {int(result.counts.sum())} stand out"
    return _curves(title, "norm", curves, logarithmic=True)


def token_statistics(result: TokenStatistics) -> Any:
    """Draw how tokens vary within themselves and among each other.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.token_statistics`.

    Returns
    -------
    bqplot.Figure
        Both variances on a logarithmic scale, the mean over the images.
    """
    curves = {
        name.removesuffix(" variance"): result.of(name).mean(axis=1)
        for name in ("intra-token variance", "inter-token variance")
    }
    return _curves("How much patches vary", "variance", curves, logarithmic=True)


def class_similarity(result: ClassSimilarity) -> Any:
    """Draw the cosine of the class token to the patches against depth.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.class_similarity`.

    Returns
    -------
    bqplot.Figure
        The quartiles and the mean over the patches.
    """
    curves = {
        "upper quartile": result.quartiles[:, 2],
        "mean": result.mean,
        "lower quartile": result.quartiles[:, 0],
    }
    of = " or ".join(dict.fromkeys(result.of))
    return _curves(f"The patches beside the {of}", "cosine", curves)


def _curves(title: str, what: str, curves: dict[str, np.ndarray], logarithmic: bool = False) -> Any:
    import bqplot

    values = np.stack(list(curves.values()))
    if logarithmic:
        values = np.where(values > 0, values, np.nan)
    layers = np.arange(values.shape[1])
    x = bqplot.LinearScale(min=0, max=max(1.0, _NAME_ROOM * float(layers[-1])))
    y = bqplot.LogScale() if logarithmic else bqplot.LinearScale()
    colours = list(COLOURS.values())[1 : 1 + len(curves)]
    lines = bqplot.Lines(
        x=layers,
        y=values,
        colors=colours,
        labels=list(curves),
        marker="circle",
        marker_size=24,
        scales={"x": x, "y": y},
    )
    ends = [row[np.isfinite(row)][-1] if np.isfinite(row).any() else np.nan for row in values]
    # on a scale of logarithms names keep their distance in logarithms
    heights = np.log(ends) if logarithmic else np.array(ends)
    drawn = np.log(values) if logarithmic else values
    gap = 0.075 * float(np.nanmax(drawn) - np.nanmin(drawn)) if np.isfinite(drawn).any() else 0.0
    places = apart(heights, gap)
    names = bqplot.Label(
        x=np.full(len(curves), layers[-1]),
        y=np.exp(places) if logarithmic else places,
        text=list(curves),
        colors=colours,
        default_size=12,
        x_offset=8,
        y_offset=4,
        scales={"x": x, "y": y},
    )
    return _figure(title, [lines, names], [_layers(x, layers), _axis(y, what)])


def cka(result: CKA) -> Any:
    """Draw how alike all pairs of layers are.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.cka`, or the sum over batches.

    Returns
    -------
    bqplot.Figure
        A matrix of 0 (white) to 1 (dark), layer 0 at the top left.
    """
    import bqplot

    rows, cols = result.values.shape
    down = bqplot.OrdinalScale(domain=list(range(rows))[::-1])
    across = bqplot.OrdinalScale(domain=list(range(cols)))
    colour = bqplot.ColorScale(min=0, max=1, colors=["#f7fbff", "#6baed6", "#08306b"])
    mark = bqplot.GridHeatMap(
        color=np.clip(np.nan_to_num(result.values), 0, 1),
        row=np.arange(rows),
        column=np.arange(cols),
        scales={"row": down, "column": across, "color": colour},
    )
    names = (result.params["model"], result.params["other"])
    same = names[0] == names[1]
    axes = [
        bqplot.Axis(
            scale=across,
            label="layer" if same else f"layer of {names[1]}",
            label_color=_TEXT,
            grid_lines="none",
            tick_style=_CELL_STYLE,
        ),
        bqplot.Axis(
            scale=down,
            label="layer" if same else f"layer of {names[0]}",
            side="left",
            label_color=_TEXT,
            grid_lines="none",
            tick_style=_CELL_STYLE,
        ),
    ]
    kind = "unbiased CKA" if result.params["unbiased"] else "CKA"
    title = f"{kind} of {result.samples} tokens: light is 0, dark is 1"
    return _figure(title, [mark], axes)

"""Tokens as points of a plane, with a lasso."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vit_widgets.export import colormap

if TYPE_CHECKING:
    from vit_widgets.probes import Projection
    from vit_widgets.widgets.token_scatter import TokenScatter

_TEXT = "#808080"  # as legible on white as on black: bqplot's own turns orange on a dark page
_PREFIX = "#d55e00"  # in neither half of the map that the patches have


def projection(
    found: Projection, values: np.ndarray | None = None, page: TokenScatter | None = None
) -> Any:
    """Draw a projection; what the lasso holds can be read from `selected` of the first mark.

    Parameters
    ----------
    found
        From :func:`vit_widgets.probes.project`.
    values
        A number for each point, which colours it; default: the token's own, which goes by row.
    page
        Its `scatter_selected` and the lasso hold the same points from now on.

    Returns
    -------
    bqplot.Figure
        The patches, and the prefix tokens as triangles with their names.

    Raises
    ------
    ValueError
        If `values` are not one for each point.
    """
    import bqplot

    values = found.token if values is None else np.asarray(values)
    if values.shape != found.token.shape:
        msg = f"values of shape {values.shape} were given for {len(found.token)} points"
        raise ValueError(msg)
    x, y = bqplot.LinearScale(), bqplot.LinearScale()
    scales = {"x": x, "y": y}
    patches = np.flatnonzero(~found.prefix)
    scale = bqplot.ColorScale(colors=colormap_steps("viridis"))
    marks = [
        bqplot.Scatter(
            x=found.points[patches, 0],
            y=found.points[patches, 1],
            color=values[patches].astype(float),
            scales={**scales, "color": scale},
            default_size=24,
            selected_style={"opacity": "1"},
            unselected_style={"opacity": "0.15"},
        ),
        bqplot.Scatter(
            x=found.points[found.prefix, 0],
            y=found.points[found.prefix, 1],
            names=np.array([found.names[token] for token in found.token[found.prefix]]),
            marker="triangle-up",
            colors=[_PREFIX],
            default_size=80,
            scales=scales,
        ),
    ]
    figure = bqplot.Figure(
        marks=marks,
        axes=[_axis(x, 0, found, "bottom"), _axis(y, 1, found, "left")],
        interaction=bqplot.interacts.LassoSelector(marks=marks[:1]),
        title=f"layer {found.params.get('layer', '')}, {found.method}",
        title_style={"font-size": "13px", "fill": _TEXT},
        fig_margin={"top": 40, "bottom": 44, "left": 60, "right": 20},
        animation_duration=0,
        layout={"width": "480px", "height": "420px"},
    )
    if page is not None:
        _link(marks[0], patches, page)
    return figure


def colormap_steps(name: str, steps: int = 16) -> list[str]:
    """Give colours of a map at even steps, for bqplot to go between."""
    table = colormap(name)
    chosen = table[np.linspace(0, len(table) - 1, steps).round().astype(int)]
    return ["#{:02x}{:02x}{:02x}".format(*map(int, one[:3])) for one in chosen]


def _axis(scale: Any, component: int, found: Projection, side: str) -> Any:
    import bqplot

    label = f"{found.method} {component + 1}"
    if found.explained is not None:
        label += f", {100 * found.explained[component]:.0f} % of the variance"
    return bqplot.Axis(
        scale=scale,
        label=label,
        side=side,
        label_color=_TEXT,
        grid_color="#8884",
        tick_style={"font-size": "11px"},
    )


def _link(mark: Any, patches: np.ndarray, page: TokenScatter) -> None:
    """Keep the lasso and the page in step; a prefix token, which only the page selects, stays."""

    def from_lasso(change: Any) -> None:
        held = [] if change.new is None else patches[change.new].tolist()
        page.scatter_selected = [*sorted(set(page.scatter_selected) - set(patches)), *held]

    def to_lasso(_change: Any) -> None:
        held = np.flatnonzero(np.isin(patches, page.scatter_selected))
        if not np.array_equal(held, [] if mark.selected is None else mark.selected):
            mark.selected = held if len(held) else None

    mark.observe(from_lasso, ["selected"])
    page.observe(to_lasso, ["scatter_selected"])
    to_lasso(None)

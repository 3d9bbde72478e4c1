"""What a model says as more of a picture is changed: one figure a measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vit_widgets.plots.depth import _TEXT, _axis, _figure, apart

if TYPE_CHECKING:
    from vit_widgets.probes import Faithfulness, FaithfulnessOver

# Okabe and Ito's colours, without their yellow and black: one is lost on white, one on dark
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
_BASELINES = {"random map": "#8a8a8a", "edge detector": "#8a8a8a"}
_LINE = 0.075  # height of a line of text, as a share of the figure's

# curves that are read together, and what lies across
_TOGETHER = (
    (("deletion", "insertion"), "share of the picture changed"),
    (("morf", "lerf"), "share replaced"),
    (("road_morf", "road_lerf"), "share imputed"),
    (("sensitivity_n",), "share of the cells in a subset"),
    (("randomization", "ssim"), "share of the stages redrawn"),
)
_ACROSS = {name: across for names, across in _TOGETHER for name in names}
_NOT_SCORES = {
    "sensitivity_n": "correlation",
    "randomization": "agreement with the trained model's map",
    "ssim": "agreement with the trained model's map",
}


@dataclass(frozen=True)
class _Line:
    name: str
    x: np.ndarray
    y: np.ndarray
    ends: tuple[np.ndarray, np.ndarray] | None = None


def faithfulness(result: Faithfulness) -> Any:
    """Draw the curves of one map, those that are read together in one figure.

    Parameters
    ----------
    result
        From :func:`vit_widgets.probes.faithfulness`.

    Returns
    -------
    ipywidgets.HBox
        bqplot figures.
    """
    figures = []
    for names, across in _TOGETHER:
        lines = [
            _Line(name, curve.fractions, curve.scores)
            for name, curve in result.curves.items()
            if name in names
        ]
        if lines:
            title = " and ".join(line.name for line in lines)
            figures.append(_curves(title, lines, across, _meaning(names[0], result.target.words)))
    return _row(figures)


def faithfulness_over(results: Mapping[str, FaithfulnessOver]) -> Any:
    """Draw the mean curves of several methods over each other.

    Parameters
    ----------
    results
        By the name of the method, from :func:`vit_widgets.probes.faithfulness_over`.

    Returns
    -------
    ipywidgets.HBox
        bqplot figures, one for each curve (``morf`` is that of deletion): means over the images,
        between the ends of their confidence intervals. Grey, and dashed, are the maps that know
        nothing of the model.
    """
    figures = []
    names = dict.fromkeys(name for one in results.values() for name in one.curves)
    if "deletion" in names:
        names.pop("morf", None)  # it is the same curve
    for name in names:
        lines = [
            _Line(method, curve.fractions, curve.mean, (curve.low, curve.high))
            for method, one in results.items()
            for curve in [one.curves.get(name)]
            if curve is not None
        ]
        across = _ACROSS[name]
        figures.append(_curves(name, lines, across, _meaning(name, "the class of each image")))
    return _row(figures)


def _meaning(name: str, target: str) -> str:
    return _NOT_SCORES.get(name, f"confidence in {target}")


def _curves(title: str, lines: list[_Line], across: str, up: str) -> Any:
    import bqplot

    numbers = [line.y for line in lines] + [end for line in lines for end in line.ends or ()]
    known = np.concatenate(numbers)
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    low, high = min(low, 0.0), max(high, 1.0)
    # room for the names behind the last step
    x = bqplot.LinearScale(min=0.0, max=1.5)
    y = bqplot.LinearScale(min=low, max=high + 0.05 * (high - low))
    scales = {"x": x, "y": y}
    marks = []
    free = iter(_COLOURS * (1 + len(lines) // len(_COLOURS)))
    colours = [_BASELINES.get(line.name) or next(free) for line in lines]
    styles = ["dashed" if line.name == "edge detector" else "solid" for line in lines]
    for line, colour, style in zip(lines, colours, styles, strict=True):
        if line.ends is not None and np.isfinite(line.ends).all():
            marks.append(
                bqplot.Lines(
                    x=line.x, y=np.stack(line.ends), scales=scales, colors=[colour],
                    fill="between", fill_opacities=[0.12] * 2, opacities=[0.25] * 2,
                )
            )  # fmt: skip
        marks.append(
            bqplot.Lines(
                x=line.x, y=line.y, scales=scales, colors=[colour], labels=[line.name],
                line_style=style, stroke_width=2,
            )
        )  # fmt: skip
    ends = np.array([_last(line.y) for line in lines])
    marks.append(
        bqplot.Label(
            x=np.array([line.x[-1] for line in lines]),
            y=_labels(ends, _LINE * (high - low), high),
            text=[
                f"- - {line.name}" if style == "dashed" else line.name
                for line, style in zip(lines, styles, strict=True)
            ],
            colors=colours,
            default_size=12,
            x_offset=8,
            y_offset=4,
            scales=scales,
        )
    )
    axes = [
        bqplot.Axis(
            scale=x,
            label=across,
            label_color=_TEXT,
            tick_values=np.linspace(0, 1, 6),
            tick_format=".0%",
            grid_lines="none",
            tick_style={"font-size": "11px"},
        ),
        _axis(y, up),
    ]
    return _figure(title, marks, axes)


def _labels(ends: np.ndarray, least: float, top: float) -> np.ndarray:
    """Move labels until none covers another, and none stands above the figure."""
    return -apart(-np.minimum(apart(ends, least), top), least)


def _last(values: np.ndarray) -> float:
    """Give the last number that is one; 0 where there is none."""
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else 0.0


def _row(figures: list[Any]) -> Any:
    import ipywidgets

    return ipywidgets.HBox(figures, layout=ipywidgets.Layout(flex_flow="row wrap"))

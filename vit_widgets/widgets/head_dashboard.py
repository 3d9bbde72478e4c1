"""What the heads of a model do, and which of them matter: all heads at once, linked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets
from PIL import Image

from vit_widgets import export, tables
from vit_widgets.widgets.base import STATIC
from vit_widgets.widgets.explained import OVER, Explains
from vit_widgets.widgets.image import HeadsTogether
from vit_widgets.widgets.traits import Answer, floats
from vit_widgets.widgets.wire import unpack

if TYPE_CHECKING:
    import pandas as pd

STATISTICS = ("entropy", "distance", "self_mass", "prefix_mass", "mask_mass")
"""What a head does, as :func:`vit_widgets.probes.head_statistics` has it."""

METRICS = ("probability", "logit", "distribution", "embedding", "accuracy")
"""What the model loses without it, as :func:`vit_widgets.probes.ablate_heads` has it."""

IMPORTANCE = ("first_order", *METRICS)
NUMBERS = (*STATISTICS, *IMPORTANCE, "pattern")
"""Everything that a head can be coloured by."""

RUNS = ("", "exact", "screen", "curve")
ORDERS = ("most", "least")

_CELL, _GAP = 26, 2  # pixels, of the picture where no page can run


class HeadPairs(traitlets.List):  # type: ignore[type-arg]
    """Pairs (layer, head), without repeats."""

    def __init__(self, doc: str) -> None:
        super().__init__(traitlets.List(traitlets.Int(min=0), minlen=2, maxlen=2), help=doc)
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> list[list[int]]:
        """Refuse what is no pair, and layers that there are not."""
        pairs = super().validate(obj, [list(map(int, pair)) for pair in value]) or []
        layers = len(obj.layer_labels)
        wrong = [pair for pair in pairs if layers and pair[0] >= layers]
        if wrong:
            msg = (
                f"{self.name} {wrong} do not exist; accepted are pairs (layer, head) of layers 0 "
                f"to {layers - 1}"
            )
            raise traitlets.TraitError(msg)
        return [list(pair) for pair in dict.fromkeys(map(tuple, pairs))]


class HeadDashboard(HeadsTogether, Explains):
    """Numbers of all heads as a matrix, against each other, and as heads go; it asks no model.

    Each answer is a dict that says which selection it answers, so that the page recognises one that
    was overtaken; ``{}`` is an answer that is not there. Arrays in it are packed; NaN is a number
    that is not known. `over` says whether it is of the image in view or the mean over all images,
    `reasons` why a number has no values, by its name.

    Attributes
    ----------
    heads_number : str
        What colours the matrix: one of `NUMBERS`.
    heads_across, heads_up : str
        Which two numbers are drawn against each other.
    heads_over : str
        ``"this image"`` or ``"all images"``: over what everything but the patterns is measured.
    heads_labels : list of int
        The right class of each image, for the accuracy; may be empty.
    heads_selected : list
        Pairs (layer, head). Those of the layer in view become `heads`.
    heads_running : str
        What is measured at length: ``"exact"`` (every head silenced), ``"screen"`` (the first tenth
        by the first order), ``"curve"`` (more and more heads silenced together), or ``""``. The
        page sets it; ``""`` stops, and what was measured stays.
    heads_first : str
        Which heads go first on the curve that is looked at: ``"most"`` important, or ``"least"``.
    heads_removed : int
        How many of them are greyed out in the matrix.
    heads_left : str
        Which of `METRICS` the curve shows.
    heads_k : int
        How many clusters of patterns.
    heads_statistics : dict
        ``{image_index, over, values, hops, done, total, reasons}``: `values` float (statistic,
        layer, head), :data:`STATISTICS`; `hops` (layer, head, hop), weight on patches so many hops
        away; `done` of `total` images.
    heads_importance : dict
        ``{image_index, over, explained, words, values, run, done, total, images, evaluations,
        forwards, agreement, reasons, note}``: `values` float (number, layer, head),
        :data:`IMPORTANCE`; `words` what is followed; `run` what made the exact ones, `done` of
        `total` steps, `evaluations` of blocks and `forwards` that it took; `agreement` of the first
        order with the exact logit, Spearman's rank correlation.
    heads_curve : dict
        ``{image_index, over, explained, by, values, counts, order, done, total, images, note}``:
        `values` float (order, metric, step), the orders being :data:`ORDERS`; `counts` of heads
        silenced at each step; `order` pairs (layer, head), the most important first by the number
        `by`.
    heads_patterns : dict
        ``{image_index, k, of, places, labels, maps, lost, note}``: `of` pairs (layer, head), each
        with its place in the plane float (map, axis), its cluster and a small map of its weights
        between patches (map, query, key); `lost` share of the variance that the components leave.
    heads_map : dict
        ``{layer, query, image_index, axis, values, note}``: what the heads of the layer in view
        attend to, float (head, row, col).

    Notes
    -----
    Other attributes are those of :class:`~vit_widgets.widgets.explained.Explains`: it says what
    importance is about.

    Examples
    --------
    >>> page = HeadDashboard(layer_labels=["block 0"], image=np.zeros((64, 64, 3), np.uint8))
    >>> page.heads_statistics = {"image_index": 0, "values": np.random.rand(5, 1, 4)}
    >>> page.heads_selected = [(0, 1), (0, 3)]
    >>> page.heads
    [1, 3]
    """

    _esm = STATIC / "head_dashboard.js"
    _said = ("layer", "head", "heads_number")
    selection = (
        'explained={explained}, heads_number="{heads_number}", heads_across="{heads_across}", '
        'heads_up="{heads_up}", heads_over="{heads_over}", heads_labels={heads_labels}, '
        'heads_selected={heads_selected}, heads_first="{heads_first}", '
        'heads_removed={heads_removed}, heads_left="{heads_left}", heads_k={heads_k}'
    )

    heads_number = traitlets.Enum(NUMBERS, "entropy").tag(sync=True)
    heads_across = traitlets.Enum(NUMBERS[:-1], "distance").tag(sync=True)
    heads_up = traitlets.Enum(NUMBERS[:-1], "first_order").tag(sync=True)
    heads_over = traitlets.Enum(OVER, "this image").tag(sync=True)
    heads_labels = traitlets.List(traitlets.Int(min=0)).tag(sync=True)
    heads_selected = HeadPairs("Heads of all layers that are selected.")
    heads_running = traitlets.Enum(RUNS, "").tag(sync=True)
    heads_first = traitlets.Enum(ORDERS, "least").tag(sync=True)
    heads_removed = traitlets.Int(0, min=0).tag(sync=True)
    heads_left = traitlets.Enum(METRICS, "probability").tag(sync=True)
    heads_k = traitlets.Int(4, min=1, max=12).tag(sync=True)
    heads_statistics = Answer(
        "What each head does.", ("image_index",),
        over="this image", values=floats("statistic", "layer", "head"),
        hops=floats("layer", "head", "hop"), done=0, total=0, reasons={},
    )  # fmt: skip
    heads_importance = Answer(
        "What the model loses without each head.", ("image_index",),
        over="this image", explained=None, words="", values=floats("number", "layer", "head"),
        run="", done=0, total=0, images=0, evaluations=0, forwards=0.0, agreement=None, reasons={},
        note="",
    )  # fmt: skip
    heads_curve = Answer(
        "What is left as heads are silenced together.", ("image_index",),
        over="this image", explained=None, by="", values=floats("order", "metric", "step"),
        counts=[], order=[], done=0, total=0, images=0, note="",
    )  # fmt: skip
    heads_patterns = Answer(
        "Which heads look alike.", ("image_index",),
        k=4, of=[], places=floats("map", "axis"), labels=[], maps=floats("map", "query", "key"),
        lost=None, note="",
    )  # fmt: skip
    heads_map = Answer(
        "What the heads of the layer attend to.", ("layer", "query", "image_index"),
        axis={}, values=floats("head", "row", "col"), note="",
    )  # fmt: skip

    def size_of(self, name: str) -> int | None:
        """Count the heads by their numbers."""
        own = super().size_of(name)
        if name == "head" and own is None and self.heads_statistics.get("values"):
            return int(self.heads_statistics["values"]["shape"][2])
        return own

    @traitlets.observe("heads_selected")
    def _choose_together(self, _change: object) -> None:
        """Choose those of the layer in view together, where there are several."""
        here = sorted(head for layer, head in self.heads_selected if layer == self.layer)
        size = self.size_of("head")
        here = [head for head in here if size is None or head < size]
        self.heads = here if len(here) > 1 else []
        if here and self.head not in here:
            self.head = here[0]

    def number(self, name: str) -> np.ndarray | None:
        """Give one of `NUMBERS` for every head, float (layer, head); ``None`` while there is none.

        Examples
        --------
        >>> HeadDashboard(layer_labels=["block 0"]).number("entropy") is None
        True
        """
        if name == "pattern":
            return self._labels()
        of_what = name in STATISTICS
        answer = self.heads_statistics if of_what else self.heads_importance
        if not answer.get("values"):
            return None
        at = STATISTICS.index(name) if of_what else IMPORTANCE.index(name)
        found: np.ndarray = unpack(answer["values"])[at]
        return found

    def _labels(self) -> np.ndarray | None:
        patterns, statistics = self.heads_patterns, self.heads_statistics
        if not patterns.get("of") or not statistics.get("values"):
            return None
        labels = np.full(statistics["values"]["shape"][1:], np.nan, np.float32)
        for (layer, head), label in zip(patterns["of"], patterns["labels"], strict=True):
            labels[layer, head] = label
        return labels

    def importance_table(self) -> pd.DataFrame:
        """Give all numbers as a table: a row for each head, the most important first.

        Ordered by the size of the exact change of the logit where that is known, and by the first
        order elsewhere; heads that are not known come last. Columns: ``layer``, ``head``, those of
        `NUMBERS` that are known, and ``removed_as``, the place on the curve (0 goes first of the
        most important), where there is one.

        Raises
        ------
        ValueError
            While nothing is measured.
        ImportError
            Without pandas.

        Examples
        --------
        >>> page.importance_table().head(3)                            # doctest: +SKIP
           layer  head  entropy  distance  ...  first_order  probability  logit
        """
        pandas = tables.pandas("`number(name)`")
        known = {name: self.number(name) for name in NUMBERS}
        found = {
            name: values
            for name, values in known.items()
            if values is not None and np.isfinite(values).any()
        }
        if not found:
            msg = "nothing is measured yet: open the tab of heads, and wait for its first numbers"
            raise ValueError(msg)
        layer, head = np.indices(next(iter(found.values())).shape)
        table = pandas.DataFrame({"layer": layer.ravel(), "head": head.ravel()})
        for name, values in found.items():
            table[name] = values.ravel()
        order = [list(pair) for pair in self.heads_curve.get("order", [])]
        if order:
            places = {tuple(pair): place for place, pair in enumerate(order)}
            pairs = zip(table["layer"], table["head"], strict=True)
            table["removed_as"] = [places.get(pair) for pair in pairs]
        first = [name for name in ("logit", "first_order") if name in found]
        if first:
            table["size"] = table[first].bfill(axis=1).iloc[:, 0].abs()
            table = table.sort_values("size", ascending=False, kind="stable", na_position="last")
            table = table.drop(columns="size")
        there = table[list(found)].notna().any(axis=1)  # layers may have fewer heads
        return table[there].reset_index(drop=True)

    def picture(self) -> Image.Image | None:
        """Draw the matrix: layers down, heads across, in the colours of the number chosen."""
        values = self.number(self.heads_number)
        if values is None or not np.isfinite(values).any():
            return None
        known = np.isfinite(values)
        if self.heads_number == "pattern":
            colours = export.segment_colors(np.where(known, values, 0).astype(int))
        else:
            signed = self.heads_number in IMPORTANCE
            most = float(np.abs(values[known]).max()) or 1.0
            low = -most if signed else float(values[known].min())
            share = (np.where(known, values, low) - low) / ((most - low) or 1.0)
            table = export.colormap("signed" if signed else self.colormap)
            colours = table[np.round(255 * share).astype(int)]
        colours = np.where(known[..., None], colours, 255).astype(np.uint8)
        step = _CELL + _GAP
        rows, cols = values.shape
        sheet = np.full((rows * step, cols * step, 3), 255, np.uint8)
        for row, col in np.ndindex(rows, cols):
            top, left = row * step, col * step
            sheet[top : top + _CELL, left : left + _CELL] = colours[row, col]
        return Image.fromarray(sheet)

"""How well features find the object, method by method and layer by layer, where it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vit_widgets import tables
from vit_widgets.activations import ActivationCache, capture
from vit_widgets.demo import Scene
from vit_widgets.models import Grid, TokenAxis, VisionModel
from vit_widgets.probes.head_masks import head_masks
from vit_widgets.probes.kmeans import kmeans
from vit_widgets.probes.mask_iou import mask_iou
from vit_widgets.probes.patch_features import Features, patch_features
from vit_widgets.probes.patch_keys import attention_of
from vit_widgets.probes.patch_tokens import checked_layer, patch_tokens
from vit_widgets.probes.pca_colors import pca_colors
from vit_widgets.probes.result import Result
from vit_widgets.probes.scene_truth import patch_shares
from vit_widgets.probes.tokencut import cut

if TYPE_CHECKING:
    import pandas as pd

COVERED = 0.5
"""Share of a patch from which on it belongs to the object."""

_TOGETHER = 8  # images of one forward

_CUTS: Mapping[str, Features] = {"TokenCut, tokens": "tokens", "TokenCut, keys": "keys"}
_HEAD, _BEST_HEAD = "head, chosen elsewhere", "best head, oracle"
_FOREGROUND = "PCA foreground"
_SEGMENT, _BEST_SEGMENT = "k-means, least border", "k-means, oracle"
_BASELINES = ("middle half", "all patches")
METHODS = (*_CUTS, _HEAD, _BEST_HEAD, _FOREGROUND, _SEGMENT, _BEST_SEGMENT)


@dataclass(frozen=True, repr=False)
class ObjectIoU(Result):
    """What :func:`object_iou` finds.

    Attributes
    ----------
    values
        Mean intersection over union with the object, in [0, 1], float64 (method, layer); NaN where
        a method cannot be asked. A scene in which a method finds nothing counts as 0.
    methods
        Names of the methods. An ``oracle`` chooses by the truth, scene by scene: it says what is
        there to be found, not what would be found.
    layers
        Blocks, counted from 0.
    baselines
        The same for masks that look at nothing: the middle half of the rows and columns, and all
        patches.
    empty
        In how many scenes a method found nothing, int (method, layer).
    heads
        The head of each layer that was chosen on other scenes, -1 where there is none.
    notes
        What to bear in mind, in sentences.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    methods: tuple[str, ...]
    layers: tuple[int, ...]
    baselines: Mapping[str, float]
    empty: np.ndarray
    heads: tuple[int, ...]
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("method", "layer")
    method: str = "object_iou"
    params: dict[str, Any] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """Give the numbers as a table: a row for each method and baseline, a column for each layer.

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> found.table().round(2)                                     # doctest: +SKIP
        """
        pd = tables.pandas("`values`")
        rows = {name: list(row) for name, row in zip(self.methods, self.values, strict=True)}
        rows |= {name: [value] * len(self.layers) for name, value in self.baselines.items()}
        columns = [f"layer {layer}" for layer in self.layers]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def object_iou(
    model: VisionModel,
    scenes: Sequence[Scene],
    chosen_on: Sequence[Scene],
    layers: Sequence[int] | None = None,
    tau: float = 0.2,
    mass: float = 0.6,
    k: int = 2,
) -> ObjectIoU:
    """Compare the masks that features give without labels with objects that are known.

    Parameters
    ----------
    model
        The model.
    scenes
        Pictures and their masks, as from ``vw.demo.scenes``.
    chosen_on
        Others, on which the head of each layer is chosen; nothing else is.
    layers
        Which blocks; default all of them.
    tau
        Of :func:`tokencut`.
    mass
        Of :func:`head_masks`, the class token asking.
    k
        Of :func:`kmeans`, image by image, of the tokens.

    Returns
    -------
    ObjectIoU

    Raises
    ------
    IndexError
        For a layer out of range.
    ValueError
        For no scenes, scenes that are in both sets, or patches without known places.

    Notes
    -----
    The mask goes through the model's preprocessing; a patch belongs to the object if it is covered
    by half. A method that cannot answer for a scene (all patches alike, say) has found nothing
    there. PCA foreground is that of :func:`pca_colors`. "k-means, least border" takes the segment
    with the smallest share of its patches along the border of the picture, the largest of several;
    "oracle" the one that overlaps most. Each head is judged alone: Caron et al. 2021 (DINO) report
    the best head of each image, which is the oracle here.

    Examples
    --------
    >>> scenes, others = vw.demo.scenes(60, seed=17), vw.demo.scenes(40, seed=5)  # doctest: +SKIP
    >>> object_iou(model, scenes, others).table().round(2)             # doctest: +SKIP
    """
    if not scenes or not chosen_on:
        msg = f"{len(scenes)} scenes and {len(chosen_on)} to choose on: both need at least one"
        raise ValueError(msg)
    seen = {scene.image.tobytes() for scene in scenes}
    shared = sum(scene.image.tobytes() in seen for scene in chosen_on)
    if shared:
        msg = f"{shared} scenes to choose on are among those that are judged; take others"
        raise ValueError(msg)
    first = capture(model, scenes[0].image, keep=["tokens"])
    asked = range(len(first.tokens)) if layers is None else layers
    chosen = [checked_layer(first, layer) for layer in asked]
    elsewhere: list[list[np.ndarray]] = [[] for _ in chosen]
    for scene in _run(model, chosen_on):
        for layer, overlaps in zip(chosen, elsewhere, strict=True):
            judged = _of_heads(scene, layer, mass)
            overlaps += [] if judged is None else [judged]
    heads = [int(np.mean(one, axis=0).argmax()) if one else -1 for one in elsewhere]
    found, blind = [], []
    for scene in _run(model, scenes):
        found.append(
            [
                [
                    *_of_cuts(scene, layer, tau),
                    *_chosen_and_best(_of_heads(scene, layer, mass), head),
                    _of_foreground(scene, layer),
                    *_of_segments(scene, layer, k),
                ]
                for layer, head in zip(chosen, heads, strict=True)
            ]
        )
        blind.append(_of_nothing(scene.truth(patch_tokens(scene.cache, chosen[-1]).grid)))
    values = np.array(found).swapaxes(1, 2)  # (scene, method, layer)
    lacking = np.isnan(values).any(axis=0)
    notes = [
        f"{name}: not of layers {[chosen[at] for at in np.flatnonzero(missing)]}, which have no "
        "class token that asks, or not one attention"
        for name, missing in zip(METHODS, lacking, strict=True)
        if missing.any()
    ]
    return ObjectIoU(
        values.mean(axis=0),
        METHODS,
        tuple(chosen),
        dict(zip(_BASELINES, np.mean(blind, axis=0).tolist(), strict=True)),
        (values == 0).sum(axis=0),
        tuple(heads),
        tuple(notes),
        params={
            "model": model.name, "scenes": len(scenes), "chosen_on": len(chosen_on), "tau": tau,
            "mass": mass, "k": k, "covered": COVERED,
        },
    )  # fmt: skip


@dataclass(frozen=True)
class _Run:
    """One scene, and what its forward left."""

    model: VisionModel
    scene: Scene
    cache: ActivationCache
    image: int
    _truths: dict[Grid, np.ndarray] = field(default_factory=dict)

    def truth(self, grid: Grid) -> np.ndarray:
        """Bring the mask of the object to patches: bool (row, col)."""
        if grid in self._truths:
            return self._truths[grid]
        axis = TokenAxis(grid.size, (), grid)
        whole = replace(self.scene, parts={"object": self.scene.mask})
        shares = patch_shares(self.model, whole, axis)["object"]
        self._truths[grid] = np.asarray(shares.reshape(grid.rows, grid.cols) >= COVERED)
        return self._truths[grid]


def _run(model: VisionModel, scenes: Sequence[Scene]) -> Iterator[_Run]:
    for start in range(0, len(scenes), _TOGETHER):
        some = [scenes[at] for at in range(start, min(start + _TOGETHER, len(scenes)))]
        cache = capture(model, [scene.image for scene in some], keep=("attention", "tokens"))
        for image, scene in enumerate(some):
            yield _Run(model, scene, cache, image)


def _iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Judge a mask; where nothing is to be found and nothing is found, that is right."""
    return mask_iou(mask, truth) if (mask | truth).any() else 1.0


def _of_cuts(run: _Run, layer: int, tau: float) -> list[float]:
    """Judge TokenCut of tokens and of keys."""
    truth = run.truth(patch_tokens(run.cache, layer, run.image).grid)
    overlaps = []
    for of in _CUTS.values():
        try:
            found = patch_features(run.cache, layer, run.image, of)
        except ValueError:  # no keys
            overlaps.append(np.nan)
            continue
        there = truth if of == "tokens" else run.truth(found.grid)
        try:
            mask = cut(found.patches, found.grid, tau).mask
        except ValueError:  # all alike: nothing is found
            mask = np.zeros_like(there)
        overlaps.append(_iou(mask, there))
    return overlaps


def _of_heads(run: _Run, layer: int, mass: float) -> np.ndarray | None:
    """Judge the mask of each head, the class token asking: (head); ``None`` without one."""
    try:
        record = attention_of(run.cache, layer)
    except ValueError:
        return None
    grid = record.key_axis.grid
    if "class" not in record.query_axis.prefix or grid is None:
        return None
    asking = record.query_axis.prefix.index("class")
    found = head_masks(run.cache, record.layer, mass, asking, run.image)
    truth = run.truth(grid)
    return np.array([_iou(mask, truth) for mask in found.values])


def _chosen_and_best(heads: np.ndarray | None, chosen: int) -> list[float]:
    return [np.nan, np.nan] if heads is None else [float(heads[chosen]), float(heads.max())]


def _of_foreground(run: _Run, layer: int) -> float:
    truth = run.truth(patch_tokens(run.cache, layer, run.image).grid)
    try:
        found = pca_colors(run.cache, layer, [run.image], foreground=True).foreground[0]
    except ValueError:  # all alike: nothing is found
        found = np.zeros_like(truth)
    return _iou(found, truth)


def _of_segments(run: _Run, layer: int, k: int) -> list[float]:
    """Judge the segment that lies least along the border, and the best."""
    truth = run.truth(patch_tokens(run.cache, layer, run.image).grid)
    try:
        labels = kmeans(run.cache, layer, k, [run.image]).labels[0]
    except ValueError:  # fewer patches that differ than segments: nothing is found
        return [_iou(np.zeros_like(truth), truth)] * 2
    border = np.ones_like(truth)
    border[1:-1, 1:-1] = False
    along = [border[labels == segment].mean() for segment in range(k)]
    return [
        _iou(labels == int(np.argmin(along)), truth),  # the largest is the first
        max(_iou(labels == segment, truth) for segment in range(k)),
    ]


def _of_nothing(truth: np.ndarray) -> list[float]:
    """Judge masks that look at nothing."""
    rows, cols = truth.shape
    middle = np.zeros_like(truth)
    middle[rows // 4 : rows - rows // 4, cols // 4 : cols - cols // 4] = True
    return [_iou(middle, truth), _iou(np.ones_like(truth), truth)]

"""How large tokens are in each layer, and which patches are far larger than the others."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from scipy import stats

from vit_widgets.activations import ActivationCache
from vit_widgets.activations.normalizations import Normalizations, normalizations
from vit_widgets.models import TokenAxis
from vit_widgets.probes.result import Result

Rule = Literal["mad", "valley"]

MADS = 10
"""How many median absolute deviations above the median a norm must lie to stand out."""

# A norm of float32 tokens differs by about this share of itself from rounding alone.
_ROUNDING = 1e-5
_GRID = 512  # points on which a density is looked at


@dataclass(frozen=True, repr=False)
class TokenNorms(Result):
    """Norms of the tokens of each layer: see :func:`token_norms`.

    Attributes
    ----------
    values
        ``||x||`` of each token that a block returned, float64 (image, token), one array a layer;
        the tokens in the model's own order. NaN for a token that holds NaN or infinity.
    embedded
        The same before the first block, or ``None`` where that is no sequence of tokens.
    norms
        Paths of the normalisation layers, in execution order.
    norm_layers
        The block that each of them is in.
    before, after
        Norms of what they were given and returned, float64 (image, token), one array a
        normalisation layer.
    thresholds
        From which norm on a patch stands out, float64 (layer); infinity where nothing does.
    outliers
        Which tokens do, bool (image, token), one array a layer. Prefix tokens (class, registers)
        are never counted: they are there to be different.
    counts
        How many patches stand out, int (layer, image).
    token_axes
        Where the tokens of each layer lie; ``None`` where that is not known, and then every token
        counts as a patch.
    images
        Which images of the cache.
    notes
        What else is to be said.
    axes
        Names of the axes of `values`.
    """

    values: tuple[np.ndarray, ...]
    embedded: np.ndarray | None
    norms: tuple[str, ...]
    norm_layers: tuple[int, ...]
    before: tuple[np.ndarray, ...]
    after: tuple[np.ndarray, ...]
    thresholds: np.ndarray
    outliers: tuple[np.ndarray, ...]
    counts: np.ndarray
    token_axes: tuple[TokenAxis | None, ...]
    images: tuple[int, ...]
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("layer", "image", "token")
    method: str = "token_norms"
    params: dict[str, Any] = field(default_factory=dict)

    def patches(self, layer: int) -> np.ndarray:
        """Take the norms of the patches of a layer, without the prefix: (image, patch)."""
        return self.values[layer][:, is_patch(self.token_axes[layer], self.values[layer].shape[1])]

    @property
    def medians(self) -> np.ndarray:
        """Median norm of the patches, float64 (layer, image); NaN where all are."""
        return np.stack([_over(np.nanmedian, self.patches(i)) for i in range(len(self.values))])

    @property
    def maxima(self) -> np.ndarray:
        """Largest norm of the patches, float64 (layer, image); NaN where all are."""
        return np.stack([_over(np.nanmax, self.patches(i)) for i in range(len(self.values))])

    def laid_out(self, layer: int, image: int = 0) -> np.ndarray:
        """Lay the norms of a layer out on one of the `images`: float64 (row, col).

        Raises
        ------
        ValueError
            If the places of the tokens are not known.
        """
        return _axis(self.token_axes, layer).laid_out(self.values[layer][image])

    def outlier_map(self, layer: int, image: int = 0) -> np.ndarray:
        """Lay out which patches stand out on one of the `images`: bool (row, col).

        Raises
        ------
        ValueError
            If the places of the tokens are not known.
        """
        axis = _axis(self.token_axes, layer)
        return axis.laid_out(self.outliers[layer][image].astype(np.float64)) > 0

    def show(self) -> Any:
        """Draw them against depth (:func:`vit_widgets.plots.token_norms`)."""
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").token_norms(self)


def token_norms(
    cache: ActivationCache,
    image: int | None = None,
    threshold: float | Rule = "mad",
    around: Normalizations | None = None,
) -> TokenNorms:
    """Measure the norm of every token, and find the patches that stand out.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    image
        Which of the images; default all of them, with one threshold for all.
    threshold
        A number, for every layer; ``"mad"``: the median of the patches of a layer and ten median
        absolute deviations; ``"valley"``: the lowest density between two modes of the logarithm of
        the norms, where there are two and the upper one has fewer patches.
    around
        From :func:`~vit_widgets.activations.normalizations.normalizations` of this cache. Default:
        asked here, which runs the images once more.

    Returns
    -------
    TokenNorms

    Raises
    ------
    IndexError
        For an image out of range.
    ValueError
        If the cache kept no tokens, or for a threshold that is none.

    Notes
    -----
    Darcet et al. 2024 ("Vision Transformers Need Registers"), section 2: in large models that saw
    much data, a few patches of redundant background have norms some times those of the others, and
    hold no longer what is to be seen there. They take a fixed number that they read off the
    histogram of their model; the two rules here read it off the layer. A patch that stands out is
    not therefore an artefact: where most of an image is even, what is on the object stands out.

    Examples
    --------
    >>> token_norms(cache).counts[:, 0]                                # doctest: +SKIP
    array([ 0,  0,  0,  0,  0, 17])
    """
    if isinstance(threshold, str) and threshold not in ("mad", "valley"):
        msg = f'threshold={threshold!r} is none; give a number, "mad" or "valley"'
        raise ValueError(msg)
    count = len(cache.images)
    if image is not None and not 0 <= image < count:
        msg = f"image {image} is out of range: there are 0 to {count - 1}"
        raise IndexError(msg)
    chosen = tuple(range(count)) if image is None else (image,)
    seen = around or normalizations(cache)
    pick = list(chosen)
    values = tuple(norms_of(tokens[pick]) for tokens in cache.tokens)
    axes = cache.token_axes
    patches = [is_patch(axis, one.shape[1]) for axis, one in zip(axes, values, strict=True)]
    notes = _bad_tokens(values)
    if None in axes:
        unknown = [layer for layer, axis in enumerate(axes) if axis is None]
        notes.append(
            f"where the tokens of layers {unknown} lie is not known: all of them count as patches"
        )
    thresholds = np.array(
        [_threshold(one[:, known], threshold) for one, known in zip(values, patches, strict=True)]
    )
    if threshold == "valley" and np.isinf(thresholds).any():
        single = np.flatnonzero(np.isinf(thresholds)).tolist()
        notes.append(f"layers {single} have one mode: no valley lies between norms")
    outliers = tuple(
        (one > limit) & known for one, limit, known in zip(values, thresholds, patches, strict=True)
    )
    return TokenNorms(
        values,
        None if seen.embedded is None else norms_of(seen.embedded[pick]),
        tuple(norm.path for norm in seen.norms),
        tuple(norm.layer for norm in seen.norms),
        tuple(norms_of(norm.before[pick]) for norm in seen.norms),
        tuple(norms_of(norm.after[pick]) for norm in seen.norms),
        thresholds,
        outliers,
        np.stack([one.sum(axis=1) for one in outliers]),
        axes,
        chosen,
        tuple(notes),
        params={"model": cache.model.name, "images": pick, "threshold": threshold},
    )


def norms_of(tokens: torch.Tensor) -> np.ndarray:
    """Measure tokens (..., feature): float64 (...), NaN for what is not finite."""
    lengths: np.ndarray = torch.linalg.vector_norm(tokens.double(), dim=-1).cpu().numpy()
    return np.where(np.isfinite(lengths), lengths, np.nan)


def is_patch(axis: TokenAxis | None, tokens: int) -> np.ndarray:
    """Say which tokens lie on the image, bool (token); all of them where that is not known."""
    if axis is None or axis.grid is None:
        return np.ones(tokens, dtype=bool)
    return np.asarray((axis.places >= 0).any(axis=0))


def _threshold(norms: np.ndarray, rule: float | Rule) -> float:
    if not isinstance(rule, str):
        return float(rule)
    known = norms[np.isfinite(norms)]
    if known.size == 0:
        return np.inf
    if rule == "valley":
        return _valley(known)
    median = float(np.median(known))
    spread = float(np.median(np.abs(known - median)))
    return median + max(MADS * spread, _ROUNDING * median)  # equal norms differ by their rounding


def _valley(norms: np.ndarray) -> float:
    """Find the lowest density between the two highest modes of the logarithms; else infinity.

    A mode counts when the density falls to half of it before it rises to the other. Most patches
    cannot stand out: a valley with more of them above than below is none.
    """
    logs = np.log(norms[norms > 0])
    if logs.size < 3 or np.ptp(logs) <= _ROUNDING:
        return np.inf
    grid = np.linspace(logs.min(), logs.max(), _GRID)
    density = stats.gaussian_kde(logs)(grid)
    padded = np.pad(density, 1)
    modes = np.flatnonzero((density > padded[:-2]) & (density >= padded[2:]))
    if len(modes) < 2:
        return np.inf
    first, second = np.sort(modes[np.argsort(density[modes])[-2:]])
    lowest = first + int(density[first : second + 1].argmin())
    if density[lowest] > min(density[first], density[second]) / 2:
        return np.inf
    above = int((logs > grid[lowest]).sum())
    return float(np.exp(grid[lowest])) if above < logs.size / 2 else np.inf


def _bad_tokens(values: tuple[np.ndarray, ...]) -> list[str]:
    bad = [int(np.isnan(one).sum()) for one in values]
    layers = [layer for layer, count in enumerate(bad) if count]
    if not layers:
        return []
    return [f"{sum(bad)} tokens of layers {layers} hold NaN or infinity and are left out"]


def _over(measure: Any, patches: np.ndarray) -> np.ndarray:
    """Measure each image, NaN where no patch is a number."""
    found = np.full(len(patches), np.nan)
    known = np.isfinite(patches).any(axis=1)
    found[known] = measure(patches[known], axis=1)
    return found


def _axis(axes: tuple[TokenAxis | None, ...], layer: int) -> TokenAxis:
    axis = axes[layer]
    if axis is None:
        msg = f"where the tokens of layer {layer} lie on the image is not known"
        raise ValueError(msg)
    return axis

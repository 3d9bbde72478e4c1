"""How tokens vary within themselves and among each other, layer by layer."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vit_widgets.activations import ActivationCache
from vit_widgets.activations.normalizations import Normalizations, normalizations
from vit_widgets.models import TokenAxis
from vit_widgets.probes.result import Result
from vit_widgets.probes.token_norms import is_patch

STATISTICS = ("mean", "intra-token variance", "inter-token variance", "magnitude")


@dataclass(frozen=True, repr=False)
class TokenStatistics(Result):
    """Statistics of the patches of each layer: see :func:`token_statistics`.

    Attributes
    ----------
    values
        Of what each block returned, float64 (statistic, layer, image), in the order of
        `statistics`; NaN where tokens hold NaN.
    before, after
        Of what each normalisation layer was given and returned, float64 (statistic, norm, image).
    norms
        Paths of the normalisation layers, in execution order.
    norm_layers
        The block that each of them is in.
    neighbours
        Cosine of a patch to those above, below, left and right of it, the mean over an image,
        float64 (layer, image); NaN where the places are not known.
    statistics
        ``"mean"`` over the features of a token; ``"intra-token variance"`` over the features of a
        token; ``"inter-token variance"`` of a feature over the tokens; ``"magnitude"``, the norm of
        a token: each averaged over what is left.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    before: np.ndarray
    after: np.ndarray
    norms: tuple[str, ...]
    norm_layers: tuple[int, ...]
    neighbours: np.ndarray
    statistics: tuple[str, ...] = STATISTICS
    axes: tuple[str, ...] = ("statistic", "layer", "image")
    method: str = "token_statistics"
    params: dict[str, Any] = field(default_factory=dict)

    def of(self, statistic: str) -> np.ndarray:
        """Take one statistic by its name: float64 (layer, image)."""
        return self.values[self.statistics.index(statistic)]

    def show(self) -> Any:
        """Draw them against depth (:func:`vit_widgets.plots.token_statistics`)."""
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").token_statistics(self)


def token_statistics(
    cache: ActivationCache, around: Normalizations | None = None
) -> TokenStatistics:
    """Measure how the patches of each layer vary, and what each normalisation makes of that.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    around
        From :func:`~vit_widgets.activations.normalizations.normalizations` of this cache. Default:
        asked here, which runs the images once more.

    Returns
    -------
    TokenStatistics
        Of the patches; of all tokens in layers where it is not known which of them lie on the
        image.

    Raises
    ------
    ValueError
        If the cache kept no tokens.

    Notes
    -----
    Shao et al. 2022 (Dynamic Token Normalization): layer normalisation takes mean and variance
    within each token, so that all tokens come out equally large, whatever they were; instance
    normalisation takes them over the tokens. Both kinds are measured here, per image.

    Examples
    --------
    >>> token_statistics(cache).of("inter-token variance").shape       # doctest: +SKIP
    (6, 1)
    """
    seen = around or normalizations(cache)
    axes, images = cache.token_axes, len(cache.images)
    values = [
        measured(tokens[:, is_patch(axis, tokens.shape[1])])
        for tokens, axis in zip(cache.tokens, axes, strict=True)
    ]

    def at_norms(tokens: Sequence[torch.Tensor]) -> np.ndarray:
        found = [
            measured(one[:, is_patch(axes[norm.layer], one.shape[1])])
            for one, norm in zip(tokens, seen.norms, strict=True)
        ]
        return np.stack(found, axis=1) if found else np.empty((len(STATISTICS), 0, images))

    neighbours = [
        _neighbours(tokens, axis) for tokens, axis in zip(cache.tokens, axes, strict=True)
    ]
    return TokenStatistics(
        np.stack(values, axis=1),
        at_norms([norm.before for norm in seen.norms]),
        at_norms([norm.after for norm in seen.norms]),
        tuple(norm.path for norm in seen.norms),
        tuple(norm.layer for norm in seen.norms),
        np.stack(neighbours),
        params={"model": cache.model.name},
    )


def measured(tokens: torch.Tensor) -> np.ndarray:
    """Measure tokens (image, token, feature): float64 (statistic, image)."""
    values = tokens.double()
    means, centre = values.mean(dim=2, keepdim=True), values.mean(dim=1, keepdim=True)
    found = (
        means.mean(dim=(1, 2)),
        (values - means).square_().mean(dim=(1, 2)),
        (values - centre).square_().mean(dim=(1, 2)),
        torch.linalg.vector_norm(values, dim=2).mean(dim=1),
    )
    measures: np.ndarray = torch.stack(found).cpu().numpy()
    return measures


def _neighbours(tokens: torch.Tensor, axis: TokenAxis | None) -> np.ndarray:
    """Average the cosine over all pairs of patches that touch: float64 (image)."""
    unknown = np.full(len(tokens), np.nan)
    if axis is None or axis.grid is None or axis.grid.size < 2:
        return unknown
    values = tokens.double()
    unit = (values / torch.linalg.vector_norm(values, dim=-1, keepdim=True)).cpu().numpy()
    laid = np.moveaxis(axis.laid_out(np.moveaxis(unit, -1, 1)), 1, -1)  # image, row, col, feature
    pairs = [
        (laid[:, 1:] * laid[:, :-1]).sum(axis=-1).reshape(len(laid), -1),
        (laid[:, :, 1:] * laid[:, :, :-1]).sum(axis=-1).reshape(len(laid), -1),
    ]
    mean: np.ndarray = np.concatenate(pairs, axis=1).mean(axis=1)
    return mean

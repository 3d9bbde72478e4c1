"""How far the patches of each layer point the way of the class token."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.patch_tokens import patch_tokens
from vit_widgets.probes.result import Result

CLASS = "class"
QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, repr=False)
class ClassSimilarity(Result):
    """Cosine of the class token to the patches: see :func:`class_similarity`.

    Attributes
    ----------
    values
        In [-1, 1], float64 (row, col), one map a layer; NaN for a token that is 0 everywhere.
    of
        What the patches are compared with: ``"class"``, or ``"mean of the patches"`` in a layer
        that has no class token.
    mean
        Over the patches, float64 (layer).
    quartiles
        Lower quartile, median and upper quartile over the patches, float64 (layer, 3).
    axes
        Names of the axes of `values`.
    """

    values: tuple[np.ndarray, ...]
    of: tuple[str, ...]
    mean: np.ndarray
    quartiles: np.ndarray
    axes: tuple[str, ...] = ("layer", "row", "col")
    method: str = "class_similarity"
    params: dict[str, Any] = field(default_factory=dict)

    def show(self) -> Any:
        """Draw it against depth (:func:`vit_widgets.plots.class_similarity`)."""
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").class_similarity(self)


def class_similarity(cache: ActivationCache, image: int = 0) -> ClassSimilarity:
    """Compare the class token with every patch of its layer, in all layers.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    image
        Counted from 0.

    Returns
    -------
    ClassSimilarity

    Raises
    ------
    IndexError
        For an image out of range.
    ValueError
        If the cache kept no tokens, the places of the patches are not known, or tokens are not
        finite.

    Notes
    -----
    ``a · b / (|a| |b|)``. Raghu et al. 2021, section 5, compare what class token and patches of
    the last layers hold; a model that averages its patches has them alike from early on.

    Examples
    --------
    >>> class_similarity(cache).mean.shape                             # doctest: +SKIP
    (6,)
    """
    maps, of = [], []
    for layer in range(len(cache.tokens)):
        found = patch_tokens(cache, layer, image)
        patches = found.patches.astype(np.float64)
        known = CLASS in found.names
        asked = found.prefix[found.names.index(CLASS)] if known else patches.mean(axis=0)
        lengths = np.linalg.norm(patches, axis=1) * np.linalg.norm(asked)
        cosines = np.divide(
            patches @ asked, lengths, out=np.full(len(patches), np.nan), where=lengths > 0
        )
        maps.append(found.laid_out(np.clip(cosines, -1, 1)))  # rounding goes a little beyond
        of.append(CLASS if known else "mean of the patches")
    directed = [one[np.isfinite(one)] for one in maps]
    return ClassSimilarity(
        tuple(maps),
        tuple(of),
        np.array([known.mean() if known.size else np.nan for known in directed]),
        np.array([np.quantile(k, QUARTILES) if k.size else [np.nan] * 3 for k in directed]),
        params={"model": cache.model.name, "image": image},
    )

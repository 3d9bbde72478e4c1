"""How alike layers are: centred kernel alignment of their tokens, also between two models."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.patch_tokens import patch_tokens
from vit_widgets.probes.result import Result

Of = Literal["patches", "prefix", "all"]

_LEAST = {False: 2, True: 4}  # samples that the biased and the unbiased measure need


@dataclass(frozen=True, repr=False)
class CKA(Result):
    """How alike layers are: see :func:`cka`.

    Attributes
    ----------
    values
        Linear CKA, float64 (layer, other layer); NaN for a layer whose tokens are all the same. In
        [0, 1]; the unbiased measure may go a little below 0.
    samples
        How many tokens were compared (of a sum, in all batches together). The biased measure goes
        up with few of them: independent features of width d reach about d / (samples + d), so that
        few samples look alike whatever they are.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    samples: int
    axes: tuple[str, ...] = ("layer", "other layer")
    method: str = "cka"
    params: dict[str, Any] = field(default_factory=dict)

    def show(self) -> Any:
        """Draw the matrix (:func:`vit_widgets.plots.cka`)."""
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").cka(self)


def cka(
    cache: ActivationCache,
    other: ActivationCache | None = None,
    of: Of = "patches",
    unbiased: bool = False,
) -> CKA:
    """Compare all layers with each other by what they make of the same tokens.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``.
    other
        Another model's, of the same images; default: the same one.
    of
        Which tokens: the patches, the prefix tokens (class, registers), or both. Prefix tokens
        alone need many images.
    unbiased
        Estimate the alignment without the bias of few samples, which needs four of them.

    Returns
    -------
    CKA

    Raises
    ------
    ValueError
        If layers or models do not have the same tokens, with too few of them, or where their places
        are not known.

    Notes
    -----
    Kornblith et al. 2019, eq. 3 with linear kernels: ``tr(K L) / sqrt(tr(K K) tr(L L))`` of the
    centred Gram matrices (token, token) of all images, computed as one product of the flattened
    Gram matrices, which costs nothing in the width of the features. It does not change when
    features are rotated, scaled or shifted.

    Unbiased: HSIC₁ of Song et al. 2012, eq. 5, in place of each trace, as Nguyen et al. 2021 do.
    That, too, is a product of two matrices, each centred without its diagonal (Székely and Rizzo
    2014), so that the same product gives all pairs.

    The Gram matrices take 8 (images × tokens)² bytes a layer; :class:`CKASum` goes through more
    images in batches.

    Examples
    --------
    >>> cka(cache).values.shape                                        # doctest: +SKIP
    (6, 6)
    """
    with one_thread():
        mine, theirs = _both(cache, other, of, unbiased)
        values = mine @ theirs.T / _scales(mine, theirs)
    if not unbiased:
        values = np.clip(values, 0, 1)  # rounding goes a little beyond
    return CKA(
        values,
        round(mine.shape[1] ** 0.5),
        params={
            "model": cache.model.name,
            "other": (other or cache).model.name,
            "of": of,
            "unbiased": unbiased,
        },
    )


class CKASum:
    """CKA over more images than fit in memory at once: a sum over batches of them.

    Parameters
    ----------
    of
        Which tokens, as for :func:`cka`.

    Notes
    -----
    Nguyen et al. 2021 ("Do Wide and Deep Networks Learn the Same Things?"), eq. 4: the unbiased
    HSIC₁ of each batch is summed, so that what comes out does not depend on how large the batches
    are, but for chance. The sum is the same in any order of the batches, up to rounding.

    Examples
    --------
    >>> total = CKASum()                                               # doctest: +SKIP
    >>> for batch in batches:                                          # doctest: +SKIP
    ...     total.add(vw.capture(model, batch, keep=("tokens",)))
    >>> total.result().values.shape                                    # doctest: +SKIP
    (12, 12)
    """

    def __init__(self, of: Of = "patches") -> None:
        self._of: Of = of
        self._between: np.ndarray | None = None
        self._own: tuple[np.ndarray, np.ndarray] | None = None
        self._samples = 0
        self._models: tuple[str, str] | None = None

    def add(self, cache: ActivationCache, other: ActivationCache | None = None) -> None:
        """Take in a batch of images; of two models, the same images of both.

        Raises
        ------
        ValueError
            As :func:`cka` does, and if the batch is of other models than those before it.
        """
        models = (cache.model.name, (other or cache).model.name)
        with one_thread():
            mine, theirs = _both(cache, other, self._of, unbiased=True)
            between = mine @ theirs.T
            own = ((mine**2).sum(axis=1), (theirs**2).sum(axis=1))
        if self._between is not None and (
            models != self._models or between.shape != self._between.shape
        ):
            msg = f"this sum is of {self._models}, and a batch of {models} was given"
            raise ValueError(msg)
        if self._between is None or self._own is None:
            self._between, self._own, self._models = between, own, models
        else:
            self._between = self._between + between
            self._own = (self._own[0] + own[0], self._own[1] + own[1])
        self._samples += round(mine.shape[1] ** 0.5)

    def result(self) -> CKA:
        """Give the alignment over all batches so far.

        Raises
        ------
        ValueError
            If there were none.
        """
        if self._between is None or self._own is None or self._models is None:
            msg = "no images were added; call add(cache) for each batch first"
            raise ValueError(msg)
        squares = np.outer(*self._own)
        scales = np.sqrt(np.where(squares > 0, squares, np.nan))
        return CKA(
            self._between / scales,
            self._samples,
            method="CKASum",
            params={
                "model": self._models[0], "other": self._models[1],
                "of": self._of, "unbiased": True,
            },
        )  # fmt: skip


def _both(
    cache: ActivationCache, other: ActivationCache | None, of: Of, unbiased: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Give the flattened centred Gram matrices of both models."""
    others = cache if other is None else other
    if of not in ("patches", "prefix", "all"):
        msg = f'of={of!r} are no tokens; give "patches", "prefix" or "all"'
        raise ValueError(msg)
    if len(cache.images) != len(others.images):
        msg = (
            f"{len(cache.images)} and {len(others.images)} images cannot be compared: capture the "
            "same images of both models"
        )
        raise ValueError(msg)
    mine = _grams(cache, of, unbiased)
    theirs = mine if other is None else _grams(others, of, unbiased)
    if mine.shape[1] != theirs.shape[1]:
        kind = "patches" if of == "patches" else "tokens"
        msg = (
            f"the models have {round(mine.shape[1] ** 0.5)} and "
            f"{round(theirs.shape[1] ** 0.5)} {kind}: they must be the same ones"
        )
        raise ValueError(msg)
    return mine, theirs


def _scales(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Give what the products are divided by, (layer, other layer); NaN for what does not vary."""
    lengths = (np.linalg.norm(one, axis=1) for one in (mine, theirs))
    scales = np.outer(*lengths)
    return np.where(scales > 0, scales, np.nan)


def _grams(cache: ActivationCache, of: Of, unbiased: bool) -> np.ndarray:
    """Give the centred Gram matrix of each layer, float64 (layer, token * token).

    0 for a layer whose tokens are all the same. With `unbiased`, divided by what makes the product
    of two of them HSIC₁.
    """
    grams: list[np.ndarray] = []
    for layer in range(len(cache.tokens)):
        tokens, rounding = _tokens(cache, layer, of)
        if len(tokens) < _LEAST[unbiased]:
            what, least = ("unbiased, " * unbiased), "four" if unbiased else "two"
            one, more = ("patch", "patches") if of == "patches" else ("token", "tokens")
            msg = (
                f"{len(tokens)} {one if len(tokens) == 1 else more} cannot tell how alike layers "
                f"are; {what}{least} are the least"
            )
            raise ValueError(msg)
        if grams and len(tokens) ** 2 != grams[0].size:
            msg = (
                f"layer {layer} has {len(tokens)} patches and layer 0 has "
                f"{round(grams[0].size ** 0.5)}: layers with other grids cannot be compared"
            )
            raise ValueError(msg)
        tokens -= tokens.mean(axis=0)
        # what does not vary beyond rounding is like no other layer
        varies = np.abs(tokens).max() > rounding
        gram = tokens @ tokens.T
        if unbiased:
            gram = _centred_without_diagonal(gram)
        grams.append(gram.ravel() * varies)
    return np.stack(grams)


def _centred_without_diagonal(gram: np.ndarray) -> np.ndarray:
    """Centre a Gram matrix so that the product of two of them is their HSIC₁."""
    count = len(gram)
    np.fill_diagonal(gram, 0)
    rows = gram.sum(axis=0) / (count - 2)
    gram = gram - rows - rows[:, None] + rows.sum() / (count - 1)
    np.fill_diagonal(gram, 0)
    centred: np.ndarray = gram / np.sqrt(count * (count - 3))
    return centred


def _tokens(cache: ActivationCache, layer: int, of: Of) -> tuple[np.ndarray, float]:
    """Take the tokens of all images, float64 (token, feature), and what they are rounded by."""
    found = [patch_tokens(cache, layer, image) for image in range(len(cache.images))]
    parts = [
        part
        for one in found
        for part, wanted in ((one.prefix, "prefix"), (one.patches, "patches"))
        if of in ("all", wanted)
    ]
    tokens = np.concatenate(parts)
    if not np.isfinite(tokens).all():  # of patches that is said already
        msg = f"prefix tokens of layer {layer} hold NaN or infinity: nothing can be told from them"
        raise ValueError(msg)
    largest = np.abs(tokens).max(initial=0)
    return tokens.astype(np.float64), float(8 * np.finfo(tokens.dtype).eps * largest)

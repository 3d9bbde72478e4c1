"""Attention weighed by how the score answers to it: what was used, not only what was looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations import AttentionRecord, GradientRecord, gradients
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.attribution.lrp import PATENT, RelevanceRules
from vit_widgets.probes.attribution.token_layers import Fused, TokenLayers, token_layers
from vit_widgets.probes.maps import PatchMap, remarks
from vit_widgets.probes.target import ReadOut, Score, Target, one_image, question


@dataclass(frozen=True)
class _Answer:
    """Attention with its gradients, of one image."""

    layers: TokenLayers
    read_out: ReadOut
    score: float
    params: dict[str, Any]

    def map(self, row: np.ndarray, method: str, **params: Any) -> PatchMap:
        """Lay one number for each token out on the patches."""
        values = self.layers.laid_out(row)
        assert self.layers.axis.grid is not None
        return PatchMap(
            values,
            self.layers.axis.grid,
            self.layers.size,
            self.read_out,
            self.score,
            method=method,
            params=self.params | params,
            notes=(*self.layers.notes, *remarks(values)),
        )

    def record(self, layer: int) -> AttentionRecord:
        """Give a layer by its number among all attention layers; -1 is the last one followed."""
        known = {record.layer: record for record in self.layers.records}
        if layer == -1:
            return self.layers.records[-1]
        if layer not in known:
            listed = ", ".join(map(str, known))
            msg = f"layer {layer} is out of range: those that are followed are {listed}, and -1"
            raise IndexError(msg)
        return known[layer]


def relevance(
    model: VisionModel | nn.Module | str, image: object, target: Target = None
) -> PatchMap:
    """Follow the score through the attention of all layers, by attention times its gradient.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`).

    Returns
    -------
    PatchMap
        Not negative; not normalised.

    Raises
    ------
    ValueError
        For a model without scores, gradients, or attention from token to token; for several
        images.

    Notes
    -----
    Chefer, Gur & Wolf 2021 (ICCV), eq. 5 and 6, for self-attention: ``R = I``, then in each layer
    ``R ← R + C R`` with ``C`` the mean over the heads of ``max(0, A ⊙ dY/dA)``. The map is the row
    of the token that is read, less what ``I`` has in it: where patches are read themselves, it
    would outweigh the rest. The row is followed from the last layer down, which gives the same
    numbers. One forward and one backward; attention may run fused.

    Examples
    --------
    >>> relevance("demo", image, target=3).values.shape                # doctest: +SKIP
    (12, 12)
    """
    answer = _answer(model, image, target)
    row = answer.layers.read
    for record in reversed(answer.layers.records):
        row = row + row @ answer.layers.matrix(record, _positive_product)
    return answer.map(row - answer.layers.read, "relevance")


def relevance_matrix(
    model: VisionModel | nn.Module | str, image: object, target: Target = None
) -> np.ndarray:
    """Follow the score from every token: (token, token), with ``I`` in it.

    :func:`relevance` is the row of the token that is read.

    Parameters
    ----------
    model, image, target
        As of :func:`relevance`.
    """
    answer = _answer(model, image, target)
    whole = np.eye(answer.layers.axis.size)
    for record in answer.layers.records:
        whole = whole + answer.layers.matrix(record, _positive_product) @ whole
    return whole


def transformer_attribution(
    model: VisionModel | nn.Module | str, image: object, target: Target = None
) -> PatchMap:
    """Follow the score through the attention of all layers, by its relevance times its gradient.

    Parameters
    ----------
    model, image, target
        As of :func:`relevance`.

    Returns
    -------
    PatchMap
        Not negative; not normalised.

    Raises
    ------
    ValueError
        As of :func:`relevance`.

    Notes
    -----
    Chefer, Gur & Wolf 2021 (CVPR), eq. 13 and 14: ``C̄ = (I + C_L) … (I + C_1)`` with ``C`` the
    mean over the heads of ``max(0, dY/dA ⊙ R_A)``; rows are not normalised, as in their code. Their
    ``R_A`` comes from the α = 1, β = 0 rule; here it is that of CP-LRP (:func:`lrp`). Two forwards
    and two backwards. LRP is described as patented by its authors; :func:`relevance` needs none.

    Examples
    --------
    >>> transformer_attribution("demo", image).values.shape            # doctest: +SKIP
    (12, 12)
    """
    answer = _answer(model, image, target)
    with RelevanceRules():
        ruled = _answer(model, image, target)
    by_rule = {record.layer: record for record in ruled.layers.records}

    def fused(record: AttentionRecord, group: int) -> np.ndarray:
        products = _weights(record, group) * _slopes(by_rule[record.layer], group)
        mean: np.ndarray = np.maximum(products * _slopes(record, group), 0).mean(axis=0)
        return mean

    row = answer.layers.read
    for record in reversed(answer.layers.records):
        row = row + row @ answer.layers.matrix(record, fused)
    found = answer.map(row - answer.layers.read, "transformer_attribution")
    return replace(found, notes=(PATENT, *found.notes))


def gradient_attention(
    model: VisionModel | nn.Module | str,
    image: object,
    target: Target = None,
    layer: int = -1,
) -> PatchMap:
    """Multiply the attention of one layer with its gradient, the mean of what is positive.

    Parameters
    ----------
    model, image, target
        As of :func:`relevance`.
    layer
        Attention layer, counted from 0 as in ``cache.attention``; -1 is the last one over patches.

    Returns
    -------
    PatchMap
        Of the token that is read (the mean, where several are); not negative.

    Raises
    ------
    IndexError
        For a layer that does not attend from token to token.
    ValueError
        As of :func:`relevance`.

    Notes
    -----
    One layer of :func:`relevance`: ``mean_h max(0, A ⊙ dY/dA)``.

    Examples
    --------
    >>> gradient_attention("demo", image).values.shape                 # doctest: +SKIP
    (12, 12)
    """
    answer = _answer(model, image, target)
    record = answer.record(layer)
    row = answer.layers.read @ answer.layers.matrix(record, _positive_product)
    return answer.map(row, "gradient_attention", layer=record.layer)


def attention_cam(
    model: VisionModel | nn.Module | str,
    image: object,
    target: Target = None,
    layer: int = -1,
) -> PatchMap:
    """Weigh each head's attention by its mean gradient, and sum the heads.

    Parameters
    ----------
    model, image, target, layer
        As of :func:`gradient_attention`.

    Returns
    -------
    PatchMap
        Not negative.

    Raises
    ------
    IndexError, ValueError
        As of :func:`gradient_attention`.

    Notes
    -----
    Grad-CAM with heads in the place of channels, as Chefer, Gur & Wolf 2021 (CVPR) compare it:
    ``relu(Σ_h w_h A_h)`` over the row of the token that is read, ``w_h`` the mean of the gradient
    over its patches.

    Examples
    --------
    >>> attention_cam("demo", image).values.shape                      # doctest: +SKIP
    (12, 12)
    """
    answer = _answer(model, image, target)
    record, layers = answer.record(layer), answer.layers
    heads = range(record.heads)
    looked = np.stack([layers.read @ layers.matrix(record, _of_head(h, _weights)) for h in heads])
    answers = np.stack([layers.read @ layers.matrix(record, _of_head(h, _slopes)) for h in heads])
    gains = answers[:, len(layers.axis.prefix) :].mean(axis=1)
    return answer.map(np.maximum(gains @ looked, 0), "attention_cam", layer=record.layer)


def legrad(model: VisionModel | nn.Module | str, image: object, target: Target = None) -> PatchMap:
    """Average the positive gradient of attention over layers, heads and all tokens that ask.

    Parameters
    ----------
    model, image, target
        As of :func:`relevance`.

    Returns
    -------
    PatchMap
        Not negative.

    Raises
    ------
    ValueError
        As of :func:`relevance`.

    Notes
    -----
    After LeGrad (Bousselham et al. 2024), with one difference: there each layer is asked for a
    score of its own, read from its own tokens; here all are asked for the score of the model.

    Examples
    --------
    >>> legrad("demo", image).values.shape                             # doctest: +SKIP
    (12, 12)
    """
    answer = _answer(model, image, target)
    layers = answer.layers
    rows = [layers.matrix(record, _positive_slopes).mean(axis=0) for record in layers.records]
    return answer.map(np.mean(rows, axis=0), "legrad")


def _answer(model: VisionModel | nn.Module | str, image: object, target: Target) -> _Answer:
    model = load(model)
    batch = one_image(model, image)
    asked = question(model, target)
    settled: list[tuple[Score, float]] = []

    def followed(output: Any) -> torch.Tensor:
        score = asked.score(output)
        value = score(output).sum()
        settled.append((score, float(value.detach())))
        return value

    cache = gradients(asked.model, batch, followed)
    [(score, value)] = settled
    params = {"model": model.name, "target": target}
    return _Answer(token_layers(cache), score.read_out, value, params)


def _weights(record: AttentionRecord, group: int, head: int | None = None) -> np.ndarray:
    return record.weights(head=head, group=group)


def _slopes(record: AttentionRecord, group: int, head: int | None = None) -> np.ndarray:
    assert isinstance(record, GradientRecord)
    return record.gradient(head=head, group=group)


def _of_head(head: int, numbers: Callable[..., np.ndarray]) -> Fused:
    def fused(record: AttentionRecord, group: int) -> np.ndarray:
        return numbers(record, group, head)

    return fused


def _positive_product(record: AttentionRecord, group: int) -> np.ndarray:
    products = _weights(record, group)
    products *= _slopes(record, group)
    mean: np.ndarray = np.maximum(products, 0, out=products).mean(axis=0)
    return mean


def _positive_slopes(record: AttentionRecord, group: int) -> np.ndarray:
    mean: np.ndarray = np.maximum(_slopes(record, group), 0).mean(axis=0)
    return mean

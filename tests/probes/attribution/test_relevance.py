"""Relevance by attention and its gradient: the literal recursion, by autograd, layer by layer."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, pictures, tiny_vit
from vit_widgets.probes import (
    attention_cam,
    gradient_attention,
    legrad,
    relevance,
    relevance_matrix,
)

TOKENS = 1 + GRID[0] * GRID[1]


def by_autograd(module: nn.Module, score) -> list[tuple[np.ndarray, np.ndarray]]:
    """Attention and its gradient of each layer, written out: (head, query, key) each."""
    met: list[torch.Tensor] = []

    def written_out(q, k, v, *_args: object, **_kwargs: object) -> torch.Tensor:
        weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)
        met.append(weights)
        return weights @ v

    fused, F.scaled_dot_product_attention = F.scaled_dot_product_attention, written_out
    try:
        value = score(module(pictures()))
    finally:
        F.scaled_dot_product_attention = fused
    slopes = torch.autograd.grad(value, met)
    return [(a[0].detach().numpy(), g[0].numpy()) for a, g in zip(met, slopes, strict=True)]


@pytest.mark.parametrize(
    ("target", "score"),
    [
        (3, lambda z: z[0, 3]),
        (("margin", 0, 1), lambda z: z[0, 0] - z[0, 1]),
        (("probability", 2), lambda z: z.softmax(-1)[0, 2]),
        (None, lambda z: z[0].max()),
    ],
)
def test_it_is_the_recursion_as_it_is_written(target: object, score):
    """Breaks when layers are in another order, heads are averaged before the sign is looked at,
    or something else than the target is differentiated.
    """
    module = tiny_vit(depth=3)
    whole = np.eye(TOKENS)
    product = np.eye(TOKENS)
    for weights, slopes in by_autograd(module, score):
        mean = np.maximum(weights * slopes, 0).mean(axis=0)
        whole = whole + mean @ whole
        product = (np.eye(TOKENS) + mean) @ product
    np.testing.assert_allclose(whole, product, rtol=0, atol=1e-12)
    found = relevance_matrix(vw.load(module), pictures(), target)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-11)
    assert (found >= np.eye(TOKENS)).all()
    whole_map = relevance(vw.load(module), pictures(), target)
    np.testing.assert_allclose(whole_map.values, whole[0, 1:].reshape(GRID), rtol=1e-5)
    with torch.no_grad():
        assert whole_map.score == pytest.approx(float(score(module(pictures()))), abs=1e-12)


def test_one_layer_is_attention_times_gradient():
    """Breaks when another layer, another row, or the negative part is taken."""
    module = tiny_vit(depth=3)
    pairs = by_autograd(module, lambda z: z[0, 1])
    for layer in (0, 2, -1):
        weights, slopes = pairs[layer]
        found = gradient_attention(vw.load(module), pictures(), 1, layer)
        expected = np.maximum(weights * slopes, 0).mean(axis=0)[0, 1:].reshape(GRID)
        np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-9)
        assert found.params["layer"] == layer % 3


def test_heads_are_weighed_by_their_mean_gradient_over_the_patches():
    """Breaks when the class token's own weight is averaged in, or heads are rectified apart."""
    module = tiny_vit()
    [_, (weights, slopes)] = by_autograd(module, lambda z: z[0, 1])
    gains = slopes[:, 0, 1:].mean(axis=1)
    assert (gains > 0).any()
    expected = np.maximum((gains[:, None] * weights[:, 0, 1:]).sum(axis=0), 0)
    found = attention_cam(vw.load(module), pictures(), 1)
    np.testing.assert_allclose(found.values, expected.reshape(GRID), rtol=1e-5, atol=1e-9)


def test_legrad_is_the_mean_of_what_is_positive_in_the_gradient():
    """Breaks when attention is multiplied in, a layer is left out, or rows are columns."""
    module = tiny_vit()
    rows = [
        np.maximum(slopes, 0).mean(axis=(0, 1))[1:]
        for _, slopes in by_autograd(module, lambda z: z[0, 1])
    ]
    found = legrad(vw.load(module), pictures(), 1)
    np.testing.assert_allclose(found.values, np.mean(rows, axis=0).reshape(GRID), rtol=1e-5)


def test_a_score_that_hears_of_no_attention_gives_nothing():
    """Breaks when a zero gradient becomes NaN, or is not told of."""
    module = tiny_vit()
    nn.init.zeros_(module.head.weight)
    found = relevance(vw.load(module), pictures(), 2)
    assert not found.values.any()
    assert "zero everywhere" in found.notes[-1]
    np.testing.assert_array_equal(relevance_matrix(vw.load(module), pictures(), 2), np.eye(TOKENS))


def test_another_class_is_another_map():
    """Breaks when the target is lost, and all classes show the predicted one."""
    model = vw.load(tiny_vit())
    maps = [relevance(model, pictures(), target).values for target in range(5)]
    assert len({one.tobytes() for one in maps}) == 5
    assert relevance(model, pictures(), 3).target.words == "class 3"


def test_patches_that_are_averaged_do_not_drown_in_themselves():
    """Breaks when the identity of the recursion, the same on all patches, is left in the map."""
    model = vw.load(tiny_vit(global_pool="avg"))
    whole = relevance_matrix(model, pictures(), 1)
    expected = (whole - np.eye(TOKENS))[1:].mean(axis=0)[1:].reshape(GRID)
    np.testing.assert_allclose(relevance(model, pictures(), 1).values, expected, rtol=1e-5)


def test_layers_that_are_not_there_are_refused():
    """Breaks when a layer out of range is another one."""
    with pytest.raises(IndexError, match=r"layer 2 is out of range: those .* are 0, 1, and -1"):
        gradient_attention(vw.load(tiny_vit()), pictures(), 1, 2)

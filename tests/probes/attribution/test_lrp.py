"""CP-LRP: without biases nothing is lost, what is lost is said, one model alone has the rules."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, pictures, tiny_vit
from vit_widgets.probes import (
    input_x_gradient,
    layer_relevance,
    lrp,
    relevance,
    transformer_attribution,
)
from vit_widgets.probes.attribution.lrp import RelevanceRules


def without_biases(**changes: object) -> nn.Module:
    """The tiny model, everything that adds a constant set to 0."""
    module = tiny_vit(**changes)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias") or name in ("cls_token", "pos_embed"):
                parameter.zero_()
    return module


@pytest.mark.parametrize("changes", [{}, {"global_pool": "avg"}, {"depth": 4}], ids=str)
def test_without_biases_all_of_the_score_arrives_everywhere(changes: dict):
    """Breaks when a rule is wrong, or relevance leaks through attention twice."""
    model = vw.load(without_biases(**changes))
    found = lrp(model, pictures(), 3)
    assert abs(found.score) > 0.01
    assert abs(found.residual) < 1e-12
    through = layer_relevance(model, pictures(), 3)
    assert through.layers == tuple(f"blocks.{i}" for i in range(changes.get("depth", 2)))
    np.testing.assert_allclose(through.sums, found.score, rtol=0, atol=1e-12)
    whole = input_x_gradient(model, pictures(), 3)
    assert abs(whole.values.sum() - found.score) > 0.01


def test_with_biases_what_is_missing_is_said():
    """Breaks when the residual is left out, or the map is rescaled to hide it."""
    found = lrp(vw.load(tiny_vit()), pictures(), 3)
    assert abs(found.residual) > 0.001
    total = found.values.astype(np.float64).sum()
    assert total - found.score == pytest.approx(found.residual, abs=1e-5)
    assert found.notes[1] == f"relevance sums to {total:.4g}, the score is {found.score:.4g}"
    assert "patented" in found.notes[0]


def test_the_patches_have_their_tokens_relevance():
    """Breaks when patches are shifted by the class token, or layers are interchanged."""
    module = without_biases()
    found = layer_relevance(vw.load(module), pictures(), 3)
    with RelevanceRules():
        seen: list[torch.Tensor] = []
        handles = [
            block.register_forward_hook(lambda _m, _i, output: seen.append(output))
            for block in module.blocks
        ]
        score = module(pictures())[0, 3]
    for handle in handles:
        handle.remove()
    slopes = torch.autograd.grad(score, seen)
    for layer, (values, slope) in enumerate(zip(seen, slopes, strict=True)):
        expected = (values * slope).sum(-1)[0, 1:].detach().reshape(GRID).numpy()
        np.testing.assert_allclose(found.values[layer], expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("fused", [True, False])
def test_the_scores_are_those_of_the_model(fused: bool):
    """Breaks when a rule changes what the model says instead of how it is explained."""
    module = tiny_vit()
    for block in module.blocks:
        block.attn.fused_attn = fused
    expected = module(pictures())
    with RelevanceRules():
        found = module(pictures())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_attention_that_is_written_out_has_the_same_rules():
    """Breaks when only the fused kernel holds its weights constant."""
    maps = []
    for fused in (True, False):
        module = tiny_vit()
        for block in module.blocks:
            block.attn.fused_attn = fused
        maps.append(lrp(vw.load(module), pictures(), 1).values)
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-8)


def test_multi_head_attention_of_torch_has_the_rules_too():
    """Breaks when relevance leaks through the queries and keys of nn.MultiheadAttention."""
    torch.manual_seed(0)

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, bias=False, batch_first=True)
            self.head = nn.Linear(6, 3, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """Give (image, class)."""
            tokens = x.flatten(1).unflatten(1, (-1, 6))[:, :9]
            return self.head(self.attention(tokens, tokens, tokens)[0].mean(dim=1))

    module = Attends().double().eval()
    found = lrp(vw.load(module), pictures(), 2)
    assert abs(found.score) > 1e-4
    assert abs(found.residual) < 1e-12


def test_no_other_forward_has_the_rules():
    """Breaks when rules are patched into classes that other models share."""
    other, x = tiny_vit(), pictures().requires_grad_()
    before = torch.autograd.grad(other(x)[0, 1], x)[0]
    lrp(vw.load(tiny_vit()), pictures(), 3)
    with pytest.raises(KeyError), RelevanceRules():
        raise KeyError
    assert torch.equal(torch.autograd.grad(other(x)[0, 1], x)[0], before)


def test_transformer_attribution_is_the_product_as_it_is_written(monkeypatch):
    """Breaks when relevance and gradient are interchanged, rectified apart, or rows normalised."""
    module = tiny_vit(depth=3)
    met: list[torch.Tensor] = []

    def weighted(q, k, v, *_args: object, hold: bool, **_kwargs: object) -> torch.Tensor:
        weights = (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1)
        if hold:
            weights = weights.detach().requires_grad_()
        met.append(weights)
        return weights @ v

    def slopes(hold: bool) -> list[np.ndarray]:
        met.clear()
        monkeypatch.setattr(
            F, "scaled_dot_product_attention", lambda *a, **k: weighted(*a, hold=hold, **k)
        )
        return [g[0].numpy() for g in torch.autograd.grad(module(pictures())[0, 2], met)]

    plain = slopes(hold=False)
    norm, gelu = F.layer_norm, F.gelu

    def held_norm(x, shape, weight, bias, eps) -> torch.Tensor:
        deviation = (x.var(dim=-1, unbiased=False, keepdim=True) + eps).sqrt().detach()
        return (x - x.mean(dim=-1, keepdim=True)) / deviation * weight + bias

    monkeypatch.setattr(F, "layer_norm", held_norm)
    monkeypatch.setattr(F, "gelu", lambda x, **_k: x * (gelu(x) / x).detach())
    ruled = slopes(hold=True)
    weights = [one[0].detach().numpy() for one in met]
    monkeypatch.undo()
    assert F.layer_norm is norm
    whole = np.eye(25)
    for a, g, r in zip(weights, plain, ruled, strict=True):
        whole = whole + np.maximum(g * a * r, 0).mean(axis=0) @ whole
    found = transformer_attribution(vw.load(module), pictures(), 2)
    np.testing.assert_allclose(found.values, whole[0, 1:].reshape(GRID), rtol=1e-4, atol=1e-12)
    other = relevance(vw.load(module), pictures(), 2).values
    assert np.abs(found.values / found.values.max() - other / other.max()).max() > 0.05

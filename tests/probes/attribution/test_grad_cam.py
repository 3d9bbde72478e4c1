"""Grad-CAM: the formulas of the papers, at the layer that is read, and no further down."""

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, SIZE, pictures, tiny_vit
from vit_widgets.probes import grad_cam

VARIANTS = ("grad_cam", "grad_cam++", "hires_cam", "layer_cam")


def features_and_slopes(module: nn.Module, layer: nn.Module, index: int) -> tuple:
    """What a layer returned for the patches, and the gradient of a score there: (patch, D)."""
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _m, _i, output: seen.append(output))
    score = module(pictures())[0, index]
    handle.remove()
    [slope] = torch.autograd.grad(score, seen)
    return seen[0][0, -24:].detach().numpy(), slope[0, -24:].numpy()


def literal(F: np.ndarray, g: np.ndarray, variant: str) -> np.ndarray:
    """The formulas, patch by patch and feature by feature."""
    total = np.zeros(len(F))
    for d in range(F.shape[1]):
        if variant == "grad_cam":
            weights = np.full(len(F), g[:, d].mean())
        elif variant == "grad_cam++":
            below = 2 * g[:, d] ** 2 + F[:, d].sum() * g[:, d] ** 3
            weights = np.full(len(F), (g[:, d] ** 2 / below * np.maximum(g[:, d], 0)).sum())
        elif variant == "hires_cam":
            weights = g[:, d]
        else:
            weights = np.maximum(g[:, d], 0)
        total += weights * F[:, d]
    return np.maximum(total, 0).reshape(GRID)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_a_variant_is_its_formula(variant: str, pool: str):
    """Breaks when variants are interchanged, prefix tokens take part, or another layer is seen."""
    module = tiny_vit(global_pool=pool)
    layer = module.blocks[-1].norm1
    found = grad_cam(vw.load(module), pictures(), 3, variant=variant)
    expected = literal(*features_and_slopes(module, layer, 3), variant)
    assert expected.any()
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-9)
    assert found.method == found.params["variant"] == variant
    assert found.target.words == "class 3"
    assert found.size == SIZE


@pytest.mark.parametrize("layer", [0, "blocks.0.norm1", "blocks.0.mlp", "blocks.0"])
def test_a_layer_can_be_chosen_by_number_or_path(layer: int | str):
    """Breaks when a number counts something else, or tokens of a module lie elsewhere."""
    module = tiny_vit()
    path = "blocks.0.norm1" if layer == 0 else layer
    expected = features_and_slopes(module, module.get_submodule(path), 1)
    found = grad_cam(vw.load(module), pictures(), 1, layer)
    np.testing.assert_allclose(found.values, literal(*expected, "grad_cam"), rtol=1e-5, atol=1e-9)


def test_after_the_last_block_the_patches_are_not_read_any_more():
    """Breaks when the gradient there is not exactly zero, or the map does not say so."""
    found = grad_cam(vw.load(tiny_vit()), pictures(), 1, "blocks.1")
    assert not found.values.any()
    assert "the gradient on the patches of blocks.1 is exactly zero" in found.notes[0]
    before = grad_cam(vw.load(tiny_vit()), pictures(), 1)
    assert not before.notes
    assert before.values.any()


def test_no_derivative_is_computed_below_the_layer():
    """Breaks when the backward pass goes on to the pixels, or the forward keeps a graph for it."""
    module = tiny_vit(depth=3)
    flags = []
    for block in module.blocks:
        block.norm1.register_forward_hook(lambda *_: flags.append(torch.is_grad_enabled()))
        block.norm2.register_forward_hook(lambda _m, _i, out: flags.append(out.requires_grad))
    grad_cam(vw.load(module), pictures(), 1)
    assert flags[-6:] == [False, False, False, False, False, True]


@pytest.mark.parametrize("variant", ["grad_cam", "hires_cam", "layer_cam"])
def test_a_head_twice_as_large_gives_a_map_twice_as_large(variant: str):
    """Breaks when maps are normalised by themselves, which hides how little there is."""
    module = tiny_vit()
    before = grad_cam(vw.load(module), pictures(), 1, variant=variant).values
    with torch.no_grad():
        module.head.weight *= 2
    after = grad_cam(vw.load(module), pictures(), 1, variant=variant).values
    np.testing.assert_allclose(after, 2 * before, rtol=1e-6)


def test_tokens_that_are_given_three_times_are_one():
    """Breaks when of the q, k and v of nn.MultiheadAttention only q is followed."""
    torch.manual_seed(0)
    module = torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5).eval()
    nn.init.normal_(module.heads.head.weight)
    layer = module.encoder.layers[-1].ln_1
    image = torch.rand(1, 3, 32, 32)
    seen: list[torch.Tensor] = []
    handle = layer.register_forward_hook(lambda _m, _i, out: seen.append(out))
    score = module(image)[0, 2]
    handle.remove()
    [slope] = torch.autograd.grad(score, seen)
    weights = slope[0, 1:].mean(dim=0)
    expected = (seen[0][0, 1:] @ weights).relu().detach().reshape(4, 4)
    found = grad_cam(vw.load(module), image, 2)
    np.testing.assert_allclose(found.values, expected.numpy(), rtol=1e-3, atol=1e-7)


def test_a_convolutional_network_has_its_last_block_and_any_layer_by_name():
    """Breaks when there must be attention, or channels are taken for rows."""
    torch.manual_seed(0)
    module = timm.create_model("test_convnext", pretrained=False).eval()
    for part in module.modules():
        if hasattr(part, "gamma") and part.gamma is not None:
            nn.init.ones_(part.gamma)
    image = torch.rand(1, 3, 64, 96)
    found = grad_cam(vw.load(module), image, 3)
    named = grad_cam(vw.load(module), image, 3, found.params["layer"])
    np.testing.assert_array_equal(found.values, named.values)
    seen: list[torch.Tensor] = []
    layer = module.get_submodule(found.params["layer"])
    handle = layer.register_forward_hook(lambda _m, _i, out: seen.append(out))
    score = module(image)[0, 3]
    handle.remove()
    [slope] = torch.autograd.grad(score, seen)
    expected = (seen[0] * slope.mean(dim=(2, 3), keepdim=True)).sum(dim=1).relu()
    np.testing.assert_allclose(found.values, expected[0].detach().numpy(), rtol=1e-3, atol=1e-7)
    assert found.values.shape[0] * 3 == found.values.shape[1] * 2


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"variant": "cam"}, ValueError, "variant='cam' is not known; it is one of grad_cam"),
        ({"layer": 2}, IndexError, "layer 2 is out of range: there are 2 layers of attention"),
        ({"layer": "blocks.7"}, ValueError, "has no module 'blocks.7'"),
        ({"layer": "head"}, ValueError, "choose another layer"),
        ({"target": 5}, ValueError, "target 5 is out of range"),
        ({"image": pictures(2)}, ValueError, "2 images were given"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict, error: type[Exception], message: str):
    """Breaks when bad input ends in a wrong map or an error of torch's."""
    given = {"image": pictures(), **changes}
    with pytest.raises(error, match=message):
        grad_cam(vw.load(tiny_vit()), **given)


def test_a_score_without_a_gradient_says_so():
    """Breaks when a detached score, or weights of inference_mode, end in an error of autograd's."""
    with pytest.raises(ValueError, match=r"runs under torch\.no_grad or detaches"):
        grad_cam(vw.load(tiny_vit()), pictures(), lambda scores: scores.detach().sum())
    module = tiny_vit()
    with torch.inference_mode():
        module.head.weight = nn.Parameter(torch.ones(5, 16, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"made in torch\.inference_mode"):
        grad_cam(vw.load(module), pictures(), 1)

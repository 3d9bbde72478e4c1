"""Attributions beside captum, grad-cam, and the eager attention of transformers: same numbers."""

import math

import captum.attr
import numpy as np
import pytest
import timm
import torch
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM
from torch import nn

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, pictures, tiny_vit
from vit_widgets.probes import (
    grad_cam,
    input_x_gradient,
    integrated_gradients,
    occlusion,
    partial_rollouts,
    rollout,
    saliency,
    smooth_grad,
)


@pytest.mark.parametrize(
    ("variant", "theirs"),
    [
        ("grad_cam", GradCAM),
        ("grad_cam++", GradCAMPlusPlus),
        ("hires_cam", HiResCAM),
        ("layer_cam", LayerCAM),
    ],
)
@pytest.mark.parametrize("changes", [{}, {"global_pool": "avg"}, {"reg_tokens": 3}], ids=str)
def test_maps_of_grad_cam_are_equal_to_one_in_a_hundred_thousand(variant, theirs, changes):
    """The package grad-cam is the oracle; breaks when weights, layer or patches are others."""
    module = tiny_vit(**changes)
    prefix = module.num_prefix_tokens

    def patches(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, prefix:].reshape(len(tokens), *GRID, -1).permute(0, 3, 1, 2)

    # A score so large that the 1e-6 beneath the fraction of Grad-CAM++ does not count.
    def score(logits: torch.Tensor) -> torch.Tensor:
        return 1000 * logits.reshape(-1)[2]

    layer = module.blocks[-1].norm1
    with theirs(module, [layer], reshape_transform=patches) as package:
        package(pictures(), [score])
        kept = package.activations_and_grads
        raw = package.get_cam_image(
            pictures(),
            layer,
            [score],
            kept.activations[0].numpy(),
            kept.gradients[0].numpy(),
            False,
        )
    expected = np.maximum(raw[0], 0)
    assert expected.any()
    found = grad_cam(vw.load(module), pictures(), score, variant=variant)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_grad_cam_of_a_convolution_is_captums():
    """Captum's LayerGradCam is the oracle; breaks when channels and rows are interchanged."""
    torch.manual_seed(0)
    module = timm.create_model("resnet18", pretrained=False, num_classes=5).double().eval()
    theirs = captum.attr.LayerGradCam(module, module.layer3)
    expected = theirs.attribute(pictures(), target=2, relu_attributions=True)
    found = grad_cam(vw.load(module), pictures(), 2, "layer3")
    np.testing.assert_allclose(found.values, expected[0, 0].detach().numpy(), rtol=1e-5)


def test_gradients_at_the_pixels_are_captums():
    """Captum is the oracle; breaks when channels are reduced in another way, or signs turned."""
    module, x = tiny_vit(), pictures().requires_grad_()
    steep = captum.attr.Saliency(module).attribute(x, target=3)[0]
    np.testing.assert_allclose(
        saliency(vw.load(module), pictures(), 3).values, steep.amax(dim=0).numpy(), rtol=1e-5
    )
    product = captum.attr.InputXGradient(module).attribute(x, target=3)[0].sum(dim=0)
    found = input_x_gradient(vw.load(module), pictures(), 3)
    np.testing.assert_allclose(found.values, product.detach().numpy(), rtol=1e-5, atol=1e-9)


def test_smooth_grad_is_captums_with_the_same_noise(monkeypatch):
    """Captum is the oracle; breaks when magnitudes are averaged, or the noise is scaled anew."""
    module, x = tiny_vit(), pictures()
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(module))
    draws = torch.Generator().manual_seed(3)

    def same(_mean: int, deviation: torch.Tensor) -> torch.Tensor:
        return deviation * torch.randn(deviation.shape, generator=draws, dtype=x.dtype)

    monkeypatch.setattr(torch, "normal", same)
    theirs = tunnel.attribute(
        x,
        nt_type="smoothgrad",
        nt_samples=6,
        nt_samples_batch_size=1,
        stdevs=0.2 * float(x.max() - x.min()),
        target=3,
        abs=False,
    )
    found = smooth_grad(vw.load(module), x, 3, samples=6, sigma=0.2, seed=3)
    expected = theirs[0].abs().amax(dim=0).detach().numpy()
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)


@pytest.mark.parametrize("steps", [7, 50])
def test_integrated_gradients_are_captums(steps: int):
    """Captum is the oracle; breaks when the rule is another, or the residual has another sign."""
    module, x = tiny_vit(), pictures()
    start = pictures(2)[1:]
    theirs, delta = captum.attr.IntegratedGradients(module).attribute(
        x, start, target=3, n_steps=steps, method="riemann_middle", return_convergence_delta=True
    )
    found = integrated_gradients(vw.load(module), x, 3, steps, start)
    expected = theirs[0].sum(dim=0).detach().numpy()
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-7)
    assert found.residual == pytest.approx(float(delta), abs=1e-7)  # its steps are float32


@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_occlusion_is_captums(fill: str):
    """Captum is the oracle; breaks when the window is no patch, or the baseline another."""
    module, x = tiny_vit(), pictures()
    base = torch.zeros_like(x) if fill == "zero" else x.mean((2, 3), keepdim=True).expand_as(x)
    theirs = captum.attr.Occlusion(module).attribute(
        x, (3, 8, 8), (3, 8, 8), baselines=base, target=3
    )
    expected = theirs[0, 0, ::8, ::8].detach().numpy()
    found = occlusion(vw.load(module), x, 3, fill)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-9)


def hugging_face(kind: str) -> nn.Module:
    """Make a tiny model of transformers, its attention fused or eager."""
    transformers = pytest.importorskip("transformers", reason="the extra [hf] is not installed")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        attn_implementation=kind, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=64, image_size=64, patch_size=16, initializer_range=0.3,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config).eval()


def test_rollout_through_fused_attention_is_that_of_eager_attention():
    """The attention that transformers returns is the oracle; breaks when ours is another, or
    rolled out in another order.
    """
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        told = hugging_face("eager")(image, output_attentions=True).attentions
    whole = torch.eye(17)
    partial = []
    for weights in told:
        mixed = weights[0].mean(dim=0) + torch.eye(17)
        whole = mixed / mixed.sum(dim=-1, keepdim=True) @ whole
        partial.append(whole[0, 1:].reshape(4, 4).numpy())
    cache = vw.capture(vw.load(hugging_face("sdpa")), image)
    assert cache.attention[0].source == "sdpa"
    np.testing.assert_allclose(rollout(cache).values, partial[-1], rtol=1e-4)
    np.testing.assert_allclose(partial_rollouts(cache).values, partial, rtol=1e-4)
    assert math.isclose(float(whole.sum()), 17, rel_tol=1e-5)

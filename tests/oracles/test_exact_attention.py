"""Our weights beside those of independent implementations."""

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import vit_widgets as vw

TOLERANCE = 1e-10  # everything runs in float64, so that rounding cannot hide an error


def shaken(module: nn.Module) -> nn.Module:
    """Random weights large enough for attention to be far from uniform."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 2 and ("attn" in name or "attention" in name):
                parameter.normal_(std=2 * parameter.shape[-1] ** -0.5, generator=generator)
    return module.double().eval()


def peaked(weights: np.ndarray) -> bool:
    """Whether attention is far from uniform, where a wrong one could pass."""
    return weights.max() > 3 / weights.shape[-1]


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224", "beit_base_patch16_224"]
)
def test_fused_capture_equals_timms_unfused_attention(name):
    """Breaks when q, k, scale or bias differ from what timm's own unfused path multiplies."""
    module = shaken(timm.create_model(name, pretrained=False, depth=2))
    x = torch.randn(2, 3, 224, 224, dtype=torch.float64)
    cache = vw.capture(module, x)
    assert {record.source for record in cache.attention} == {"sdpa"}
    oracle = []
    for block in module.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_pre_hook(lambda _m, args: oracle.append(args[0]))
    with torch.no_grad():
        module(x)
    assert len(oracle) == len(cache.attention) == 2
    for record, expected in zip(cache.attention, oracle, strict=True):
        weights = np.stack([record.weights(image=image) for image in (0, 1)])
        assert peaked(weights)
        assert np.abs(weights - expected.numpy()).max() < TOLERANCE


def test_torchvision_equals_its_own_need_weights():
    """Breaks when the projection of nn.MultiheadAttention is rebuilt wrongly."""
    module = shaken(
        torchvision.models.VisionTransformer(
            image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64
        )
    )
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    cache = vw.capture(module, x)
    with torch.no_grad():
        assert torch.equal(cache.logits, module(x).float())  # also on torch's fused inference path
    oracle = []

    def ask(attention, args, kwargs):
        _, weights = nn.MultiheadAttention.forward(
            attention, *args, need_weights=True, average_attn_weights=False
        )
        oracle.append(weights)

    for part in module.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.register_forward_pre_hook(ask, with_kwargs=True)
    with torch.no_grad():
        module(x)
    for record, expected in zip(cache.attention, oracle, strict=True):
        weights = np.stack([record.weights(image=image) for image in (0, 1)])
        assert record.source == "mha"
        assert peaked(weights)
        assert np.abs(weights - expected.numpy()).max() < TOLERANCE


@pytest.mark.parametrize(
    ("batch_first", "padding", "mask"),
    [(True, False, False), (False, False, False), (True, True, False), (True, False, True)],
)
def test_multi_head_attention_in_all_its_forms(batch_first, padding, mask):
    """Breaks when layout, padding or masks of nn.MultiheadAttention are mishandled."""
    torch.manual_seed(1)
    attention = nn.MultiheadAttention(8, 2, batch_first=batch_first).double().eval()
    tokens = torch.randn((3, 5, 8) if batch_first else (5, 3, 8), dtype=torch.float64)
    options = {}
    if padding:
        options["key_padding_mask"] = torch.arange(5) >= torch.tensor([[5], [4], [5]])
    if mask:
        options["attn_mask"] = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1)

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, x):
            return self.attention(tokens, tokens, tokens, need_weights=False, **options)[0].sum(0)

    with torch.no_grad():
        _, expected = attention(tokens, tokens, tokens, average_attn_weights=False, **options)
        plain = Holder()(None)
    cache = vw.capture(Holder(), torch.zeros(3, 3, 8, 8))
    [record] = cache.attention
    weights = np.stack([record.weights(image=image) for image in range(3)])
    assert np.abs(weights - expected.numpy()).max() < TOLERANCE
    assert torch.equal(cache.logits, plain.float())


@pytest.mark.parametrize("kind", ["vit", "dinov2_with_registers"])
def test_hugging_face_equals_its_eager_attentions(kind):
    """Breaks when a fused Hugging Face model yields other weights than its eager twin returns."""
    transformers = pytest.importorskip("transformers", reason="the extra [hf] is not installed")
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 64, "image_size": 64, "patch_size": 16}  # fmt: skip
    configs = {
        "vit": (transformers.ViTConfig, transformers.ViTForImageClassification),
        "dinov2_with_registers": (
            transformers.Dinov2WithRegistersConfig,
            transformers.Dinov2WithRegistersForImageClassification,
        ),
    }
    config, architecture = configs[kind]
    size = {
        key: value for key, value in size.items() if kind == "vit" or key != "intermediate_size"
    }
    fused = shaken(architecture(config(attn_implementation="sdpa", **size)))
    eager = architecture(config(attn_implementation="eager", **size)).double().eval()
    eager.load_state_dict(fused.state_dict())
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        oracle = eager(x, output_attentions=True).attentions
    for module, source in ((fused, "sdpa"), (eager, "softmax")):
        cache = vw.capture(module, x)
        assert {record.source for record in cache.attention} == {source}
        for record, expected in zip(cache.attention, oracle, strict=True):
            weights = np.stack([record.weights(image=image) for image in (0, 1)])
            assert peaked(weights)
            # Hugging Face's eager softmax is computed in float32, whatever the model's type.
            assert np.abs(weights - expected.numpy()).max() < 1e-6
        assert cache.attention[0].geometry == "rule"

"""Statistics of heads: exact values, and bounds that hold for every head."""

import math

import numpy as np
import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from vit_widgets.probes import head_statistics


class Uniform(nn.Module):
    """A 14 x 14 ViT without class token whose queries are zero: attention is uniform."""

    def __init__(self, patches: int = 14) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 16, 16)
        self.attn = nn.Linear(8, 8)

    def forward(self, x):
        """Attend uniformly."""
        tokens = self.patches(x).flatten(2).mT
        k = self.attn(tokens)[:, None]
        # A millionth of the token is left in q, by which its place is found.
        return nn.functional.scaled_dot_product_attention(1e-6 * k, k, k).flatten(1)


def test_uniform_attention_has_the_known_entropy_and_distance():
    """Ln 196 nats, and 116.492 px at 16 px a patch; breaks with the unit or the definition."""
    cache = vw.capture(Uniform().eval(), torch.randn(1, 3, 224, 224))
    statistics = head_statistics(cache)
    assert statistics.entropy[0, 0] == pytest.approx(math.log(196), abs=1e-5)
    assert statistics.distance[0, 0] == pytest.approx(116.492, abs=2e-3)
    assert statistics.self_mass[0, 0] == pytest.approx(1 / 196, abs=1e-7)
    assert statistics.prefix_mass[0, 0] == 0


def test_statistics_equal_a_literal_re_implementation():
    """Breaks when rows and columns, patches and prefix, or layers and heads are confused."""
    module = timm.create_model(
        "deit_tiny_distilled_patch16_224", pretrained=False, depth=2, img_size=(64, 96)
    ).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "qkv.weight" in name:
                parameter.normal_(std=0.15)
    cache = vw.capture(module, torch.randn(2, 3, 64, 96))
    statistics = head_statistics(cache, image=1)
    rows, cols, prefix = 4, 6, 2
    for layer, record in enumerate(cache.attention):
        for head in range(3):
            weights = record.weights(image=1, head=head).astype(np.float64)
            tokens = len(weights)
            entropy = np.mean([-sum(w * math.log(w) for w in row if w > 0) for row in weights])
            away = [
                sum(
                    weights[prefix + i, prefix + j]
                    * 16 * math.dist(divmod(i, cols), divmod(j, cols))
                    for j in range(rows * cols)
                )
                for i in range(rows * cols)
            ]  # fmt: skip
            assert statistics.entropy[layer, head] == pytest.approx(entropy, rel=1e-5)
            assert statistics.distance[layer, head] == pytest.approx(np.mean(away), rel=1e-5)
            own = np.mean([weights[i, i] for i in range(tokens)])
            assert statistics.self_mass[layer, head] == pytest.approx(own, rel=1e-5)
            on_prefix = weights[:, :prefix].sum(axis=1).mean()
            assert statistics.prefix_mass[layer, head] == pytest.approx(on_prefix, rel=1e-5)


def test_what_has_no_meaning_is_nan():
    """Breaks when channels get a distance, or missing heads a value."""
    module = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False).eval()
    statistics = head_statistics(vw.capture(module, torch.randn(1, 3, 224, 224)))
    assert np.isfinite(statistics.entropy[0, :3]).all()
    assert np.isnan(statistics.entropy[0, 3:]).all()
    assert (statistics.distance[0, :3] < 7 * 4 * math.sqrt(2)).all()  # no further than its window
    channels = timm.create_model("xcit_nano_12_p16_224", pretrained=False, depth=1).eval()
    statistics = head_statistics(vw.capture(channels, torch.randn(1, 3, 224, 224)))
    assert np.isnan(statistics.distance[0]).all()

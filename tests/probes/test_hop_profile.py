"""Attention by hops: exact values of even attention, and a literal re-implementation."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.test_head_statistics import Uniform
from vit_widgets.models import Grid
from vit_widgets.probes import hop_profile
from vit_widgets.probes.hop_profile import hops_between


def test_even_attention_fills_every_ring_by_its_size():
    """Breaks when rings are no squares, a pair is counted twice, or a mean is over other pairs."""
    cache = vw.capture(Uniform().eval(), torch.randn(1, 3, 224, 224))
    found = hop_profile(cache)
    pairs = np.bincount(hops_between(Grid(14, 14, (16, 16))).ravel())
    assert pairs[:4].tolist() == [196, 1404, 2496, 3300]
    assert found.sums.shape == (1, 1, 14)
    assert np.allclose(found.sums[0, 0], pairs / 196**2, atol=1e-6)
    assert np.allclose(found.means[0, 0], 1 / 196, atol=1e-6)
    diamonds = hop_profile(cache, metric="manhattan")
    assert diamonds.sums.shape == (1, 1, 27)
    assert diamonds.sums[0, 0, 1] == pytest.approx(4 * 13 * 14 / 196**2, abs=1e-6)


@pytest.fixture(scope="module")
def cache():
    """Two blocks with two prefix tokens on a grid that is no square, with uneven attention."""
    torch.manual_seed(0)
    module = timm.create_model(
        "deit_tiny_distilled_patch16_224", pretrained=False, depth=2, img_size=(64, 96)
    ).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "qkv.weight" in name:
                parameter.normal_(std=0.15)
    return vw.capture(module, torch.randn(2, 3, 64, 96), keep=("attention",))


@pytest.mark.parametrize("metric", ["chebyshev", "manhattan"])
def test_profiles_equal_a_literal_re_implementation(cache, metric):
    """Breaks when rows and columns, or queries and keys, or prefix and patches are confused."""
    found = hop_profile(cache, image=1, metric=metric)
    for layer, record in enumerate(cache.attention):
        weights = record.weights(image=1, head=2).astype(np.float64)[2:, 2:]
        for hop in range(3):
            rings, each = [], []
            for i in range(24):
                away = [np.subtract(divmod(j, 6), divmod(i, 6)) for j in range(24)]
                norm = [max(abs(a)) if metric == "chebyshev" else sum(abs(a)) for a in away]
                ring = [weights[i, j] for j in range(24) if norm[j] == hop]
                rings.append(sum(ring))
                each.append(np.mean(ring))
            assert found.sums[layer, 2, hop] == pytest.approx(np.mean(rings), rel=1e-5)
            assert found.means[layer, 2, hop] == pytest.approx(np.mean(each), rel=1e-5)


def test_rings_add_up_to_what_prefix_tokens_leave(cache):
    """Breaks when a ring is missing, or prefix tokens are counted as patches."""
    found = hop_profile(cache)
    for layer, record in enumerate(cache.attention):
        on_prefix = record.weights(image=0)[:, 2:, :2].sum(axis=-1).mean(axis=-1)
        assert np.allclose(found.sums[layer].sum(axis=-1), 1 - on_prefix, atol=1e-6)


def test_what_has_no_hops_is_nan():
    """Breaks when channels get a profile, or a window's ring that it has not gets a value."""
    channels = timm.create_model("xcit_nano_12_p16_224", pretrained=False, depth=1).eval()
    found = hop_profile(vw.capture(channels, torch.randn(1, 3, 224, 224), keep=("attention",)))
    assert np.isnan(found.sums[0]).all()
    with pytest.raises(ValueError, match="chebyshev, manhattan"):
        hop_profile(vw.capture(channels, torch.randn(1, 3, 224, 224)), metric="euclid")

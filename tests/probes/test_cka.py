"""Centred kernel alignment: its invariances, and the slow form of its definition."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def with_tokens(*layers: torch.Tensor) -> vw.ActivationCache:
    """A capture of two images with these patches, (image, patch, feature) a layer."""
    cache = tiny_cache(torch.float64)
    tokens = [torch.cat([cache.tokens[0][..., :1, :], one], dim=1) for one in layers]
    return replace(cache, _tokens=tuple(tokens))


def test_rotation_scale_and_shift_change_nothing():
    """Breaks when features are not centred, or their size counts."""
    torch.manual_seed(3)
    patches = torch.randn(2, 24, 16, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64))[0]
    found = vw.probes.cka(with_tokens(patches, 7.3 * patches @ rotation + 2.0))
    np.testing.assert_allclose(found.values, np.ones((2, 2)), atol=1e-12)
    assert found.samples == 48


def test_it_is_the_pairwise_form_of_its_definition():
    """Breaks when Gram matrices are centred or normed in another way than products of features."""
    cache = tiny_cache(torch.float64, depth=4)
    found = vw.probes.cka(cache).values
    layers = [one[:, 1:].reshape(-1, 16).numpy() for one in cache.tokens]
    layers = [one - one.mean(axis=0) for one in layers]
    for row, x in enumerate(layers):
        for col, y in enumerate(layers):
            cross = np.linalg.norm(y.T @ x) ** 2
            wanted = cross / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
            assert found[row, col] == pytest.approx(wanted, abs=1e-12)
    np.testing.assert_allclose(found, found.T, atol=1e-15)
    assert ((found >= 0) & (found <= 1)).all()


def test_independent_features_are_less_alike_than_the_same():
    """Breaks when anything looks alike."""
    torch.manual_seed(5)
    one, other = torch.randn(2, 2, 24, 16, dtype=torch.float64)
    found = vw.probes.cka(with_tokens(one, other)).values
    assert found[0, 1] < 0.6 < found[0, 0]


def test_two_models_are_compared_over_the_same_images():
    """Breaks when the other model's layers are not the columns."""
    cache, other = tiny_cache(depth=3), tiny_cache(embed_dim=32)
    found = vw.probes.cka(cache, other).values
    assert found.shape == (3, 2)
    np.testing.assert_allclose(vw.probes.cka(other, cache).values, found.T, atol=1e-12)


def test_what_cannot_be_compared_is_said():
    """Breaks when grids of other sizes, or other images, give a number."""
    cache = tiny_cache()
    images = torch.rand(1, 3, 32, 48)
    with pytest.raises(ValueError, match="2 and 1 images cannot be compared"):
        vw.probes.cka(cache, vw.capture(cache.model, images, keep=("tokens",)))
    with pytest.raises(ValueError, match="48 and 12 patches"):
        vw.probes.cka(with_tokens(*(torch.rand(2, 24, 16),) * 2), tiny_cache(patch_size=16))
    still = torch.randn(16, dtype=torch.float64).expand(2, 24, 16)
    assert np.isnan(vw.probes.cka(with_tokens(still, torch.rand_like(still))).values[0]).all()
    shrinking = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False)
    windows = vw.capture(shrinking, torch.rand(1, 3, 224, 224), keep=("tokens",))
    with pytest.raises(ValueError, match="layers with other grids cannot be compared"):
        vw.probes.cka(windows)

"""Keys of patches: those of the projection, where they lie, and what is said without them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache, tiny_swin


def test_keys_are_those_of_the_projection():
    """Breaks when queries, another head order, another image or the class token is taken."""
    cache = tiny_cache(torch.float64)
    block = cache.model.module.blocks[1]
    with torch.no_grad():
        qkv = block.attn.qkv(block.norm1(cache.tokens[0][1]))
    keys = qkv[:, 16:32].numpy()  # both heads, 8 features each
    found = vw.probes.patch_keys(cache, -1, image=1)
    np.testing.assert_allclose(found.patches, keys[1:], atol=1e-12)
    np.testing.assert_allclose(found.prefix, keys[:1], atol=1e-12)
    assert found.names == ("class",)
    assert found.layer == 1
    heads = cache.attention[1].key_vectors(image=1)
    np.testing.assert_allclose(heads, keys.reshape(25, 2, 8).swapaxes(0, 1), atol=1e-12)


def shifted_windows(fused: bool) -> vw.ActivationCache:
    """Two blocks of 8 x 8 patches in windows of 4 x 4, those of the second shifted."""
    torch.manual_seed(0)
    model = tiny_swin(depths=(2,), num_heads=(2,))
    for block in model.layers[0].blocks:
        block.attn.fused_attn = fused
    return vw.capture(model.double(), torch.rand(1, 3, 32, 32, dtype=torch.float64))


def test_keys_of_windows_lie_where_their_patches_do():
    """Breaks when windows are laid out one after the other. Each key is asked of its own token."""
    cache = shifted_windows(fused=True)
    block = cache.model.module.layers[0].blocks[1]
    with torch.no_grad():
        qkv = block.attn.qkv(block.norm1(cache.tokens[0]))
    keys = qkv[0, :, 8:16].numpy()
    assert cache.attention[1].groups == 4
    np.testing.assert_allclose(vw.probes.patch_keys(cache, 1).patches, keys, atol=1e-12)


def test_keys_that_cannot_be_had_are_said():
    """Breaks when a capture without keys is answered by something else."""
    cache = tiny_cache()
    with pytest.raises(IndexError, match="there are 0 to 1"):
        vw.probes.patch_keys(cache, 2)
    with pytest.raises(IndexError, match="image 2 is out of range"):
        vw.probes.patch_keys(cache, 0, image=2)
    with pytest.raises(ValueError, match="no attention to take keys from"):
        vw.probes.patch_keys(replace(cache, attention=()), 0)
    with pytest.raises(ValueError, match="has 2 attentions"):
        vw.probes.patch_keys(replace(cache, attention=(*cache.attention, cache.attention[0])), 0)
    with pytest.raises(ValueError, match="gave its weights and not its keys"):
        vw.probes.patch_keys(shifted_windows(fused=False), 0)


def test_keys_that_are_not_numbers_are_said():
    """Breaks when NaN spreads into an answer."""
    cache = tiny_cache()
    cache.attention[0]._event.keys[0, 0, 3, 2] = np.nan
    with pytest.raises(ValueError, match="1 of the 24 keys of layer 0 hold NaN"):
        vw.probes.patch_keys(cache, 0)
    assert vw.probes.patch_keys(cache, 0, image=1).patches.shape == (24, 16)

"""Attention without some patches: a softmax over fewer keys."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def test_it_is_the_softmax_over_the_keys_that_remain():
    """Breaks when the weight that is left out is lost, or the class token loses its share."""
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(3, 25))
    left_out = rng.random((4, 6)) < 0.3
    whole = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    scores[:, 1:][:, left_out.ravel()] = -np.inf
    wanted = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    maps = vw.probes.leave_out(whole[:, 1:].reshape(3, 4, 6), left_out, whole[:, 0])
    known = maps.reshape(3, 24)[:, ~left_out.ravel()]
    np.testing.assert_allclose(known, wanted[:, 1:][:, ~left_out.ravel()], atol=1e-15)
    assert np.isnan(maps[:, left_out]).all()


def test_windows_and_nothing_left():
    """Breaks when patches out of sight are shared weight, or an empty map is divided by 0."""
    weights = np.array([[0.25, np.nan], [0.5, 0.25]])
    found = vw.probes.leave_out(weights, np.array([[False, False], [True, False]]))
    np.testing.assert_array_equal(found, [[0.5, np.nan], [np.nan, 0.5]])
    assert np.isnan(vw.probes.leave_out(weights, np.ones((2, 2), dtype=bool))).all()
    with pytest.raises(ValueError, match="2 × 3 patches and the maps have 2 × 2"):
        vw.probes.leave_out(weights, np.ones((2, 3), dtype=bool))


def test_maps_of_the_registers_keep_their_mass():
    """Breaks when the prefix tokens of a layer have other names or rows than its attention."""
    cache = tiny_cache(torch.float64, reg_tokens=4, depth=3)
    found = vw.probes.register_attention(cache, layer=1, image=1)
    assert found.names == ("class", "register 0", "register 1", "register 2", "register 3")
    weights = cache.attention[1].weights(image=1)  # head, query, key
    for token in range(5):
        rows = weights[:, token, 5:].reshape(2, 4, 6)
        np.testing.assert_array_equal(found.values[token], rows)
        columns = weights[:, 5:, token].reshape(2, 4, 6)
        np.testing.assert_array_equal(found.received[token], columns)
        np.testing.assert_allclose(found.to_patches[token], rows.sum(axis=(1, 2)), atol=1e-6)
        np.testing.assert_allclose(found.from_patches[token], columns.mean(axis=(1, 2)), atol=1e-6)
    left_out = np.zeros((4, 6), dtype=bool)
    left_out[1, 2] = True
    rest = vw.probes.leave_out(found.values, left_out, 1 - found.to_patches)
    lost = found.values[..., 1, 2]
    np.testing.assert_allclose(rest[..., 0, 0], found.values[..., 0, 0] / (1 - lost), rtol=1e-5)
    bare = tiny_cache(class_token=False, global_pool="avg")
    with pytest.raises(ValueError, match="no class or register token"):
        vw.probes.register_attention(bare, 0)
    with pytest.raises(IndexError, match="there are 0 to 2"):
        vw.probes.register_attention(cache, 3)
    silent = vw.capture(cache.model, cache.images, keep=("tokens",))
    with pytest.raises(ValueError, match="no attention to look at"):
        vw.probes.register_attention(silent, 0)

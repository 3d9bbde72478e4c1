"""Cosines of a token to all patches: by definition, and whatever the size of a token."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def test_it_is_the_cosine_of_the_two_tokens():
    """Breaks when the token is counted without the prefix, or rows and columns change places."""
    cache = tiny_cache(reg_tokens=2, dtype=torch.float64)
    found = vw.probes.similarity(cache, layer=1, token=3 + 2 * 6 + 4, image=1)
    tokens = cache.tokens[1][1].numpy()
    asked = tokens[3 + 2 * 6 + 4]
    for row in range(4):
        for col in range(6):
            other = tokens[3 + row * 6 + col]
            wanted = asked @ other / (np.linalg.norm(asked) * np.linalg.norm(other))
            assert found.values[row, col] == pytest.approx(wanted, abs=1e-12)
    assert found.values[2, 4] == pytest.approx(1)
    assert tuple(found.prefix) == cache.token_axes[1].prefix
    assert len(found.prefix) == 3


def test_the_size_of_tokens_does_not_matter():
    """Breaks when a product is taken for a cosine."""
    cache = tiny_cache()
    scaled = tuple(
        one * torch.linspace(0.1, 9, one.shape[1])[None, :, None] for one in cache.tokens
    )
    before = vw.probes.similarity(cache, 1, 7).values
    after = vw.probes.similarity(replace(cache, _tokens=scaled), 1, 7).values
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_another_image_answers_for_a_patch_of_this_one():
    """Breaks when the map is of the token's own image."""
    cache = tiny_cache()
    found = vw.probes.similarity(cache, 1, 7, image=0, onto_image=1).values
    twin = replace(cache, _tokens=tuple(one[[1, 0]] for one in cache.tokens))
    np.testing.assert_array_equal(
        found, vw.probes.similarity(cache, 1, 7, image=0, onto=twin, onto_image=0).values
    )
    assert not np.allclose(found, vw.probes.similarity(cache, 1, 7).values)
    params = vw.probes.similarity(cache, 1, 7, image=0, onto_image=1).params
    assert (params["image"], params["onto_image"]) == (0, 1)


def test_what_cannot_be_compared_is_said():
    """Breaks when a token that is not there, or that is 0, gives a map."""
    cache = tiny_cache()
    with pytest.raises(IndexError, match="token 25 of layer 1 is out of range: there are 0 to 24"):
        vw.probes.similarity(cache, -1, 25)
    empty = [one.clone() for one in cache.tokens]
    empty[1][0, 3] = 0
    empty_cache = replace(cache, _tokens=tuple(empty))
    with pytest.raises(ValueError, match="token 3 of layer 1 is 0 everywhere"):
        vw.probes.similarity(empty_cache, 1, 3)
    assert np.isnan(vw.probes.similarity(empty_cache, 1, 7).values[0, 2])
    other = tiny_cache(embed_dim=32)
    with pytest.raises(ValueError, match="16 and of 32 features"):
        vw.probes.similarity(cache, 1, 7, onto=other)


def test_keys_are_compared_where_they_are_asked_for():
    """Breaks when tokens are compared in place of keys, or heads are."""
    cache = tiny_cache(torch.float64)
    keys = np.concatenate(list(cache.attention[1].key_vectors(0)), axis=1)
    found = vw.probes.similarity(cache, 1, token=0, of="keys")
    for patch in (0, 7, 23):
        wanted = (
            keys[0] @ keys[1 + patch] / np.linalg.norm(keys[0]) / np.linalg.norm(keys[1 + patch])
        )
        assert found.values.ravel()[patch] == pytest.approx(wanted, abs=1e-12)
    assert found.prefix == {"class": pytest.approx(1)}
    assert found.params["of"] == "keys"
    with pytest.raises(ValueError, match=r"of='values' is not known; .* 'tokens' or 'keys'"):
        vw.probes.similarity(cache, 1, 0, of="values")

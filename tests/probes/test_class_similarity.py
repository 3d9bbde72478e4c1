"""The class token and the patches: cosines that were built, and models without a class token."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def test_cosines_that_were_built_are_found():
    """Breaks when the class token, the layer or the quartiles are others."""
    cache = tiny_cache(torch.float64)
    wanted = np.linspace(-1, 1, 24)
    tokens = torch.zeros(2, 25, 16, dtype=torch.float64)
    tokens[:, 0, 0] = 3.0
    tokens[:, 1:, 0] = 5 * torch.from_numpy(wanted)
    tokens[:, 1:, 1] = 5 * torch.from_numpy(np.sqrt(1 - wanted**2))
    found = vw.probes.class_similarity(replace(cache, _tokens=(cache.tokens[0], tokens)), image=1)
    np.testing.assert_allclose(found.values[1], wanted.reshape(4, 6), atol=1e-12)
    assert found.of == ("class", "class")
    assert found.mean[1] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(found.quartiles[1], [-0.5, 0, 0.5], atol=1e-12)
    literal = torch.cosine_similarity(cache.tokens[0][1, :1], cache.tokens[0][1, 1:], dim=-1)
    np.testing.assert_allclose(found.values[0].ravel(), literal, atol=1e-12)


def test_without_a_class_token_the_mean_of_the_patches_takes_its_place_and_that_is_said():
    """Breaks when a register, or the first patch, is taken for the class token."""
    cache = tiny_cache(torch.float64, class_token=False, global_pool="avg", reg_tokens=2)
    found = vw.probes.class_similarity(cache)
    assert set(found.of) == {"mean of the patches"}
    patches = cache.tokens[1][0, 2:]
    literal = torch.cosine_similarity(patches.mean(dim=0)[None], patches, dim=-1)
    np.testing.assert_allclose(found.values[1].ravel(), literal, atol=1e-12)


def test_a_token_without_direction_has_no_cosine():
    """Breaks when 0 is divided by 0, or one such patch makes the mean NaN."""
    cache = tiny_cache(torch.float64)
    tokens = cache.tokens[0].clone()
    tokens[0, 4] = 0
    found = vw.probes.class_similarity(replace(cache, _tokens=(tokens, 0 * tokens)))
    assert np.isnan(found.values[0]).sum() == 1
    assert np.isfinite(found.mean[0])
    assert np.isnan(found.mean[1])
    assert np.isnan(found.quartiles[1]).all()

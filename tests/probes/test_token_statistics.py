"""Statistics of tokens over their features and over each other: against loops, and normalised."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache
from vit_widgets.probes.token_statistics import STATISTICS


def test_statistics_are_those_of_a_loop_over_the_patches():
    """Breaks when an axis, the class token or the degrees of freedom are mistaken."""
    cache = tiny_cache(torch.float64, depth=2)
    found = vw.probes.token_statistics(cache)
    assert found.values.shape == (4, 2, 2)
    for layer, tokens in enumerate(cache.tokens):
        for image in range(2):
            patches = tokens[image, 1:].numpy()
            wanted = {
                "mean": np.mean([p.mean() for p in patches]),
                "intra-token variance": np.mean([((p - p.mean()) ** 2).mean() for p in patches]),
                "inter-token variance": np.mean(
                    [((f - f.mean()) ** 2).mean() for f in patches.T],
                ),
                "magnitude": np.mean([(p @ p) ** 0.5 for p in patches]),
            }
            for name in STATISTICS:
                assert found.of(name)[layer, image] == pytest.approx(wanted[name], abs=1e-12)
            grid = patches.reshape(4, 6, 16)
            unit = grid / np.linalg.norm(grid, axis=-1, keepdims=True)
            cosines = [
                unit[r, c] @ unit[r + down, c + right]
                for r in range(4)
                for c in range(6)
                for down, right in ((1, 0), (0, 1))
                if r + down < 4 and c + right < 6
            ]
            assert found.neighbours[layer, image] == pytest.approx(np.mean(cosines), abs=1e-12)


def test_layer_normalisation_makes_each_token_vary_by_one():
    """Breaks when before and after are exchanged, or variance is taken over the tokens."""
    plain = partial(torch.nn.LayerNorm, eps=1e-12, elementwise_affine=False)
    cache = tiny_cache(torch.float64, norm_layer=plain)
    found = vw.probes.token_statistics(cache)
    mean, within, among, magnitude = found.after
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    np.testing.assert_allclose(within, 1, atol=1e-6)
    np.testing.assert_allclose(magnitude, 4, atol=1e-6)
    assert (among < within).all()
    np.testing.assert_allclose(found.before[:, 2], found.values[:, 0])  # given to block 1
    assert found.norms[2] == "blocks.1.norm1"


def test_tokens_that_are_alike_vary_within_and_not_among():
    """Breaks when the two kinds of variance are exchanged."""
    cache = tiny_cache(torch.float64)
    one = torch.randn(16, dtype=torch.float64)
    found = vw.probes.token_statistics(replace(cache, _tokens=(one.expand(2, 25, 16),) * 2))
    np.testing.assert_allclose(found.of("inter-token variance"), 0, atol=1e-20)
    np.testing.assert_allclose(found.of("intra-token variance"), one.var(correction=0))
    np.testing.assert_allclose(found.neighbours, 1, atol=1e-12)


def test_a_model_without_normalisation_has_none_to_show():
    """Breaks when an empty list of norms cannot be stacked."""
    cache = tiny_cache(torch.float64, norm_layer=torch.nn.Identity)
    found = vw.probes.token_statistics(cache)
    assert found.before.shape == found.after.shape == (4, 0, 2)
    assert found.norms == ()


def test_tokens_that_are_no_numbers_spoil_their_own_image_alone():
    """Breaks when NaN of one image spreads to others, or is averaged away."""
    cache = tiny_cache(torch.float64)
    broken = cache.tokens[1].clone()
    broken[1, 3] = torch.nan
    found = vw.probes.token_statistics(replace(cache, _tokens=(cache.tokens[0], broken)))
    assert np.isfinite(found.values[:, :, 0]).all()
    assert np.isnan(found.values[:, 1, 1]).all()
    assert np.isfinite(found.values[:, 0, 1]).all()

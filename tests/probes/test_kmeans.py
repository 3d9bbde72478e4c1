"""Segments: planted groups are found, and numbered by their size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache

PLANTED = np.array([[0] * 6, [0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0], [2, 2, 0, 0, 0, 0]])


def planted() -> vw.ActivationCache:
    """Patches in three groups far from each other, the same in both images."""
    cache = tiny_cache()
    centers = 20 * torch.randn(3, 16)
    tokens = [one.clone() for one in cache.tokens]
    tokens[1][:, 1:] = centers[torch.from_numpy(PLANTED.ravel())] + torch.randn(2, 24, 16)
    return replace(cache, _tokens=tuple(tokens))


def test_planted_groups_are_found_the_largest_first():
    """Breaks when patches lie in another order, or the numbers of segments depend on luck."""
    found = vw.probes.kmeans(planted(), -1, k=3)
    np.testing.assert_array_equal(found.labels, np.stack([PLANTED, PLANTED]))
    again = vw.probes.kmeans(planted(), -1, k=3, seed=5, images=[1])
    np.testing.assert_array_equal(again.labels[0], PLANTED)


def test_inertia_and_centers_are_those_of_the_labels():
    """Breaks when centres are numbered otherwise than segments."""
    cache = planted()
    found = vw.probes.kmeans(cache, 1, k=4)
    patches = cache.tokens[1][:, 1:].reshape(-1, 16).double().numpy()
    labels = found.labels.ravel()
    for segment in range(4):
        np.testing.assert_allclose(
            found.centers[segment], patches[labels == segment].mean(axis=0), atol=1e-6
        )
    assert found.inertia == pytest.approx(((patches - found.centers[labels]) ** 2).sum())


def test_more_segments_than_patches_that_differ_are_refused():
    """Breaks when scikit-learn's warning is all that is said."""
    cache = tiny_cache()
    alike = replace(cache, _tokens=tuple(torch.ones_like(one) for one in cache.tokens))
    with pytest.raises(ValueError, match="k=2 segments were asked for; 1 to 1 are possible"):
        vw.probes.kmeans(alike, 0, k=2)
    with pytest.raises(ValueError, match="k=0 segments"):
        vw.probes.kmeans(cache, 0, k=0)


def test_keys_are_put_together_where_they_are_asked_for():
    """Breaks when segments of keys are those of tokens."""
    cache = tiny_cache(torch.float64)
    found = vw.probes.kmeans(cache, 1, k=3, images=[1], of="keys")
    keys = vw.probes.patch_keys(cache, 1, image=1).patches
    labels = found.labels.ravel()
    for segment in range(3):
        np.testing.assert_allclose(
            found.centers[segment], keys[labels == segment].mean(axis=0), atol=1e-12
        )
    assert found.params["of"] == "keys"

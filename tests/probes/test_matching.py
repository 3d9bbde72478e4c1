"""Matches across two images: by trying all pairs, and the patches of a moved picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def test_the_match_is_the_best_of_all_pairs():
    """Breaks when rows and columns, the two images, or best and mutual change places."""
    cache = tiny_cache(torch.float64)
    found = vw.probes.matching(cache, 1)
    here, there = (cache.tokens[1][image, 1:].numpy() for image in (0, 1))

    def cosine(a, b):
        return a @ b / np.sqrt((a @ a) * (b @ b))

    for patch in range(24):
        pairs = [cosine(here[patch], other) for other in there]
        best = int(np.argmax(pairs))
        row, col = divmod(patch, 6)
        assert found.values[row, col] == pytest.approx(pairs[best], abs=1e-12)
        assert found.best[row, col].tolist() == list(divmod(best, 6))
        back = int(np.argmax([cosine(one, there[best]) for one in here]))
        assert found.mutual[row, col] == (back == patch)


def test_patches_that_moved_are_found_again():
    """Breaks when a match is not the patch that it was."""
    cache = tiny_cache(torch.float64)
    order = np.random.default_rng(0).permutation(24)
    tokens = [one.clone() for one in cache.tokens]
    tokens[1][1, 1:] = 3 * tokens[1][0, 1:][order]
    moved = replace(cache, _tokens=tuple(tokens))
    found = vw.probes.matching(moved, 1)
    places = found.best.reshape(24, 2) @ [6, 1]
    np.testing.assert_array_equal(order[places], np.arange(24))
    assert found.mutual.all()
    np.testing.assert_allclose(found.values, 1, atol=1e-12)
    split = [vw.capture(cache.model, cache.images[[at]]) for at in (0, 1)]
    across = vw.probes.matching(split[0], 1, onto=split[1], onto_image=0, of="keys")
    np.testing.assert_array_equal(across.best, vw.probes.matching(cache, 1, of="keys").best)


def test_patches_without_a_direction_match_nothing():
    """Breaks when a patch of zeros is matched, or is the best of another."""
    cache = tiny_cache(torch.float64)
    tokens = [one.clone() for one in cache.tokens]
    tokens[1][0, 3] = 0
    tokens[1][1, 5] = 0
    found = vw.probes.matching(replace(cache, _tokens=tuple(tokens)), 1)
    assert np.isnan(found.values[0, 2])
    assert found.best[0, 2].tolist() == [-1, -1]
    assert not found.mutual[0, 2]
    assert np.isfinite(found.values).sum() == 23
    tokens[1][1, 1:] = -tokens[1][0, 1:].mean(dim=0)  # all unlike, so that 0 would be the best
    tokens[1][0, 1:] = tokens[1][0, 1:].mean(dim=0)
    tokens[1][1, 5] = 0
    unlike = vw.probes.matching(replace(cache, _tokens=tuple(tokens)), 1)
    np.testing.assert_allclose(unlike.values, -1)
    assert not (unlike.best == [0, 4]).all(axis=-1).any()


def test_what_cannot_be_matched_is_said():
    """Breaks when an image is matched with nothing, or other features are compared."""
    cache = tiny_cache()
    alone = vw.capture(cache.model, cache.images[:1])
    with pytest.raises(ValueError, match="one image only"):
        vw.probes.matching(alone, 1)
    with pytest.raises(IndexError, match="image 2 is out of range"):
        vw.probes.matching(cache, 1, onto_image=2)
    with pytest.raises(ValueError, match="of 16 and of 32 features"):
        vw.probes.matching(cache, 1, onto=tiny_cache(embed_dim=32))
    zero = tuple(torch.zeros_like(one) for one in cache.tokens)
    with pytest.raises(ValueError, match="all patches of image 0 are 0"):
        vw.probes.matching(replace(cache, _tokens=zero), 1)


def test_objects_of_one_kind_match_each_other():
    """Breaks when matches say nothing of what is on the patches."""
    model = vw.load("demo")
    scenes = [scene for scene in vw.demo.scenes(60, seed=17) if scene.label == 0][:4]
    assert len(scenes) == 4
    cache = vw.capture(model, [scene.image for scene in scenes])
    truth = [scene.mask.reshape(12, 12, 12, 12).mean(axis=(1, 3)) > 0.5 for scene in scenes]
    hits, chance = [], []
    for other in (1, 2, 3):
        found = vw.probes.matching(cache, 3, onto_image=other)
        rows, cols = found.best[truth[0] & found.mutual].T
        hits.append(truth[other][rows, cols].mean())
        chance.append(truth[other].mean())
    assert np.mean(hits) > np.mean(chance) + 0.3

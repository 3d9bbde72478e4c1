"""Masks of heads: the fewest patches, by trying and by the code of DINO's recipe written out."""

import itertools

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache, tiny_swin
from vit_widgets.probes.head_masks import _fewest


def sharp(**changes: object) -> vw.ActivationCache:
    """A capture whose heads prefer some patches."""
    cache = tiny_cache(torch.float64, **changes)
    torch.manual_seed(2)
    for record in cache.attention:
        keys, queries = record._event.keys, record._event.queries
        keys += torch.randn(keys.shape, dtype=torch.float64)
        queries += torch.randn(queries.shape, dtype=torch.float64)
    return cache


def test_no_fewer_patches_hold_as_much():
    """Breaks when a patch too many or too few is taken. Every choice of patches is tried."""
    rng = np.random.default_rng(0)
    for mass in (0.2, 0.6, 0.95):
        weights = rng.dirichlet(np.full(9, 0.5))
        chosen = _fewest(weights, mass)
        fewest = next(
            count
            for count in range(1, 10)
            if any(sum(some) >= mass for some in itertools.combinations(weights, count))
        )
        assert weights[chosen].sum() >= mass
        assert chosen.sum() == fewest


@pytest.mark.parametrize("query", [0, 1 + 9])
def test_masks_are_those_of_the_recipe_written_out(query):
    """Breaks when prefix tokens take part, another row or image is read, or the share is of all."""
    cache = sharp()
    found = vw.probes.head_masks(cache, 1, mass=0.7, query=query, image=1)
    for head in range(2):
        row = cache.attention[1].weights(image=1)[head, query, 1:].astype(np.float64)
        order = np.argsort(row)
        keep = np.zeros(24, bool)
        keep[order] = np.cumsum(row[order] / row.sum()) > 1 - 0.7
        np.testing.assert_array_equal(found.values[head].ravel(), keep)
        np.testing.assert_allclose(found.weights[head].ravel(), row, rtol=1e-12)
        assert found.on_patches[head] == pytest.approx(row.sum())
        assert 0 < keep.sum() < 24
    assert found.query == ("class" if query == 0 else "patch (1, 3)")
    assert (found.values[0] != found.values[1]).any()


def test_more_mass_takes_more_patches_around_the_same():
    """Breaks when masks of a rising mass are not one in the other, or all of it is less."""
    cache = sharp()
    masks = [vw.probes.head_masks(cache, mass=mass).values for mass in (0.1, 0.4, 0.8, 1)]
    for smaller, larger in itertools.pairwise(masks):
        assert not (smaller & ~larger).any()
        assert (larger.sum(axis=(1, 2)) > smaller.sum(axis=(1, 2))).all()
    np.testing.assert_array_equal(masks[-1], vw.probes.head_masks(cache).weights > 0)


def test_a_model_without_a_class_token_asks_by_its_first_patch():
    """Breaks when query 0 is taken for a class token that is not there."""
    found = vw.probes.head_masks(sharp(class_token=False, global_pool="avg"))
    assert found.query == "patch (0, 0)"
    assert found.on_patches == pytest.approx(1, abs=1e-6)


def test_what_a_window_does_not_hold_is_in_no_mask():
    """Breaks when patches that the query cannot see are counted."""
    torch.manual_seed(0)
    model = tiny_swin(depths=(2,), num_heads=(2,))
    cache = vw.capture(model, torch.rand(1, 3, 32, 32))
    found = vw.probes.head_masks(cache, 0, mass=1, query=8 * 5 + 6)
    window = np.zeros((8, 8), bool)
    window[4:, 4:] = True
    np.testing.assert_array_equal(found.values, np.stack([window, window]))
    assert np.isnan(found.weights[:, ~window]).all()


def test_a_head_that_sees_no_patch_has_an_empty_mask():
    """Breaks when nothing is divided by, or the head gets a mask all the same."""
    cache = sharp()
    event = cache.attention[1]._event
    event.queries[0, 1, 0] = 1e4
    event.keys[0, 1] = -1
    event.keys[0, 1, 0] = 1
    found = vw.probes.head_masks(cache)
    assert not found.values[1].any()
    assert found.values[0].any()
    assert found.notes == ("heads [1] attend to no patch",)


def test_what_cannot_be_answered_is_said():
    """Breaks when a wrong number is answered by another layer, image or token."""
    cache = tiny_cache()
    for wrong in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="is no share"):
            vw.probes.head_masks(cache, mass=wrong)
    with pytest.raises(IndexError, match="layer 2 is out of range: there are 0 to 1"):
        vw.probes.head_masks(cache, 2)
    with pytest.raises(IndexError, match=r"query 25 of blocks\.1\.attn .* 0 to 24"):
        vw.probes.head_masks(cache, query=25)
    with pytest.raises(IndexError, match="image -1"):
        vw.probes.head_masks(cache, image=-1)
    bare = vw.capture(cache.model, cache.images, keep=("tokens",))
    with pytest.raises(ValueError, match="no attention to look at"):
        vw.probes.head_masks(bare)


def test_some_head_finds_the_object_of_scenes():
    """Breaks when masks have nothing to do with the object. Head 4, chosen on seed 5."""
    model = vw.load("demo")
    scenes = vw.demo.scenes(40, seed=17)
    cache = vw.capture(model, [scene.image for scene in scenes], keep=("attention",))
    overlaps, chances = [], []
    rng = np.random.default_rng(0)
    for number, scene in enumerate(scenes):
        truth = scene.mask.reshape(12, 12, 12, 12).mean(axis=(1, 3)) > 0.5
        mask = vw.probes.head_masks(cache, image=number).values[4]
        overlaps.append(vw.probes.mask_iou(mask, truth))
        anywhere = rng.permutation(mask.ravel()).reshape(12, 12)  # as large, but anywhere
        chances.append(vw.probes.mask_iou(anywhere, truth))
    assert np.mean(overlaps) > np.mean(chances) + 0.15

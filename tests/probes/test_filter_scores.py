"""One number a filter: exact values on an image whose patches are known."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def sums(cache: vw.ActivationCache) -> np.ndarray:
    """What each filter makes of each patch, (patch, filter), by the model itself."""
    embed = cache.model.module.patch_embed
    return (embed(cache.images)[1] - embed.proj.bias).detach().numpy()


def test_contrast_and_strength_are_those_of_the_patches():
    """Breaks when a score is taken over pixels, over another image, or with the bias."""
    cache = tiny_cache(torch.float64)
    contrast = vw.probes.filter_scores(cache, image=1)
    np.testing.assert_allclose(contrast.values, sums(cache).std(0), atol=1e-12)
    strength = vw.probes.filter_scores(cache, image=1, by="strength")
    np.testing.assert_allclose(strength.values, np.abs(sums(cache)).mean(0), atol=1e-12)


def test_separation_is_of_a_mask_of_patches_or_of_pixels():
    """Breaks when a mask is laid out in another order, or the deviation is not pooled."""
    cache = tiny_cache(torch.float64)
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:6] = True
    inside, outside = sums(cache)[mask.ravel()], sums(cache)[~mask.ravel()]
    within = np.concatenate([inside - inside.mean(0), outside - outside.mean(0)])
    wanted = np.abs(inside.mean(0) - outside.mean(0)) / np.sqrt((within**2).mean(0))
    for one in (mask, np.kron(mask, np.ones((8, 8)))):
        found = vw.probes.filter_scores(cache, 1, by="separation", mask=one)
        np.testing.assert_allclose(found.values, wanted, atol=1e-12)
        assert found.params["patches"] == 8
    half = np.kron(mask, np.ones((8, 8)))
    half[8:24, 16:18] = 0  # three quarters of its first column of patches are left
    again = vw.probes.filter_scores(cache, 1, by="separation", mask=half)
    np.testing.assert_array_equal(again.values, found.values)


def test_filters_that_see_nothing_have_no_score():
    """Breaks when a grey image divides by zero."""
    cache = tiny_cache()
    grey = vw.capture(cache.model, 0 * cache.images)
    mask = np.arange(24).reshape(4, 6) < 9
    assert not vw.probes.filter_scores(grey).values.any()
    assert not vw.probes.filter_scores(grey, by="separation", mask=mask).values.any()


@pytest.mark.parametrize(
    ("by", "mask", "said"),
    [
        ("separation", np.ones((5, 6), bool), r"fits neither the 4 x 6 patches nor"),
        ("separation", np.ones((4, 6), bool), "of all patches"),
        ("separation", np.zeros((32, 48), bool), "of no patches"),
        ("separation", None, "takes a mask"),
        ("contrast", np.ones((4, 6), bool), "takes no mask"),
        ("beauty", None, "is no score"),
    ],
)
def test_what_cannot_be_scored_is_said(by: str, mask: np.ndarray | None, said: str):
    """Breaks when a mask is stretched, or a score is made up where there is none."""
    with pytest.raises(ValueError, match=said):
        vw.probes.filter_scores(tiny_cache(), by=by, mask=mask)

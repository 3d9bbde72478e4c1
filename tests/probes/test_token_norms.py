"""Norms of tokens: against a loop, around normalisation layers, and patches that stand out."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.models.module_state import state_of
from tests.probes.tiny_tokens import Picked, shrinking_cache, tiny_cache
from vit_widgets.activations.normalizations import normalizations
from vit_widgets.probes.scene_truth import patch_shares


def with_tokens(cache: vw.ActivationCache, *layers: torch.Tensor) -> vw.ActivationCache:
    """The same capture with other tokens, (image, token, feature) a layer."""
    return replace(cache, _tokens=layers)


def test_norms_are_those_of_a_loop_over_tokens():
    """Breaks when norms are of the wrong axis, of other images, or before the wrong block."""
    cache = tiny_cache(torch.float64, depth=3)
    found = vw.probes.token_norms(cache)
    for layer, tokens in enumerate(cache.tokens):
        for image in range(2):
            for token in range(25):
                wanted = sum(float(x) ** 2 for x in tokens[image, token]) ** 0.5
                assert found.values[layer][image, token] == pytest.approx(wanted, abs=1e-12)
    vit = cache.model.module
    with torch.no_grad():
        embedded = vit._pos_embed(vit.patch_embed(cache.images))
    np.testing.assert_allclose(found.embedded, embedded.norm(dim=-1), atol=1e-12)
    assert found.laid_out(2, 1).shape == (4, 6)
    np.testing.assert_array_equal(found.laid_out(2, 1).ravel(), found.values[2][1, 1:])
    np.testing.assert_allclose(found.medians[1], np.median(found.values[1][:, 1:], axis=1))
    np.testing.assert_allclose(found.maxima[1], found.values[1][:, 1:].max(axis=1))
    alone = vw.probes.token_norms(cache, image=1)
    np.testing.assert_array_equal(alone.values[2], found.values[2][1:])


def test_a_normalisation_without_weights_gives_all_tokens_the_same_norm():
    """Breaks when before and after are exchanged, or other modules count as normalisations."""
    plain = partial(torch.nn.LayerNorm, eps=1e-6, elementwise_affine=False)
    cache = tiny_cache(torch.float64, norm_layer=plain, qk_norm=True)
    found = vw.probes.token_norms(cache)
    assert found.norms == (
        "blocks.0.norm1", "blocks.0.norm2", "blocks.1.norm1", "blocks.1.norm2", "norm",
    )  # fmt: skip
    assert found.norm_layers == (0, 0, 1, 1, 1)
    for after in found.after:
        np.testing.assert_allclose(after, 4.0, rtol=1e-3)  # the root of 16 features
    np.testing.assert_array_equal(found.before[0], found.embedded)
    np.testing.assert_array_equal(found.before[2], found.values[0])
    np.testing.assert_array_equal(found.before[4], found.values[1])


def test_norms_of_windows_are_those_of_their_blocks():
    """Breaks when a feature map (image, row, col, feature) is no sequence of tokens."""
    cache = shrinking_cache()
    found = vw.probes.token_norms(cache)
    assert [one.shape for one in found.values] == [(1, 64), (1, 64), (1, 16), (1, 16)]
    assert found.embedded.shape == (1, 64)
    assert "layers.1.blocks.1.norm2" in found.norms
    at = found.norms.index("layers.0.blocks.1.norm1")
    np.testing.assert_array_equal(found.before[at], found.values[0])
    assert found.laid_out(3).shape == (4, 4)


def test_asking_leaves_the_model_as_it_was():
    """Breaks when a hook stays, a mode or gradient changes, also after a forward that fails."""
    cache = tiny_cache()
    module = cache.model.module.train()
    before = state_of(module)
    normalizations(cache)
    assert state_of(module) == before
    broken = replace(cache, images=cache.images[:, :1])
    with pytest.raises(Exception, match=r"channels|size|shape"):
        normalizations(broken)
    assert state_of(module) == before


def large_patches(*places: tuple[int, int, float]) -> vw.ActivationCache:
    """Two layers of patches of norms around 1, some of the second image and layer far larger."""
    cache = tiny_cache(torch.float64)
    torch.manual_seed(1)
    layers = [torch.nn.functional.normalize(torch.randn(2, 25, 16), dim=-1) for _ in range(2)]
    layers = [one * (1 + 0.05 * torch.randn(2, 25, 1)) for one in layers]
    for row, col, norm in places:
        layers[1][1, 1 + 6 * row + col] *= norm
    layers[1][:, 0] *= 50  # the class token, which is no patch
    return with_tokens(cache, *(one.double() for one in layers))


@pytest.mark.parametrize("threshold", [4.0, "mad", "valley"])
def test_patches_that_were_made_large_are_found_by_every_rule(threshold):
    """Breaks when a rule misses them, takes ordinary ones along, or counts the class token."""
    cache = large_patches((0, 5, 9.0), (3, 1, 9.0))
    found = vw.probes.token_norms(cache, threshold=threshold)
    assert found.counts.tolist() == [[0, 0], [0, 2]]
    wanted = np.zeros((4, 6), dtype=bool)
    wanted[0, 5] = wanted[3, 1] = True
    np.testing.assert_array_equal(found.outlier_map(1, 1), wanted)
    assert not found.outliers[1][:, 0].any()
    if threshold == "valley":
        assert "layers [0] have one mode" in found.notes[0]


def test_the_threshold_is_the_median_and_ten_deviations():
    """Breaks when the deviation is scaled, or taken from the mean."""
    cache = large_patches()
    found = vw.probes.token_norms(cache)
    for layer in range(2):
        norms = found.values[layer][:, 1:].ravel()
        spread = np.median(np.abs(norms - np.median(norms)))
        assert found.thresholds[layer] == pytest.approx(np.median(norms) + 10 * spread)


def test_equal_patches_do_not_stand_out_from_each_other():
    """Breaks when what rounding leaves between equal tokens makes outliers."""
    still = torch.randn(16).expand(2, 25, 16).clone()
    still[:, 3:8] *= 1 + 3e-7
    found = vw.probes.token_norms(with_tokens(tiny_cache(), still, 0 * still))
    assert not found.counts.any()
    found = vw.probes.token_norms(with_tokens(tiny_cache(), still, 0 * still), threshold="valley")
    assert not found.counts.any()


def test_one_mode_has_no_valley():
    """Breaks when the bumps of a finite sample are taken for modes."""
    torch.manual_seed(0)
    cache = tiny_cache(torch.float64)
    for _ in range(20):
        tokens = torch.randn(2, 25, 16, dtype=torch.float64)
        found = vw.probes.token_norms(
            with_tokens(cache, tokens, tokens), threshold="valley", around=normalizations(cache)
        )
        assert found.counts.sum() <= 2  # a lone straggler at most


def test_tokens_that_are_no_numbers_are_left_out_and_said():
    """Breaks when one NaN makes every threshold NaN, or is passed over in silence."""
    cache = large_patches((2, 2, 9.0))
    broken = cache.tokens[1].clone()
    broken[1, 3] = torch.nan
    broken[1, 4, 2] = torch.inf
    found = vw.probes.token_norms(with_tokens(cache, cache.tokens[0], broken))
    assert np.isnan(found.values[1]).sum() == 2
    assert found.counts.tolist() == [[0, 0], [0, 1]]
    assert "2 tokens of layers [1] hold NaN" in found.notes[0]
    dead = torch.full_like(broken, torch.nan)
    found = vw.probes.token_norms(with_tokens(cache, cache.tokens[0], dead))
    assert np.isnan(found.medians[1]).all()
    assert np.isinf(found.thresholds[1])


def test_tokens_without_places_still_have_norms():
    """Breaks when norms need to know where tokens lie."""
    cache = vw.capture(Picked(), torch.rand(1, 3, 32, 32), keep=("tokens",))
    found = vw.probes.token_norms(cache)
    assert [one.shape for one in found.values] == [(1, 16), (1, 9)]
    assert found.patches(1).shape == (1, 9)
    assert "is not known" in found.notes[0]
    with pytest.raises(ValueError, match="layer 1 lie on the image is not known"):
        found.laid_out(1)


def test_what_is_no_threshold_or_image_is_said():
    """Breaks when a word that is no rule is compared with numbers."""
    with pytest.raises(ValueError, match='give a number, "mad" or "valley"'):
        vw.probes.token_norms(tiny_cache(), threshold="otsu")
    with pytest.raises(IndexError, match="there are 0 to 1"):
        vw.probes.token_norms(tiny_cache(), image=2)


def test_what_stands_out_in_the_demo_model_is_on_the_object():
    """Breaks when maps are laid out wrongly; the bundled model has no artefacts in its background.

    In the small model the patches of the object become larger than the even background around it,
    by a factor of less than three: artefacts of large models are in the background.
    """
    scenes = vw.demo.scenes(6, seed=4)
    cache = vw.capture("demo", [scene.image for scene in scenes], keep=("tokens",))
    around = normalizations(cache)
    on_object = marked = 0
    for image, scene in enumerate(scenes):
        found = vw.probes.token_norms(cache, image=image, around=around)
        assert (found.maxima < 3 * found.medians).all()
        whole = replace(scene, parts={"object": scene.mask})
        share = patch_shares(cache.model, whole, cache.token_axes[-1])["object"].reshape(12, 12)
        marked += int(found.counts[-1, 0])
        on_object += int((found.outlier_map(-1) & (share > 0)).sum())
    assert marked > 10
    assert on_object / marked > 0.9

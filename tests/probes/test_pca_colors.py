"""Principal components of patches: those of scikit-learn, the same in every run."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


@pytest.mark.parametrize("features", [16, 64], ids=["covariance", "Gram"])
def test_they_are_those_of_an_independent_implementation(features: int):
    """Breaks when either of the two ways is no principal component analysis."""
    cache = tiny_cache(torch.float64, embed_dim=features)
    found = vw.probes.pca_colors(cache, 1)
    patches = cache.tokens[1][:, 1:].reshape(-1, features).numpy()
    oracle = PCA(3, svd_solver="full").fit(patches)
    np.testing.assert_allclose(found.explained, oracle.explained_variance_ratio_, atol=1e-10)
    np.testing.assert_allclose(np.abs(found.components), np.abs(oracle.components_), atol=1e-7)
    np.testing.assert_allclose(
        np.abs(found.scores.reshape(-1, 3)), np.abs(oracle.transform(patches)), atol=1e-7
    )
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(3), atol=1e-10)


def test_signs_and_colours_are_fixed():
    """Breaks when a component may come out with either sign, or colours leave 0 to 1."""
    cache = tiny_cache()
    found = vw.probes.pca_colors(cache, 1)
    largest = np.abs(found.components).argmax(axis=1)
    assert (found.components[np.arange(3), largest] > 0).all()
    assert found.values.shape == (2, 4, 6, 3)
    assert found.values.min() == 0
    assert found.values.max() == 1
    turned = tuple(one.flip(-1) for one in cache.tokens)
    same = vw.probes.pca_colors(replace(cache, _tokens=turned), 1)
    np.testing.assert_allclose(same.values, found.values, atol=1e-5)


def test_patches_that_do_not_vary_have_no_colour():
    """Breaks when rounding errors are stretched into a picture."""
    cache = tiny_cache()
    alike = replace(cache, _tokens=tuple(torch.ones_like(one) * 0.3 for one in cache.tokens))
    assert (vw.probes.pca_colors(alike, 0).values == 0.5).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_components_that_are_not_there_are_not_drawn(dtype: torch.dtype):
    """Breaks when rounding is drawn at full contrast as a second and a third component."""
    cache = tiny_cache(dtype)
    torch.manual_seed(2)
    line = torch.randn(2, 25, 1, dtype=dtype) * torch.randn(16, dtype=dtype) + 0.7
    found = vw.probes.pca_colors(replace(cache, _tokens=(line, line)), 0)
    assert found.explained[0] == pytest.approx(1)
    assert (found.explained[1:] == 0).all()
    assert (found.values[..., 1:] == 0.5).all()
    assert found.values[..., 0].max() == 1
    alike = replace(cache, _tokens=tuple(torch.full_like(one, 0.3) for one in cache.tokens))
    assert (vw.probes.pca_colors(alike, 0).explained == 0).all()


def test_no_images_are_refused():
    """Breaks when an empty choice ends in an error about arrays."""
    with pytest.raises(ValueError, match="no images were chosen"):
        vw.probes.pca_colors(tiny_cache(), 0, images=[])
    with pytest.raises(ValueError, match="no images were chosen"):
        vw.probes.kmeans(tiny_cache(), 0, k=2, images=[])


def with_object(sign: float, noise: float = 0.1) -> vw.ActivationCache:
    """Two images with a block of patches in the middle that are unlike the others."""
    cache = tiny_cache(torch.float64)
    torch.manual_seed(3)
    tokens = [one.clone() for one in cache.tokens]
    patches = noise * torch.randn(2, 4, 6, 16, dtype=torch.float64)
    patches[..., 0] -= sign * 2
    patches[:, 1:3, 1:5, 0] += sign * 6
    patches[:, 1:3, 1:5, 1] = torch.linspace(-1, 1, 4, dtype=torch.float64)
    tokens[1][:, 1:] = patches.reshape(2, 24, 16)
    return replace(cache, _tokens=tuple(tokens))


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["positive", "negative"])
def test_the_foreground_is_told_from_the_border_and_fitted_again(sign):
    """Breaks when a turned sign turns the foreground, or the second fit sees the background."""
    cache = with_object(sign)
    found = vw.probes.pca_colors(cache, 1, foreground=True)
    block = np.zeros((2, 4, 6), bool)
    block[:, 1:3, 1:5] = True
    np.testing.assert_array_equal(found.foreground, block)
    assert np.isnan(found.values[~block]).all()
    assert np.isfinite(found.scores).all()
    side = "positive" if sign > 0 else "negative"
    [note] = found.notes
    assert f"the {side} side of the first component, which holds 0 of the 32 patches" in note
    patches = cache.tokens[1][:, 1:].reshape(2, 4, 6, 16).numpy()[block]
    oracle = PCA(3, svd_solver="full").fit(patches)
    np.testing.assert_allclose(found.explained, oracle.explained_variance_ratio_, atol=1e-10)
    np.testing.assert_allclose(np.abs(found.components), np.abs(oracle.components_), atol=1e-7)
    assert found.values[block].min() == 0
    assert found.values[block].max() == 1
    whole = vw.probes.pca_colors(cache, 1)
    assert whole.foreground.all()
    assert not whole.notes


def test_a_foreground_that_is_not_there_is_said():
    """Breaks when rounding errors are called an object."""
    cache = tiny_cache()
    alike = replace(cache, _tokens=tuple(torch.ones_like(one) * 0.3 for one in cache.tokens))
    with pytest.raises(ValueError, match="no foreground can be told"):
        vw.probes.pca_colors(alike, 0, foreground=True)
    alone = tiny_cache(torch.float64)
    tokens = torch.zeros_like(alone.tokens[1])
    tokens[0, 1 + 8, 3] = 1.0
    with pytest.raises(ValueError, match="the foreground is 1 patch"):
        vw.probes.pca_colors(replace(alone, _tokens=(tokens, tokens)), 1, foreground=True)


def test_several_captures_are_one_set():
    """Breaks when each capture is fitted alone, or its images are counted from 0 again."""
    both = tiny_cache(torch.float64)
    alone = [vw.capture(both.model, both.images[[at]]) for at in (0, 1)]
    together = vw.probes.pca_colors(alone, 1, of="keys")
    wanted = vw.probes.pca_colors(both, 1, of="keys")
    np.testing.assert_allclose(together.values, wanted.values, atol=1e-6)
    assert together.params == wanted.params
    one = vw.probes.pca_colors(alone, 1, images=[1])
    np.testing.assert_allclose(one.values, vw.probes.pca_colors(alone[1], 1).values)
    with pytest.raises(IndexError, match="image 2 is out of range: there are 0 to 1"):
        vw.probes.pca_colors(alone, 1, images=[2])
    with pytest.raises(ValueError, match="4 x 6 with 16 features and of 4 x 6 with 32 features"):
        vw.probes.pca_colors([both, tiny_cache(embed_dim=32)], 1)

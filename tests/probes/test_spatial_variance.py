"""Evenness of maps: exact values, and a sentence that follows the numbers."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from vit_widgets.probes import SpatialVariance, spatial_variance


@pytest.fixture(scope="module")
def cache():
    """Three pictures through the demo model."""
    return vw.capture("demo", vw.demo.images(3), keep=("tokens", "neurons"))


def test_it_is_the_variance_of_the_patches_over_their_squared_mean(cache):
    """Breaks when the class token is taken in, or images, layers and neurons are confused."""
    found = spatial_variance(cache)
    assert found.values.shape == (3, 6, 768)
    for image, layer, neuron in ((0, 0, 0), (1, 3, 41), (2, 5, 767)):
        patches = cache.neurons[layer][image, 1:, neuron].double().numpy()
        assert len(patches) == 144
        mean = sum(patches) / 144
        variance = sum((one - mean) ** 2 for one in patches) / 144
        assert found.values[image, layer, neuron] == pytest.approx(variance / mean**2, rel=1e-9)
    assert found.medians[2] == pytest.approx(np.median(found.values[:, 2]))
    assert (np.diff(found.quartiles, axis=0) > 0).all()


def test_scale_does_not_matter_and_an_even_map_is_zero(cache, monkeypatch):
    """Breaks when the variance is not taken relative to the mean."""
    values = tuple(4 * layer for layer in cache.neurons)
    flat = tuple(torch.ones_like(layer) for layer in cache.neurons)
    before = spatial_variance(cache).values
    monkeypatch.setattr(type(cache), "neurons", property(lambda _: values))
    assert np.allclose(spatial_variance(cache).values, before, rtol=1e-4)
    monkeypatch.setattr(type(cache), "neurons", property(lambda _: flat))
    assert (spatial_variance(cache).values == 0).all()
    zero = tuple(torch.zeros_like(layer) for layer in cache.neurons)
    monkeypatch.setattr(type(cache), "neurons", property(lambda _: zero))
    assert np.isnan(spatial_variance(cache).values).all()


def made(medians):
    """A result with one image and one neuron a layer."""
    return SpatialVariance(np.array(medians, float)[None, :, None], tuple("abcdef"[: len(medians)]))


@pytest.mark.parametrize(
    ("medians", "said"),
    [
        ([4, 3, 1], "clearly the most even"),
        ([4, 3, 2], "the most even, but not by half"),
        ([1, 3, 2], "not the most even"),
    ],
)
def test_the_sentence_about_the_last_layer_follows_the_numbers(medians, said):
    """Breaks when the paper's finding is claimed of a model that does not show it."""
    sentence = made(medians).last_layer
    assert said in sentence
    assert f"median of {medians[-1]}" in sentence
    assert f"layer before ({medians[-2]})" in sentence
    assert "no other layer" in made([2]).last_layer


def test_layers_of_several_widths_are_padded_with_nan():
    """Breaks when a neuron that a layer does not have gets a number."""
    model = vw.load("pvt_v2_b0", pretrained=False)
    noise = torch.randn(1, 3, 64, 64)
    found = spatial_variance(vw.capture(model, noise, keep=("tokens", "neurons")))
    widths = (~np.isnan(found.values[0])).sum(axis=1)
    assert len(set(widths)) > 1
    assert np.isfinite(found.medians).all()


def test_a_model_without_neurons_is_refused():
    """Breaks when the probe gives an empty table for a model that it says nothing about."""
    cache = vw.capture("demo", vw.demo.images(1), keep=("attention", "tokens"))
    with pytest.raises(ValueError, match="neurons were not kept"):
        spatial_variance(cache)

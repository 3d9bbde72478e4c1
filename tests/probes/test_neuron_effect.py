"""What silencing and doubling a neuron does to the scores."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from vit_widgets.probes import neuron_effect


@pytest.fixture(scope="module")
def net():
    """A random ViT of two blocks in float64."""
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, depth=2, num_classes=5, img_size=64
    ).double().eval()  # fmt: skip


@pytest.fixture(scope="module")
def images():
    """Two images."""
    return torch.rand(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_scores_are_those_of_scaled_weights(net, images):
    """Breaks when the factor is applied elsewhere than to the neuron's column of fc2."""
    effect = neuron_effect(net, images, 1, 40, factors=(0.0, 2.0, -3.0))
    assert effect.values.shape == (3, 2, 5)
    column = net.blocks[1].mlp.fc2.weight.data[:, 40]
    kept = column.clone()
    for factor, scores in zip(effect.factors, effect.values, strict=True):
        column.copy_(kept * factor)
        with torch.no_grad():
            assert np.allclose(scores, net(images), atol=1e-6)
    column.copy_(kept)
    with torch.no_grad():
        assert np.allclose(effect.plain, net(images), atol=1e-6)
    assert np.abs(effect.change[0]).max() > 1e-5


def test_probabilities_are_those_of_predict(net, images):
    """Breaks when scores are taken for probabilities."""
    effect = neuron_effect(net, images, 0, 3, factors=(1.0,))
    assert np.allclose(effect.plain_probabilities, vw.load(net).predict(images), atol=1e-6)
    assert np.array_equal(effect.values[0], effect.plain)
    assert np.allclose(effect.probabilities.sum(-1), 1)


def test_out_of_range_and_without_scores(net, images):
    """Breaks when a wrong neuron is silently another one, or features are taken for scores."""
    with pytest.raises(IndexError, match="layer 1 of ffn_act has neurons 0 to 767"):
        neuron_effect(net, images, 1, 768)
    headless = timm.create_model(
        "vit_tiny_patch16_224", pretrained=False, depth=1, num_classes=0, img_size=64
    )
    with pytest.raises(ValueError, match="scores"):
        neuron_effect(headless.eval(), images.float(), 0, 0)

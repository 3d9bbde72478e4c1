"""Interventions do what they say, and are undone."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw


@pytest.fixture(scope="module")
def tiny():
    """A random ViT of two blocks in float64."""
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=2, num_classes=5)
    return vw.load(net.double().eval())


@pytest.fixture(scope="module")
def batch():
    """One image."""
    return torch.rand(
        1, 3, 224, 224, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


def test_a_silenced_neuron_is_a_zero_column_of_the_second_projection(tiny, batch):
    """Breaks when another neuron, another layer or only some of the tokens are silenced."""
    with vw.edit(tiny, neurons={(1, 100): 0.0}):
        edited = tiny.predict(batch)
    column = tiny.module.blocks[1].mlp.fc2.weight.data[:, 100]
    kept = column.clone()
    column.zero_()
    expected = tiny.predict(batch)
    column.copy_(kept)
    assert np.abs(edited - expected).max() < 1e-6
    assert np.abs(edited - tiny.predict(batch)).max() > 1e-6


def test_factors_multiply_and_one_changes_nothing(tiny, batch):
    """Breaks when factors are added, or an edit by 1 changes a bit."""
    plain = vw.capture(tiny, batch)
    with vw.edit(tiny, neurons={(0, 3): 1.0}):
        assert torch.equal(vw.capture(tiny, batch).logits, plain.logits)
    with vw.edit(tiny, neurons={(0, 3): 2.0, (0, 4): -0.5, (1, 9): 0.0}):
        cache = vw.capture(tiny, batch)
    assert torch.equal(cache.neurons[0][..., 3], 2 * plain.neurons[0][..., 3])
    assert torch.equal(cache.neurons[0][..., 4], -0.5 * plain.neurons[0][..., 4])
    assert torch.equal(cache.neurons[0][..., 5], plain.neurons[0][..., 5])
    assert cache.neurons[1][..., 9].abs().max() == 0


def test_undone_on_exit_and_after_an_exception(tiny, batch):
    """Breaks when the model stays edited."""
    plain = tiny.predict(batch)
    with pytest.raises(KeyboardInterrupt), vw.edit(tiny, neurons={(0, 3): 0.0}):
        raise KeyboardInterrupt
    assert np.array_equal(tiny.predict(batch), plain)
    assert not any(part._forward_pre_hooks for part in tiny.module.modules())


@pytest.mark.parametrize(
    ("neurons", "says"),
    [
        ({(2, 0): 0.0}, "layer 2 is out of range: ffn_act has layers 0 to 1"),
        ({(1, 768): 0.0}, "neuron 768 is out of range: layer 1 of ffn_act has neurons 0 to 767"),
    ],
)
def test_what_is_out_of_range_is_named(tiny, neurons, says):
    """Breaks when a wrong index is wrapped around, or raises torch's own words."""
    with pytest.raises(IndexError, match=says), vw.edit(tiny, neurons=neurons):
        pass

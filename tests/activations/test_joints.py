"""What each head and neuron writes adds up to what its layer returns, however they are joined."""

import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from tests.activations.tiny_heads import Attention, Encoder, Forgetful, Net, plain, spread
from tests.models.module_state import state_of
from vit_widgets.activations.joints import block_joints, head_joints, neuron_joints
from vit_widgets.activations.seeing_joints import seeing_joints


def images(count: int = 2, side: int = 32, dtype=torch.float64) -> torch.Tensor:
    """Random images, as a model takes them."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, side, side, dtype=dtype, generator=generator)


def swin() -> nn.Module:
    """Two stages of windows."""
    torch.manual_seed(0)
    settings = {"img_size": 32, "patch_size": 4, "embed_dim": 16, "window_size": 4}
    return spread(
        timm.models.SwinTransformer(depths=(2, 2), num_heads=(2, 4), num_classes=5, **settings)
    )


MODELS = {
    "plain": (plain, "projection"),
    "registers, no class token": (
        lambda: plain(class_token=False, reg_tokens=2, global_pool="avg"),
        "projection",
    ),
    "windows": (swin, "projection"),
    "multi-head": (lambda: spread(Encoder()), "multi-head"),
    "multi-head, images second": (lambda: spread(Encoder(batch_first=False)), "multi-head"),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_heads_write_adds_up(name):
    """Breaks when heads are cut at the wrong features, or a wrong layer is taken for the
    projection: in float64 the parts and the bias are what the module returned.
    """
    make, reached = MODELS[name]
    model = vw.load(make())
    before = state_of(model.module)
    joints = head_joints(model, images())
    assert joints.resumes
    assert joints.notes == ()
    assert {one.reached for one in joints.found} == {reached}
    joined, returned = {}, {}
    handles = [
        model.module.get_submodule(one.returns).register_forward_hook(
            lambda _m, _a, output, at=one: returned.update(
                {at: output[0] if isinstance(output, tuple) else output}
            )
        )
        for one in joints.found
    ]
    with model.evaluating(), seeing_joints(model, joints.found, joined.__setitem__):
        model.run(images())
    for handle in handles:
        handle.remove()
    assert len(joined) == len(joints.layers) == len(returned)
    for at, parts in joined.items():
        total = at.written(model, parts, returned[at], range(at.parts)).sum(dim=0)
        _, bias = at.projection(model)
        assert torch.allclose(total + bias, returned[at], rtol=0, atol=1e-10)
        assert total.abs().max() > 0.01
    assert state_of(model.module) == before


@pytest.mark.parametrize("name", MODELS)
def test_a_gate_of_zero_is_a_projection_without_those_columns(name):
    """Breaks when the gate scales other features than those of its head, in any layout."""
    make, _ = MODELS[name]
    model = vw.load(make())
    at = head_joints(model, images()).found[1]
    gates = torch.ones(2, at.parts, dtype=torch.float64)
    gates[:, 1] = 0
    with model.evaluating():
        with seeing_joints(model, [at], lambda one, parts: one.gated(parts, _rows(gates, parts))):
            gated = model.run(images())
        weight, _ = at.projection(model)
        weight[:, at.features : 2 * at.features] = 0
        expected = model.run(images())
    assert torch.allclose(gated, expected, rtol=0, atol=1e-10)


def _rows(gates: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
    assert len(parts) == len(gates)
    return gates


def test_a_layer_that_reads_the_heads_beside_the_projection_is_noticed():
    """Breaks when an adapter beside the projection is overlooked: heads would be half silenced."""
    model = vw.load(spread(Net(Attention(beside=nn.Linear(16, 16)), Attention())))
    joints = head_joints(model, images())
    assert [one.reached for one in joints.found] == ["site", "projection"]
    assert "layer 0" in joints.notes[0]
    assert "full forward" in joints.notes[0]


def test_a_norm_before_the_projection_is_noticed():
    """Breaks when heads are called joined where what they write is no sum."""
    model = vw.load(spread(Net(Attention(between=nn.LayerNorm(16)), Attention())))
    joints = head_joints(model, images())
    assert [one.reached for one in joints.found] == ["site", "projection"]


def test_a_forward_that_hands_on_something_beside_its_blocks_is_not_resumed():
    """Breaks when resuming is taken for granted."""
    model = vw.load(spread(Forgetful(Attention(), Attention(), Attention())))
    joints = head_joints(model, images())
    assert not joints.resumes
    assert "cannot be resumed" in joints.notes[0]


def test_heads_that_are_nowhere_side_by_side():
    """Breaks when a model without such heads gives an empty result instead of a sentence."""
    attending_nowhere = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten())
    with pytest.raises(ValueError, match="cannot be told apart"):
        head_joints(attending_nowhere, images(dtype=torch.float32))


def test_neurons_and_blocks_are_found_as_well():
    """Breaks when a neuron is not a part of one feature of the second projection."""
    model = vw.load(plain())
    joints = neuron_joints(model, images())
    assert [one.returns for one in joints.found] == [f"blocks.{n}.mlp.fc2" for n in range(3)]
    assert {(one.parts, one.features) for one in joints.found} == {(128, 1)}
    assert joints.resumes
    assert block_joints(model, images()).blocks == ("blocks.0", "blocks.1", "blocks.2")
    assert block_joints(model, images()).resumes

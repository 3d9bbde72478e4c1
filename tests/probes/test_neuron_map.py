"""Maps of neurons: identities with the raw activations, and the inverse question."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from vit_widgets.models import Grid, TokenAxis
from vit_widgets.probes import active_at, neuron_map


@pytest.fixture(scope="module")
def cache():
    """A model with two prefix tokens and a grid that is not square, in float64."""
    module = timm.create_model(
        "deit_tiny_distilled_patch16_224", pretrained=False, depth=2, img_size=(64, 96)
    )
    torch.manual_seed(0)
    return vw.capture(module.double().eval(), torch.randn(2, 3, 64, 96), keep=("tokens", "neurons"))


def test_a_map_is_the_activations_of_the_patches_in_raster_order(cache):
    """Breaks when prefix tokens are drawn, or rows and columns change places."""
    found = neuron_map(cache, layer=1, neuron=7, image=1)
    raw = cache.neurons[1][1, :, 7].float().numpy()
    assert found.values.shape == (4, 6)
    for row in range(4):
        for col in range(6):
            assert found.values[row, col] == raw[2 + row * 6 + col]
    assert found.score == pytest.approx(raw[2:].astype(float).mean(), rel=1e-9)


def test_the_normalised_map_runs_from_zero_to_one_and_a_flat_one_does_not_divide_by_zero(cache):
    """Breaks when the scale is not that of the map, or a constant map is NaN."""
    found = neuron_map(cache, layer=0, neuron=3)
    assert found.normalised.min() == 0
    assert found.normalised.max() == 1
    assert found.normalised.argmax() == found.values.argmax()
    flat = type(found)(np.full((2, 2), 0.7, np.float32))
    assert (flat.normalised == 0).all()


def test_without_positions_the_map_moves_with_the_patches(monkeypatch):
    """Breaks when a patch is drawn in another one's place: 1e-5, at every layer."""
    module = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=2, img_size=64)
    with torch.no_grad():
        module.pos_embed.zero_()
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    rolled = torch.roll(image, (16, -32), (2, 3))  # one patch down, two to the left
    # without positions no token says where it lies: the sequence is read as the model has it
    seen = vw.capture(module.eval(), torch.cat([image, rolled]), keep=("neurons",))
    axis = TokenAxis(17, ("class",), Grid(4, 4, (16, 16)))
    monkeypatch.setattr(type(seen), "neuron_axes", property(lambda _: (axis, axis)))
    for layer in range(2):
        one, other = (neuron_map(seen, layer, 11, image=index).values for index in (0, 1))
        assert np.abs(np.roll(one, (1, -2), (0, 1)) - other).max() < 1e-5
        assert np.ptp(one) > 1e-3


def test_active_at_ranks_every_neuron_of_a_token(cache):
    """Breaks when tokens, images or the order are confused."""
    found = active_at(cache, layer=1, query=2 + 9, n=5, image=1)
    there = cache.neurons[1][1, 11].float().numpy()
    assert found.neurons.tolist() == sorted(range(len(there)), key=lambda i: (-there[i], i))[:5]
    assert (found.values == there[found.neurons]).all()
    # the neuron found at a patch has that value on its map
    best = neuron_map(cache, layer=1, neuron=int(found.neurons[0]), image=1)
    assert best.values.ravel()[9] == found.values[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: neuron_map(c, 2, 0), "layer 2 is out of range: there are 0 to 1"),
        (lambda c: neuron_map(c, -1, 0), "layer -1 is out of range"),
        (lambda c: neuron_map(c, 0, 768), "neuron of layer 0 768 .* there are 0 to 767"),
        (lambda c: neuron_map(c, 0, 0, image=2), "image 2 is out of range: there are 0 to 1"),
        (lambda c: active_at(c, 0, 26), "token of layer 0 26 is out of range: there are 0 to 25"),
    ],
)  # fmt: skip
def test_out_of_range_names_the_range(cache, call, message):
    """Breaks when a negative or large index silently means another one."""
    with pytest.raises(IndexError, match=message):
        call(cache)


def test_what_cannot_be_answered_is_said(cache, monkeypatch):
    """Breaks when a map is drawn without places, or more neurons are promised than there are."""
    with pytest.raises(ValueError, match="n=769 neurons were asked for; layer 0 has 1 to 768"):
        active_at(cache, 0, 0, n=769)
    monkeypatch.setattr(type(cache), "neuron_axes", property(lambda _: (None, None)))
    with pytest.raises(ValueError, match="is not known, so it has no maps"):
        neuron_map(cache, 0, 0)

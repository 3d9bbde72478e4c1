"""Features are read and replaced where they arise, and the forward ends there."""

import re

import pytest
import timm
import torch
import torchvision
from torch import nn

import vit_widgets as vw
from vit_widgets.activations import SPACES, read, read_all, seeing, site, sites


@pytest.fixture(scope="module")
def tiny():
    """A random ViT with two prefix tokens, in float64."""
    torch.manual_seed(0)
    net = timm.create_model("deit_tiny_distilled_patch16_224", pretrained=False, depth=2)
    return vw.load(net.double().eval())


@pytest.fixture(scope="module")
def batch():
    """Two images."""
    return torch.rand(
        2, 3, 224, 224, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


def hooked(net, path, batch, end):
    """What a plain hook sees, for comparison."""
    kept = []
    part = net.get_submodule(path)
    handle = part.register_forward_hook(lambda _m, args, out: kept.append((args[0], out)))
    with torch.no_grad():
        net(batch)
    handle.remove()
    return kept[0][end == "output"]


@pytest.mark.parametrize(
    ("space", "path", "end"),
    [
        ("ffn_act", "blocks.1.mlp.fc2", "input"),
        ("ffn_pre", "blocks.1.mlp.fc1", "output"),
        ("attn_in", "blocks.1.attn", "input"),
        ("attn_out", "blocks.1.attn", "output"),
        ("resid", "blocks.1", "output"),
    ],
)
def test_a_space_is_what_its_name_says(tiny, batch, space, path, end):
    """Breaks when a space is read at another module, or at its other end."""
    found = site(tiny, 1, space)
    assert (found.path, found.end) == (path, end)
    with tiny.evaluating():
        values = read(tiny, found, batch)
    assert torch.equal(values, hooked(tiny.module, path, batch, end))
    assert found.axis.prefix == ("class", "distillation")
    assert found.patches == slice(2, 198)


def test_q_k_v_are_slices_of_the_fused_projection(tiny, batch):
    """A3: breaks when heads are joined in another order, or q, k and v are mixed up."""
    fused = hooked(tiny.module, "blocks.1.attn.qkv", batch, "output")
    with tiny.evaluating():
        read_at = [read(tiny, site(tiny, 1, space), batch) for space in "qkv"]
    assert all(torch.equal(a, b) for a, b in zip(read_at, fused.chunk(3, dim=-1), strict=True))


def test_the_forward_ends_at_the_site(tiny, batch):
    """Breaks when what comes after the site is computed as well."""
    ran = []
    handles = [
        block.register_forward_hook(lambda *_: ran.append(1)) for block in tiny.module.blocks
    ]
    with tiny.evaluating():
        read(tiny, site(tiny, 0), batch)
        assert ran == []
        first, second = read_all(tiny, [site(tiny, 0, "resid"), site(tiny, 1)], batch)
        assert ran == [1]
    for handle in handles:
        handle.remove()
    assert first.shape == (2, 198, 192)
    assert second.shape == (2, 198, 768)


def test_gradients_flow_to_the_pixels_and_nowhere_else(tiny, batch):
    """Breaks when what is read is detached, or weights get a gradient."""
    pixels = batch[:1].clone().requires_grad_()
    with tiny.evaluating(), torch.enable_grad():
        value = read(tiny, site(tiny, 1), pixels)[0, 5, 7]
        [gradient] = torch.autograd.grad(value, pixels)
    assert gradient.abs().sum() > 0
    assert all(weight.grad is None for weight in tiny.module.parameters())


def test_what_is_returned_takes_the_place_of_what_was_there(tiny, batch):
    """Breaks when a replacement is lost, or lands in another layout."""
    with tiny.evaluating():
        plain = tiny.run(batch)
        for space in SPACES[:-1]:
            found = sites(tiny, space)
            with seeing(tiny, found, lambda _at, values: values.clone()):
                assert torch.equal(tiny.run(batch), plain), space
            with seeing(tiny, found[1:], lambda _at, values: values * 1.5):
                changed = tiny.run(batch)
            assert not torch.allclose(changed, plain), space
        zeroed = tiny.module.blocks[1].mlp.fc2
        with seeing(tiny, sites(tiny)[1:], lambda _at, values: torch.zeros_like(values)):
            silent = hooked(tiny.module, "blocks.1.mlp.fc2", batch, "output")
        assert torch.equal(silent, zeroed.bias.expand_as(silent))


class StoppedError(Exception):
    """Raised on purpose."""


def test_nothing_is_left_behind(tiny, batch):
    """Breaks when a hook, a mode or a flag survives the block, also after an exception."""

    def stop(_at, _values):
        raise StoppedError

    with tiny.evaluating():
        plain = tiny.run(batch)
        for space in ("ffn_act", "resid", "q"):
            with pytest.raises(StoppedError), seeing(tiny, sites(tiny, space), stop):
                tiny.run(batch)
        assert torch.equal(tiny.run(batch), plain)
    for part in tiny.module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks


class Block(nn.Module):
    """Attention without weights, and a feed-forward layer."""

    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))

    def forward(self, x):
        """Run one block."""
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
        mixed = nn.functional.scaled_dot_product_attention(heads, heads, heads)
        x = x + mixed.transpose(1, 2).flatten(2)
        return x + self.mlp(x)


class Repeating(nn.Module):
    """One block that runs three times."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.ModuleList([Block()] * 3)

    def forward(self, x):
        """Run it."""
        x = self.embed(x).flatten(2).mT
        for block in self.blocks:
            x = block(x)
        return x.mean(1)


def test_a_module_that_runs_more_than_once_has_a_site_for_each_time():
    """Breaks when calls of one module are told apart by its path alone."""
    torch.manual_seed(0)
    net = Repeating().double().eval()
    model = vw.load(net, transform=lambda image: torch.rand(3, 16, 16))
    pixels = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    found = sites(model, images=pixels)
    assert [one.call for one in found] == [0, 1, 2]
    cache = vw.capture(model, pixels)
    with model.evaluating():
        for one, neurons in zip(found, cache.neurons, strict=True):
            assert torch.equal(read(model, one, pixels), neurons)
    with vw.edit(model, neurons={(1, 3): 0.0}, images=pixels):
        edited = vw.capture(model, pixels)
    assert edited.neurons[1][..., 3].abs().sum() == 0
    assert torch.equal(edited.neurons[0], cache.neurons[0])


def test_any_module_can_be_named(batch):
    """A6: breaks when the channels of a convolution are not features, or its places are lost."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18().double().eval()
    model = vw.load(net)
    found = site(model, "layer3.1.conv2", "output")
    assert (found.features, found.tokens) == (256, 14 * 14)
    assert (found.axis.grid.rows, found.axis.grid.cell) == (14, (16.0, 16.0))
    with model.evaluating():
        values = read(model, found, batch)
    expected = hooked(net, "layer3.1.conv2", batch, "output")
    assert torch.equal(values, expected.flatten(2).mT)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: site(m, 2), "layer 2 is out of range: ffn_act has layers 0 to 1"),
        (lambda m: site(m, "blocks.1"), "layer 'blocks.1' is out of range"),
        (lambda m: sites(m, "mlp"), "the spaces are 'ffn_act'"),
        (lambda m: sites(m, "output"), "name a module"),
        (lambda m: site(m, "blocks.9", "output"), "has no module 'blocks.9'; its modules are"),
        (lambda m: site(m, "pos_drop.x", "output"), "has no module"),
    ],
)
def test_what_is_not_there_is_named(tiny, call, says):
    """Breaks when a layer, space or path that is not there gives no sentence that helps."""
    with pytest.raises((IndexError, ValueError), match=re.escape(says)):
        call(tiny)


def test_a_model_without_the_space_says_so():
    """Breaks when a convolutional network is answered with an empty list."""
    model = vw.load(torchvision.models.resnet18())
    with pytest.raises(ValueError, match="has no ffn_act: no feed-forward layer ran"):
        sites(model)

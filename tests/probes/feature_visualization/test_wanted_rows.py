"""Only the wanted rows are computed, and they are the same; where they would not be, all are."""

import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from tests.families.tiny_models import EVERY
from tests.models.module_state import state_of
from tests.probes.feature_visualization.models import tiny_vit
from vit_widgets.activations import site
from vit_widgets.probes.feature_visualization import Features
from vit_widgets.probes.feature_visualization.wanted_rows import wanted_rows


@pytest.mark.parametrize("space", ["ffn_act", "ffn_pre"])
def test_rows_read_alone_are_those_read_among_all(space):
    """Breaks when other rows are taken, or values or gradients of them differ."""
    model, rows = tiny_vit(), (3, 90, 8)
    target = Features(site(model, 1, space))
    narrow = wanted_rows(model, target, rows)
    before = state_of(model.module)
    batch = torch.rand(2, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    with model.evaluating(), torch.enable_grad():
        alone = narrow.read(model, batch)
        among = target.read(model, batch)[:, rows]
    assert alone.shape == (2, 3)
    assert torch.allclose(alone, among)
    slopes = [torch.autograd.grad(one.sum(), [batch])[0] for one in (alone, among)]
    assert torch.allclose(*slopes)
    assert state_of(model.module) == before


def test_the_other_rows_are_not_computed():
    """Breaks when the whole projection runs after all: what it gives has one column a row."""
    model, widths = tiny_vit(), []
    narrow = wanted_rows(model, Features(site(model, 1)), [5])
    model.module.blocks[1].mlp.act.register_forward_hook(lambda *a: widths.append(a[2].shape[-1]))
    with model.evaluating():
        narrow.read(model, torch.rand(1, 3, 32, 32, dtype=torch.float64))
    assert widths == [1]


class Competing(nn.Module):
    """An activation in which every unit feels the strongest of all."""

    def forward(self, x):
        """Scale by the highest unit."""
        active = nn.functional.gelu(x)
        return active * active.amax(dim=-1, keepdim=True)


def test_units_that_know_their_neighbours_are_read_among_all():
    """Breaks when a norm over the hidden units is taken over the wanted ones."""
    gated = timm.create_model("eva02_tiny_patch14_224", pretrained=False, depth=2).eval()
    for model in (
        tiny_vit(act_layer=Competing),
        tiny_vit(scale_mlp_norm=True),
        vw.load(gated),
    ):
        target = Features(site(model, 1))
        assert wanted_rows(model, target, [1, 2]) is None
    model = tiny_vit()
    assert wanted_rows(model, Features(site(model, 1, "q")), [1]) is None


@pytest.mark.parametrize("family", ["vision_transformer", "swin_transformer", "davit"])
def test_families_with_plain_layers_are_read_row_by_row(family):
    """Breaks when the way is never taken, so that nothing is saved."""
    tiny = next(tiny for tiny in EVERY if tiny.family == family)
    from torchvision import transforms

    to_size = transforms.Compose([transforms.Resize(tiny.size), transforms.ToTensor()])
    model = vw.load(tiny.model(), transform=to_size)
    assert wanted_rows(model, Features(site(model, 0)), [1, 0]) is not None

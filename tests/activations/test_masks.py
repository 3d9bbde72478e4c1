"""A bias that is a sum over rows and columns is kept as that sum, and nothing else is."""

import timm
import torch

import vit_widgets as vw
from vit_widgets.activations import masks


def test_decomposed_positions_are_kept_as_rows_and_columns(monkeypatch):
    """The weights stay those of the whole bias, to 1e-10; breaks when rows and columns change
    places, or a head's bias is given to another.
    """
    torch.manual_seed(0)
    module = timm.create_model(
        "samvit_base_patch16_224", pretrained=False, img_size=(64, 96), embed_dim=24, depth=2,
        num_heads=3, window_size=4, global_attn_indexes=(1,),
    ).double().eval()  # fmt: skip
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "rel_pos" in name or "qkv" in name:
                parameter.normal_()
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    whole = vw.capture(module, x, keep=("attention",))
    monkeypatch.setattr(masks, "SMALL", 0)
    slim = vw.capture(module, x, keep=("attention",))
    assert slim.nbytes < whole.nbytes
    for a, b in zip(whole.attention, slim.attention, strict=True):
        assert isinstance(b._event.mask, masks.SumOfAxes)
        for image in (0, 1):
            for group in range(a.groups):
                difference = a.weights(image=image, group=group) - b.weights(
                    image=image, group=group
                )
                assert abs(difference).max() < 1e-10


def test_any_other_mask_stays_as_it_is(monkeypatch):
    """Breaks when a bias that is no such sum is made one."""
    monkeypatch.setattr(masks, "SMALL", 0)
    torch.manual_seed(0)
    free, chosen = torch.randn(1, 2, 12, 12), torch.rand(12, 12) > 0.5
    assert torch.equal(masks.slim(free), free)
    assert torch.equal(masks.slim(chosen), chosen)
    summed = (torch.randn(1, 2, 12, 3, 1) + torch.randn(1, 2, 12, 1, 4)).flatten(-2)
    assert isinstance(masks.slim(summed), masks.SumOfAxes)
    spoiled = summed.clone()
    spoiled[0, 1, 7, 5] += 0.01
    assert isinstance(masks.slim(spoiled), torch.Tensor)

"""The linear map of patches is found by asking the model, and refused where there is none."""

import itertools

import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from vit_widgets.activations.embedding import patch_embedding

SHAPE = (3, 16, 24)


class Flattened(nn.Module):
    """A linear layer over flattened patches of 4 x 6 pixels, each in one order of its axes."""

    def __init__(self, order: str, before: nn.Module | None = None) -> None:
        super().__init__()
        self.order = order
        self.before = before or nn.Identity()
        self.scale = nn.Linear(5, 7)  # runs first, and sees no pixel
        self.project = nn.Linear(72, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of (image, 3, height, width), (image, 10)."""
        self.scale(torch.zeros(len(images), 2, 5, dtype=images.dtype))
        cut = images.unfold(2, 4, 4).unfold(3, 6, 6)  # image, channel, row, col, y, x
        at = {"c": 1, "y": 4, "x": 5}
        flat = cut.permute(0, 2, 3, *(at[name] for name in self.order)).flatten(3).flatten(1, 2)
        return self.project(self.before(flat)).mean(1)


@pytest.mark.parametrize("order", ["".join(one) for one in itertools.permutations("cyx")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_order_of_flattened_pixels_is_read_off_the_model(order: str, dtype: torch.dtype):
    """Breaks when a layout is guessed: five of the six orders would then be laid out wrongly."""
    torch.manual_seed(0)
    module = Flattened(order).to(dtype).eval()
    found = patch_embedding(vw.load(module, transform=lambda _: torch.zeros(SHAPE)))
    assert found.path == "project"
    image = torch.rand(SHAPE, dtype=dtype)
    ours = found.patches(image).reshape(16, -1) @ found.filters.reshape(10, -1).T + found.bias
    wanted = module(image[None]).detach()[0].double()
    tolerance = 1e-12 if dtype == torch.float64 else 2e-2
    torch.testing.assert_close(
        torch.from_numpy(ours).double().mean(0), wanted, rtol=0, atol=tolerance
    )


def test_a_convolution_is_laid_out_as_an_explicit_unfold_says():
    """Breaks when rows and columns of a kernel, or its channels, change places."""
    conv = nn.Conv2d(3, 5, (4, 6), (4, 6)).double()
    model = vw.load(nn.Sequential(conv, nn.Flatten()), transform=lambda _: torch.zeros(SHAPE))
    found = patch_embedding(model)
    image = torch.rand(1, *SHAPE, dtype=torch.float64)
    columns = nn.functional.unfold(image, (4, 6), stride=(4, 6))[0]  # (pixel, patch)
    wanted = torch.from_numpy(found.filters.reshape(5, -1)) @ columns
    wanted += torch.from_numpy(found.bias)[:, None]
    torch.testing.assert_close(conv(image).flatten(2)[0], wanted)
    assert found.grid(16, 24).size == 16


class Adapted(nn.Conv2d):
    """A convolution that adds something of its own to what its weight makes."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of (image, channel, height, width)."""
        return super().forward(images) + images.mean()


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Flatten()), "kernels of 3 x 3 pixels, stride 2"),
        (nn.Sequential(nn.Conv2d(3, 6, 4, 4, groups=3), nn.Flatten()), "3 groups"),
        (nn.Sequential(nn.Conv2d(3, 6, 4, 4, padding=1), nn.Flatten()), "padding"),
        (nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 6, 4, 4)), "given the pixels themselves"),
        (nn.Sequential(Adapted(3, 6, 4, 4), nn.Flatten()), "something else than its weights"),
        (Flattened("cyx", nn.LayerNorm(72)), "given the pixels themselves"),
    ],
)
def test_what_is_no_linear_map_of_disjoint_patches_is_refused(module: nn.Module, said: str):
    """Breaks when filters are shown that are not what makes a patch a token."""
    model = vw.load(module, transform=lambda _: torch.zeros(SHAPE))
    with pytest.raises(ValueError, match="no linear map of disjoint patches") as error:
        patch_embedding(model)
    assert said in str(error.value)


def test_nothing_is_left_on_the_model():
    """Breaks when a hook, a mode or a changed weight stays behind, also after a refusal."""
    held = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=3
    ).train()
    refused = Flattened("cyx", nn.LayerNorm(72)).train()
    before = held.patch_embed.proj.weight.clone()
    patch_embedding(vw.load(held))
    with pytest.raises(ValueError, match="no linear map"):
        patch_embedding(vw.load(refused, transform=lambda _: torch.zeros(SHAPE)))
    for module in (*held.modules(), *refused.modules()):
        assert module.training
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert torch.equal(before, held.patch_embed.proj.weight)


def test_weights_that_were_trained_meanwhile_are_read_anew():
    """Breaks when filters are kept from the first time that they were asked for."""
    module = nn.Sequential(nn.Conv2d(3, 5, 4, 4), nn.Flatten())
    model = vw.load(module, transform=lambda _: torch.zeros(SHAPE))
    first = patch_embedding(model).filters.copy()
    with torch.no_grad():
        module[0].weight.mul_(2)
    assert (patch_embedding(model).filters == 2 * first).all()

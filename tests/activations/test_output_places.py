"""Where the tokens of blocks and the hidden units of their layers lie."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw


@pytest.mark.parametrize(
    ("name", "settings", "grids", "features"),
    [
        ("vit_tiny_patch16_224", {"depth": 2}, [(14, 14)] * 2, [192] * 2),
        ("swin_tiny_patch4_window7_224", {"depths": (1, 1), "embed_dim": 24, "num_heads": (1, 2)},
         [(56, 56), (28, 28)], [24, 48]),
        ("convnext_atto", {"depths": (1, 1, 1, 1)}, [(56, 56), (28, 28), (14, 14), (7, 7)],
         [40, 80, 160, 320]),
        ("pvt_v2_b0", {"depths": (1, 1, 1, 1)}, [(56, 56), (28, 28), (14, 14), (7, 7)],
         [32, 64, 160, 256]),
    ],
)  # fmt: skip
def test_tokens_come_in_raster_order_with_their_grid(name, settings, grids, features):
    """A pixel of the input moves the token over it in the first block; breaks when rows, columns
    and features of a map are confused, or a grid is that of another stage.
    """
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False, **settings).eval()
    cache = vw.capture(module, torch.randn(1, 3, 224, 224))
    axes = cache.token_axes
    assert [(axis.grid.rows, axis.grid.cols) for axis in axes] == grids
    assert [tokens.shape[1:] for tokens in cache.tokens] == [
        (axis.size, width) for axis, width in zip(axes, features, strict=True)
    ]
    assert cache.neuron_axes == axes
    assert all(axis.cells is None for axis in axes)


def test_the_tokens_of_hiera_lie_where_it_unrolled_them():
    """Breaks when a sequence whose length fits a grid is taken to be in raster order."""
    module = timm.create_model("hiera_tiny_224", pretrained=False, embed_dim=24).eval()
    cache = vw.capture(module, torch.randn(1, 3, 224, 224))
    first = cache.token_axes[0]
    with torch.no_grad():
        index = torch.arange(56 * 56.0).reshape(1, -1, 1)
        unrolled = module.unroll(index).reshape(-1).int().numpy()
    assert np.array_equal(first.places[0], unrolled)
    assert not np.array_equal(unrolled, np.arange(56 * 56))


def test_tokens_of_no_known_order_stay_as_they_are():
    """Breaks when a map whose axes cannot be told is reordered by a guess."""

    class Shuffled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cut = torch.nn.Conv2d(3, 8, 8, 8)
            self.blocks = torch.nn.ModuleList(
                [torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)]
            )

        def forward(self, x):
            tokens = self.cut(x).flatten(2).mT
            tokens = tokens.gather(1, tokens[..., :1].argsort(1).expand_as(tokens))
            for block in self.blocks:
                tokens = block(tokens)
            return tokens.mean(1)

    torch.manual_seed(0)
    cache = vw.capture(Shuffled().eval(), torch.randn(1, 3, 32, 32))
    assert cache.tokens[0].shape == (1, 16, 8)
    assert cache.token_axes == (None, None)

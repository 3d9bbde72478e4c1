"""Small random models and captures of them: a grid that is no square, one that shrinks, none."""

import timm
import torch

import vit_widgets as vw


def tiny_cache(dtype: torch.dtype = torch.float32, **changes: object) -> vw.ActivationCache:
    """Two images of 4 x 6 patches, two layers, a class token."""
    torch.manual_seed(0)
    sizes = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = timm.models.VisionTransformer(**{**sizes, "num_classes": 3, **changes}).eval()
    images = torch.rand(2, 3, 32, 48, dtype=dtype)
    return vw.capture(model.to(dtype), images, keep=("attention", "tokens"))


def shrinking_cache() -> vw.ActivationCache:
    """One image of 8 x 8 patches in windows of 4 x 4, then of 4 x 4; two layers each."""
    torch.manual_seed(0)
    model = tiny_swin(depths=(2, 2), num_heads=(1, 2))
    return vw.capture(model, torch.rand(1, 3, 32, 32), keep=("attention", "tokens"))


def tiny_swin(**changes: object) -> timm.models.SwinTransformer:
    """8 x 8 patches in windows of 4 x 4, merged after each stage."""
    sizes = {"img_size": 32, "patch_size": 4, "embed_dim": 8, "window_size": 4, "num_classes": 3}
    return timm.models.SwinTransformer(**{**sizes, **changes}).eval()


class Picked(torch.nn.Module):
    """Two blocks of 4 x 4 patches; the second is given the nine that the first makes largest.

    Where its tokens lie depends on what they hold, so it is not known.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vit = timm.models.VisionTransformer(
            img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3
        ).eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Give the mean of the tokens that are left."""
        tokens = self.vit.blocks[0](self.vit.patch_embed(images))
        kept = tokens.norm(dim=-1).topk(9).indices
        return self.vit.blocks[1](tokens[torch.arange(len(tokens))[:, None], kept]).mean(1)

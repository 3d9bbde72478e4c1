"""Captures of small random models: a grid that is no square, and one that shrinks."""

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
    model = timm.models.SwinTransformer(
        img_size=32, patch_size=4, embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=4,
        num_classes=3,
    ).eval()  # fmt: skip
    return vw.capture(model, torch.rand(1, 3, 32, 32), keep=("attention", "tokens"))

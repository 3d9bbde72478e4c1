"""A capture of a small random model whose grid is no square."""

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

"""A small model in float64 whose grid is no square, and whose scores depend on what it sees."""

import timm
import torch
from torch import nn

GRID = (4, 6)
SIZE = (32, 48)


def tiny_vit(**changes: object) -> nn.Module:
    """Two layers, two heads, a class token, 5 classes; the same weights each time."""
    torch.manual_seed(0)
    sizes = {"img_size": SIZE, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    model = timm.models.VisionTransformer(**{**sizes, "num_classes": 5, **changes}).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:
                alone = name in ("cls_token", "pos_embed", "reg_token")
                std = 0.3 if alone else 1.2 * parameter[0].numel() ** -0.5
                parameter.normal_(std=std, generator=generator)
    return model.eval()


def pictures(images: int = 1) -> torch.Tensor:
    """Inputs of it, float64 (image, 3, 32, 48)."""
    draws = torch.Generator().manual_seed(1)
    return torch.randn(images, 3, *SIZE, generator=draws, dtype=torch.float64)

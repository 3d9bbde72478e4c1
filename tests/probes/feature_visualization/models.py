"""Tiny models whose features are known, or that fail in a known way."""

import math

import timm
import torch
from torch import nn

import vit_widgets as vw


def tiny_vit(depth=2, dtype=torch.float64, **own):
    """A random ViT of 4 × 4 patches, 32 wide, with 128 neurons in each layer, far from uniform."""
    torch.manual_seed(0)
    module = timm.models.VisionTransformer(
        **{
            "img_size": 32,
            "patch_size": 8,
            "embed_dim": 32,
            "depth": depth,
            "num_heads": 4,
            "num_classes": 5,
        }
        | own
    )
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=1.5 * parameter[0].numel() ** -0.5)
            elif name.endswith("bias"):
                parameter.normal_(std=0.2)
    return vw.load(module.to(dtype).eval())


def linear_vit():
    """A ViT whose first projection sees nothing but its own patch, linearly.

    Attention gives nothing, norms do nothing, and no patch has a place of its own.
    """
    model = tiny_vit(depth=1, norm_layer=lambda *_, **__: nn.Identity())
    with torch.no_grad():
        model.module.blocks[0].attn.proj.weight.zero_()
        model.module.blocks[0].attn.proj.bias.zero_()
        model.module.pos_embed.zero_()
    return model


class Failing(nn.Module):
    """Does something to what passes through, after `calls_left` more calls."""

    def __init__(self, inner, deed):
        super().__init__()
        self.inner, self.deed, self.calls_left = inner, deed, math.inf

    def forward(self, *args, **kwargs):
        """Count down, and then do it."""
        self.calls_left -= 1
        output = self.inner(*args, **kwargs)
        return self.deed(output) if self.calls_left < 0 else output

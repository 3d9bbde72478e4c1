"""Tiny models whose heads are joined in different ways."""

import timm
import torch
from torch import nn
from torch.nn import functional as F


def plain(depth: int = 3, **changes) -> nn.Module:
    """A random ViT in float64 whose heads all matter: 32 pixels, 16 patches, 4 heads of 8."""
    torch.manual_seed(0)
    settings = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "num_heads": 4, "num_classes": 5}
    model = timm.models.VisionTransformer(depth=depth, **{**settings, **changes})
    return spread(model)


def spread(model: nn.Module) -> nn.Module:
    """Draw every weight and bias anew, so that nothing is zero or nearly even."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.25)
    return model.double().eval()


class Encoder(nn.Module):
    """A ViT of ``nn.TransformerEncoderLayer``, which torch runs whole where it can."""

    def __init__(self, *, batch_first: bool = True) -> None:
        super().__init__()
        self.batch_first = batch_first
        self.patches = nn.Conv2d(3, 16, 8, 8)
        layers = [
            nn.TransformerEncoderLayer(16, 4, 32, batch_first=batch_first, norm_first=True)
            for _ in range(3)
        ]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        """Pool the tokens of the last layer."""
        x = self.patches(x).flatten(2).mT
        x = x if self.batch_first else x.transpose(0, 1)
        for layer in self.layers:
            x = layer(x)
        x = x if self.batch_first else x.transpose(0, 1)
        return self.head(x.mean(dim=1))


class Attention(nn.Module):
    """Fused attention; what happens between it and its projection is given."""

    def __init__(self, between: nn.Module | None = None, beside: nn.Module | None = None) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.between = between if between is not None else nn.Identity()
        self.proj = nn.Linear(16, 16)
        self.beside = beside

    def forward(self, x):
        """Attend with 4 heads of 4."""
        images, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(images, tokens, 3, 4, 4).permute(2, 0, 3, 1, 4)
        z = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(images, tokens, width)
        out = self.proj(self.between(z))
        return out if self.beside is None else out + self.beside(z)


class Block(nn.Module):
    """A block around some attention."""

    def __init__(self, attn: nn.Module) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(16), attn, nn.LayerNorm(16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x):
        """Attend, then feed forward."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Net(nn.Module):
    """A ViT of such blocks."""

    def __init__(self, *attention: nn.Module) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.blocks = nn.ModuleList([Block(one) for one in attention])
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        """Pool the tokens of the last block."""
        x = self.patches(x).flatten(2).mT
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(dim=1))


class Forgetful(Net):
    """A model that cannot be resumed: its head reads something from within the first block."""

    def forward(self, x):
        """Add the queries of the first block to what the head reads."""
        kept = []
        handle = self.blocks[0].attn.qkv.register_forward_hook(
            lambda _module, _args, output: kept.append(output[..., :16].mean(dim=1))
        )
        try:
            x = self.patches(x).flatten(2).mT
            for block in self.blocks:
                x = block(x)
        finally:
            handle.remove()
        return self.head(x.mean(dim=1) + kept[0])

"""Small hand-written attentions, each in one style that is found in the wild."""

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Plain attention whose product is written in the style given."""

    def __init__(self, style: str, dim: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.style, self.heads = style, heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.mix = nn.Linear(heads, heads)
        self.drop = nn.Dropout(0.1)
        self.basis = nn.Parameter(torch.randn(9, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend in the chosen style."""
        b, n, c = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        q = q * q.shape[-1] ** -0.5
        if self.style == "sdpa":
            out = F.scaled_dot_product_attention(q, k, v, scale=1.0)
        elif self.style == "sdpa by name":
            out = F.scaled_dot_product_attention(query=q, key=k, value=v, scale=1.0)
        elif self.style == "matmul by name":
            out = torch.matmul(input=torch.softmax(input=q @ k.mT, dim=-1), other=v)
        elif self.style == "matmul":
            out = self.drop((q @ k.transpose(-2, -1)).softmax(dim=-1)) @ v
        elif self.style == "bmm":
            fused = [t.reshape(b * self.heads, n, -1) for t in (q, k, v)]
            weights = torch.bmm(fused[0], fused[1].transpose(1, 2)).softmax(-1)
            out = torch.bmm(weights, fused[2]).reshape(b, self.heads, n, -1)
        elif self.style == "einsum":
            weights = torch.einsum("bhid,bhjd->bhij", q, k).softmax(dim=-1)
            out = torch.einsum("bhij,bhjd->bhid", weights, v)
        elif self.style == "value first":
            weights = (q @ k.mT).softmax(dim=-1)
            out = (v.mT @ weights.mT).mT
        elif self.style == "softmax elsewhere":
            weights = torch.softmax(k @ q.mT, dim=2).transpose(2, 3)
            out = weights @ v
        elif self.style == "talking heads":
            weights = (q @ k.mT).softmax(dim=-1)
            weights = self.mix(weights.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            out = weights @ v
        elif self.style == "ranking only":
            weights = (q @ k.mT).softmax(dim=-1)
            _ = weights[:, :, 0].mean(dim=1).topk(2)
            out = v
        elif self.style == "learned basis":
            weights = (q @ k.mT).softmax(dim=-1)
            out = v + (weights @ self.basis).mean()
        elif self.style == "learned basis in an einsum":
            weights = (q @ k.mT).softmax(dim=-1)
            out = v + torch.einsum("bhij,jd->bhid", weights, self.basis).mean()
        elif self.style == "batch":
            flat = x.mean(dim=1)
            out = v + ((flat @ flat.T).softmax(dim=-1) @ flat).mean()
        else:
            raise ValueError(self.style)
        return self.proj(out.transpose(1, 2).reshape(b, n, c))


class TinyViT(nn.Module):
    """Patches of 4 pixels of an 8 x 16 image, a class token, one attention, a head."""

    def __init__(self, style: str, **attention: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 12))
        self.blocks = nn.ModuleList([Attention(style, **attention)])
        self.head = nn.Linear(12, 5)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Give the tokens that the first block sees."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify."""
        tokens = self.embed(x)
        for block in self.blocks:
            tokens = tokens + block(tokens)
        return self.head(tokens[:, 0])

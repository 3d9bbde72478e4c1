"""Targets for the patch tokens too: what each patch shows.

They teach where the object is as well as what it is. The patches are read with the same ``head``
as the class token, plus one logit for "no object" that is thrown away after training.

References
----------
.. Z. Jiang et al. "All Tokens Matter: Token Labeling for Training Better Vision Transformers."
   NeurIPS 2021.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn


class TokenLabelled(nn.Module):
    """A vision transformer whose patch tokens are asked what they show, while it trains."""

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        self.vit = vit
        self.nothing = nn.Linear(vit.embed_dim, 1)  # the logit for "no object in this patch"

    def forward(self, images: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Give logits of the class (B, C) and of the `kept` (B, K) patches (B, K, C + 1)."""
        vit = self.vit
        tokens = vit._pos_embed(vit.patch_embed(images))
        index = kept[..., None].expand(-1, -1, tokens.shape[-1])
        tokens = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, index)], dim=1)
        tokens = vit.norm(vit.blocks(vit.norm_pre(tokens)))
        patches = tokens[:, 1:]
        return vit.head(tokens[:, 0]), torch.cat([vit.head(patches), self.nothing(patches)], -1)


def patch_targets(masks: Tensor, labels: Tensor, classes: int, patch: int) -> Tensor:
    """Share each patch between the class of the image and "no object", by area.

    Parameters
    ----------
    masks : torch.Tensor
        (B, H, W) float: 1 on the object.
    labels : torch.Tensor
        (B,) int64.
    classes : int
        Number of classes C.
    patch : int
        Side of a patch, pixels.

    Returns
    -------
    torch.Tensor
        (B, patches, C + 1) float; each row sums to 1, its last column is "no object".

    Examples
    --------
    >>> masks = torch.zeros(1, 4, 4)
    >>> masks[0, 0, 2:] = 1
    >>> patch_targets(masks, torch.tensor([1]), classes=2, patch=2)[0, 1]
    tensor([0.0000, 0.5000, 0.5000])
    """
    cover = F.avg_pool2d(masks[:, None], patch).flatten(1)
    targets = torch.zeros(*cover.shape, classes + 1)
    targets.scatter_(2, labels[:, None, None].expand(*cover.shape, 1), cover[..., None])
    targets[..., -1] = 1 - cover
    return targets

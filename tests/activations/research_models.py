"""Small models in the manner of research code, each with one habit that a reader of attention trips
over. Every model states what it applied: the weights, and where on the image its tokens lie.

The models write down their own truth while they run (`Research.history`), so that a test compares
with what was multiplied and not with a second derivation of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

PATCH = 4
"""Side of a patch in pixels; tokens are counted on the grid of such patches."""


@dataclass(frozen=True)
class Applied:
    """One attention as it was applied.

    Attributes
    ----------
    weights
        float64 (image, group, head, query, key).
    queries, keys
        For each group the patch that each position is, counted in raster order and -1 for a token
        that is no patch: (group, size). ``None`` where no single answer exists, because tokens were
        merged or chosen from the image's content or at random.
    kinds
        What `AttentionRecord.kind` may be called; empty where several words would be right.
    mixed
        Whether heads were mixed after the softmax.
    between_tokens
        Of a factorised form: the same attention multiplied out, which is as true a record of it.
    """

    weights: torch.Tensor
    queries: torch.Tensor | None
    keys: torch.Tensor | None
    kinds: tuple[str, ...] = ()
    mixed: bool = False
    between_tokens: Applied | None = None

    def of_size(self, queries: int, keys: int) -> Applied:
        """Choose the form that has so many queries and keys."""
        other = self.between_tokens
        if other is not None and other.weights.shape[-2:] == (queries, keys):
            return other
        assert self.weights.shape[-2:] == (queries, keys)
        return self


class Research(nn.Module):
    """Patches of 4 pixels, one projection to q, k and v for each layer, class scores.

    Attributes
    ----------
    history
        For each forward: what was returned, and what was applied.
    """

    image = (3, 16, 16)
    heads = 3
    layers = 1
    cls = False

    def __init__(self) -> None:
        super().__init__()
        channels, height, width = self.image
        self.rows, self.cols = height // PATCH, width // PATCH
        self.patches = nn.Conv2d(channels, 12, PATCH, PATCH)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 12)) if self.cls else None
        self.qkv = nn.ModuleList([nn.Linear(12, 36) for _ in range(self.layers)])
        self.proj = nn.Linear(12, 12)
        self.head = nn.Linear(12, 5)
        self.history: list[tuple[object, list[Applied]]] = []
        with torch.no_grad():
            for layer in self.qkv:
                layer.weight.mul_(5)  # far from uniform
            self.patches.weight.mul_(3)

    def forward(self, x: torch.Tensor) -> object:
        """Run, and keep what was applied beside the answer."""
        self.applied: list[Applied] = []
        output = self._run(x)
        self.history.append((output, self.applied))
        return output

    def _run(self, x: torch.Tensor) -> object:
        """Classify from tokens that attended once."""
        return self.classify(self.attend(self.tokens(x)))

    def tokens(self, x: torch.Tensor) -> torch.Tensor:
        """Cut patches: (image, token, feature), the class token first."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        if self.cls_token is None:
            return tokens
        return torch.cat([self.cls_token.expand(len(x), -1, -1), tokens], dim=1)

    def split(self, tokens: torch.Tensor, layer: int = 0) -> tuple[torch.Tensor, ...]:
        """Project to scaled q, k and v: (image, head, token, feature)."""
        *leading, _ = tokens.shape
        qkv = self.qkv[layer](tokens).reshape(*leading, 3, self.heads, 12 // self.heads)
        outer = range(len(leading) - 1)
        q, k, v = qkv.permute(-3, *outer, -2, -4, -1).unbind(0)
        return q * q.shape[-1] ** -0.5, k, v

    def join(self, out: torch.Tensor) -> torch.Tensor:
        """Project (..., head, token, feature) to (..., token, feature)."""
        return self.proj(out.transpose(-3, -2).flatten(-2))

    def attend(self, tokens: torch.Tensor, layer: int = 0, *, places: bool = True) -> torch.Tensor:
        """Attend plainly, and add."""
        q, k, v = self.split(tokens, layer)
        weights = (q @ k.mT).softmax(dim=-1)
        cells = self.cells(prefix=tokens.shape[1] - self.rows * self.cols) if places else None
        self.note(weights, cells, cells, "self")
        return tokens + self.join(weights @ v)

    def classify(self, tokens: torch.Tensor) -> torch.Tensor:
        """Score the mean token."""
        return self.head(tokens.mean(dim=1))

    def cells(self, prefix: int = 0) -> torch.Tensor:
        """Every patch in raster order after some tokens that are none: (1, token)."""
        return torch.cat([torch.full((prefix,), -1), torch.arange(self.rows * self.cols)])[None]

    def note(
        self,
        weights: torch.Tensor,
        queries: torch.Tensor | None,
        keys: torch.Tensor | None,
        *kinds: str,
        mixed: bool = False,
        between_tokens: torch.Tensor | None = None,
    ) -> None:
        """Keep a copy of what is applied, as (image, group, head, query, key)."""
        whole = None
        if between_tokens is not None:
            whole = Applied(between_tokens.detach()[:, None], keys, keys, kinds)
        kept = weights.detach().clone()
        kept = kept[:, None] if kept.ndim == 4 else kept
        self.applied.append(Applied(kept, queries, keys, kinds, mixed, whole))


# --- 1. a softmax that is used for something else as well -----------------------------------------


class GatedByTheClassRow(Research):
    """The class row gates the tokens of the next layer: its values now carry a key axis too."""

    layers, cls = 2, True

    def _run(self, x):
        tokens = self.tokens(x)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(1), self.cells(1), "self")
        tokens = (tokens + self.join(weights @ v)) * weights[:, 0, 0].unsqueeze(-1)
        return self.classify(self.attend(tokens, 1))


class Merged(Research):
    """Neighbours in rank are averaged after the first layer (token merging): 16, then 9 tokens."""

    layers = 2

    def _run(self, x):
        tokens = self.tokens(x)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(), self.cells(), "self")
        tokens = tokens + self.join(weights @ v)
        order = weights.mean(dim=1).sum(dim=1).argsort(dim=-1)[..., None].expand_as(tokens)
        ranked = tokens.gather(1, order)
        merged = torch.cat([(ranked[:, :7] + ranked[:, 7:14]) / 2, ranked[:, 14:]], dim=1)
        return self.classify(self.attend(merged, 1, places=False))


class MergedByProduct(Research):
    """Attention of all heads, renormalised, says which tokens to pool: 4 groups of tokens."""

    layers = 2

    def _run(self, x):
        tokens = self.tokens(x)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(), self.cells(), "self")
        received = weights.mean(dim=(1, 2))
        kept = tokens.gather(1, received.topk(4).indices[..., None].expand(-1, -1, 12))
        nearest = torch.cdist(tokens + self.join(weights @ v), kept).argmin(dim=-1)
        assignment = F.one_hot(nearest, 4).to(tokens.dtype)
        pooled = (assignment / assignment.sum(dim=1, keepdim=True).clamp(min=1)).mT @ tokens
        return self.classify(self.attend(pooled, 1, places=False))


class ScoredByTheClassRow(Research):
    """The class row scores tokens for the output; it is no second attention."""

    cls = True

    def _run(self, x):
        tokens = self.tokens(x)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(1), self.cells(1), "self")
        score = weights[:, :, 0, 1:].mean(dim=1)
        tokens = tokens + self.join(weights @ v)
        return self.head((tokens[:, 1:] * score[..., None]).sum(dim=1))


# --- 2. the first product is not the value product ------------------------------------------------


class MixedHeads(Research):
    """Heads are mixed by a heads x heads matrix through einsum before the value product."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(self.heads, self.heads))

    def _run(self, x):
        q, k, v = self.split(self.tokens(x))
        weights = torch.einsum("bhid,bhjd->bhij", q, k).softmax(dim=-1)
        weights = torch.einsum("bhij,hg->bgij", weights, self.mix)
        self.note(weights, self.cells(), self.cells(), "self", mixed=True)
        return self.classify(self.join(torch.einsum("bhij,bhjd->bhid", weights, v)))


class LearnedBasis(Research):
    """Attention is also projected on a learned basis, through a view of the parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.randn(2, 16))

    def _run(self, x):
        q, k, v = self.split(self.tokens(x))
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(), self.cells(), "self")
        moments = (weights @ self.basis.t()).mean(dim=(1, 2))
        return self.classify(self.join(weights @ v)) + moments.sum(dim=-1, keepdim=True)


# --- 3. softmaxes without a product, and with two -------------------------------------------------


class Unused(Research):
    """A router's gate and a map for reference reach no value product."""

    def __init__(self) -> None:
        super().__init__()
        self.router = nn.Linear(12, 4)
        self.experts = nn.Linear(12, 48)

    def _run(self, x):
        tokens = self.tokens(x)
        q, k, _ = self.split(tokens)
        self.reference = (k @ q.mT).softmax(dim=-1)
        gate = self.router(tokens).softmax(dim=-1)
        outputs = self.experts(tokens).unflatten(-1, (4, 12))
        tokens = tokens + torch.einsum("bne,bnec->bnc", gate, outputs)
        return self.classify(self.attend(tokens))


class UsedTwice(Research):
    """One softmax is applied to the values of two layers: two attentions."""

    layers = 2

    def _run(self, x):
        tokens = self.tokens(x)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(), self.cells(), "self")
        tokens = tokens + self.join(weights @ v)
        _, _, later = self.split(tokens, 1)
        self.note(weights, self.cells(), self.cells(), "self")
        return self.classify(tokens + self.join(weights @ later))


# --- 4. the softmax axis moves --------------------------------------------------------------------


class SoftmaxOverDimTwo(Research):
    """Scores are keys x queries; softmax over dim 2, then a transpose: rows sum to 1 again."""

    def _run(self, x):
        q, k, v = self.split(self.tokens(x))
        weights = (k @ q.mT).softmax(dim=2).transpose(2, 3)
        self.note(weights, self.cells(), self.cells(), "self")
        return self.classify(self.join(weights @ v))


class Factorised(Research):
    """Keys are softmaxed over the tokens: channels x tokens, no map from token to token."""

    def _run(self, x):
        q, k, v = self.split(self.tokens(x))
        factor = k.softmax(dim=2).transpose(2, 3)
        nowhere = torch.full((1, 4), -1)
        self.note(factor, nowhere, self.cells(), "factorised", between_tokens=q @ factor)
        return self.classify(self.join(q @ (factor @ v)))


class Efficient(Research):
    """As above with q softmaxed over its channels: that softmax is over no tokens at all."""

    def _run(self, x):
        q, k, v = self.split(self.tokens(x))
        q, factor = q.softmax(dim=-1), k.softmax(dim=2).transpose(2, 3)
        nowhere = torch.full((1, 4), -1)
        self.note(factor, nowhere, self.cells(), "factorised", between_tokens=q @ factor)
        return self.classify(self.join(q @ (factor @ v)))


class Channels(Research):
    """Channels attend to channels, over all tokens: the matrix is no map of the image."""

    def _run(self, x):
        q, k, v = (F.normalize(part.mT, dim=-1) for part in self.split(self.tokens(x)))
        weights = (9 * q @ k.mT).softmax(dim=-1)
        nowhere = torch.full((1, 4), -1)
        self.note(weights, nowhere, nowhere, "channel")
        return self.classify(self.join((weights @ v).mT))


# --- 5. axes are fused, moved or absent -----------------------------------------------------------


def windows(x: torch.Tensor, side: int) -> torch.Tensor:
    """Cut (image, row, col, ...) into (image, window, side * side, ...)."""
    b, rows, cols, *rest = x.shape
    cut = x.reshape(b, rows // side, side, cols // side, side, *rest).transpose(2, 3)
    return cut.reshape(b, -1, side * side, *rest)


class HeadsByWindows(Research):
    """Head and window share axis 0, heads outside: 12 = 3 heads x 4 windows."""

    def _run(self, x):
        tokens = windows(self.tokens(x).unflatten(1, (4, 4)), 2)
        q, k, v = (part.transpose(1, 2).flatten(0, 2) for part in self.split(tokens))
        weights = torch.bmm(q, k.mT).softmax(dim=-1)
        by_head = weights.unflatten(0, (len(x), 3, 4)).transpose(1, 2)
        cells = windows(self.cells().reshape(1, 4, 4), 2)[0]
        self.note(by_head, cells, cells, "self")
        out = torch.bmm(weights, v).unflatten(0, (len(x), 3, 4)).transpose(1, 2)
        return self.classify(self.join(out).flatten(1, 2))


class HeadsOutermost(Research):
    """Axis 0 is head x image with the heads outside: image 1 is not the second half."""

    def _run(self, x):
        q, k, v = (part.transpose(0, 1).flatten(0, 1) for part in self.split(self.tokens(x)))
        weights = torch.bmm(q, k.mT).softmax(dim=-1)
        by_image = weights.unflatten(0, (3, len(x))).transpose(0, 1)
        self.note(by_image, self.cells(), self.cells(), "self")
        return self.classify(self.join((weights @ v).unflatten(0, (3, len(x))).transpose(0, 1)))


class HeadsByFrames(Research):
    """Four channels are four frames; axis 0 is image x head x frame: 12 = 3 heads x 4 frames."""

    image = (4, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(4, 48, PATCH, PATCH, groups=4)

    def _run(self, x):
        tokens = self.patches(x).unflatten(1, (4, 12)).flatten(3).transpose(2, 3)
        q, k, v = (part.transpose(1, 2).flatten(0, 2) for part in self.split(tokens))
        weights = torch.bmm(q, k.mT).softmax(dim=-1)
        by_head = weights.unflatten(0, (len(x), 3, 4)).transpose(1, 2)
        cells = self.cells().expand(4, -1)
        self.note(by_head, cells, cells, "self")
        out = torch.bmm(weights, v).unflatten(0, (len(x), 3, 4)).transpose(1, 2)
        return self.classify(self.join(out).flatten(1, 2))


class HeadsOnAxisTwo(Research):
    """(image, query, head, key): the heads stand between queries and keys."""

    def _run(self, x):
        q, k, v = (part.transpose(1, 2) for part in self.split(self.tokens(x)))
        weights = torch.einsum("bihd,bjhd->bihj", q, k).softmax(dim=-1)
        self.note(weights.transpose(1, 2), self.cells(), self.cells(), "self")
        out = torch.einsum("bihj,bjhd->bihd", weights, v)
        return self.classify(self.proj(out.flatten(2)))


class NoHeads(Research):
    """(image, query, key): there is no head axis."""

    heads = 1

    def _run(self, x):
        q, k, v = (part[:, 0] for part in self.split(self.tokens(x)))
        weights = torch.bmm(q, k.mT).softmax(dim=-1)
        self.note(weights[:, None], self.cells(), self.cells(), "self")
        return self.classify(self.proj(torch.bmm(weights, v)))


class PackedWindows(Research):
    """Windows are kept at random and packed; their number changes from call to call."""

    random = True

    def _run(self, x):
        self.calls = getattr(self, "calls", 0) + 1
        kept = torch.randperm(4)[: 1 + self.calls % 3]
        tokens = windows(self.tokens(x).unflatten(1, (4, 4)), 2)[:, kept]
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, None, None, "self")
        return self.classify(self.join(weights @ v).flatten(1, 2))


class Windows3D(Research):
    """One window of 4 frames of 7 x 7 patches: 196 keys, and no 14 x 14 grid."""

    image = (4, 28, 28)

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(4, 48, PATCH, PATCH, groups=4)

    def _run(self, x):
        tokens = self.patches(x).unflatten(1, (4, 12)).permute(0, 1, 3, 4, 2).flatten(1, 3)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        cells = self.cells().repeat(1, 4)
        self.note(weights, cells, cells, "self")
        return self.classify(self.join(weights @ v))


# --- 6. tokens are dropped, shuffled, routed ------------------------------------------------------


class DroppedByTheClassRow(Research):
    """The 9 patches that the class token looks at most go on: no 3 x 3 grid."""

    layers, cls = 2, True

    def _run(self, x):
        tokens = self.tokens(x)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(1), self.cells(1), "self")
        tokens = tokens + self.join(weights @ v)
        kept = weights[:, :, 0, 1:].mean(dim=1).topk(9).indices
        patches = tokens[:, 1:].gather(1, kept[..., None].expand(-1, -1, 12))
        kept_tokens = torch.cat([tokens[:, :1], patches], dim=1)
        return self.classify(self.attend(kept_tokens, 1, places=False))


class Masked(Research):
    """A masked autoencoder: 9 patches of 16, drawn at random and shuffled: no 3 x 3 grid."""

    random = True
    visible = 9

    def _run(self, x):
        tokens = self.tokens(x)
        chosen = torch.rand(len(x), 16).argsort(dim=1)[:, : self.visible]
        visible = tokens.gather(1, chosen[..., None].expand(-1, -1, 12))
        return self.classify(self.attend(visible, places=False))


class Shuffled(Masked):
    """The same with every patch visible: 16 tokens, and no 4 x 4 grid."""

    visible = 16


class Routed(Research):
    """Each region of 4 patches attends to the two regions that its mean likes best."""

    def _run(self, x):
        regions = windows(self.tokens(x).unflatten(1, (4, 4)), 2)
        means = regions.mean(dim=2)
        affinity = (means @ means.mT).softmax(dim=-1)
        gates, chosen = affinity.topk(2)
        q, k, v = self.split(regions)
        each = torch.arange(len(x))[:, None, None]
        k, v = (part[each, chosen] * gates[..., None, None, None] for part in (k, v))
        k, v = (
            part.transpose(2, 3).flatten(3, 4) for part in (k, v)
        )  # (image, region, head, 8, d)
        weights = (q @ k.mT).softmax(dim=-1)
        cells = windows(self.cells().reshape(1, 4, 4), 2)[0]
        self.note(weights, cells, None)
        return self.classify(self.join(weights @ v).flatten(1, 2))


# --- 7. queries and keys differ -------------------------------------------------------------------


class Prompts(Research):
    """Two prompts attend and are not attended to: 19 x 17."""

    cls = True

    def __init__(self) -> None:
        super().__init__()
        self.prompts = nn.Parameter(torch.randn(1, 2, 12))

    def _run(self, x):
        tokens = self.tokens(x)
        asking = torch.cat([self.prompts.expand(len(x), -1, -1), tokens], dim=1)
        q, (_, k, v) = self.split(asking)[0], self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(3), self.cells(1))
        return self.classify(self.join(weights @ v))


class DetectionTokens(Research):
    """Three detection tokens stand behind the patches."""

    cls = True

    def __init__(self) -> None:
        super().__init__()
        self.detection = nn.Parameter(torch.randn(1, 3, 12))

    def _run(self, x):
        tokens = torch.cat([self.tokens(x), self.detection.expand(len(x), -1, -1)], dim=1)
        q, k, v = self.split(tokens)
        weights = (q @ k.mT).softmax(dim=-1)
        cells = torch.cat([self.cells(1), torch.full((1, 3), -1)], dim=1)
        self.note(weights, cells, cells, "self")
        return self.classify(tokens + self.join(weights @ v))


class Latents(Research):
    """Nine latents ask the patches, then each other: no 3 x 3 grid."""

    layers = 2

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, 9, 12))

    def _run(self, x):
        latents = self.latents.expand(len(x), -1, -1)
        q, (_, k, v) = self.split(latents)[0], self.split(self.tokens(x))
        weights = (q @ k.mT).softmax(dim=-1)
        nowhere = torch.full((1, 9), -1)
        self.note(weights, nowhere, self.cells(), "cross", "pool")
        latents = latents + self.join(weights @ v)
        q, k, v = self.split(latents, 1)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, nowhere, nowhere)
        return self.classify(latents + self.join(weights @ v))


class TwoImages(Research):
    """Six channels are two images; the first asks, the second is asked."""

    image = (6, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(6, 24, PATCH, PATCH, groups=2)

    def _run(self, x):
        first, second = (part.flatten(2).mT for part in self.patches(x).chunk(2, dim=1))
        q, (_, k, v) = self.split(first)[0], self.split(second)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(), self.cells(), "cross")
        return self.classify(self.join(weights @ v))


class TextOnImage(Research):
    """Four words ask the patches: no 2 x 2 grid."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 12)

    def _run(self, x):
        words = self.words(torch.tensor([[3, 1, 4, 1]])).expand(len(x), -1, -1)
        q, (_, k, v) = self.split(words)[0], self.split(self.tokens(x))
        q = q + torch.linspace(0, 1, 4, dtype=q.dtype)[:, None]
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, torch.full((1, 4), -1), self.cells(), "cross", "pool")
        return self.classify(self.join(weights @ v))


class StridedKeys(Research):
    """Every second patch of every second row is a key: 16 x 4."""

    def _run(self, x):
        tokens = self.tokens(x)
        coarse = tokens.unflatten(1, (4, 4))[:, ::2, ::2].flatten(1, 2)
        q, (_, k, v) = self.split(tokens)[0], self.split(coarse)
        weights = (q @ k.mT).softmax(dim=-1)
        self.note(weights, self.cells(), torch.tensor([[0, 2, 8, 10]]))
        return self.classify(self.join(weights @ v))


class Axial(Research):
    """Rows, then columns: 4 groups of 4 tokens each time."""

    layers = 2

    def _run(self, x):
        lines = self.tokens(x).unflatten(1, (4, 4))
        cells = self.cells().reshape(4, 4)
        for layer, order in enumerate((cells, cells.T)):
            q, k, v = self.split(lines, layer)
            weights = (q @ k.mT).softmax(dim=-1)
            self.note(weights, order, order, "self")
            lines = (lines + self.join(weights @ v)).transpose(1, 2)
        return self.classify(lines.flatten(1, 2))


class AxialInTheBatch(Axial):
    """The same with the lines in the batch axis, as most of it is written."""

    def _run(self, x):
        b = len(x)
        lines = self.tokens(x).reshape(b * 4, 4, 12)
        cells = self.cells().reshape(4, 4)
        for layer, order in enumerate((cells, cells.T)):
            q, k, v = self.split(lines, layer)
            weights = (q @ k.mT).softmax(dim=-1)
            self.note(weights.unflatten(0, (b, 4)), order, order, "self")
            lines = lines + self.join(weights @ v)
            lines = lines.reshape(b, 4, 4, 12).transpose(1, 2).reshape(b * 4, 4, 12)
        return self.classify(lines.reshape(b, 16, 12))


class ThreeGrids(Research):
    """Three token sets by unfold, one of them overlapping: 16 + 4 + 16 = 36, and no 6 x 6 grid."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList([nn.Linear(3 * side * side, 12) for side in (4, 8, 8)])

    def _run(self, x):
        cuts = ((4, 4, 0), (8, 8, 0), (8, 4, 2))
        tokens = torch.cat(
            [
                embed(F.unfold(x, side, stride=stride, padding=padding).mT)
                for embed, (side, stride, padding) in zip(self.embeddings, cuts, strict=True)
            ],
            dim=1,
        )
        return self.classify(self.attend(tokens, places=False))


# --- 8. inputs and outputs ------------------------------------------------------------------------


class FourChannels(Research):
    """Red, green, blue and near infrared."""

    image = (4, 16, 16)


class ReturnsDict(Research):
    """Answers in a dictionary."""

    def _run(self, x):
        return {"logits": super()._run(x), "features": self.tokens(x)}


class ReturnsTuple(Research):
    """Answers beside something else."""

    def _run(self, x):
        return super()._run(x), None


@dataclass
class Answer:
    """An output class of a user's own."""

    logits: torch.Tensor


class ReturnsDataclass(Research):
    """Answers in an object."""

    def _run(self, x):
        return Answer(super()._run(x))


class Squeezed(Research):
    """One image gives (class,), without its axis."""

    def _run(self, x):
        return super()._run(x).squeeze(0)


# --- 9. recomputation, half precision -------------------------------------------------------------


class Checkpointed(Research):
    """Each layer runs under activation checkpointing."""

    layers = 2
    reentrant = False

    def _run(self, x):
        tokens = self.tokens(x)
        for layer in range(2):
            tokens = checkpoint(self.attend, tokens, layer, use_reentrant=self.reentrant)
        return self.classify(tokens)


class CheckpointedReentrant(Checkpointed):
    """The same in torch's older manner."""

    reentrant = True


class Autocast(Research):
    """The forward runs under bfloat16 autocast; the matrix that it applies is bfloat16 too."""

    def _run(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return super()._run(x)


class AutocastFused(Autocast):
    """The same in one fused call on bfloat16 q and k: its weights exist nowhere."""

    def attend(self, tokens, layer=0, *, places=True):
        """Attend in one call."""
        q, k, v = self.split(tokens, layer)
        with torch.autocast("cpu", enabled=False):
            weights = (q.float() @ k.float().mT).softmax(dim=-1)
        self.note(weights, self.cells(), self.cells(), "self")
        out = F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), scale=1.0)
        return tokens + self.join(out)


# --- 10. no softmax attention, and products that are none -----------------------------------------


class Performer(Research):
    """Positive random features in place of a softmax."""

    def _run(self, x):
        q, k, v = self.split(self.tokens(x))
        q, k = q.exp(), k.exp()
        normaliser = q @ k.sum(dim=-2)[..., None]
        return self.classify(self.join(q @ (k.mT @ v) / normaliser))


class FourierGate(Research):
    """Tokens are mixed in the frequency domain."""

    def _run(self, x):
        tokens = self.tokens(x)
        mixed = torch.fft.irfft(torch.fft.rfft(tokens, dim=1) * 0.5j, n=16, dim=1)
        return self.classify(tokens + self.proj(mixed))


class OneHotClusters(Research):
    """Tokens are pooled by the cluster that they are nearest to."""

    def _run(self, x):
        tokens = self.tokens(x)
        hard = F.one_hot(tokens[..., :4].softmax(dim=-1).argmax(dim=-1), 4).to(tokens.dtype)
        return self.classify(self.proj(hard.mT @ tokens))


class AcrossTheBatch(Research):
    """(head, image, image): images attend to each other; no attention within an image."""

    heads = 4

    def _run(self, x):
        pooled = self.tokens(x).mean(dim=1, keepdim=True)
        q, k, v = (part[:, :, 0].transpose(0, 1) for part in self.split(pooled))
        weights = (q @ k.mT).softmax(dim=-1)
        return self.head(self.proj((weights @ v).transpose(0, 1).flatten(1)))


ATTENDING: tuple[type[Research], ...] = (
    GatedByTheClassRow, Merged, MergedByProduct, ScoredByTheClassRow, MixedHeads, LearnedBasis,
    Unused, UsedTwice, SoftmaxOverDimTwo, Factorised, Efficient, Channels, HeadsByWindows,
    HeadsOutermost, HeadsByFrames, HeadsOnAxisTwo, NoHeads, PackedWindows, Windows3D,
    DroppedByTheClassRow, Masked, Shuffled, Routed, Prompts, DetectionTokens, Latents, TwoImages,
    TextOnImage, StridedKeys, Axial, AxialInTheBatch, ThreeGrids, FourChannels, ReturnsDict,
    ReturnsTuple, ReturnsDataclass, Squeezed, Checkpointed, CheckpointedReentrant,
)  # fmt: skip
NOT_ATTENDING: tuple[type[Research], ...] = (
    Performer, FourierGate, OneHotClusters, AcrossTheBatch,
)  # fmt: skip
